//! A server that does nothing but answer, over a file that it does nothing but write and flush: what this machine gives under the same load
//! at most, whatever the database.
//!
//! One thread serves all connections: it reads requests by their `Content-Length` and sends answers that were made before. Writes are
//! answered after one F, a page that is written and flushed, which all share that are there when it begins.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use dynamite_pager::disk::reference::WriteAndFlush;

use crate::message::Received;
use crate::watch::Watch;
use crate::{ITEMS, Outcome, item};

/// The number under which the listener is watched.
const LISTENER: usize = usize::MAX;

/// Serves in the background until the process ends. Returns the address.
pub(crate) fn serve(file: &Path) -> Outcome<String> {
    let unit = WriteAndFlush::open(file)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    // An error ends it, which its clients see as well.
    std::thread::Builder::new().name("bare".into()).spawn(move || converse(&listener, unit))?;
    Ok(address)
}

fn converse(listener: &TcpListener, mut unit: WriteAndFlush) -> Outcome<()> {
    let (watch, answers) = (Watch::new()?, Answers::new());
    watch.add(listener, LISTENER)?;
    let mut connections: Vec<Option<(TcpStream, Received)>> = Vec::new();
    loop {
        let mut written = Vec::new();
        for number in watch.ready(None)? {
            if number == LISTENER {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                watch.add(&stream, connections.len())?;
                connections.push(Some((stream, Received::default())));
                continue;
            }
            let Some((stream, received)) = &mut connections[number] else { continue };
            if !received.read(stream)? {
                connections[number] = None;
                continue;
            }
            let Some(operation) = received.request()? else { continue };
            let answer = match operation {
                "GetItem" => &answers.item,
                "Query" => &answers.items,
                "CreateTable" | "DescribeTable" => &answers.table,
                _ => {
                    written.push(number);
                    received.clear();
                    continue;
                }
            };
            stream.write_all(answer)?;
            received.clear();
        }
        if !written.is_empty() {
            unit.run()?;
        }
        for number in written {
            if let Some((stream, _)) = &mut connections[number] {
                stream.write_all(&answers.empty)?;
            }
        }
    }
}

/// Whole answers, heads included.
struct Answers {
    item: Vec<u8>,
    items: Vec<u8>,
    table: Vec<u8>,
    empty: Vec<u8>,
}

impl Answers {
    fn new() -> Answers {
        let items: Vec<String> = (0..ITEMS).map(|nth| item(0, nth)).collect();
        Answers {
            item: answer(&format!(r#"{{"Item":{}}}"#, items[0])),
            items: answer(&format!(
                r#"{{"Count":{ITEMS},"Items":[{}],"ScannedCount":{ITEMS}}}"#,
                items.join(",")
            )),
            table: answer(r#"{"Table":{"TableStatus":"ACTIVE"}}"#),
            empty: answer("{}"),
        }
    }
}

fn answer(body: &str) -> Vec<u8> {
    // As long as ours.
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/x-amz-json-1.0\r\nx-amzn-requestid: {}\r\nx-amz-crc32: 1234567890\r\n\
         content-length: {}\r\ndate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\r\n{body}",
        "A".repeat(52),
        body.len()
    )
    .into_bytes()
}
