//! The code of the project's README: each block is a program of its own, run in a process and a directory of its own, and
//! stands in the README word for word.

mod common;

use std::process::Command;

/// Set in the process that runs a block.
const BLOCK: &str = "DYNAMITE_TEST_README_BLOCK";

macro_rules! blocks {
    ($($name:ident)*) => {
        $(
            mod $name {
                #![allow(clippy::print_stdout, unreachable_pub, reason = "the README shows a program")]

                include!(concat!("readme/", stringify!($name), ".rs"));

                #[test]
                fn runs() {
                    super::in_its_own_process(concat!(stringify!($name), "::runs"), || main().unwrap());
                }
            }
        )*

        const BLOCKS: &[(&str, &str)] =
            &[$((stringify!($name), include_str!(concat!("readme/", stringify!($name), ".rs")))),*];
    };
}

blocks!(quick_start concurrency types);

/// Runs a test's body in a process and a directory of its own.
fn in_its_own_process(test: &str, body: fn()) {
    if std::env::var_os(BLOCK).is_some() {
        return body();
    }
    let directory = common::directory();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(BLOCK, test)
        .current_dir(directory.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the block was not run");
}

#[test]
fn the_readme_shows_these_programs_word_for_word() {
    let readme = include_str!("../../README.md");
    let shown = readme.split("```rust\n").skip(1).map(|rest| rest.split_once("```").unwrap().0);
    // The server's program is compiled and run where the server is.
    let shown = shown.filter(|program| !program.contains("dynamite_server"));
    assert_eq!(shown.collect::<Vec<_>>(), BLOCKS.iter().map(|(_, program)| *program).collect::<Vec<_>>());
}
