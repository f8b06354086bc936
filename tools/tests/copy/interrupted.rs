//! Copies that are killed, and go on.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::common::scratch_file;
use crate::support::*;

const COUNT: usize = 1500;

/// What is remembered of a copy.
fn remembered(path: &Path, table: &str) -> Option<Value> {
    let text = fs::read_to_string(path.with_file_name(format!("{table}.copy"))).ok()?;
    serde_json::from_str(&text).ok()
}

/// Begins a copy, or goes on with it, and ends it by a signal when some more items were copied, but not all of them: a rate keeps it from coming
/// to its end before that. Returns how many were.
fn end(signal: Signal, action: &str, path: &Path, table: &str, options: &[&str]) -> u64 {
    let count = || {
        let state = remembered(path, table).unwrap_or_default();
        state["progress"]["content"]["items"].as_u64().unwrap_or(0)
    };
    let before = count();
    let mut command = command(action, &endpoint(), path, table);
    command.args(["--checkpoint", "0", "--threads", "3"]).args(options);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program runs");
    while count() <= before {
        assert_eq!(child.try_wait().expect("it is ours"), None, "it has come to its end");
        std::thread::sleep(Duration::from_millis(2));
    }
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("it is a process");
    kill_process(pid, signal).expect("it is ours");
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), if signal == Signal::INT { Some(130) } else { None });
    count()
}

#[test]
fn a_copy_goes_on_where_it_was_ended() {
    let (_directory, path) = scratch_file();
    let table = "ended";
    let db = DynaMite::create(&path).expect("the file is created");
    db.create_table(table).partition_key("id", KeyType::String).execute().expect("there is room");
    for n in 0..COUNT {
        // Of these a page of the endpoint's has some 300.
        let item = json!({"id": format!("item {n}"), "n": n, "text": "x".repeat(3300)});
        db.put_item(table, item).expect("there is room");
    }
    db.close().expect("the file is sealed");

    let killed = end(Signal::KILL, "to", &path, table, &["--rate", "1000"]);
    let interrupted = end(Signal::INT, "to", &path, table, &["--rate", "1000", "--resume"]);
    assert!(killed < interrupted && interrupted < COUNT as u64, "{killed}, {interrupted}");
    let again = run(&mut command("to", &endpoint(), &path, table));
    assert!(
        again.code == Some(2) && again.err.contains("--resume goes on, --restart begins anew"),
        "{again:?}"
    );
    let other =
        run(command("to", &endpoint(), &path, table).args(["--resume", "--endpoint-table", "ended_other"]));
    assert!(other.code == Some(2) && other.err.contains("between other tables"), "{other:?}");
    let there = report(command("to", &endpoint(), &path, table).arg("--resume"), 0);
    assert_eq!((&there["items"], &there["created"]), (&COUNT.into(), &false.into()), "{there}");
    assert_eq!(remembered(&path, table), None);
    assert_eq!(report(&mut command("verify", &endpoint(), &path, table), 0)["equal"], true);

    let (_other, back) = scratch_file();
    let killed = end(Signal::KILL, "from", &back, table, &["--rate", "300"]);
    assert!(killed < COUNT as u64, "{killed}");
    // The segments are those that were begun, whatever is asked for now.
    let returned = report(command("from", &endpoint(), &back, table).args(["--resume", "--threads", "5"]), 0);
    assert_eq!(
        (&returned["items"], &returned["checksum"]),
        (&COUNT.into(), &there["checksum"]),
        "{returned}"
    );
    assert_eq!(report(&mut command("verify", &endpoint(), &back, table), 0)["equal"], true);
    assert_eq!(items(&back, table), items(&path, table));
}
