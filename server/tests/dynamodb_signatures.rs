//! Signatures, where access keys are configured.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use dynamite_core::api::DynaMite;
use dynamite_server::dynamodb::{AccessKeys, Config};
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};
use support::Endpoint;

const CORAL: &str = "com.amazon.coral.service#";

/// What a client signs, and what it says of it. A test changes one thing.
#[derive(Clone)]
struct Signing {
    id: &'static str,
    secret: &'static str,
    date: String,
    service: &'static str,
    region: &'static str,
    signed_headers: &'static str,
    body: &'static str,
    sent: &'static str,
}

impl Signing {
    fn right() -> Signing {
        Signing {
            id: "AKID",
            secret: "secret",
            date: basic(now()),
            service: "dynamodb",
            region: "eu-central-9",
            signed_headers: "host;x-amz-date;x-amz-target",
            body: "{}",
            sent: "{}",
        }
    }

    fn request(&self) -> Vec<u8> {
        let Signing { id, secret, date, service, region, signed_headers, body, sent } = self;
        let day = &date[..8];
        let headers: String = signed_headers
            .split(';')
            .map(|name| match name {
                "host" => "host:a:1\n".to_owned(),
                "x-amz-date" => format!("x-amz-date:{date}\n"),
                _ => "x-amz-target:DynamoDB_20120810.ListTables\n".to_owned(),
            })
            .collect();
        let canonical =
            format!("POST\n/\n\n{headers}\n{signed_headers}\n{}", hex(&Sha256::digest(body.as_bytes())));
        let scope = format!("{day}/{region}/{service}/aws4_request");
        let to_sign =
            format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical.as_bytes())));
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in [day, region, service, "aws4_request", &to_sign] {
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            mac.update(part.as_bytes());
            key = mac.finalize().into_bytes().to_vec();
        }
        format!(
            "POST / HTTP/1.1\r\nHost: a:1\r\nX-Amz-Date: {date}\r\nX-Amz-Target: DynamoDB_20120810.ListTables\r\n\
             Content-Type: application/x-amz-json-1.0\r\nContent-Length: {}\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential={id}/{scope}, SignedHeaders={signed_headers}, Signature={}\r\n\r\n{sent}",
            sent.len(), hex(&key)
        )
        .into_bytes()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// By counting days from 2020 on.
fn basic(seconds: u64) -> String {
    let (mut days, second) = (seconds / 86_400 - 18_262, seconds % 86_400);
    let (mut year, mut month) = (2020, 0);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year}{:02}{:02}T{hour:02}{minute:02}{second:02}Z", month + 1, days + 1)
}

fn endpoint() -> Endpoint {
    let keys = AccessKeys::new([("AKID".to_owned(), "secret".to_owned())]);
    Endpoint::with(DynaMite::in_memory().unwrap(), Config { access_keys: Some(keys), ..Config::default() })
}

#[test]
fn a_right_signature_is_accepted_for_any_region() {
    let endpoint = endpoint();
    assert_eq!(endpoint.send(&Signing::right().request()).status, 200);
}

#[test]
fn whatever_is_wrong_with_a_signature_is_refused_in_the_services_words() {
    let endpoint = endpoint();
    let check = |signing: Signing, kind: &str, message: &str| {
        let answer = endpoint.send(&signing.request());
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((answer.status, body["__type"].as_str().unwrap()), (400, &*format!("{CORAL}{kind}")));
        let told = body["message"].as_str().unwrap();
        assert!(told.starts_with(message), "{told}");
    };
    let right = Signing::right;
    let invalid = "InvalidSignatureException";
    let differs = "The request signature we calculated does not match the signature you provided.";
    check(Signing { secret: "other", ..right() }, invalid, differs);
    check(Signing { sent: "{ }", ..right() }, invalid, differs);
    check(
        Signing { id: "nobody", ..right() },
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    );
    let old = basic(now() - 16 * 60);
    check(
        Signing { date: old.clone(), ..right() },
        invalid,
        &format!("Signature expired: {old} is now earlier than "),
    );
    let new = basic(now() + 17 * 60);
    check(
        Signing { date: new.clone(), ..right() },
        invalid,
        &format!("Signature not yet current: {new} is still later than "),
    );
    check(
        Signing { date: "yesterday at noon".to_owned(), ..right() },
        "IncompleteSignatureException",
        "Date must be in ISO-8601 'basic format'. Got 'yesterday at noon'.",
    );
    check(
        Signing { signed_headers: "x-amz-date", ..right() },
        invalid,
        "'Host' must be a 'SignedHeader' in the AWS Authorization.",
    );
    check(
        Signing { service: "s3", ..right() },
        invalid,
        "Credential should be scoped to correct service: 'dynamodb'.",
    );
}

#[test]
fn what_is_no_json_is_told_of_before_a_wrong_signature() {
    let endpoint = endpoint();
    let refused = |signing: Signing| {
        let answer = endpoint.send(&signing.request());
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        (answer.status, body["__type"].as_str().unwrap().trim_start_matches(CORAL).to_owned())
    };
    let right = Signing::right;
    let wrong = || Signing { secret: "other", ..right() };
    let broken = "{\"x\":[0,}";
    let malformed = (400, "SerializationException".to_owned());
    assert_eq!(refused(Signing { body: broken, sent: broken, ..wrong() }), malformed);
    assert_eq!(refused(Signing { body: broken, sent: broken, ..right() }), malformed);
    // What is JSON and no body for the operation is looked at only in what is signed.
    let list = "[]";
    assert_eq!(refused(Signing { body: list, sent: list, ..right() }), malformed);
    let invalid = (400, "InvalidSignatureException".to_owned());
    assert_eq!(refused(Signing { body: list, sent: list, ..wrong() }), invalid);
}
