//! Signatures: AWS's version 4, in a header or in the query string.
//!
//! A request must look signed in any case. The signature itself is checked if access keys are configured.

mod verify;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use hyper::header::{AUTHORIZATION, DATE, HeaderName, HeaderValue};
use hyper::http::request::Parts;

use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::table_settings;

const AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");

/// Secret keys by the ids of access keys.
#[derive(Clone, Default)]
pub struct AccessKeys(BTreeMap<String, String>);

impl AccessKeys {
    /// Keys, each an id and a secret.
    pub fn new(keys: impl IntoIterator<Item = (String, String)>) -> AccessKeys {
        AccessKeys(keys.into_iter().collect())
    }
}

/// Secrets are not shown.
impl fmt::Debug for AccessKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Refuses a request that is not signed, or not by a key that there is.
pub(crate) fn check(keys: Option<&AccessKeys>, head: &Parts, body: &[u8]) -> Answer<()> {
    let query = query_of(head.uri.query().unwrap_or_default());
    let header = head.headers.get(AUTHORIZATION);
    let claim = match (header, query.iter().any(|(name, _)| name == "X-Amz-Algorithm")) {
        (Some(_), true) => {
            return Err(invalid(
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
            ));
        }
        (Some(header), false) if header.as_bytes().trim_ascii_start().starts_with(b"AWS4-") => {
            of_header(header, head)?
        }
        (None, true) => of_query(&query)?,
        _ => {
            let text = "Request is missing Authentication Token";
            return Err(Failure::coral("MissingAuthenticationTokenException", text));
        }
    };
    match keys {
        None => Ok(()),
        Some(AccessKeys(keys)) => {
            verify::verify(keys, &claim, head, &query, body, table_settings::now_ms() / 1000)
        }
    }
}

/// What a request says of its signature.
pub(crate) struct Claim<'a> {
    algorithm: Cow<'a, str>,
    credential: Cow<'a, str>,
    signature: Cow<'a, str>,
    signed_headers: Cow<'a, str>,
    date: Cow<'a, str>,
}

/// Most of what headers have is text, and looked at as it is.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::coral("InvalidSignatureException", message)
}

fn incomplete(message: impl Into<String>) -> Failure {
    Failure::coral("IncompleteSignatureException", message)
}

/// The claim of an authorization header, which must be whole.
fn of_header<'a>(header: &'a HeaderValue, head: &'a Parts) -> Answer<Claim<'a>> {
    // By bytes: to look at all of it as text takes as long as to read the body does.
    let mut words = header.as_bytes().trim_ascii().split(|byte| matches!(byte, b',' | b' '));
    let algorithm = text_of(words.next().unwrap_or_default());
    let names = ["Credential", "Signature", "SignedHeaders"];
    let mut values: [&[u8]; 3] = Default::default();
    for word in words {
        for (name, value) in names.iter().zip(&mut values) {
            let named = word.trim_ascii().strip_prefix(name.as_bytes());
            *value = named.and_then(|rest| rest.strip_prefix(b"=")).unwrap_or(value);
        }
    }
    let mut missing = String::new();
    for (name, value) in names.iter().zip(values) {
        if value.is_empty() {
            missing.push_str(&format!("Authorization header requires '{name}' parameter. "));
        }
    }
    let date = [AMZ_DATE, DATE].into_iter().find_map(|name| head.headers.get(name));
    if date.is_none() {
        missing.push_str(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
        );
    }
    if !missing.is_empty() {
        return Err(incomplete(format!("{missing}Authorization={}", text_of(header.as_bytes()))));
    }
    let [credential, signature, signed_headers] = values.map(text_of);
    let date = date.map(|date| text_of(date.as_bytes())).unwrap_or_default();
    Ok(Claim { algorithm, credential, signature, signed_headers, date })
}

/// The same of a query string.
fn of_query(query: &[(String, String)]) -> Answer<Claim<'_>> {
    let part = |name: &str| {
        let found = query.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    };
    let mut missing = String::new();
    for name in
        ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date"]
    {
        if part(name).is_empty() {
            missing.push_str(&format!("AWS query-string parameters must include '{name}'. "));
        }
    }
    if !missing.is_empty() {
        return Err(incomplete(format!("{missing}Re-examine the query-string parameters.")));
    }
    Ok(Claim {
        algorithm: part("X-Amz-Algorithm").into(),
        credential: part("X-Amz-Credential").into(),
        signature: part("X-Amz-Signature").into(),
        signed_headers: part("X-Amz-SignedHeaders").into(),
        date: part("X-Amz-Date").into(),
    })
}

/// The parameters of a query string, in their order.
fn query_of(query: &str) -> Vec<(String, String)> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (unescape(name), unescape(value))
        })
        .collect()
}

/// Text without its `%` escapes.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
