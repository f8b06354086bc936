//! Servers of DynamoDB's HTTP protocol, under load from as many connections as are usual: requests in a second, and how long they take.
//!
//! `--endpoints NAME=HOST:PORT,…` names the servers that run already; `clients/bench` installs, starts and passes them. They
//! take turns, and with them `bare`, a server that does nothing but answer: no server can be faster here. A connection is kept alive
//! and has one request under way, as an SDK's has. The requests are those that an SDK sends, but for the signature, which none of the
//! servers checks.
//!
//! Items have about 400 bytes; each connection has a partition of its own, so that nothing conflicts.

#![forbid(unsafe_code)]

mod bare;

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use dynamite_benches::arguments::Arguments;
use dynamite_benches::interleave::interleave;
use dynamite_benches::sample::Sample;
use dynamite_benches::scratch::Scratch;
use dynamite_benches::table::Table;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Connections at a time.
const CONNECTIONS: [usize; 2] = [1, 16];
/// Items of a partition, which a query returns.
const ITEMS: usize = 100;
/// The table that is made on each server.
const TABLE: &str = "endpoint-benchmark";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest head of an answer.
const HEAD_MAX: u64 = 64 << 10;

/// What is asked for: its name, and the body of the request, of a connection's number and a request's.
type Operation = (&'static str, fn(usize, usize) -> String);

const OPERATIONS: [Operation; 5] = [
    ("GetItem", |connection, nth| format!(r#"{{"TableName":"{TABLE}","Key":{}}}"#, key(connection, nth))),
    ("PutItem", |connection, nth| format!(r#"{{"TableName":"{TABLE}","Item":{}}}"#, item(connection, nth))),
    ("UpdateItem", |connection, nth| {
        format!(
            r##"{{"TableName":"{TABLE}","Key":{},"UpdateExpression":"SET #v = #v + :one","ExpressionAttributeNames":{{"#v":"visits"}},"ExpressionAttributeValues":{{":one":{{"N":"1"}}}}}}"##,
            key(connection, nth)
        )
    }),
    ("Query", |connection, _| {
        format!(
            r#"{{"TableName":"{TABLE}","KeyConditionExpression":"id = :id","ExpressionAttributeValues":{{":id":{{"S":"person {connection}"}}}}}}"#
        )
    }),
    ("TransactWriteItems", |connection, nth| {
        format!(
            r#"{{"TransactItems":[{{"Put":{{"TableName":"{TABLE}","Item":{}}}}},{{"Put":{{"TableName":"{TABLE}","Item":{}}}}}]}}"#,
            item(connection, nth),
            item(connection, nth + 1)
        )
    }),
];

fn key(connection: usize, nth: usize) -> String {
    format!(r#"{{"id":{{"S":"person {connection}"}},"at":{{"N":"{}"}}}}"#, nth % ITEMS)
}

fn item(connection: usize, nth: usize) -> String {
    format!(
        r#"{{"id":{{"S":"person {connection}"}},"at":{{"N":"{}"}},"name":{{"S":"Ada Lovelace"}},"visits":{{"N":"{nth}"}},"active":{{"BOOL":true}},"tags":{{"SS":["early","engine","notes"]}},"address":{{"M":{{"street":{{"S":"12 St James's Square"}},"city":{{"S":"London"}},"zip":{{"N":"1234"}}}}}},"notes":{{"S":"{}"}}}}"#,
        nth % ITEMS,
        "The engine weaves algebraic patterns. ".repeat(6)
    )
}

fn main() -> Outcome<()> {
    let arguments = Arguments::of_process_with(&["--endpoints"]);
    let Some(endpoints) = arguments.option("--endpoints") else {
        hint();
        return Ok(());
    };
    let scratch = Scratch::new(env!("CARGO_TARGET_TMPDIR"))?;
    let bare = bare::serve(&scratch.file("bare"))?;
    let mut servers = endpoints
        .split(',')
        .map(|named| named.split_once('=').ok_or_else(|| format!("{named:?} is not NAME=HOST:PORT").into()))
        .collect::<Outcome<Vec<_>>>()?;
    servers.push(("bare", &bare));
    for (_, address) in &servers {
        prepare(address)?;
    }
    let mut table = Table::new(
        "Requests to servers of DynamoDB's protocol",
        &["operation", "connections", "server", "requests/s", "p50 us", "p99 us", "of the first"],
    );
    for operation in OPERATIONS {
        for connections in CONNECTIONS {
            if !arguments.wants(&format!("endpoint/{}/{connections}", operation.0)) {
                continue;
            }
            compare(&arguments, &servers, operation, connections, &mut table)?;
        }
    }
    table.print();
    Ok(())
}

#[allow(clippy::print_stderr, reason = "that is where a hint belongs")]
fn hint() {
    eprintln!("nothing to measure: pass --endpoints NAME=HOST:PORT,…, or run clients/bench");
}

fn compare(
    arguments: &Arguments,
    servers: &[(&str, &str)],
    operation: Operation,
    connections: usize,
    table: &mut Table,
) -> Outcome<()> {
    // Some do not know all operations.
    let knows = |address: &str| -> Outcome<bool> {
        match Connection::open(address).call(operation.0, &(operation.1)(0, 0)) {
            Err(error) if error.to_string().contains("UnknownOperation") => Ok(false),
            answer => answer.map(|_| true),
        }
    };
    let mut able = Vec::new();
    for server in servers {
        able.extend(knows(server.1)?.then_some(*server));
    }
    let servers = able;
    let lasts = arguments.effort.pick(Duration::from_secs(1), Duration::from_millis(200), Duration::ZERO);
    let mut times = vec![Sample::default(); servers.len()];
    let rates = interleave(arguments.effort.pick(10, 3, 1), servers.len(), |number| {
        let begun = Instant::now();
        let taken = turn(servers[number].1, operation, connections, lasts)?;
        times[number].extend(&taken);
        Ok::<_, Box<dyn Error + Send + Sync>>(taken.len() as f64 / begun.elapsed().as_secs_f64())
    })?;
    for (number, (name, _)) in servers.iter().enumerate() {
        table.row([
            operation.0.to_owned(),
            connections.to_string(),
            (*name).to_owned(),
            format!("{:.0}", rates[number].median()),
            format!("{:.0}", times[number].median()),
            format!("{:.0}", times[number].quantile(0.99)),
            format!("{:.3}", rates[number].ratios(&rates[0]).median()),
        ]);
    }
    Ok(())
}

/// Requests on each connection for so long, one after the other. Returns how long each took.
fn turn(address: &str, operation: Operation, connections: usize, lasts: Duration) -> Outcome<Sample> {
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..connections)
            .map(|number| {
                scope.spawn(move || {
                    let mut connection = Connection::open(address);
                    let mut times = Sample::default();
                    let until = Instant::now() + lasts;
                    for nth in 0.. {
                        let body = (operation.1)(number, nth);
                        let begun = Instant::now();
                        connection.call(operation.0, &body)?;
                        times.push_us(begun.elapsed());
                        if Instant::now() >= until {
                            break;
                        }
                    }
                    Ok(times)
                })
            })
            .collect();
        let mut times = Sample::default();
        for thread in threads {
            let outcome: Outcome<Sample> = thread.join().map_err(|_| "a thread panicked")?;
            times.extend(&outcome?);
        }
        Ok(times)
    })
}

/// Makes the table, and the items of all connections.
fn prepare(address: &str) -> Outcome<()> {
    let mut connection = Connection::open(address);
    // It may be there from an earlier run.
    let _ = connection.call(
        "CreateTable",
        &format!(
            r#"{{"TableName":"{TABLE}","KeySchema":[{{"AttributeName":"id","KeyType":"HASH"}},{{"AttributeName":"at","KeyType":"RANGE"}}],"AttributeDefinitions":[{{"AttributeName":"id","AttributeType":"S"}},{{"AttributeName":"at","AttributeType":"N"}}],"BillingMode":"PAY_PER_REQUEST"}}"#
        ),
    );
    while !connection.call("DescribeTable", &format!(r#"{{"TableName":"{TABLE}"}}"#))?.contains("ACTIVE") {
        std::thread::sleep(Duration::from_millis(50));
    }
    for number in 0..CONNECTIONS[CONNECTIONS.len() - 1] {
        for nth in 0..ITEMS {
            let put = format!(r#"{{"TableName":"{TABLE}","Item":{}}}"#, item(number, nth));
            connection.call("PutItem", &put)?;
        }
    }
    Ok(())
}

/// A connection that is kept alive, if the server agrees; or else made anew for each request.
struct Connection {
    stream: Option<BufReader<TcpStream>>,
    host: String,
}

impl Connection {
    fn open(address: &str) -> Connection {
        Connection { stream: None, host: address.to_owned() }
    }

    fn stream(&mut self) -> Outcome<BufReader<TcpStream>> {
        if let Some(stream) = self.stream.take() {
            return Ok(stream);
        }
        let stream = TcpStream::connect(&self.host)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(BufReader::new(stream))
    }

    /// Sends a request and reads its answer. One that is not of status 200 is an error.
    fn call(&mut self, operation: &str, body: &str) -> Outcome<String> {
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-amz-json-1.0\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\n\
             X-Amz-Date: 20260101T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={}\r\nContent-Length: {}\r\n\r\n{body}",
            self.host,
            "0".repeat(64),
            body.len()
        );
        let mut stream = self.stream()?;
        stream.get_mut().write_all(request.as_bytes())?;
        let mut head = (&mut stream).take(HEAD_MAX);
        let (mut line, mut status, mut length) = (String::new(), String::new(), 0);
        let (mut chunked, mut closed) = (false, false);
        loop {
            line.clear();
            if head.read_line(&mut line)? == 0 {
                return Err("the connection ended within an answer".into());
            }
            let text = line.trim_end();
            if status.is_empty() {
                text.clone_into(&mut status);
            } else if text.is_empty() {
                break;
            } else if let Some((name, value)) = text.split_once(':') {
                match name.to_ascii_lowercase().as_str() {
                    "content-length" => length = value.trim().parse()?,
                    "connection" => closed = value.trim().eq_ignore_ascii_case("close"),
                    "transfer-encoding" => chunked = value.trim().eq_ignore_ascii_case("chunked"),
                    _ => {}
                }
            }
        }
        let body = if chunked { chunks(&mut stream)? } else { bytes(&mut stream, length)? };
        let body = String::from_utf8(body)?;
        self.stream = (!closed).then_some(stream);
        if status.split(' ').nth(1) == Some("200") {
            Ok(body)
        } else {
            Err(format!("{operation}: {status}: {body}").into())
        }
    }
}

fn bytes(stream: &mut BufReader<TcpStream>, length: usize) -> Outcome<Vec<u8>> {
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn chunks(stream: &mut BufReader<TcpStream>) -> Outcome<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        let length = usize::from_str_radix(line.trim(), 16)?;
        body.extend(bytes(stream, length)?);
        bytes(stream, 2)?;
        if length == 0 {
            return Ok(body);
        }
    }
}
