//! The program: where its statements come from, how it ends, and what it refuses.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use dynamite_server::Server;
use serde_json::{Value, json};

use crate::common::scratch_file;
use crate::golden::CONSOLE;

/// What a run of the console said, and how it ended.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    out: String,
    err: String,
}

fn console(path: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(CONSOLE);
    let output = command.arg(path).args(arguments).stdin(Stdio::null()).output().expect("the program runs");
    Run {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("it is text"),
        err: String::from_utf8(output.stderr).expect("it is text"),
    }
}

/// A database with a table of one item.
fn database() -> (tempfile::TempDir, std::path::PathBuf) {
    let (directory, path) = scratch_file();
    let db = DynaMite::create(&path).expect("the file is created");
    db.create_table("users").partition_key("id", KeyType::String).execute().expect("the device has room");
    db.put_item("users", json!({"id": "alice", "age": 30})).expect("the device has room");
    db.close().expect("the file is sealed");
    (directory, path)
}

/// These statements end with this exit code, after these lines.
#[track_caller]
fn check(path: &Path, options: &[&str], statements: &[&str], code: i32, lines: &[&str], error: &str) {
    let executed = statements.iter().flat_map(|&statement| ["-e", statement]);
    let run = console(path, &options.iter().copied().chain(executed).collect::<Vec<_>>());
    assert_eq!(run.code, Some(code), "{run:?}");
    assert_eq!(run.out.lines().collect::<Vec<_>>(), lines, "{run:?}");
    assert!(run.err.contains(error) && run.err.is_empty() == error.is_empty(), "{run:?}");
}

#[test]
fn the_exit_code_is_that_of_the_first_error() {
    let (directory, path) = database();
    let get = "GET users \"alice\" PROJECT age";
    check(&path, &["--json"], &["LIST TABLES"], 0, &[r#"{"tables":["users"]}"#], "");
    check(&path, &[], &["LIST TABLES; USE users"], 0, &["users", "(1 table)", "using users"], "");
    check(&path, &[], &["GET no_such_table 'a'", get], 1, &[], "not found");
    check(&path, &[], &["GIT", get], 2, &[], "GIT is no command");
    check(&path, &[], &["MORE", get], 2, &[], "there is no more");
    check(&path, &[], &["DELETE users 'alice' IF age > 99", get], 4, &[], "The conditional request failed");
    check(&path, &[], &["DELETE users 'alice' VERSION 1", get], 4, &[], "version conflict");
    let both = ["MORE", "GET no_such_table 'a'", "GET users 'bob'"];
    check(&path, &["--keep-going"], &both, 2, &["no item"], "there is no more");
    check(
        &path,
        &[],
        &["BEGIN; DELETE users 'alice'", "DELETE users 'bob'"],
        2,
        &[
            "a transaction begins; COMMIT does it, ROLLBACK forgets it",
            "1 statement so far; COMMIT does them",
            "2 statements so far; COMMIT does them",
        ],
        "COMMIT is missing",
    );
    check(
        &path,
        &[],
        &["BEGIN; DELETE users 'alice' IF age = 31; COMMIT"],
        4,
        &[
            "a transaction begins; COMMIT does it, ROLLBACK forgets it",
            "1 statement so far; COMMIT does them",
        ],
        "statement 1 of the transaction: The conditional request failed",
    );
    check(&directory.path().join("none"), &[], &[get], 3, &[], "does not exist");
    check(&path, &["--read-only"], &["DELETE users 'alice'"], 3, &[], "was opened read-only");
    check(
        &path,
        &["--json"],
        &["DELETE users 'alice' IF age > 99"],
        4,
        &[r#"{"error":"The conditional request failed","kind":"condition"}"#],
        "",
    );
    let run = console(&path, &["--execute"]);
    assert_eq!((run.code, &run.out[..]), (Some(2), ""), "{run:?}");
}

#[test]
fn a_file_is_made_only_if_that_is_said() {
    let (directory, _) = scratch_file();
    let path = directory.path().join("new");
    check(&path, &[], &["LIST TABLES"], 3, &[], "does not exist");
    assert!(!path.exists());
    check(&path, &["--create"], &["LIST TABLES"], 0, &["(0 tables)"], "");
    assert!(path.exists());
}

/// Answers come as statements do: a program may ask, read, and ask again.
#[test]
fn a_program_can_converse_over_pipes() {
    let (_directory, path) = database();
    let mut child = Command::new(CONSOLE)
        .arg(&path)
        .arg("--json")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut input = child.stdin.take().expect("it was asked for");
    let mut answers = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    let mut ask = |statement: &str| -> Value {
        writeln!(input, "{statement}").expect("it reads");
        let answer = answers.next().expect("there is an answer").expect("it is text");
        serde_json::from_str(&answer).expect("it is JSON")
    };
    let version = ask("GET users 'alice'")["version"].clone();
    let put = ask(&format!("PUT users {{\"id\": \"alice\", \"age\": 31}} VERSION {version}"));
    assert!(put["version"].as_u64() > version.as_u64(), "{put}");
    assert_eq!(ask("GET users 'alice'")["item"], json!({"id": "alice", "age": 31}));
    // All pages by their cursors.
    for number in 0..5 {
        ask(&format!("PUT users {{\"id\": \"user {number}\"}}"));
    }
    let (mut seen, mut cursor) = (Vec::new(), Value::Null);
    loop {
        let from = if cursor.is_null() { String::new() } else { format!("FROM {cursor}") };
        let page = ask(&format!("SCAN users PROJECT age LIMIT 4 FILTER attribute_exists(id) {from}"));
        seen.extend(page["items"].as_array().expect("there are items").iter().cloned());
        cursor = page["cursor"].clone();
        if cursor.is_null() {
            break;
        }
        assert_eq!(
            cursor.as_object().map(|cursor| cursor.keys().collect::<Vec<_>>()),
            Some(vec![&"id".to_owned()])
        );
    }
    assert_eq!(seen.len(), 6, "{seen:?}");
    assert_eq!(seen[0], json!({"age": 31}), "the key was not asked for");
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn explain_counts_what_a_read_touches() {
    let (_directory, path) = scratch_file();
    let db = DynaMite::create(&path).expect("the file is created");
    let index = dynamite_core::api::GlobalIndex::new("by_kind").partition_key("kind", KeyType::String);
    let table = db.create_table("events").partition_key("id", KeyType::Number);
    table.global_index(index).execute().expect("the device has room");
    for id in 0..1000 {
        let kind = if id % 10 == 0 { "rare" } else { "common" };
        db.put_item("events", json!({"id": id, "kind": kind, "text": "x".repeat(100)}))
            .expect("there is room");
    }
    db.close().expect("the file is sealed");
    let explained = |target: &Path, option: &[&str], statement: &str| -> Value {
        let explain = format!("EXPLAIN {statement}");
        let run = console(target, &[option, &["--json", "--page-size", "1000", "-e", &explain]].concat());
        serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("it is JSON: {run:?}"))
    };
    // Nothing is done in the background of a file that is only read.
    let explain = |statement: &str| explained(&path, &["--read-only"], statement);
    let get = explain("GET events 77");
    assert_eq!((&get["items_shown"], &get["index"]), (&json!(1), &Value::Null));
    assert!(get["pages_touched"].as_u64().is_some_and(|pages| (1..20).contains(&pages)), "{get}");
    let query = explain("QUERY events 'rare' INDEX by_kind LIMIT 1000");
    let select = explain("SELECT * FROM events.by_kind WHERE kind = 'rare'");
    for read in [&query, &select] {
        assert_eq!((&read["items_shown"], &read["items_looked_at"]), (&json!(100), &json!(100)));
        assert_eq!(read["index"], "by_kind (global)");
    }
    let scan = explain("SCAN events FILTER kind = 'rare' LIMIT 1000");
    let whole = explain("SELECT * FROM events WHERE kind = 'rare'");
    for read in [&scan, &whole] {
        assert_eq!((&read["items_shown"], &read["items_looked_at"]), (&json!(100), &json!(1000)));
    }
    for field in ["pages_touched", "bytes_looked_at"] {
        assert!(scan[field].as_u64() > query[field].as_u64(), "{field}: {scan} {query}");
        assert!(whole[field].as_u64() > select[field].as_u64(), "{field}: {whole} {select}");
        assert!(query[field].as_u64() > get[field].as_u64(), "{field}: {query} {get}");
    }
    assert_eq!(select["bytes_looked_at"], query["bytes_looked_at"]);
    // A few at a time, as long as most are dropped: what is read twice is not counted twice.
    let select = "EXPLAIN SELECT * FROM events WHERE kind = 'rare'";
    let paged = console(&path, &["--read-only", "--json", "-e", select]);
    let paged: Value = serde_json::from_str(&paged.out).expect("it is JSON");
    assert_eq!((&paged["items_shown"], &paged["more"]), (&json!(50), &json!(true)));
    assert!(paged["items_looked_at"].as_u64().is_some_and(|count| (491..=500).contains(&count)), "{paged}");
    let bytes_of = |explained: &Value| explained["bytes_looked_at"].as_u64().unwrap_or_default();
    assert!(bytes_of(&paged) * 9 / 5 < bytes_of(&whole), "{paged} {whole}");

    // A server says the same, and that its pages are those of all.
    let directory = path.parent().expect("it is in a directory");
    let socket = directory.join("socket");
    let db = DynaMite::open(&path).expect("it is a database");
    let server = Server::share(&db, &socket).expect("the server starts");
    for (statement, here) in [
        ("GET events 77", &get),
        ("QUERY events 'rare' INDEX by_kind LIMIT 1000", &query),
        ("SCAN events FILTER kind = 'rare' LIMIT 1000", &scan),
        ("SELECT * FROM events WHERE kind = 'rare'", &whole),
    ] {
        let there = explained("--socket".as_ref(), &[&socket.to_string_lossy()], statement);
        for field in ["index", "access", "items_shown", "items_looked_at", "bytes_looked_at", "more"] {
            assert_eq!(there[field], here[field], "{field} of {statement}");
        }
        assert_eq!(there["shared"], true);
        assert!(there["pages_touched"].as_u64().is_some_and(|pages| pages > 0), "{there}");
    }
    server.stop().expect("the server ends");
    db.close().expect("the file is sealed");
    // It did not begin anything that MORE could go on with.
    let run = console(&path, &["-e", "EXPLAIN SCAN events LIMIT 1", "-e", "MORE"]);
    assert_eq!(run.code, Some(2), "{run:?}");
}

#[test]
fn stats_count_what_was_done() {
    let (directory, path) = database();
    let fields = |run: Run| -> Vec<String> {
        let value: Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("it is JSON: {run:?}"));
        value.as_object().expect("it is an object").keys().cloned().collect()
    };
    let here = fields(console(&path, &["--json", "-e", "STATS"]));
    assert!(
        ["pages", "hits", "misses", "commits", "io"]
            .iter()
            .all(|name| here.iter().any(|field| field == name))
    );
    let db = DynaMite::open(&path).expect("nobody else has it");
    let socket = directory.path().join("socket");
    let server = Server::share(&db, &socket).expect("the server starts");
    let there =
        fields(console("--socket".as_ref(), &[&socket.display().to_string(), "--json", "-e", "STATS"]));
    server.stop().expect("the server ends");
    assert!(["pages", "hits", "requests"].iter().all(|name| there.iter().any(|field| field == name)));
}

/// A file that a server shares is reached through it, and the error says so.
#[test]
fn a_file_in_use_is_refused_with_the_remedy() {
    let (_directory, path) = database();
    let db = DynaMite::open(&path).expect("nobody else has it");
    check(&path, &[], &["LIST TABLES"], 3, &[], "share it through dynamite-server");
    drop(db);
    check(
        "--socket".as_ref(),
        &[&path.display().to_string()],
        &["LIST TABLES"],
        3,
        &[],
        "no server can be reached",
    );
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let (_directory, path) = database();
    let (reader, writer) = std::io::pipe().expect("there are descriptors");
    drop(reader);
    let output = Command::new(CONSOLE).arg(&path).args(["-e", "SCAN users"]).stdout(writer).output();
    let output = output.expect("the program runs");
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.starts_with("error: the answer cannot be printed") && err.lines().count() == 1, "{err}");
}

/// Whoever only waits for input is ended by the signal as any program is.
#[test]
fn an_idle_console_is_ended_by_an_interrupt() {
    let (_directory, path) = database();
    let mut child = Command::new(CONSOLE)
        .arg(&path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut input = child.stdin.take().expect("it was asked for");
    writeln!(input, "LIST TABLES").expect("it reads");
    let mut answers = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    assert_eq!(answers.next().expect("there is an answer").expect("it is text"), "users");
    answers.next();
    // It may be just about to wait.
    std::thread::sleep(std::time::Duration::from_millis(200));
    let pid =
        i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("it is a process");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it is ours");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    drop(input);
}
