//! The command line: every verb, what it prints as JSON, how it ends; what comes in and goes out.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::BTreeSet;

use common::Home;
use serde_json::{Value, json};

#[test]
fn every_verb_ends_as_it_is_documented() {
    let home = Home::new();
    let (code, said) = home.json(&["remember", "c", "db/port", "Postgres listens on 5433"]);
    assert_eq!((code, &said["version"]), (0, &json!(1)));
    let output = home.feed(&["remember", "c", "from-stdin", "-"], "a text from a pipe\n");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(home.json(&["remember", "c", "db/port", "5434", "--if-version", "7"]).0, 4);
    assert_eq!(home.json(&["remember", "c", "db/port", "5434", "--mode", "create"]).0, 4);
    assert_eq!(home.json(&["remember", "C!", "k", "x"]).0, 1);
    let (code, said) = home.json(&["recall", "which", "port?"]);
    assert_eq!((code, &said["items"][0]["key"]), (0, &json!("db/port")));
    assert_eq!(home.json(&["recall", "unheard", "of"]).0, 3);
    assert_eq!(home.json(&["discover"]).1["categories"][0]["count"], 2);
    assert_eq!(home.json(&["discover", "c", "--depth", "2"]).1["keys"][0]["prefix"], "db/port");
    home.json(&["remember", "c", "db/port", "Postgres listens on 5434"]);
    assert_eq!(home.json(&["history", "c", "db/port"]).1.as_array().unwrap().len(), 2);
    assert_eq!(home.json(&["history", "c", "none"]).0, 3);
    assert_eq!(home.json(&["restore", "c", "db/port", "--version", "1"]).1["version"], 3);
    assert_eq!(home.json(&["restore", "c", "db/port", "--version", "99"]).0, 3);
    assert_eq!(home.json(&["forget", "c", "db/port", "--if-version", "1"]).0, 4);
    assert_eq!(home.json(&["forget", "c", "db/port"]).0, 0);
    assert_eq!(home.json(&["forget", "c", "never"]).0, 3);
    assert_eq!(home.json(&["forget", "c"]).0, 1);
    assert_eq!(home.json(&["restore", "c", "db/port"]).0, 0);
    assert_eq!(home.json(&["stats"]).1["memories"], 2);
    assert_eq!(home.json(&["gc", "--reindex"]).0, 0);
    assert_eq!(home.json(&["recall", "5433"]).0, 0, "the index was made anew");
    let version = home.run(&["--version"]);
    assert!(version.status.success() && String::from_utf8_lossy(&version.stdout).contains("dynamite-memory"));
    assert_eq!(home.run(&["no-such-verb"]).status.code(), Some(1));
}

#[test]
fn a_file_of_ones_own_is_owned_and_served_by_itself() {
    let home = Home::new();
    let db = home.path("private.db");
    let db = db.to_str().unwrap();
    home.json(&["--db", db, "remember", "c", "k", "a private text"]);
    home.json(&["remember", "c", "k", "the usual text"]);
    assert_eq!(home.json(&["--db", db, "recall", "text"]).1["items"][0]["content"], "a private text");
    assert_eq!(home.json(&["recall", "text"]).1["items"][0]["content"], "the usual text");
    assert_eq!(home.sockets().len(), 2);
}

#[test]
fn the_doctor_sees_what_is_wrong_and_says_what_helps() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    home.json(&["remember", "c", "k", "x"]);
    let finding = |said: &Value, what: &str| {
        said["findings"].as_array().unwrap().iter().find(|finding| finding["what"] == what).unwrap().clone()
    };
    let (code, said) = home.json(&["doctor"]);
    // Only that the program is on no PATH.
    assert_eq!(code, 1);
    assert_eq!(finding(&said, "program")["ok"], false);
    assert!(finding(&said, "program")["remedy"].as_str().unwrap().contains(".cargo/bin"));
    for what in ["file", "owner", "index", "hooks", "project"] {
        assert_eq!(finding(&said, what)["ok"], true, "{said}");
    }
    std::fs::set_permissions(home.db(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (_, said) = home.json(&["doctor"]);
    assert!(finding(&said, "file")["remedy"].as_str().unwrap().starts_with("chmod 600"));
    let run = home.path("run/dynamite");
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (_, said) = home.json(&["doctor"]);
    assert!(finding(&said, "place")["seen"].as_str().unwrap().contains("chmod 700"), "{said}");
    std::fs::set_permissions(&run, std::fs::Permissions::from_mode(0o700)).unwrap();

    let bin = home.path("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_dynamite-memory"), bin.join("dynamite-memory")).unwrap();
    std::fs::set_permissions(home.db(), std::fs::Permissions::from_mode(0o600)).unwrap();
    let well = home.command(&["doctor", "--json"]).env("PATH", &bin).output().unwrap();
    assert_eq!(well.status.code(), Some(0), "{}", String::from_utf8_lossy(&well.stdout));
}

#[test]
fn a_file_that_is_no_database_is_said_to_be_none() {
    let home = Home::new();
    let db = home.path("no.db");
    std::fs::write(&db, "this is a text\n".repeat(1000)).unwrap();
    let (code, said) = home.json(&["--db", db.to_str().unwrap(), "stats"]);
    assert_eq!(code, 1);
    assert!(said["error"].as_str().unwrap().contains("no.db"), "{said}");
    assert_eq!(std::fs::read(&db).unwrap(), "this is a text\n".repeat(1000).as_bytes());
}

/// Exports, imports into another home, and exports there.
fn there_and_back(home: &Home, format: &str) -> (String, String) {
    let other = Home::new();
    let first = String::from_utf8(home.run(&["export", format]).stdout).unwrap();
    let file = other.path("file");
    std::fs::write(&file, &first).unwrap();
    let (code, said) = other.json(&["import", format, file.to_str().unwrap(), "--scope", "project"]);
    assert_eq!(code, 0, "{said}");
    (first, String::from_utf8(other.run(&["export", format]).stdout).unwrap())
}

#[test]
fn json_lines_come_back_as_they_were() {
    let home = Home::new();
    home.json(&["remember", "c", "k", "text\nof two lines", "--tag", "a", "--tag", "b", "--importance", "2"]);
    home.json(&["remember", "d", "größe/日本", "x"]);
    let (first, second) = there_and_back(&home, "jsonl");
    let parse = |text: &str| -> Vec<Value> {
        text.lines()
            .map(|line| {
                let mut value: Value = serde_json::from_str(line).unwrap();
                // What is of the place it was taken to.
                for name in ["scope", "source", "version"] {
                    value.as_object_mut().unwrap().remove(name);
                }
                value
            })
            .collect()
    };
    assert_eq!(parse(&first), parse(&second));
    assert_eq!(parse(&first).len(), 2);
}

#[test]
fn a_graph_of_server_memory_goes_in_and_out_without_loss() {
    let home = Home::new();
    let graph = [
        json!({"type": "entity", "name": "Ada Lovelace", "entityType": "person", "observations": ["wrote notes", " spaced ", "two\nlines", ""]}),
        json!({"type": "entity", "name": "../odd#name%", "entityType": "Odd Type", "observations": []}),
        json!({"type": "entity", "name": "long", "entityType": "person", "observations": vec!["y".repeat(900); 40]}),
        json!({"type": "relation", "from": "Ada Lovelace", "to": "../odd#name%", "relationType": "works on"}),
    ];
    let text: String = graph.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(home.path("memory.json"), &text).unwrap();
    let (code, said) = home.json(&["import", "server-memory", home.path("memory.json").to_str().unwrap()]);
    assert_eq!((code, said["refused"].is_null()), (0, true), "{said}");
    assert_eq!(home.json(&["recall", "who wrote notes?"]).1["items"][0]["key"], "Ada Lovelace");
    let exported = String::from_utf8(home.run(&["export", "server-memory"]).stdout).unwrap();
    let lines = |text: &str| {
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap().to_string())
            .collect::<BTreeSet<_>>()
    };
    assert_eq!(lines(&exported), lines(&text));
    let (first, second) = there_and_back(&home, "server-memory");
    assert_eq!(lines(&first), lines(&second));
}

#[test]
fn notes_are_brought_in_by_sections_and_by_files() {
    let home = Home::new();
    std::fs::write(
        home.path("CLAUDE.md"),
        "# Build\nRun make all.\n\n## Tests\nRun make check before each push.\n",
    )
    .unwrap();
    let (_, said) = home.json(&["import", "claude-md", home.path("CLAUDE.md").to_str().unwrap()]);
    assert_eq!(said["created"], 2);
    assert_eq!(home.json(&["recall", "what must I run before a push?"]).1["items"][0]["key"], "build/tests");
    let notes = home.path("notes");
    std::fs::create_dir_all(notes.join("ops/deep")).unwrap();
    std::fs::write(notes.join("top.md"), "a top note").unwrap();
    std::fs::write(notes.join("ops/deep/pager.md"), "page the on-call walrus").unwrap();
    std::fs::write(notes.join("ops/long.txt"), "a paragraph\n\n".repeat(2000)).unwrap();
    std::fs::write(notes.join("picture.png"), [0, 1, 2]).unwrap();
    let (_, said) = home.json(&["import", "memory-dir", notes.to_str().unwrap()]);
    assert_eq!((said["created"].as_u64(), said["refused"].is_null()), (Some(4), true), "{said}");
    let (_, found) = home.json(&["recall", "walrus"]);
    assert_eq!(
        (&found["items"][0]["category"], &found["items"][0]["key"]),
        (&json!("ops"), &json!("deep/pager"))
    );
    let markdown = String::from_utf8(home.run(&["export", "markdown"]).stdout).unwrap();
    assert!(markdown.contains("# ops\n\n## deep/pager\n\npage the on-call walrus\n"));
}
