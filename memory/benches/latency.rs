//! How long an agent waits for its memory: ten thousand memories, the shipped program, a file on the device of `BENCH_DIR` (or the temporary directory).
//!
//! The memories are the facts of the tests, each for two hundred services. Printed are the middle and the 99th of a hundred times.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is run for what it prints")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dynamite_core::api::{DynaMite, ManualClock};
use dynamite_memory::client::Memory;
use dynamite_memory::place::Place;
use dynamite_memory::request::{Answer, Prompt, Recall, Remember, Request, Source};
use dynamite_memory::store::Store;
use dynamite_memory::text::tokens;
use dynamite_server::Extension;
use serde_json::{Value, json};

const FACTS: &str = include_str!("../tests/data/facts.tsv");
const UNRELATED: &str = include_str!("../tests/data/unrelated.txt");
const SERVICES: usize = 200;
const NOW_MS: u64 = 1_795_674_037_000;

fn facts() -> Vec<[&'static str; 4]> {
    FACTS.lines().map(|line| line.split('\t').collect::<Vec<_>>().try_into().unwrap()).collect()
}

/// A name like a service's: two syllables and a number.
fn service(number: usize) -> String {
    const SYLLABLES: [&str; 10] = ["mar", "lo", "ven", "tri", "qua", "zen", "por", "lin", "dak", "ru"];
    format!("{}{}{}", SYLLABLES[number % 10], SYLLABLES[number / 10 % 10], number)
}

fn memories(scope: &str) -> Vec<Remember> {
    let mut all = Vec::new();
    for number in 0..SERVICES {
        let service = service(number);
        for [category, key, fact, _] in facts() {
            all.push(Remember {
                scope: scope.to_owned(),
                category: category.to_owned(),
                key: format!("{service}/{key}"),
                content: format!("{service}: {fact}"),
                importance: Some(u8::from(number % 50 == 0) * 3),
                ..Remember::default()
            });
        }
    }
    all
}

/// Times a hundred runs, and prints them.
fn measure(what: &str, target: &str, mut run: impl FnMut(usize)) {
    let mut times: Vec<Duration> = (0..110)
        .map(|number| {
            let begun = Instant::now();
            run(number);
            begun.elapsed()
        })
        .skip(10)
        .collect();
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!("{what:<44} p50 {:>8.3} ms   p99 {:>8.3} ms   (target {target})", ms(times[50]), ms(times[98]));
}

fn main() {
    // `cargo test --benches` only wants to know that it is there.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let base = std::env::var_os("BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(base).unwrap();
    let path = directory.path();
    std::fs::create_dir_all(path.join("project/.git")).unwrap();
    in_the_server(path);
    from_outside(path);
}

/// The owner's side alone, without the socket.
fn in_the_server(path: &Path) {
    let db = DynaMite::builder().cache_size(16 << 20).create(path.join("inside.db")).unwrap();
    let store = Store::open(&db, Arc::new(ManualClock::at(NOW_MS))).unwrap();
    let target = db.deferred();
    let begun = Instant::now();
    let all = memories("p:1");
    for portion in all.chunks(100) {
        let request = serde_json::to_vec(&Request::Remember(portion.to_vec())).unwrap();
        store.write(&target, &request);
    }
    db.settle(target.pending()).unwrap();
    drop(target);
    println!("{} memories loaded in {:.1} s", all.len(), begun.elapsed().as_secs_f64());
    let facts = facts();
    let scopes = vec!["p:1".to_owned(), "global".to_owned()];
    measure("recall in the server", "p50 1, p99 5", |number| {
        let query = format!("{} {}", facts[number % facts.len()][3], service(number * 7 % SERVICES));
        let recall = Recall {
            scopes: scopes.clone(),
            query: Some(query),
            limit: 8,
            max_tokens: 1500,
            ..Recall::default()
        };
        let answer = store.read(&db, &serde_json::to_vec(&Request::Recall(recall)).unwrap());
        let answer: Result<Answer, Value> = serde_json::from_slice(&answer).unwrap();
        assert!(matches!(answer, Ok(Answer::Recalled(recalled)) if !recalled.items.is_empty()));
    });
    let mut silent = 0;
    for prompt in UNRELATED.lines() {
        let prompt =
            Prompt { scopes: scopes.clone(), prompt: prompt.to_owned(), session: "s".into(), limit: 5 };
        let answer = store.read(&db, &serde_json::to_vec(&Request::Prompt(prompt)).unwrap());
        let answer: Result<Answer, Value> = serde_json::from_slice(&answer).unwrap();
        silent += usize::from(matches!(answer, Ok(Answer::Opened(opened)) if opened.entries.is_empty()));
    }
    println!("silent on {silent} of 100 unrelated prompts");
    drop(store);
    db.close().unwrap();
}

fn program(path: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dynamite-memory"));
    command.args(arguments).stdin(Stdio::null()).current_dir(path.join("project"));
    command.env("XDG_RUNTIME_DIR", path).env("XDG_DATA_HOME", path).env("HOME", path);
    command.env_remove("CLAUDE_PROJECT_DIR");
    command
}

/// An MCP server over the standard streams, spoken to by hand.
struct Mcp {
    child: Child,
    to: ChildStdin,
    from: BufReader<std::process::ChildStdout>,
    id: usize,
}

impl Mcp {
    fn start(path: &Path) -> Mcp {
        let mut child = program(path, &["mcp"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut mcp = Mcp { child, to, from, id: 0 };
        mcp.ask("initialize", json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "b", "version": "1"}}));
        writeln!(mcp.to, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).unwrap();
        mcp
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.id += 1;
        writeln!(self.to, "{}", json!({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}))
            .unwrap();
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert!(answer["error"].is_null() && answer["result"]["isError"] != true, "{answer}");
        answer
    }

    fn call(&mut self, name: &str, arguments: Value) -> Value {
        self.ask("tools/call", json!({"name": name, "arguments": arguments}))
    }
}

/// The program, its processes and its socket.
fn from_outside(path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let db = path.join("dynamite/memory.db");
    let owner = {
        let output = program(path, &["remember", "warm", "up", "the owner starts"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        std::fs::read_dir(path.join("dynamite"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .find(|path| path.extension().is_some_and(|ending| ending == "sock"))
            .unwrap()
    };
    let place = Place { db: db.clone(), socket: owner.clone(), program: None };
    let memory = Memory::new(place, &path.join("project"), Source::User);
    for portion in memories(&memory.project).chunks(100) {
        runtime.block_on(memory.ask(&Request::Remember(portion.to_vec()))).unwrap();
    }
    drop((memory, runtime));
    let facts = facts();
    let mut mcp = Mcp::start(path);
    measure("recall over stdio", "p99 15", |number| {
        let query = format!("{} {}", facts[number % facts.len()][3], service(number * 7 % SERVICES));
        let answer = mcp.call("recall", json!({"query": query}));
        let said = answer["result"]["structuredContent"].to_string();
        assert!(tokens::count(&said) <= 1500);
    });
    measure("durable remember over stdio", "p99 20", |number| {
        let [category, _, fact, _] = facts[number % facts.len()];
        mcp.call("remember", json!({"category": category, "key": format!("new/{number}"), "content": format!("{fact} Take {number}.")}));
    });
    measure("hook UserPromptSubmit, with its process", "p99 50", |number| {
        let event = json!({"session_id": format!("s{}", number / 20), "prompt": facts[number % facts.len()][3], "cwd": path.join("project")});
        hook(path, "UserPromptSubmit", &event, 400);
    });
    measure("hook SessionStart, with its process", "-", |number| {
        let event =
            json!({"session_id": format!("t{number}"), "source": "startup", "cwd": path.join("project")});
        hook(path, "SessionStart", &event, 800);
    });
    println!("owner's resident memory: {} KiB (target 40,960)", resident(&owner));
    drop(mcp.to);
    mcp.child.wait().unwrap();
    measure("cold start: no owner, first recall", "150", |number| {
        end(&owner);
        let output = program(path, &["recall", facts[number % facts.len()][3]]).output().unwrap();
        // A question that shares no word with its fact finds nothing.
        assert!(matches!(output.status.code(), Some(0 | 3)), "{output:?}");
    });
    end(&owner);
    println!("file: {} KiB", std::fs::metadata(&db).unwrap().len() >> 10);
}

fn hook(path: &Path, name: &str, event: &Value, budget: usize) {
    let mut child =
        program(path, &["hook", name]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    write!(child.stdin.take().unwrap(), "{event}").unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    if let Ok(said) = serde_json::from_slice::<Value>(&output.stdout) {
        assert!(tokens::count(said["hookSpecificOutput"]["additionalContext"].as_str().unwrap()) <= budget);
    }
}

fn pid(socket: &Path) -> Option<rustix::process::Pid> {
    let stream = std::os::unix::net::UnixStream::connect(socket).ok()?;
    Some(rustix::net::sockopt::socket_peercred(&stream).ok()?.pid)
}

fn resident(socket: &Path) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", pid(socket).unwrap().as_raw_nonzero())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// Ends the owner, and waits until it is gone.
fn end(socket: &Path) {
    let Some(pid) = pid(socket) else { return };
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    while rustix::process::test_kill_process(pid).is_ok() {
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        if stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z')) {
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
