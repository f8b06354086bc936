//! Verifying a signature: the steps are the service's, in its order.

use std::collections::BTreeMap;
use std::fmt::Write;

use dynamite_core::calendar;
use hmac::{Hmac, Mac};
use hyper::http::request::Parts;
use sha2::{Digest, Sha256};

use super::{Claim, incomplete, invalid, text_of};
use crate::dynamodb::errors::{Answer, Failure};

/// Seconds by which the clocks of client and server may differ.
const SKEW: u64 = 15 * 60;

/// Refuses a request whose signature is not that of one of the keys.
pub(crate) fn verify(
    keys: &BTreeMap<String, String>,
    claim: &Claim<'_>,
    head: &Parts,
    query: &[(String, String)],
    body: &[u8],
    now: u64,
) -> Answer<()> {
    check_date(&claim.date, now)?;
    let signed: Vec<&str> = claim.signed_headers.split(';').collect();
    if !signed.iter().any(|name| name.eq_ignore_ascii_case("host")) {
        return Err(invalid("'Host' must be a 'SignedHeader' in the AWS Authorization."));
    }
    if claim.algorithm != "AWS4-HMAC-SHA256" {
        return Err(incomplete(format!(
            "Unsupported AWS 'algorithm': '{}' (only AWS4-HMAC-SHA256 for now). ",
            claim.algorithm
        )));
    }
    let scope: Vec<&str> = claim.credential.trim_end_matches('/').split('/').collect();
    let [key_id, date, region, service, terminator] = scope[..] else {
        return Err(incomplete(format!(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{}'",
            claim.credential
        )));
    };
    check_scope(&claim.date, date, service, terminator)?;
    let secret = keys.get(key_id).ok_or_else(|| {
        let text = "The security token included in the request is invalid.";
        Failure::coral("UnrecognizedClientException", text)
    })?;

    let canonical = canonical_request(head, query, &signed, body);
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{}\n{date}/{region}/{service}/{terminator}\n{}",
        claim.date,
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut key = mac(format!("AWS4{secret}").as_bytes(), date);
    for part in [region, service, terminator] {
        key = mac(&key, part);
    }
    let mut signer = signer(&key);
    signer.update(to_sign.as_bytes());
    // The comparison takes as long for a signature that is almost right.
    match unhex(&claim.signature).map(|signature| signer.verify_slice(&signature)) {
        Some(Ok(())) => Ok(()),
        _ => Err(invalid(format!(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
             and signing method. Consult the service documentation for details.\n\nThe Canonical String for this request \
             should have been\n'{canonical}'\n\nThe String-to-Sign should have been\n'{to_sign}'\n"
        ))),
    }
}

fn check_date(date: &str, now: u64) -> Answer<()> {
    let Some(signed_at) = seconds(date) else {
        return Err(incomplete(format!(
            "Date must be in ISO-8601 'basic format'. Got '{date}'. See http://en.wikipedia.org/wiki/ISO_8601"
        )));
    };
    if signed_at + SKEW < now {
        return Err(invalid(format!(
            "Signature expired: {date} is now earlier than {} ({} - 15 min.)",
            basic(now - SKEW),
            basic(now)
        )));
    }
    if signed_at > now + SKEW {
        return Err(invalid(format!(
            "Signature not yet current: {date} is still later than {} ({} + 15 min.)",
            basic(now + SKEW),
            basic(now)
        )));
    }
    Ok(())
}

/// Any region will do: there is only this one.
fn check_scope(at: &str, date: &str, service: &str, terminator: &str) -> Answer<()> {
    let mut wrong = String::new();
    if service != "dynamodb" {
        wrong.push_str("Credential should be scoped to correct service: 'dynamodb'. ");
    }
    if terminator != "aws4_request" {
        let _ = write!(
            wrong,
            "Credential should be scoped with a valid terminator: 'aws4_request', not '{terminator}'. "
        );
    }
    let day = at.get(..8).unwrap_or_default();
    if date != day {
        let _ = write!(
            wrong,
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{date}' != '{day}', \
             from '{at}'."
        );
    }
    if wrong.is_empty() { Ok(()) } else { Err(invalid(wrong)) }
}

/// The request in the form that is signed.
fn canonical_request(head: &Parts, query: &[(String, String)], signed: &[&str], body: &[u8]) -> String {
    let path = match head.uri.path() {
        "" => "/",
        path => path,
    };
    let mut parameters: Vec<String> = query
        .iter()
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
        .collect();
    parameters.sort_unstable();
    let mut headers = String::new();
    for name in signed {
        let values: Vec<String> = head
            .headers
            .get_all(*name)
            .iter()
            .map(|value| text_of(value.as_bytes()).split_ascii_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let mut value = values.join(",");
        if values.is_empty() && name.eq_ignore_ascii_case("host") {
            // HTTP/2 has it in the address.
            value = head.uri.authority().map(|authority| authority.to_string()).unwrap_or_default();
        }
        let _ = writeln!(headers, "{}:{value}", name.to_ascii_lowercase());
    }
    let told = head.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    let payload = match told {
        Some(told) if told == "UNSIGNED-PAYLOAD" => told.to_owned(),
        _ => hex(&Sha256::digest(body)),
    };
    format!(
        "{}\n{path}\n{}\n{headers}\n{}\n{payload}",
        head.method,
        parameters.join("&"),
        signed.join(";").to_ascii_lowercase()
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(byte))
            }
            byte => drop(write!(escaped, "%{byte:02X}")),
        }
    }
    escaped
}

fn signer(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!("a key may have any length"))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut signer = signer(key);
    signer.update(text.as_bytes());
    signer.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

/// Seconds since 1970 of `20130609T100015Z`.
fn seconds(basic: &str) -> Option<u64> {
    let bytes = basic.as_bytes();
    if bytes.len() != 16 || bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = basic.get(from..to)?;
        if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
    };
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let (hour, minute, second) = (number(9, 11)?, number(11, 13)?, number(13, 15)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some(calendar::days_of(year, month, day)? * 86_400 + hour * 3600 + minute * 60 + second)
}

/// The same, the other way.
fn basic(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = calendar::date_of(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written_alike() {
        assert_eq!(seconds("19700101T000000Z"), Some(0));
        assert_eq!(seconds("20130609T100015Z"), Some(1_370_772_015));
        assert_eq!(seconds("20240229T235959Z"), Some(1_709_251_199));
        for time in [0, 1_370_772_015, 1_709_251_199, 1_709_251_200, 4_102_444_800] {
            assert_eq!(seconds(&basic(time)), Some(time));
        }
        for wrong in
            ["201", "", "20130609T100015", "2013-06-09T10:00Z", "20130609 100015Z", "+0130609T100015Z"]
        {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }
}
