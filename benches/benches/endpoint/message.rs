//! Messages of HTTP/1.1 as far as they have come, for both of their sides.

use std::borrow::Cow;
use std::io::Read;
use std::net::TcpStream;

use httparse::{EMPTY_HEADER, Header, Request, Response, Status};

use crate::Outcome;

/// Bytes that are read at a time.
const READ: usize = 8 << 10;
/// Headers of a message, at the most.
const HEADERS: usize = 32;
/// Longest head of a message.
const HEAD_MAX: usize = 64 << 10;

/// The bytes of a message. Those behind them are left from earlier ones: to clear them first would take longer than to read what comes.
#[derive(Default)]
pub(crate) struct Received {
    bytes: Vec<u8>,
    len: usize,
}

/// What matters of an answer.
pub(crate) struct Answer<'m> {
    pub(crate) status: u16,
    pub(crate) body: Cow<'m, [u8]>,
    /// Whether the connection ends with it.
    pub(crate) is_last: bool,
}

impl Received {
    /// Reads what a stream has; false at its end.
    pub(crate) fn read(&mut self, stream: &mut TcpStream) -> Outcome<bool> {
        if self.bytes.len() < self.len + READ {
            self.bytes.resize(self.len + READ, 0);
        }
        let count = stream.read(&mut self.bytes[self.len..])?;
        self.len += count;
        Ok(count > 0)
    }

    /// Forgets a message that was answered, or is an answer: nothing is behind it, since each side waits for the other.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// The operation that is asked for, if the request is whole.
    pub(crate) fn request(&self) -> Outcome<Option<&str>> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut request = Request::new(&mut headers);
        let bytes = &self.bytes[..self.len];
        let Status::Complete(head) = request.parse(bytes)? else { return incomplete(bytes) };
        let is_whole = body(request.headers, &bytes[head..])?.is_some();
        let target = value_of(request.headers, "x-amz-target").unwrap_or_default();
        Ok(target.split('.').next_back().filter(|_| is_whole))
    }

    /// The answer, if it is whole.
    pub(crate) fn answer(&self) -> Outcome<Option<Answer<'_>>> {
        let mut headers = [EMPTY_HEADER; HEADERS];
        let mut response = Response::new(&mut headers);
        let bytes = &self.bytes[..self.len];
        let Status::Complete(head) = response.parse(bytes)? else { return incomplete(bytes) };
        let headers = &*response.headers;
        let is_last =
            value_of(headers, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let body = body(headers, &bytes[head..])?;
        Ok(body.map(|body| Answer { status: response.code.unwrap_or_default(), body, is_last }))
    }
}

/// Of a head that is not whole nothing is known, and not for ever.
fn incomplete<T>(bytes: &[u8]) -> Outcome<Option<T>> {
    if bytes.len() > HEAD_MAX { Err("the head is too long".into()) } else { Ok(None) }
}

/// The body of a message, if all of it is there.
fn body<'m>(headers: &[Header<'m>], rest: &'m [u8]) -> Outcome<Option<Cow<'m, [u8]>>> {
    if value_of(headers, "transfer-encoding") == Some("chunked") {
        return Ok(chunks(rest)?.map(Cow::Owned));
    }
    let length = value_of(headers, "content-length").unwrap_or("0").parse()?;
    Ok(rest.get(..length).map(Cow::Borrowed))
}

/// The value of a header.
fn value_of<'m>(headers: &[Header<'m>], wanted: &str) -> Option<&'m str> {
    let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(wanted))?;
    std::str::from_utf8(header.value).ok()
}

/// What chunks hold, if all are there.
fn chunks(mut rest: &[u8]) -> Outcome<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(rest).map_err(|_| "a chunk has no size")?;
        let Status::Complete((start, length)) = size else { return Ok(None) };
        let length = usize::try_from(length)?;
        // A line ends behind it.
        let Some(chunk) = rest[start..].get(..length + 2) else { return Ok(None) };
        body.extend_from_slice(&chunk[..length]);
        rest = &rest[start + chunk.len()..];
        if length == 0 {
            return Ok(Some(body));
        }
    }
}
