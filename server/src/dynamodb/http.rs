//! HTTP: requests, and answers with what SDKs check.
//!
//! An answer to a request has a request id and, if it has a body, that body's CRC. What a request is refused for comes in the
//! service's order: method and content type (404), JSON, target, signature, and then what the operation says.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use dynamite_core::api::Deferred;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_ENCODING,
    CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN,
};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::sync::oneshot;

use crate::caught::caught;
use crate::dynamodb::Endpoint;
use crate::dynamodb::body::Unread;
use crate::dynamodb::compression::{self, Encoding, Undecoded};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::target::{Run, Statements, Target, Write};
use crate::dynamodb::{model, sigv4};

/// How large and how slow requests may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Bytes of all bodies of more than 8 KB at one time; more have to wait. What is made of them takes up to some twenty times as
    /// much.
    pub bodies_bytes: usize,
    /// How long a connection may go without a request that is being answered, and without anything being sent to it: how long a new one
    /// may take to ask for anything, and how long the head of a request may take, with the time between two.
    pub head_time: Duration,
    /// How long a body may take.
    pub body_time: Duration,
    /// How long a client may take nothing of what it is answered.
    pub write_time: Duration,
    /// Connections at one time; more have to wait.
    pub connections: usize,
    /// How long connections may go on once the endpoint was told to stop.
    pub shutdown_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 16 << 20,
            bodies_bytes: 128 << 20,
            head_time: Duration::from_secs(60),
            body_time: Duration::from_secs(60),
            write_time: Duration::from_secs(60),
            connections: 1024,
            shutdown_time: Duration::from_secs(10),
        }
    }
}

/// Bytes of a body that is read where it arrived.
const QUICK_LEN: usize = 64 << 10;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const AMZ_JSON: HeaderValue = HeaderValue::from_static("application/x-amz-json-1.0");
const CRC32: HeaderName = HeaderName::from_static("x-amz-crc32");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Reads a request of a connection, and answers it.
pub(super) async fn answer(
    endpoint: Arc<Endpoint>,
    connection: u64,
    request: Request<Incoming>,
) -> Result<Response<Reply>, Infallible> {
    let (head, body) = request.into_parts();
    let too_large = || Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, Reply::unsized_empty()));
    let body = match endpoint.room.read(&head.headers, body).await {
        Ok(body) => body,
        Err(Unread::TooLarge) => return too_large(),
        Err(Unread::TooSlow) => return Ok(plain(StatusCode::REQUEST_TIMEOUT, Reply::empty())),
    };
    let has_origin = head.headers.contains_key(ORIGIN);
    let content_type = content_type(&head.headers);
    let is_operation = head.method == Method::POST && (content_type.is_some() || body.bytes.is_empty());
    let mut response = match is_operation {
        false => other(&endpoint.config.region, &head),
        true => match operate(endpoint, connection, head, body.bytes.clone()).await {
            Ok(mut response) => {
                response.headers_mut().insert(CONTENT_TYPE, content_type.unwrap_or(JSON));
                response
            }
            Err(TooLarge) => return too_large(),
        },
    };
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, request_id());
    if has_origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    Ok(response)
}

/// The answers to what is no request for an operation.
fn other(region: &str, head: &Parts) -> Response<Reply> {
    if head.method == Method::OPTIONS && head.headers.contains_key(ORIGIN) {
        return allow_origin(&head.headers);
    }
    if head.method == Method::GET {
        // What the service says of itself, with the space at its end.
        let healthy = format!("healthy: dynamodb.{region}.amazonaws.com ");
        return with_crc(StatusCode::OK, healthy.into_bytes());
    }
    with_crc(StatusCode::NOT_FOUND, b"<UnknownOperationException/>\n".to_vec())
}

/// The host that was asked. HTTP/2 has it in the address.
fn host(head: &Parts) -> Option<&str> {
    let told = head.headers.get(HOST).and_then(|host| host.to_str().ok());
    told.or_else(|| head.uri.authority().map(|authority| authority.as_str()))
}

/// The content type of a request, if it is one of those for operations: their answers have the same.
fn content_type(headers: &HeaderMap) -> Option<HeaderValue> {
    let given = headers.get(CONTENT_TYPE)?.as_bytes().split(|byte| *byte == b';').next()?.trim_ascii();
    [AMZ_JSON, JSON].into_iter().find(|known| known == given)
}

fn allow_origin(asked: &HeaderMap) -> Response<Reply> {
    let mut response = plain(StatusCode::OK, Reply::empty());
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("172800"));
    let echoed = [
        (ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_ALLOW_HEADERS),
        (ACCESS_CONTROL_REQUEST_METHOD, ACCESS_CONTROL_ALLOW_METHODS),
    ];
    for (from, to) in echoed {
        if let Some(value) = asked.get(from) {
            headers.insert(to, value.clone());
        }
    }
    response
}

/// Does what is asked. What waits for a disk, or takes its time, does not hold up those who wait for the network.
async fn operate(
    endpoint: Arc<Endpoint>,
    connection: u64,
    head: Parts,
    body: Bytes,
) -> Result<Response<Reply>, TooLarge> {
    let target = Target::of(&head.headers);
    let accepted = Encoding::accepted(&head.headers);
    let is_small = body.len() <= QUICK_LEN && !head.headers.contains_key(CONTENT_ENCODING);
    let answer = match target.map(|target| target.run) {
        Some(Run::Write(_)) if is_small => begin(&endpoint, target, &head, &body),
        Some(Run::Quick(_)) if is_small && endpoint.warmth.is_warm() => {
            endpoint.warmth.watch(&endpoint.db, || begin(&endpoint, target, &head, &body))
        }
        _ => {
            let endpoint = endpoint.clone();
            let begun = tokio::task::spawn_blocking(move || begin(&endpoint, target, &head, &body)).await;
            begun.unwrap_or_else(|error| Ok(Begun::failed(Failure::internal(error.to_string()))))
        }
    };
    let answer = match answer? {
        Begun::Answered(answer) => answer,
        Begun::Write(write) => written(endpoint, connection, write).await,
    };
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(failure) => {
            let status = StatusCode::from_u16(failure.status);
            (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), failure.body())
        }
    };
    Ok(match accepted.filter(|_| body.len() >= compression::LEAST_BYTES) {
        None => with_crc(status, body),
        Some(encoding) => {
            let compressed = tokio::task::spawn_blocking(move || compressed(encoding, status, body)).await;
            compressed.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, Reply::empty()))
        }
    })
}

/// A body that holds too much.
struct TooLarge;

/// How far a request got where it was read.
enum Begun {
    Answered(Answer),
    Write(Write),
}

impl Begun {
    fn failed(failure: impl Into<Failure>) -> Begun {
        Begun::Answered(Err(failure.into()))
    }
}

fn begin(
    endpoint: &Endpoint,
    target: Option<&'static Target>,
    head: &Parts,
    sent: &Bytes,
) -> Result<Begun, TooLarge> {
    let begun = caught(|| {
        match compression::decode(&head.headers, sent.clone(), endpoint.config.limits.body_bytes) {
            Ok(body) => Ok(begin_decoded(endpoint, target, head, sent, &body)),
            Err(Undecoded::TooLarge) => Err(TooLarge),
            // The service says no more.
            Err(Undecoded::Broken) => Ok(Err(Failure::internal("the body is not in its Content-Encoding"))),
        }
    });
    match begun {
        Ok(begun) => Ok(begun?.unwrap_or_else(Begun::failed)),
        // It is an answer like any other, and harms nobody else.
        Err(panicked) => Ok(Begun::failed(panicked)),
    }
}

/// What was sent is what is signed.
fn begin_decoded(
    endpoint: &Endpoint,
    target: Option<&'static Target>,
    head: &Parts,
    sent: &[u8],
    body: &[u8],
) -> Answer<Begun> {
    let signed = sigv4::check(endpoint.config.access_keys.as_ref(), head, sent);
    // What is no JSON is told of first, also to those who may ask for nothing: for them nothing of it is kept.
    let fields = target.filter(|_| signed.is_ok()).map_or(&[][..], |target| target.fields);
    let json = match body {
        [] => None,
        body => Some(Json::parse(body, fields).map_err(|_| Failure::malformed())?),
    };
    let target = target.ok_or_else(Failure::unknown_operation)?;
    signed?;
    let json = json.ok_or_else(Failure::malformed)?;
    model::check_types(&json, target.fields)?;
    model::check_rules(&json, target.fields)?;
    Ok(match target.run {
        Run::Quick(run) | Run::Slow(run) => Begun::Answered(run(endpoint, &json)),
        Run::Host(run) => Begun::Answered(run(endpoint, host(head).unwrap_or_default())),
        Run::Write(write) => Begun::Write(write(endpoint, &json)?),
        Run::Statements(read) => match read(endpoint, &json)? {
            // They write nothing that somebody would have to settle.
            Statements { are_reads: true, run } => Begun::Answered(run(endpoint, &endpoint.db.deferred())),
            Statements { run, .. } => Begun::Write(run),
        },
    })
}

/// Has something written in the connection's turn, and waits until it is durable.
async fn written(endpoint: Arc<Endpoint>, connection: u64, write: Write) -> Answer {
    let (tell, told) = oneshot::channel();
    let worked = endpoint.clone();
    let write = move |target: &Deferred<'_>| write(&worked, target);
    endpoint.writes.push(connection, write, move |written, _| {
        // Who has gone away is told nothing.
        let _ = tell.send(written.unwrap_or_else(|lost| Err(lost.into())));
    });
    told.await.unwrap_or_else(|_| Err(Failure::internal("the endpoint is ending")))
}

/// A compressed answer. The CRC is that of the bytes that are sent.
fn compressed(encoding: Encoding, status: StatusCode, body: Vec<u8>) -> Response<Reply> {
    let Ok(compressed) = encoding.encode(&body) else { return with_crc(status, body) };
    let mut response = with_crc(status, compressed);
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static(encoding.name()));
    response
}

fn plain(status: StatusCode, body: Reply) -> Response<Reply> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}

fn with_crc(status: StatusCode, body: Vec<u8>) -> Response<Reply> {
    let crc = crc32fast::hash(&body);
    let mut response = plain(status, Reply { bytes: Some(body.into()), is_sized: true });
    response.headers_mut().insert(CRC32, HeaderValue::from(crc));
    response
}

/// 52 characters, of which no two answers have the same.
fn request_id() -> HeaderValue {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ012345";
    static PROCESS: LazyLock<u64> = LazyLock::new(|| {
        let mut drawn = [0; 8];
        // Without random numbers the ids of two processes are alike, which harms nobody.
        let _ = getrandom::fill(&mut drawn);
        u64::from_le_bytes(drawn)
    });
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut id = [0; 52];
    for (nth, part) in (0..).zip(id.chunks_exact_mut(13)) {
        // Each part is another permutation of the numbers, and 13 letters tell all 64 bits.
        let mut bits = mixed(count.wrapping_add(PROCESS.rotate_left(16 * nth)));
        for letter in part {
            *letter = LETTERS[(bits % 32) as usize];
            bits /= 32;
        }
    }
    HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static(""))
}

/// Another number for each number, which look as if they had nothing to do with one another.
fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

/// The body of an answer, whole.
pub(super) struct Reply {
    bytes: Option<Bytes>,
    /// Whether the length is told in advance; else it goes in chunks.
    is_sized: bool,
}

impl Reply {
    fn empty() -> Reply {
        Reply { bytes: None, is_sized: true }
    }

    fn unsized_empty() -> Reply {
        Reply { bytes: None, is_sized: false }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_sized && self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.is_sized {
            true => SizeHint::with_exact(self.bytes.as_ref().map_or(0, Bytes::len) as u64),
            false => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use dynamite_core::api::DynaMite;
    use dynamite_core::error::{Error, Result};
    use dynamite_core::types::KeyType;
    use hyper::header::AUTHORIZATION;
    use serde_json::{Value, json};

    use super::*;
    use crate::dynamodb::Config;
    use crate::dynamodb::body::Room;
    use crate::dynamodb::creating::Creating;
    use crate::warmth::Warmth;
    use crate::writes::Writes;

    fn endpoint(settle: fn() -> Result<()>) -> Arc<Endpoint> {
        let db = DynaMite::in_memory().unwrap();
        let writes = Arc::new(Writes::settled_by(&db, move |_| settle()).unwrap());
        let (control, creating) = (std::sync::Mutex::default(), Creating::default());
        let room = Room::new(Limits::default());
        let warmth = Warmth::default();
        Arc::new(Endpoint { db, config: Config::default(), control, creating, writes, room, warmth })
    }

    #[tokio::test]
    async fn a_write_is_answered_with_what_came_of_it_and_of_its_durability() {
        let body = || Ok(b"{}".to_vec());
        let refused = || Err(Failure::no_table());
        let (lost, panicked) = (Error::Cancelled.into(), Failure::internal("the operation panicked"));
        let durable: fn() -> Result<()> = || Ok(());
        let failed: fn() -> Result<()> = || Err(Error::Cancelled);
        let check = async |settle, write: fn() -> Answer, expected| {
            let endpoint = endpoint(settle);
            assert_eq!(written(endpoint, 1, Box::new(move |_, _| write())).await, expected);
        };
        check(durable, body, body()).await;
        check(durable, refused, refused()).await;
        check(durable, || panic!("a bug, as it should be"), Err(panicked.clone())).await;
        check(failed, body, Err(Failure::clone(&lost))).await;
        check(failed, refused, Err(lost)).await;
        check(|| panic!("a bug, as it should be"), body, Err(panicked)).await;
    }

    /// A request for an operation, as it arrives.
    fn request(operation: &str, body: &Value) -> (Parts, Bytes) {
        let request = Request::post("/")
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .header("x-amz-date", "20200101T000000Z")
            .header(AUTHORIZATION, "AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=f");
        let (head, ()) = request.body(()).unwrap().into_parts();
        (head, Bytes::from(body.to_string()))
    }

    /// What it is answered.
    async fn answered(endpoint: &Arc<Endpoint>, operation: &str, body: Value) -> Answer {
        let (head, body) = request(operation, &body);
        match begin(endpoint, Target::of(&head.headers), &head, &body) {
            Ok(Begun::Answered(answer)) => answer,
            Ok(Begun::Write(write)) => written(endpoint.clone(), 1, write).await,
            Err(TooLarge) => panic!("{} bytes are not many", body.len()),
        }
    }

    #[tokio::test]
    async fn statements_that_write_are_settled_as_all_writes_are_and_those_that_read_wait_for_nobody() {
        let endpoint = endpoint(|| Err(Error::Cancelled));
        endpoint.db.create_table("things").partition_key("id", KeyType::String).execute().unwrap();
        endpoint.db.put_item("things", json!({"id": "a"})).unwrap();
        let insert = json!({"Statement": "INSERT INTO things VALUE {'id': 'b'}"});
        let select = json!({"Statement": "SELECT * FROM things WHERE id = 'a'"});
        let put = json!({"TableName": "things", "Item": {"id": {"S": "b"}}});
        let requests = |statement: Value| {
            [
                ("ExecuteStatement", statement.clone()),
                ("BatchExecuteStatement", json!({"Statements": [statement]})),
                ("ExecuteTransaction", json!({"TransactStatements": [statement]})),
            ]
        };
        for (operation, body) in requests(insert).into_iter().chain([("PutItem", put)]) {
            let lost = Err(Error::Cancelled.into());
            assert_eq!(answered(&endpoint, operation, body).await, lost, "{operation}");
        }
        for (operation, body) in requests(select) {
            let answer = answered(&endpoint, operation, body).await.unwrap();
            let answer = String::from_utf8(answer).unwrap();
            assert!(answer.contains(r#"{"id":{"S":"a"}}"#), "{operation}: {answer}");
        }
    }

    #[tokio::test]
    async fn reads_are_done_elsewhere_for_a_while_behind_one_that_has_waited_for_the_disk() {
        let mut endpoint = endpoint(|| Ok(()));
        endpoint.db.create_table("things").partition_key("id", KeyType::String).execute().unwrap();
        Arc::get_mut(&mut endpoint).unwrap().warmth = Warmth::cooled();
        let cold = endpoint.warmth.cold();
        let put = json!({"TableName": "things", "Item": {"id": {"S": "a"}}});
        let get = json!({"TableName": "things", "Key": {"id": {"S": "a"}}});
        for (operation, body, left) in [("PutItem", &put, cold), ("GetItem", &get, cold - 1)] {
            let (head, body) = request(operation, body);
            let Ok(response) = operate(endpoint.clone(), 1, head, body).await else { panic!("it is small") };
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(endpoint.warmth.cold(), left, "{operation}");
        }
    }

    #[tokio::test]
    async fn what_comes_too_late_is_not_written() {
        let endpoint = endpoint(|| Ok(()));
        endpoint.writes.stop();
        let answer = written(endpoint, 1, Box::new(|_, _| unreachable!("it is not taken"))).await;
        assert_eq!(answer, Err(Failure::internal("the endpoint is ending")));
    }
}
