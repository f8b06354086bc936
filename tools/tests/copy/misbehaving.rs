//! An endpoint of our own that throttles, takes batches in part, and refuses an item: what real ones do when nobody looks.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use serde_json::{Value, json};

use crate::common::scratch_file;
use crate::support::*;

const TABLE: &str = "misbehaving";

/// What it holds, and how often it was asked.
#[derive(Default)]
struct Endpoint {
    items: Vec<Value>,
    requests: usize,
    throttled: usize,
    partly: usize,
}

impl Endpoint {
    /// Begins to serve. Returns its address, and itself.
    fn start() -> (String, Arc<Mutex<Endpoint>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there are ports");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let endpoint = Arc::new(Mutex::new(Endpoint::default()));
        let shared = endpoint.clone();
        // It ends with the process.
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = shared.clone();
                std::thread::spawn(move || serve(&connection, &shared));
            }
        });
        (url, endpoint)
    }

    fn answer(&mut self, operation: &str, body: &Value) -> (u16, Value) {
        self.requests += 1;
        let refusal = |code: &str| {
            (
                400,
                json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "so it is"}),
            )
        };
        match operation {
            "DescribeTable" => (
                200,
                json!({"Table": {
                    "TableName": TABLE,
                    "TableStatus": "ACTIVE",
                    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                    "CreationDateTime": 1.7e9,
                }}),
            ),
            "DescribeTimeToLive" => refusal("UnknownOperationException"),
            // More often in a row than the SDK tries by itself.
            _ if self.requests % 24 >= 16 => {
                self.throttled += 1;
                refusal(if self.requests.is_multiple_of(2) {
                    "ThrottlingException"
                } else {
                    "ProvisionedThroughputExceededException"
                })
            }
            "Scan" => self.scan(body),
            "BatchWriteItem" => {
                let puts = body["RequestItems"][TABLE].as_array().expect("there are items").clone();
                if puts.iter().any(|put| put["PutRequest"]["Item"]["id"]["S"] == "bad") {
                    return refusal("ValidationException");
                }
                // A part is taken, or nothing.
                let len = puts.len() * (self.requests % 3) / 2;
                self.partly += usize::from(len < puts.len());
                self.items.extend(puts[..len].iter().map(|put| put["PutRequest"]["Item"].clone()));
                let left = if len < puts.len() { json!({TABLE: puts[len..]}) } else { json!({}) };
                (200, json!({"UnprocessedItems": left}))
            }
            "PutItem" if body["Item"]["id"]["S"] == "bad" => refusal("ValidationException"),
            "PutItem" => {
                self.items.push(body["Item"].clone());
                (200, json!({}))
            }
            _ => refusal("UnknownOperationException"),
        }
    }

    /// Pages of seven items; some are empty, and go on all the same.
    fn scan(&self, body: &Value) -> (u16, Value) {
        let segment = body["Segment"].as_u64().unwrap_or(0);
        let of = body["TotalSegments"].as_u64().unwrap_or(1);
        let number = |item: &Value| {
            item["n"]["N"].as_str().and_then(|text| text.parse::<u64>().ok()).expect("it has one")
        };
        let after = body["ExclusiveStartKey"]["n"]["N"].as_str().and_then(|text| text.parse::<u64>().ok());
        let mut items: Vec<&Value> = self.items.iter().filter(|item| number(item) % of == segment).collect();
        items.sort_by_key(|item| number(item));
        items.retain(|item| after.is_none_or(|after| number(item) > after));
        let page = &items[..items.len().min(7)];
        let last = page.last().map(|item| json!({"id": item["id"], "n": item["n"]}));
        let mut answer = json!({"Items": page, "Count": page.len()});
        if items.len() > 7 {
            answer["LastEvaluatedKey"] = last.expect("there are seven");
        }
        (200, answer)
    }
}

fn serve(connection: &TcpStream, endpoint: &Mutex<Endpoint>) {
    let mut input = BufReader::new(connection);
    let mut output = connection;
    loop {
        let (mut operation, mut len) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if input.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(target) = line.strip_prefix("x-amz-target: dynamodb_20120810.") {
                operation = target.to_owned();
            }
            if let Some(text) = line.strip_prefix("content-length: ") {
                len = text.parse().expect("it is a number");
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; len];
        if input.read_exact(&mut body).is_err() {
            return;
        }
        let body = serde_json::from_slice(&body).expect("it is JSON");
        let known = ["DescribeTable", "DescribeTimeToLive", "Scan", "BatchWriteItem", "PutItem"];
        let operation =
            known.iter().find(|name| name.eq_ignore_ascii_case(&operation)).copied().unwrap_or_default();
        let (status, answer) = endpoint.lock().expect("nobody panics").answer(operation, &body);
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if output.write_all(format!("{head}{answer}").as_bytes()).is_err() {
            return;
        }
    }
}

fn fill(path: &Path, ids: impl Iterator<Item = String>) {
    let db = DynaMite::create(path).expect("the file is created");
    db.create_table(TABLE).partition_key("id", KeyType::String).execute().expect("there is room");
    for (n, id) in ids.enumerate() {
        db.put_item(TABLE, json!({"id": id, "n": n})).expect("there is room");
    }
    db.close().expect("the file is sealed");
}

#[test]
fn what_is_throttled_or_taken_in_part_is_tried_again() {
    let (_directory, path) = scratch_file();
    fill(&path, (0..300).map(|n| format!("item {n}")));
    let (url, endpoint) = Endpoint::start();
    let copied = report(command("to", &url, &path, TABLE).args(["--threads", "2"]), 0);
    assert_eq!(copied["items"], 300);
    {
        let endpoint = endpoint.lock().expect("nobody panics");
        assert!(endpoint.throttled > 3 && endpoint.partly > 3, "{} {}", endpoint.throttled, endpoint.partly);
        assert_eq!(endpoint.items.len(), 300, "each was put once");
    }
    let (_other, back) = scratch_file();
    let returned = report(command("from", &url, &back, TABLE).args(["--threads", "3"]), 0);
    assert_eq!((&returned["items"], &returned["checksum"]), (&300.into(), &copied["checksum"]), "{returned}");
    assert_eq!(items(&back, TABLE), items(&path, TABLE));
}

#[test]
fn the_item_that_is_refused_is_named() {
    let (_directory, path) = scratch_file();
    fill(&path, (0..30).map(|n| if n == 17 { "bad".to_owned() } else { format!("item {n}") }));
    let (url, endpoint) = Endpoint::start();
    let refused = run(&mut command("to", &url, &path, TABLE));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains(r#"the item with the key {"id":"bad"} was refused: so it is"#),
        "{refused:?}"
    );
    assert!(endpoint.lock().expect("nobody panics").items.iter().all(|item| item["id"]["S"] != "bad"));
}

/// Of a table of 300 units, a unit a second: it is not done in the moment in which it else would be.
#[test]
fn a_rate_is_kept() {
    let (_directory, path) = scratch_file();
    fill(&path, (0..300).map(|n| format!("item {n}")));
    let (url, endpoint) = Endpoint::start();
    let mut command = command("to", &url, &path, TABLE);
    let mut child =
        command.args(["--rate", "1", "--threads", "2", "--quiet"]).spawn().expect("the program runs");
    let count = || endpoint.lock().expect("nobody panics").items.len();
    while count() == 0 {
        assert_eq!(child.try_wait().expect("it is ours"), None, "it has ended");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_secs(1));
    let (count, ended) = (count(), child.try_wait().expect("it is ours"));
    child.kill().expect("it is ours");
    child.wait().expect("it ends");
    assert!(count <= 75 && ended.is_none(), "{count} {ended:?}");
}
