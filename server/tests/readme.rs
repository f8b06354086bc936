//! The README's program for many processes: it runs beside a server that was started as the README says, and stands there word for
//! word.

mod common;

use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

mod program {
    #![allow(unreachable_pub, reason = "the README shows a program")]

    include!("readme/server.rs");

    pub(crate) fn run() {
        main().unwrap();
    }
}

/// Set in the process that is the program.
const PROGRAM: &str = "DYNAMITE_TEST_README_PROGRAM";

#[test]
fn the_program_runs_beside_a_server_with_the_defaults() {
    if std::env::var_os(PROGRAM).is_some() {
        return program::run();
    }
    let directory = common::directory();
    let mut server = Command::new(env!("CARGO_BIN_EXE_dynamite-server"))
        .args(["--log", "off"])
        .env("XDG_DATA_HOME", directory.path())
        .env("XDG_RUNTIME_DIR", directory.path())
        .spawn()
        .unwrap();
    while UnixStream::connect(directory.path().join("dynamite.sock")).is_err() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_program_runs_beside_a_server_with_the_defaults"])
        .env(PROGRAM, "1")
        .env("XDG_RUNTIME_DIR", directory.path())
        .status();
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(status.unwrap().success());
}

#[test]
fn the_readme_shows_this_program_word_for_word() {
    let readme = include_str!("../../README.md");
    let shown = readme.split("```rust\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    let shown = shown.filter(|program| program.contains("dynamite_server")).collect::<Vec<_>>();
    assert_eq!(shown, [include_str!("readme/server.rs")]);
}
