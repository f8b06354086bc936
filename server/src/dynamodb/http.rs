//! HTTP: connections, requests read whole within limits, and answers with what SDKs check.
//!
//! An answer to a request has a request id and, if it has a body, that body's CRC. What a request is refused for comes in the
//! service's order: method and content type (404), JSON, target, signature, and then what the operation says.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_ENCODING,
    CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN,
};
use hyper::http::request::Parts;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::dynamodb::Endpoint;
use crate::dynamodb::compression::{self, Encoding, Undecoded};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::json::Json;
use crate::dynamodb::target::Target;
use crate::dynamodb::{model, sigv4};

/// How large and how slow requests may be.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// How long the head of a request may take, also while a connection is idle between two.
    pub head_time: Duration,
    /// How long a body may take.
    pub body_time: Duration,
    /// Connections at one time; more have to wait.
    pub connections: usize,
    /// How long connections may go on once the endpoint was told to stop.
    pub shutdown_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: 16 << 20,
            head_time: Duration::from_secs(60),
            body_time: Duration::from_secs(60),
            connections: 1024,
            shutdown_time: Duration::from_secs(10),
        }
    }
}

const JSON: &str = "application/json";
const AMZ_JSON: &str = "application/x-amz-json-1.0";
const CRC32: HeaderName = HeaderName::from_static("x-amz-crc32");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// See [`serve`](crate::dynamodb::serve).
pub(crate) async fn serve(
    listener: TcpListener,
    endpoint: Arc<Endpoint>,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let limits = endpoint.config.limits;
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(limits.head_time).pipeline_flush(true);
    server.http2().timer(TokioTimer::new()).keep_alive_interval(limits.head_time);
    let (graceful, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(limits.connections)));
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted?,
            () = &mut shutdown => break,
        };
        let (stream, place) = accepted;
        // Answers are small, and are not to wait for each other.
        let _ = stream.set_nodelay(true);
        let endpoint = endpoint.clone();
        let service = service_fn(move |request| answer(endpoint.clone(), request));
        let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        tokio::spawn(async move {
            // A connection that ends badly has nobody left to be told.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = timeout(limits.shutdown_time, graceful.shutdown()).await;
    Ok(())
}

type Accepted = (tokio::net::TcpStream, tokio::sync::OwnedSemaphorePermit);

/// The next connection, once there is a place for it. That one connection failed before it was accepted is no reason to stop.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<Accepted> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return Ok((stream, place)),
            Err(error) if error.raw_os_error().is_none() => return Err(error),
            // No more descriptors, most likely: others have to be closed first.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn answer(endpoint: Arc<Endpoint>, request: Request<Incoming>) -> Result<Response<Reply>, Infallible> {
    let (head, body) = request.into_parts();
    let body = match timeout(endpoint.config.limits.body_time, read(body, endpoint.config.limits.body_bytes))
        .await
    {
        Ok(Ok(body)) => body,
        Ok(Err(TooLarge)) => return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, Reply::unsized_empty())),
        Err(_) => return Ok(plain(StatusCode::REQUEST_TIMEOUT, Reply::empty())),
    };
    let mut response = match early(&head, &body) {
        Some(response) => response,
        None => match operate(endpoint, head.clone(), body).await {
            Ok(response) => response,
            Err(TooLarge) => return Ok(plain(StatusCode::PAYLOAD_TOO_LARGE, Reply::unsized_empty())),
        },
    };
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, request_id());
    if head.headers.contains_key(ORIGIN) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    }
    Ok(response)
}

struct TooLarge;

/// Reads a body. One that is too large is read on for a while, so that who sends it may see the answer; a broken one counts as
/// empty, since nobody will see any.
async fn read(mut body: Incoming, limit: usize) -> Result<Bytes, TooLarge> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut len = 0;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Ok(Bytes::new()) };
        let Ok(data) = frame.into_data() else { continue };
        len += data.len();
        if len > 2 * limit {
            return Err(TooLarge);
        }
        if len > limit {
            all.clear();
        } else if len == data.len() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            all.extend_from_slice(&data);
        }
    }
    match len > limit {
        true => Err(TooLarge),
        false => Ok(if all.is_empty() { first } else { all.freeze() }),
    }
}

/// The answers to what is no request for an operation.
fn early(head: &Parts, body: &[u8]) -> Option<Response<Reply>> {
    if head.method == Method::OPTIONS && head.headers.contains_key(ORIGIN) {
        return Some(allow_origin(&head.headers));
    }
    if head.method == Method::GET {
        let host = head.headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.or(head.uri.host()).unwrap_or_default();
        // The space at the end is the service's.
        return Some(with_crc(StatusCode::OK, format!("healthy: {host} ").into_bytes()));
    }
    let content_type = content_type(&head.headers);
    let is_known = body.is_empty() || content_type == JSON || content_type == AMZ_JSON;
    if head.method != Method::POST || !is_known {
        return Some(with_crc(StatusCode::NOT_FOUND, b"<UnknownOperationException/>\n".to_vec()));
    }
    None
}

fn content_type(headers: &HeaderMap) -> &str {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.split(';').next().unwrap_or_default().trim()
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
async fn operate(endpoint: Arc<Endpoint>, head: Parts, body: Bytes) -> Result<Response<Reply>, TooLarge> {
    let content_type = if content_type(&head.headers) == AMZ_JSON { AMZ_JSON } else { JSON };
    let target = Target::of(&head.headers);
    let accepted = Encoding::accepted(&head.headers);
    let is_quick = target.is_some_and(|target| target.is_quick)
        && accepted.is_none()
        && !head.headers.contains_key(CONTENT_ENCODING);
    let whole = move || {
        let performed = perform(&endpoint, target, &head, body)?;
        let (status, body) = match performed {
            Ok(body) => (200, body),
            Err(failure) => (failure.status, failure.body()),
        };
        Ok(encoded(accepted, StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body))
    };
    let mut response = match is_quick {
        true => whole()?,
        false => tokio::task::spawn_blocking(whole).await.unwrap_or_else(|_| {
            let failure = Failure::internal("the operation panicked");
            Ok(with_crc(StatusCode::INTERNAL_SERVER_ERROR, failure.body()))
        })?,
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

fn perform(
    endpoint: &Endpoint,
    target: Option<&'static Target>,
    head: &Parts,
    sent: Bytes,
) -> Result<Answer, TooLarge> {
    match compression::decode(&head.headers, sent.clone(), endpoint.config.limits.body_bytes) {
        Ok(body) => Ok(perform_decoded(endpoint, target, head, &sent, &body)),
        Err(Undecoded::TooLarge) => Err(TooLarge),
        // The service says no more.
        Err(Undecoded::Broken) => Ok(Err(Failure::internal("the body is not in its Content-Encoding"))),
    }
}

/// What was sent is what is signed.
fn perform_decoded(
    endpoint: &Endpoint,
    target: Option<&'static Target>,
    head: &Parts,
    sent: &[u8],
    body: &[u8],
) -> Answer {
    let json = match body {
        [] => None,
        body => Some(Json::parse(body).map_err(|_| Failure::malformed())?),
    };
    let target = target.ok_or_else(Failure::unknown_operation)?;
    sigv4::check(endpoint.config.access_keys.as_ref(), head, sent)?;
    let json = json.ok_or_else(Failure::malformed)?;
    model::check_types(&json, target.fields)?;
    model::check_rules(&json, target.fields)?;
    (target.run)(endpoint, &json)
}

/// An answer, compressed if it is large and may be. The CRC is that of the bytes that are sent.
fn encoded(accepted: Option<Encoding>, status: StatusCode, body: Vec<u8>) -> Response<Reply> {
    let Some(encoding) = accepted.filter(|_| body.len() >= compression::LEAST_BYTES) else {
        return with_crc(status, body);
    };
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
    let mut id = [0; 52];
    // Without random numbers the ids are alike, which harms nobody.
    let _ = getrandom::fill(&mut id);
    id.iter_mut().for_each(|byte| *byte = LETTERS[usize::from(*byte % 32)]);
    HeaderValue::from_bytes(&id).unwrap_or(HeaderValue::from_static(""))
}

/// The body of an answer, whole.
struct Reply {
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
