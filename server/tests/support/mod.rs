//! An endpoint in this process, and the smallest client that can talk to it: what is sent is what the test says.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread::JoinHandle;

use dynamite_core::api::DynaMite;
use dynamite_server::dynamodb::{self, Config};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// A running endpoint. Dropping it stops it and waits.
pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Endpoint {
    /// With a new database in memory.
    pub(crate) fn start() -> Endpoint {
        Endpoint::with(DynaMite::in_memory().unwrap(), Config::default())
    }

    /// With a database in a file.
    pub(crate) fn on(path: &Path) -> Endpoint {
        Endpoint::with(DynaMite::open_or_create(path).unwrap(), Config::default())
    }

    pub(crate) fn with(db: DynaMite, config: Config) -> Endpoint {
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let shutdown = async { drop(stopped.await) };
                dynamodb::serve(listener, db, config, shutdown).await.unwrap();
            });
        });
        Endpoint { address: told.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    pub(crate) fn connect(&self) -> BufReader<TcpStream> {
        BufReader::new(TcpStream::connect(self.address).unwrap())
    }

    /// Sends bytes, and reads one answer.
    pub(crate) fn send(&self, request: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.get_mut().write_all(request).unwrap();
        read_answer(&mut connection)
    }

    /// Asks for an operation, with a signature that nobody checks.
    pub(crate) fn ask(&self, target: &str, body: &[u8]) -> Answer {
        self.send(&request(target, body))
    }

    /// The same, with JSON both ways. An empty answer is null.
    pub(crate) fn call(&self, operation: &str, body: Value) -> (u16, Value) {
        let version = match operation {
            "ListStreams" | "DescribeStream" | "GetShardIterator" | "GetRecords" => {
                "DynamoDBStreams_20120810"
            }
            _ => "DynamoDB_20120810",
        };
        let answer = self.ask(&format!("{version}.{operation}"), body.to_string().as_bytes());
        let json = serde_json::from_slice(&answer.body).unwrap_or(Value::Null);
        (answer.status, json)
    }

    /// An operation that succeeds.
    #[track_caller]
    pub(crate) fn done(&self, operation: &str, body: Value) -> Value {
        let (status, answer) = self.call(operation, body.clone());
        assert_eq!(status, 200, "{operation} {body}: {answer}");
        answer
    }

    /// An operation that is refused with a validation error of this text.
    #[track_caller]
    pub(crate) fn invalid(&self, operation: &str, body: Value, message: &str) {
        let (status, answer) = self.call(operation, body.clone());
        let expected = json!({"__type": "com.amazon.coral.validate#ValidationException", "message": message});
        assert_eq!((status, &answer), (400, &expected), "{operation} {body}");
    }

    /// An operation that is refused in another way.
    #[track_caller]
    pub(crate) fn refused(&self, operation: &str, body: Value, kind: &str, message: &str) {
        let (status, answer) = self.call(operation, body.clone());
        let text = answer.get("message").or(answer.get("Message"));
        let found = (status, answer["__type"].as_str(), text.and_then(Value::as_str));
        assert_eq!(found, (400, Some(kind), Some(message)), "{operation} {body}");
    }

    /// A table `t` with a partition key `p` and a sort key `s`, both strings, a local index on `l` and a global one on `g`.
    pub(crate) fn create_table(&self) {
        let attributes =
            ["p", "s", "l", "g"].map(|name| json!({"AttributeName": name, "AttributeType": "S"}));
        self.done(
            "CreateTable",
            json!({
                "TableName": "ttt",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": attributes,
                "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "s", "KeyType": "RANGE"}],
                "LocalSecondaryIndexes": [{
                    "IndexName": "local", "Projection": {"ProjectionType": "KEYS_ONLY"},
                    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}, {"AttributeName": "l", "KeyType": "RANGE"}],
                }],
                "GlobalSecondaryIndexes": [{
                    "IndexName": "global", "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["n"]},
                    "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
                }],
            }),
        );
    }

    /// Another one, `hhh`, with a partition key alone.
    pub(crate) fn create_hash_table(&self) {
        self.done(
            "CreateTable",
            json!({
                "TableName": "hhh",
                "BillingMode": "PAY_PER_REQUEST",
                "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
            }),
        );
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A test that fails already is not to fail twice.
            let _ = thread.join();
        }
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// The bytes of a request for an operation.
pub(crate) fn request(target: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: {target}\r\n\
         X-Amz-Date: 20200101T000000Z\r\nContent-Length: {}\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=host, Signature=f\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

/// Reads one answer, and nothing behind it.
pub(crate) fn read_answer(connection: &mut BufReader<TcpStream>) -> Answer {
    let mut line = String::new();
    connection.read_line(&mut line).unwrap();
    let status = line.split(' ').nth(1).unwrap_or_else(|| panic!("no answer: {line:?}")).parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut answer = Answer { status, headers, body: Vec::new() };
    if let Some(length) = answer.header("content-length") {
        let mut body = vec![0; length.parse().unwrap()];
        connection.read_exact(&mut body).unwrap();
        answer.body = body;
    }
    answer
}
