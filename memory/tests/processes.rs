//! Many processes and one file: nothing that was acknowledged is lost, whoever is killed; one process owns the file, and goes when nobody is there.

#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use common::{Home, fact, run};
use dynamite_memory::client::Memory;
use dynamite_memory::place::Place;
use dynamite_memory::request::{Answer, Request, Source};
use rustix::process::Signal;
use serde_json::{Value, json};

/// The memory in a home, for this process.
fn memory(home: &Home) -> Memory {
    let socket = home.path("run/dynamite/m.sock");
    std::fs::create_dir_all(socket.parent().unwrap()).unwrap();
    std::fs::create_dir_all(home.db().parent().unwrap()).unwrap();
    let program = Some(env!("CARGO_BIN_EXE_dynamite-memory").into());
    let place = Place { db: home.db(), socket, program };
    Memory::new(place, &home.path("project"), Source::Agent)
}

#[test]
fn eight_processes_that_write_two_hundred_each_keep_sixteen_hundred() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for process in 0..8 {
            let home = &home;
            scope.spawn(move || {
                let mut child =
                    home.command(&["mcp"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
                let (mut to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
                let initialize = json!({"jsonrpc": "2.0", "id": "i", "method": "initialize", "params": {
                    "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
                writeln!(to, "{initialize}").unwrap();
                let mut lines = from.lines();
                lines.next().unwrap().unwrap();
                writeln!(to, "{}", json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).unwrap();
                for number in 0..200 {
                    let arguments =
                        json!({"category": "c", "key": format!("{process}/{number}"), "content": format!("fact {number} of {process}")});
                    let call = json!({"jsonrpc": "2.0", "id": number, "method": "tools/call",
                        "params": {"name": "remember", "arguments": arguments}});
                    writeln!(to, "{call}").unwrap();
                }
                for _ in 0..200 {
                    let answer: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
                    assert_eq!(answer["result"]["structuredContent"]["created"], true, "{answer}");
                }
                drop(to);
                assert!(child.wait().unwrap().success());
            });
        }
    });
    assert_eq!(home.json(&["stats"]).1["memories"], 1600);
    assert_eq!(home.owners().len(), 1);
    home.end_owners(Signal::TERM);
    assert_eq!(home.json(&["stats"]).1["memories"], 1600, "also after it was opened again");
}

#[test]
fn of_many_that_come_at_once_one_starts_the_owner() {
    let home = Home::new();
    std::thread::scope(|scope| {
        for number in 0..24 {
            let home = &home;
            scope.spawn(move || {
                let (code, said) =
                    home.json(&["remember", "c", &format!("k/{number}"), &format!("text {number}")]);
                assert_eq!((code, said["created"].as_bool()), (0, Some(true)), "{said}");
            });
        }
    });
    assert_eq!(home.json(&["stats"]).1["memories"], 24);
    assert_eq!((home.sockets().len(), home.owners().len()), (1, 1));
}

/// The environment says where the socket is; clients of MCP pass hardly any of theirs on to the servers that they start.
#[test]
fn those_who_look_for_the_owner_in_different_directories_find_the_same_one() {
    let home = Home::new();
    let data = home.path(".local/share");
    let rich = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env_remove("XDG_DATA_HOME");
        command
    };
    let said = |mut command: std::process::Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    said(home.bare_command(&["remember", "c", "first", "a shy okapi"]));
    assert!(said(rich(&["recall", "okapi"])).contains("a shy okapi"));
    home.end_owners(Signal::TERM);
    said(rich(&["remember", "c", "second", "a bold okapi"]));
    assert!(said(home.bare_command(&["recall", "okapi"])).contains("a bold okapi"));
    assert_eq!(home.owners().len(), 1);
    // A copy of the whole directory is not the file that the note is about.
    let copy = home.path("copy.db");
    std::fs::copy(data.join("dynamite/memory.db.owner"), home.path("copy.db.owner")).unwrap();
    let other = rich(&["--db", copy.to_str().unwrap(), "recall", "okapi"]).output().unwrap();
    assert_eq!(other.status.code(), Some(3), "{other:?}");
}

#[test]
fn an_owner_that_is_killed_at_any_moment_loses_nothing_acknowledged() {
    let home = Home::new();
    let (acknowledged, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    run(async {
        let memory = Arc::new(memory(&home));
        common::remember(&memory, "c", "first", "the owner is there").await;
        let home = &home;
        let (acknowledged, is_over) = (&acknowledged, &is_over);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for pause in [13, 29, 7, 41, 17, 3, 23] {
                    std::thread::sleep(Duration::from_millis(pause * 4));
                    home.end_owners(Signal::KILL);
                }
                is_over.store(true, Ordering::Relaxed);
            });
            for writer in 0..3 {
                let memory = memory.clone();
                scope.spawn(move || {
                    run(async {
                        let mut number = 0;
                        while !is_over.load(Ordering::Relaxed) {
                            let text = format!("number {number} of writer {writer}");
                            let done =
                                memory.remember(fact("c", &format!("{writer}/{number}"), &text), false).await;
                            // Owners that are killed one after the other may exhaust its patience; then it was not acknowledged.
                            if done.is_ok() {
                                acknowledged.fetch_add(1, Ordering::Relaxed);
                                number += 1;
                            }
                        }
                        number
                    })
                });
            }
        });
        let memory = self::memory(home);
        match memory.ask(&Request::Stats(None)).await.unwrap() {
            Answer::Stats(stats) => {
                assert!(stats.memories > acknowledged.load(Ordering::Relaxed), "{} of them", stats.memories);
            }
            other => panic!("{other:?}"),
        }
        match memory.ask(&Request::Check).await.unwrap() {
            Answer::Checked(checked) => assert!(checked.problems.is_empty(), "{:?}", checked.problems),
            other => panic!("{other:?}"),
        }
    });
    assert!(acknowledged.into_inner() > 3);
}

#[test]
fn an_owner_goes_when_nobody_is_there_and_comes_again() {
    let home = Home::new();
    let socket = home.path("run/s.sock");
    let db = home.path("d.db");
    let arguments =
        ["--db", db.to_str().unwrap(), "serve", "--socket", socket.to_str().unwrap(), "--idle-exit", "1"];
    let mut owner = home.command(&arguments).spawn().unwrap();
    assert!(owner.wait().unwrap().success());
    assert!(!socket.exists());
    home.json(&["remember", "c", "k", "x"]);
    home.end_owners(Signal::TERM);
    assert!(home.sockets().is_empty());
    assert_eq!(home.json(&["recall", "x"]).0, 0);
}

#[test]
fn an_mcp_server_whose_owner_is_gone_finds_or_starts_another() {
    let home = Home::new();
    run(async {
        let memory = memory(&home);
        common::remember(&memory, "c", "k", "a lasting kestrel").await;
        home.end_owners(Signal::KILL);
        assert_eq!(common::ask(&memory, "kestrel").await.items.len(), 1);
        home.end_owners(Signal::TERM);
        common::remember(&memory, "c", "l", "another kestrel").await;
        assert_eq!(common::ask(&memory, "kestrel").await.items.len(), 2);
    });
}
