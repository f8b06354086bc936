//! A connection of the load's, and what both of its sides need to read messages.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::Outcome;

/// How long an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// Longest head of an answer.
const HEAD_MAX: usize = 64 << 10;
/// Bytes that are read at a time.
const READ: usize = 8 << 10;

/// A connection that is kept alive, if the server agrees; or else made anew for each request.
pub(crate) struct Connection {
    stream: Option<TcpStream>,
    address: String,
    /// The bytes of a request, and those of its answer that came so far.
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Connection {
        let address = address.to_owned();
        Connection { stream: None, address, request: Vec::new(), answer: Vec::new() }
    }

    /// Sends a request. Returns the stream if it is a new one.
    pub(crate) fn send(&mut self, operation: &str, body: &str) -> Outcome<Option<&TcpStream>> {
        let is_new = self.stream.is_none();
        let stream = match &mut self.stream {
            Some(stream) => stream,
            none => {
                let stream = TcpStream::connect(&self.address)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(PATIENCE))?;
                none.insert(stream)
            }
        };
        self.request.clear();
        write!(
            self.request,
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
             X-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={:0>64}\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            0,
            body.len()
        )?;
        stream.write_all(&self.request)?;
        Ok(is_new.then_some(stream))
    }

    /// Reads what has come, or waits for something. Returns the body if the answer is whole; one that is not of status 200 is an error.
    pub(crate) fn receive(&mut self) -> Outcome<Option<String>> {
        let stream = self.stream.as_mut().ok_or("nothing was sent")?;
        if !read_more(stream, &mut self.answer)? {
            return Err("the connection ended within an answer".into());
        }
        let Some((head, rest)) = split_head(&self.answer)? else { return Ok(None) };
        let Some(body) = (match value_of(head, "transfer-encoding") {
            Some("chunked") => chunks(rest)?,
            _ => {
                let length = value_of(head, "content-length").unwrap_or("0").parse()?;
                (rest.len() >= length).then(|| rest[..length].to_vec())
            }
        }) else {
            return Ok(None);
        };
        if value_of(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.stream = None;
        }
        let status = head.lines().next().unwrap_or_default().to_owned();
        self.answer.clear();
        let body = String::from_utf8(body)?;
        match status.split(' ').nth(1) {
            Some("200") => Ok(Some(body)),
            _ => Err(format!("{status}: {body}").into()),
        }
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn call(&mut self, operation: &str, body: &str) -> Outcome<String> {
        self.send(operation, body)?;
        loop {
            if let Some(body) = self.receive()? {
                return Ok(body);
            }
        }
    }
}

/// Appends what a stream has; false at its end.
pub(crate) fn read_more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Outcome<bool> {
    let start = bytes.len();
    bytes.resize(start + READ, 0);
    let count = stream.read(&mut bytes[start..])?;
    bytes.truncate(start + count);
    Ok(count > 0)
}

/// The head of a message and what follows it, if the head is whole.
pub(crate) fn split_head(message: &[u8]) -> Outcome<Option<(&str, &[u8])>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = message.windows(END.len()).position(|bytes| bytes == END) else {
        return if message.len() > HEAD_MAX { Err("the head is too long".into()) } else { Ok(None) };
    };
    Ok(Some((std::str::from_utf8(&message[..end])?, &message[end + END.len()..])))
}

/// The value of a header.
pub(crate) fn value_of<'h>(head: &'h str, wanted: &str) -> Option<&'h str> {
    let headers = head.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted))?;
    Some(value.trim())
}

/// What chunks hold, if all are there.
fn chunks(mut rest: &[u8]) -> Outcome<Option<Vec<u8>>> {
    let mut body = Vec::new();
    loop {
        let Some(end) = rest.windows(2).position(|bytes| bytes == b"\r\n") else { return Ok(None) };
        let length = usize::from_str_radix(std::str::from_utf8(&rest[..end])?.trim(), 16)?;
        let Some(chunk) = rest[end + 2..].get(..length + 2) else { return Ok(None) };
        body.extend_from_slice(&chunk[..length]);
        rest = &rest[end + 2 + chunk.len()..];
        if length == 0 {
            return Ok(Some(body));
        }
    }
}
