//! A real process writes and is killed, again and again, on one file: whatever it was told is done is there, transactions are
//! whole, and the file opens.

#![allow(clippy::print_stdout, reason = "it is how the victim says what it has done")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use common::directory;
use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use serde_json::json;

/// Set in the process that is killed.
const VICTIM: &str = "DYNAMITE_TEST_KILL_VICTIM";
const ROUNDS: u64 = 12;

#[test]
fn what_a_killed_process_acknowledged_is_there() {
    if let Some(path) = std::env::var_os(VICTIM) {
        return write_until_killed(Path::new(&path));
    }
    let directory = directory();
    let path = directory.path().join("a.db");
    let db = DynaMite::create(&path).unwrap();
    db.create_table("log")
        .partition_key("kind", KeyType::String)
        .sort_key("n", KeyType::Number)
        .execute()
        .unwrap();
    db.close().unwrap();

    for round in 0..ROUNDS {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "what_a_killed_process_acknowledged_is_there", "--nocapture"])
            .env(VICTIM, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Another number of writes each time, so that the kill meets all sorts of moments.
        let acknowledged = BufReader::new(victim.stdout.take().unwrap())
            .lines()
            .filter_map(|line| line.unwrap().strip_prefix("acknowledged ")?.parse::<u64>().ok())
            .take(5 + round as usize * 7)
            .last()
            .expect("the victim has written something");
        victim.kill().unwrap();
        victim.wait().unwrap();

        let db = DynaMite::open(&path).unwrap_or_else(|error| panic!("round {round}: {error}"));
        let count = |kind: &str| db.query("log").partition_key(kind).count().unwrap();
        let puts = count("put");
        assert!(puts > acknowledged, "round {round}: {puts} puts found, number {acknowledged} acknowledged");
        let (left, right) = (count("left"), count("right"));
        assert!(
            left == right && left >= acknowledged / 5,
            "round {round}: {left} and {right} of one transaction"
        );
        let newest = db.query("log").partition_key("put").scan_forward(false).limit(1).execute().unwrap();
        assert_eq!(newest.items[0]["n"], puts - 1, "round {round}: a gap");
        db.close().unwrap();
    }
}

/// Goes on where the process before it ended.
fn write_until_killed(path: &Path) {
    let db = DynaMite::open(path).unwrap();
    let first = db.query("log").partition_key("put").count().unwrap();
    for n in first.. {
        db.put_item("log", json!({"kind": "put", "n": n, "text": "x".repeat(n as usize * 37 % 3_000)}))
            .unwrap();
        if n % 5 == 0 {
            db.transact(|txn| {
                for kind in ["left", "right"] {
                    txn.put_item("log", json!({"kind": kind, "n": n, "text": "y".repeat(500)}))?;
                }
                txn.delete_item("log").partition_key("nothing").sort_key(n).execute()
            })
            .unwrap();
        }
        println!("acknowledged {n}");
        std::io::stdout().flush().unwrap();
    }
}
