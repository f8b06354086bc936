//! The console at a terminal: what is typed, and what stands on the screen then.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::json;
use tempfile::TempDir;

use crate::common::{scratch_file, terminal};
use crate::golden::CONSOLE;

const ROWS: u16 = 30;
const COLUMNS: u16 = 80;

/// How long something may take to appear. Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A console, its keyboard and its screen.
struct Terminal {
    child: Child,
    keyboard: File,
    /// What it wrote, as it comes.
    written: Receiver<Vec<u8>>,
    screen: vt100::Parser,
}

impl Terminal {
    fn start(path: &Path, options: &[&str]) -> Terminal {
        let (here, there) = terminal();
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&there, size).expect("it has a size");
        let copy = || there.try_clone().expect("there are descriptors");
        let mut command = Command::new(CONSOLE);
        command.arg(path).args(options).env("TERM", "xterm").env_remove("NO_COLOR");
        let child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().expect("the program runs");
        drop((command, there));
        // What nobody waits for stays in the terminal, and holds up whoever writes to it.
        let (sender, written) = sync_channel(0);
        let mut screen_side = here.try_clone().expect("there are descriptors");
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The terminal ends with an error when its other side is closed.
            while let Ok(len @ 1..) = screen_side.read(&mut bytes) {
                if sender.send(bytes[..len].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, keyboard: here, written, screen: vt100::Parser::new(ROWS, COLUMNS, 0) }
    }

    fn type_in(&mut self, text: &str) {
        self.keyboard.write_all(text.as_bytes()).expect("the terminal takes it");
    }

    /// The rows of the screen, up to the last one that is not empty.
    fn rows(&self) -> Vec<String> {
        let mut rows: Vec<String> =
            self.screen.screen().rows(0, COLUMNS).map(|row| row.trim_end().to_owned()).collect();
        while rows.last().is_some_and(String::is_empty) {
            rows.pop();
        }
        rows
    }

    /// Waits until the screen is as it should be.
    #[track_caller]
    fn wait_for(&mut self, what: &str, is_there: impl Fn(&[String]) -> bool) {
        while !is_there(&self.rows()) {
            match self.written.recv_timeout(PATIENCE) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(error) => panic!("{what} does not appear ({error}):\n{}", self.rows().join("\n")),
            }
        }
    }

    /// Waits until the screen ends with these rows.
    #[track_caller]
    fn wait_for_end(&mut self, expected: &[&str]) {
        self.wait_for(&expected.join("\n"), |rows| {
            rows.len() >= expected.len() && rows[rows.len() - expected.len()..].iter().eq(expected)
        });
    }

    #[track_caller]
    fn end(mut self) {
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "{status:?}:\n{}", self.rows().join("\n"));
    }
}

impl Drop for Terminal {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A database with a table of a few users.
fn database() -> (TempDir, PathBuf) {
    let (directory, path) = scratch_file();
    let db = DynaMite::create(&path).expect("the file is created");
    db.create_table("users").partition_key("id", KeyType::String).execute().expect("there is room");
    for (id, age) in [("alice", 30), ("bob", 41)] {
        db.put_item("users", json!({"id": id, "age": age, "favourite": "tea"})).expect("there is room");
    }
    db.close().expect("the file is sealed");
    (directory, path)
}

#[test]
fn statements_are_typed_and_answered() {
    let (_directory, path) = database();
    let mut terminal = Terminal::start(&path, &["--no-history"]);
    terminal.wait_for_end(&["dynamite>"]);
    terminal.type_in("scan users\r");
    terminal.wait_for_end(&[
        "dynamite> scan users",
        " id    │ age │ favourite",
        "───────┼─────┼───────────",
        " alice │  30 │ tea",
        " bob   │  41 │ tea",
        "(2 items)",
        "dynamite>",
    ]);
    terminal.type_in("use users; get \"carol\"\r");
    terminal.wait_for_end(&["using users", "no item", "dynamite users>"]);
    terminal.type_in("get users alice\r");
    terminal.wait_for_end(&[
        "dynamite users> get users alice",
        "error: expected the value of the partition key, not alice",
        "  get users alice",
        "            ^",
        "dynamite users>",
    ]);
    terminal.type_in("begin\r");
    terminal.wait_for_end(&["dynamite users*>"]);
    // The end of the input ends the conversation, and the transaction.
    terminal.type_in("\u{4}");
    terminal.wait_for("the end", |rows| rows.iter().any(|row| row.ends_with("the transaction is forgotten")));
    terminal.end();
}

#[test]
fn a_statement_of_several_lines_is_one() {
    let (_directory, path) = database();
    let mut terminal = Terminal::start(&path, &["--no-history"]);
    terminal.wait_for_end(&["dynamite>"]);
    terminal.type_in("put users {\r\"id\": \"carol\",\r\"age\": 7}\r");
    terminal.wait_for("the answer", |rows| rows.iter().any(|row| row.starts_with("put, version ")));
    terminal.type_in("get users \\\r\"carol\"\r");
    terminal.wait_for("the item", |rows| rows.iter().any(|row| row == "age  7"));
    terminal.type_in("exit\r");
    terminal.end();
}

#[test]
fn words_are_completed() {
    let (_directory, path) = database();
    let mut terminal = Terminal::start(&path, &["--no-history"]);
    terminal.wait_for_end(&["dynamite>"]);
    terminal.type_in("SC\tus\tFIL\t");
    terminal.wait_for_end(&["dynamite> SCAN users FILTER"]);
    // An attribute that no key has is known when it has been seen.
    terminal.type_in("\u{15}SCAN users\r");
    terminal.wait_for_end(&["(2 items)", "dynamite>"]);
    terminal.type_in("SCAN users FILTER fav\t= 'milk'\r");
    terminal.wait_for_end(&[
        "dynamite> SCAN users FILTER favourite = 'milk'",
        "(0 items of 2 looked at)",
        "dynamite>",
    ]);
    terminal.type_in("quit\r");
    terminal.end();
}

#[test]
fn what_was_typed_is_remembered() {
    let (directory, path) = database();
    let history = directory.path().join("state/history");
    let option = ["--history-file", history.to_str().expect("the path is text")];
    let mut terminal = Terminal::start(&path, &option);
    terminal.wait_for_end(&["dynamite>"]);
    terminal.type_in("list tables\r");
    terminal.wait_for_end(&["users", "(1 table)", "dynamite>"]);
    terminal.type_in("exit\r");
    terminal.end();

    let mut terminal = Terminal::start(&path, &option);
    terminal.wait_for_end(&["dynamite>"]);
    // Up, to what was typed last, and up once more.
    terminal.type_in("\u{1b}[A\u{1b}[A");
    terminal.wait_for_end(&["dynamite> list tables"]);
    terminal.type_in("\r");
    terminal.wait_for_end(&["dynamite> list tables", "users", "(1 table)", "dynamite>"]);
    terminal.type_in("exit\r");
    terminal.end();
}

#[test]
fn ctrl_c_gives_a_line_up() {
    let (_directory, path) = database();
    let mut terminal = Terminal::start(&path, &["--no-history"]);
    terminal.wait_for_end(&["dynamite>"]);
    terminal.type_in("delete users 'alice'");
    terminal.wait_for_end(&["dynamite> delete users 'alice'"]);
    terminal.type_in("\u{3}");
    terminal.wait_for("a new prompt", |rows| rows.last().is_some_and(|row| row == "dynamite>"));
    terminal.type_in("get users 'alice' project age\r");
    // The end of the input is one only where a line is read.
    terminal.wait_for("the item, and a prompt", |rows| {
        rows.iter().any(|row| row == "age  30") && rows.last().is_some_and(|row| row == "dynamite>")
    });
    terminal.type_in("\u{4}");
    terminal.end();
}

/// What Ctrl-C sends while nobody reads the keyboard.
fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("it is a process");
    kill_process(pid, Signal::INT).expect("it is ours");
}

#[test]
fn ctrl_c_stops_a_scan() {
    const ITEMS: usize = 20_000;

    let (_directory, path) = scratch_file();
    let db = DynaMite::create(&path).expect("the file is created");
    db.create_table("numbers").partition_key("n", KeyType::Number).execute().expect("there is room");
    for batch in 0..ITEMS / 1000 {
        let items =
            (batch * 1000..(batch + 1) * 1000).map(|n| json!({"n": n, "text": "a text of some length"}));
        let write = items.fold(db.batch_write(), |write, item| write.put("numbers", item));
        write.execute().expect("there is room");
    }
    db.close().expect("the file is sealed");

    let mut terminal = Terminal::start(&path, &["--no-history", "--page-size", "10"]);
    terminal.wait_for_end(&["dynamite>"]);
    terminal.type_in("scan numbers limit all\r");
    // Of a screen that is not looked at the scan cannot go far.
    terminal.wait_for("the first page", |rows| rows.iter().any(|row| row.contains("more follow")));
    interrupt(&terminal.child);
    terminal.wait_for_end(&["error: interrupted", "dynamite>"]);
    terminal.type_in("scan numbers count\r");
    terminal.wait_for_end(&[&format!("({ITEMS} items)"), "dynamite>"]);
    terminal.type_in("exit\r");
    terminal.end();
}
