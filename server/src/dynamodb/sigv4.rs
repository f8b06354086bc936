//! Signatures: AWS's version 4, in a header or in the query string.
//!
//! A request must look signed in any case. The signature itself is checked if access keys are configured.

mod verify;

use std::collections::BTreeMap;
use std::fmt;

use hyper::http::request::Parts;

use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::table_settings;

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
    let header = head.headers.get("authorization").map(|value| String::from_utf8_lossy(value.as_bytes()));
    let claim = match (header, query.iter().any(|(name, _)| name == "X-Amz-Algorithm")) {
        (Some(_), true) => {
            return Err(invalid(
                "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
            ));
        }
        (Some(header), false) if header.trim().starts_with("AWS4-") => of_header(&header, head)?,
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
pub(crate) struct Claim {
    algorithm: String,
    credential: String,
    signature: String,
    signed_headers: String,
    date: String,
}

fn invalid(message: impl Into<String>) -> Failure {
    Failure::coral("InvalidSignatureException", message)
}

fn incomplete(message: impl Into<String>) -> Failure {
    Failure::coral("IncompleteSignatureException", message)
}

/// The claim of an authorization header, which must be whole.
fn of_header(header: &str, head: &Parts) -> Answer<Claim> {
    let mut words = header.trim().split([',', ' ']);
    let algorithm = words.next().unwrap_or_default().to_owned();
    let parts: BTreeMap<_, _> = words.filter_map(|part| part.trim().split_once('=')).collect();
    let part = |name| parts.get(name).copied().unwrap_or_default().to_owned();
    let mut missing = String::new();
    for name in ["Credential", "Signature", "SignedHeaders"] {
        if part(name).is_empty() {
            missing.push_str(&format!("Authorization header requires '{name}' parameter. "));
        }
    }
    let date = ["x-amz-date", "date"].into_iter().find_map(|name| head.headers.get(name));
    if date.is_none() {
        missing.push_str(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
        );
    }
    if !missing.is_empty() {
        return Err(incomplete(format!("{missing}Authorization={header}")));
    }
    Ok(Claim {
        algorithm,
        credential: part("Credential"),
        signature: part("Signature"),
        signed_headers: part("SignedHeaders"),
        date: date.map(|date| String::from_utf8_lossy(date.as_bytes()).into_owned()).unwrap_or_default(),
    })
}

/// The same of a query string.
fn of_query(query: &[(String, String)]) -> Answer<Claim> {
    let part = |name: &str| {
        let found = query.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.clone()).unwrap_or_default()
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
        algorithm: part("X-Amz-Algorithm"),
        credential: part("X-Amz-Credential"),
        signature: part("X-Amz-Signature"),
        signed_headers: part("X-Amz-SignedHeaders"),
        date: part("X-Amz-Date"),
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
