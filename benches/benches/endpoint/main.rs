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
mod connection;
mod message;
mod watch;

use std::error::Error;
use std::time::{Duration, Instant};

use dynamite_benches::arguments::Arguments;
use dynamite_benches::interleave::interleave;
use dynamite_benches::sample::Sample;
use dynamite_benches::scratch::Scratch;
use dynamite_benches::table::Table;

use connection::{Connection, PATIENCE};
use watch::Watch;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Connections at a time.
const CONNECTIONS: [usize; 2] = [1, 16];
/// Items of a partition, which a query returns.
const ITEMS: usize = 100;
/// The table that is made on each server.
const TABLE: &str = "endpoint-benchmark";

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
///
/// One thread serves all connections, so that the load takes as little as it can of the processors that the servers need too.
fn turn(address: &str, operation: Operation, connections: usize, lasts: Duration) -> Outcome<Sample> {
    let watch = Watch::new()?;
    let client =
        |number| Client { connection: Connection::open(address), number, nth: 0, begun: Instant::now() };
    let mut under_way: Vec<Client> = (0..connections).map(client).collect();
    for client in &mut under_way {
        client.ask(operation, &watch)?;
    }
    let (mut times, mut left) = (Sample::default(), connections);
    let until = Instant::now() + lasts;
    while left > 0 {
        for number in watch.ready(Some(PATIENCE))? {
            let client = &mut under_way[number];
            if client.connection.receive()?.is_none() {
                continue;
            }
            let now = Instant::now();
            times.push_us(now - client.begun);
            if now < until {
                client.ask(operation, &watch)?;
            } else {
                left -= 1;
            }
        }
    }
    Ok(times)
}

/// A connection with a request under way.
struct Client {
    connection: Connection,
    number: usize,
    /// How many requests it has sent.
    nth: usize,
    begun: Instant,
}

impl Client {
    fn ask(&mut self, operation: Operation, watch: &Watch) -> Outcome<()> {
        let body = (operation.1)(self.number, self.nth);
        self.nth += 1;
        self.begun = Instant::now();
        if let Some(new) = self.connection.send(operation.0, &body)? {
            watch.add(new, self.number)?;
        }
        Ok(())
    }
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
