//! The program with `--http`: DynamoDB's clients and those of the socket share one database, and end together.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;

use common::directory;
use dynamite_core::api::DynaMite;
use dynamite_server::client::BlockingClient;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;

/// The program, with a log that says its address.
fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dynamite-server"));
    command.arg("--db").arg(directory.join("d.db")).arg("--socket").arg(directory.join("d.sock"));
    command.stdin(Stdio::null());
    command
}

/// A server's process, and the address that it says.
struct Served {
    child: Child,
    address: String,
    directory: Arc<TempDir>,
}

impl Served {
    fn start(directory: Arc<TempDir>) -> Served {
        let mut command = command(directory.path());
        let mut child = command.args(["--http", "127.0.0.1:0"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address =
            lines.find_map(|line| line.unwrap().split_once("http://").map(|(_, address)| address.to_owned()));
        // It is not to wait for somebody who reads what it says.
        std::thread::spawn(move || lines.for_each(drop));
        Served { child, address: address.unwrap(), directory }
    }

    fn call(&self, operation: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: {}\r\nX-Amz-Target: DynamoDB_20120810.{operation}\r\nX-Amz-Date: 20260101T000000Z\r\n\
             Content-Type: application/x-amz-json-1.0\r\nConnection: close\r\nContent-Length: {}\r\n\
             Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0\r\n\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn end(mut self) -> Arc<TempDir> {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
        self.directory
    }
}

#[test]
fn both_protocols_serve_one_database_and_end_together() {
    let served = Served::start(Arc::new(directory()));
    let created = served.call(
        "CreateTable",
        r#"{"TableName":"users","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],
            "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"BillingMode":"PAY_PER_REQUEST"}"#,
    );
    assert!(created.starts_with("HTTP/1.1 200"), "{created}");
    let client = BlockingClient::connect(served.directory.path().join("d.sock")).unwrap();
    client.wait(client.client().put_item("users", json!({"id": "alice", "age": 30}))).unwrap();
    let got = served.call("GetItem", r#"{"TableName":"users","Key":{"id":{"S":"alice"}}}"#);
    assert!(got.contains(r#""age":{"N":"30"}"#), "{got}");
    // The writes of both are done on one thread, and settled on another.
    let tasks = fs::read_dir(format!("/proc/{}/task", served.child.id())).unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap());
    let mut names =
        names.filter(|name| name.contains("write") || name.contains("settle")).collect::<Vec<_>>();
    names.sort_unstable();
    assert_eq!(names, ["dynamite-settle\n", "dynamite-write\n"]);
    drop(client);

    // Everything is there after a restart, also for who opens the file.
    let served = Served::start(served.end());
    let got = served.call("GetItem", r#"{"TableName":"users","Key":{"id":{"S":"alice"}}}"#);
    assert!(got.contains(r#""age":{"N":"30"}"#), "{got}");
    let directory = served.end();
    let db = DynaMite::open(directory.path().join("d.db")).unwrap();
    assert_eq!(db.get_item("users").partition_key("alice").execute().unwrap().unwrap()["age"], 30);
}

#[test]
fn keys_that_are_open_or_malformed_and_addresses_in_use_are_refused() {
    let directory = directory();
    let keys = directory.path().join("keys");
    let start = |http: &str| -> Output {
        let mut command = command(directory.path());
        command.args(["--http", http, "--access-key-file"]).arg(&keys).output().unwrap()
    };
    let refused = |output: Output, why: &str| {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(why), "{said}");
    };
    refused(start("127.0.0.1:0"), "No such file");
    write(&keys, "AKIA secret\n", 0o644);
    refused(start("127.0.0.1:0"), "may be read by others");
    write(&keys, "AKIA secret\n\nlonely\n", 0o600);
    refused(start("127.0.0.1:0"), "line 3");
    write(&keys, "AKIA secret\n", 0o600);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    refused(start(&taken.local_addr().unwrap().to_string()), "listening on http://127.0.0.1");
    let idle =
        command(directory.path()).args(["--http", "127.0.0.1:0", "--idle-exit", "1"]).output().unwrap();
    refused(idle, "cannot be used with");
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
