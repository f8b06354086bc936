//! A connection of the load's.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use crate::Outcome;
use crate::message::{Answer, Received};

/// How long an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that is kept alive, if the server agrees; or else made anew for each request.
pub(crate) struct Connection {
    stream: Option<TcpStream>,
    address: String,
    /// The operation that is asked for, and what is the same in the heads of all requests for it.
    operation: &'static str,
    head: String,
    request: Vec<u8>,
    /// What came of the answer so far.
    answer: Received,
}

impl Connection {
    pub(crate) fn open(address: &str) -> Connection {
        Connection {
            stream: None,
            address: address.to_owned(),
            operation: "",
            head: String::new(),
            request: Vec::new(),
            answer: Received::default(),
        }
    }

    /// Sends a request. Returns the stream if it is a new one.
    pub(crate) fn send(&mut self, operation: &'static str, body: &str) -> Outcome<Option<&TcpStream>> {
        if self.operation != operation {
            self.operation = operation;
            self.head = head(&self.address, operation);
        }
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
        self.answer.clear();
        self.request.clear();
        write!(self.request, "{}{}\r\n\r\n{body}", self.head, body.len())?;
        stream.write_all(&self.request)?;
        Ok(is_new.then_some(stream))
    }

    /// Reads what has come, or waits for something. Returns the answer if it is whole; one that is not of status 200 is an error.
    pub(crate) fn receive(&mut self) -> Outcome<Option<Answer<'_>>> {
        let stream = self.stream.as_mut().ok_or("nothing was sent")?;
        if !self.answer.read(stream)? {
            return Err("the connection ended within an answer".into());
        }
        let Some(answer) = self.answer.answer()? else { return Ok(None) };
        if answer.is_last {
            self.stream = None;
        }
        match answer.status {
            200 => Ok(Some(answer)),
            status => Err(format!("{status}: {}", String::from_utf8_lossy(&answer.body)).into()),
        }
    }

    /// Sends a request and waits for its answer. Returns its body.
    pub(crate) fn call(&mut self, operation: &'static str, body: &str) -> Outcome<String> {
        self.send(operation, body)?;
        loop {
            if let Some(answer) = self.receive()? {
                return Ok(String::from_utf8(answer.body.into_owned())?);
            }
        }
    }
}

/// The head of requests for an operation, up to the length of the body.
fn head(address: &str, operation: &str) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
         X-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/dynamodb/aws4_request, \
         SignedHeaders=host;x-amz-date, Signature={:0>64}\r\nContent-Length: ",
        0
    )
}
