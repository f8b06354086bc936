//! A server that does nothing but answer, over a file that it does nothing but write and flush: what this machine gives under the same load
//! at most, whatever the database.
//!
//! A thread for each connection reads requests by their `Content-Length` and sends answers that were made before. A write is answered
//! after one F, a page that is written and flushed, which those that wait at the same time share.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use dynamite_pager::disk::reference::WriteAndFlush;

use crate::{HEAD_MAX, ITEMS, Outcome, item};

/// Serves in the background until the process ends. Returns the address.
pub(crate) fn serve(file: &Path) -> Outcome<String> {
    let log = Arc::new(Log::new(file)?);
    let answers = Arc::new(Answers::new());
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (log, answers) = (Arc::clone(&log), Arc::clone(&answers));
            // A connection ends with its client, or with the first error, which the client sees as well.
            std::thread::spawn(move || converse(stream, &log, &answers));
        }
    });
    Ok(address)
}

fn converse(stream: TcpStream, log: &Log, answers: &Answers) -> Outcome<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let (mut line, mut body) = (String::new(), Vec::new());
    loop {
        let (mut operation, mut length) = (String::new(), 0);
        let mut head = (&mut stream).take(HEAD_MAX);
        loop {
            line.clear();
            if head.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if let Some(target) = line.strip_prefix("X-Amz-Target: DynamoDB_20120810.") {
                target.trim().clone_into(&mut operation);
            } else if let Some(bytes) = line.strip_prefix("Content-Length: ") {
                length = bytes.trim().parse()?;
            } else if line == "\r\n" {
                break;
            }
        }
        body.resize(length, 0);
        stream.read_exact(&mut body)?;
        let answer = match operation.as_str() {
            "GetItem" => &answers.item,
            "Query" => &answers.items,
            "CreateTable" | "DescribeTable" => &answers.table,
            _ => {
                log.write()?;
                &answers.empty
            }
        };
        stream.get_mut().write_all(answer)?;
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

/// A file to which one writes for all that wait at the same time.
struct Log {
    turn: Mutex<Turn>,
    turned: Condvar,
}

/// Writes asked for so far, those that are durable, and the file unless somebody writes.
struct Turn {
    asked: u64,
    durable: u64,
    unit: Option<WriteAndFlush>,
}

impl Log {
    fn new(path: &Path) -> Outcome<Log> {
        let unit = Some(WriteAndFlush::open(path)?);
        Ok(Log { turn: Mutex::new(Turn { asked: 0, durable: 0, unit }), turned: Condvar::new() })
    }

    /// Returns when a page that was written after the call began is durable.
    fn write(&self) -> Outcome<()> {
        let mut turn = self.turn.lock().map_err(|_| "a writer panicked")?;
        turn.asked += 1;
        let own = turn.asked;
        while turn.durable < own {
            let Some(mut unit) = turn.unit.take() else {
                turn = self.turned.wait(turn).map_err(|_| "a writer panicked")?;
                continue;
            };
            let all = turn.asked;
            drop(turn);
            let written = unit.run();
            turn = self.turn.lock().map_err(|_| "a writer panicked")?;
            turn.unit = Some(unit);
            self.turned.notify_all();
            written?;
            turn.durable = all;
        }
        Ok(())
    }
}
