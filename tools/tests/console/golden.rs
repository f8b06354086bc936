//! Transcripts: the same in a file and at a server.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dynamite_core::api::DynaMite;
use dynamite_server::Server;

use crate::common::scratch_file;

pub(crate) const CONSOLE: &str = env!("CARGO_BIN_EXE_dynamite-console");

/// The statements of a transcript, as they were typed.
fn statements(transcript: &str) -> String {
    let mut typed = String::new();
    for line in transcript.lines() {
        if let Some(statement) = line.strip_prefix("> ") {
            typed += &format!("{statement}\n");
        } else if let Some(continued) = line.strip_prefix(". ") {
            typed += &format!("{continued}\n");
        }
    }
    typed
}

/// A line in which every time is the same one.
fn timeless(line: &str) -> String {
    let shape = "dddd-dd-ddTdd:dd:dd";
    let is_time = |text: &[u8]| {
        text.len() >= shape.len()
            && text.iter().zip(shape.bytes()).all(|(&found, shape)| match shape {
                b'd' => found.is_ascii_digit(),
                sign => found == sign,
            })
    };
    let (mut timeless, mut rest) = (String::new(), line);
    while let Some(character) = rest.chars().next() {
        if is_time(rest.as_bytes()) {
            rest = rest[shape.len()..]
                .trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | 'Z'));
            timeless += "TIME";
        } else {
            rest = &rest[character.len_utf8()..];
            timeless.push(character);
        }
    }
    timeless
}

/// What the console says to these statements, on its outputs together.
fn converse(arguments: &[&Path], options: &[&str], statements: &str) -> String {
    let (mut said, both) = std::io::pipe().expect("there are descriptors");
    let mut command = Command::new(CONSOLE);
    command.args(arguments).args(options).stdin(Stdio::piped());
    command.stdout(both.try_clone().expect("there are descriptors")).stderr(both);
    let mut child = command.spawn().expect("the program runs");
    // The last descriptor for writing that is ours goes with the command.
    drop(command);
    let mut input = child.stdin.take().expect("it was asked for");
    let statements = statements.to_owned();
    let typing = std::thread::spawn(move || input.write_all(statements.as_bytes()).expect("it reads all"));
    let mut transcript = String::new();
    std::io::Read::read_to_string(&mut said, &mut transcript).expect("it is text");
    typing.join().expect("it was typed");
    child.wait().expect("it ends");
    let line = |line: &str| if line.starts_with("> ") { line.to_owned() } else { timeless(line) };
    transcript.lines().map(|text| line(text) + "\n").collect()
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console/golden").join(name)
}

#[track_caller]
fn compare(name: &str, found: &str, expected: &str) {
    let differs =
        found.lines().zip(expected.lines()).enumerate().find(|(_, (found, expected))| found != expected);
    if let Some((nth, (found, expected))) = differs {
        panic!("line {} of {name} is\n{found}\nand should be\n{expected}", nth + 1);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{name} has other lines at its end: {found}");
}

/// A transcript for people, of a new database: in a file, and then at a server.
#[track_caller]
fn check(name: &str) {
    let path = golden(name);
    let expected = fs::read_to_string(&path).expect("the transcript is there");
    let typed = statements(&expected);
    let options = ["--keep-going", "--echo", "--width", "100", "--page-size", "5"];

    let (_directory, file) = scratch_file();
    let found = converse(&[&file, "--create".as_ref()], &options, &typed);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &found).expect("the transcript can be written");
        return;
    }
    compare(name, &found, &expected);

    let (directory, file) = scratch_file();
    let socket = directory.path().join("socket");
    let db = DynaMite::create(&file).expect("the file is created");
    let server = Server::share(&db, &socket).expect("the server starts");
    let found = converse(&["--socket".as_ref(), &socket], &options, &typed);
    server.stop().expect("the server ends");
    compare(name, &found, &expected);
}

#[test]
fn tables_and_items() {
    check("items.txt");
}

#[test]
fn tables_are_made_changed_and_described() {
    check("tables.txt");
}

#[test]
fn queries_scans_and_pages() {
    check("reads.txt");
}

#[test]
fn statements_of_partiql() {
    check("partiql.txt");
}

#[test]
fn transactions_and_the_past() {
    check("transactions.txt");
}

#[test]
fn mistakes_are_shown_where_they_are() {
    check("mistakes.txt");
}

#[test]
fn help() {
    check("help.txt");
}

/// Each statement has one line of JSON for an answer, and is answered alike in a file and by a server.
#[test]
fn answers_for_programs() {
    let path = golden("json.txt");
    let expected = fs::read_to_string(&path).expect("the transcript is there");
    let typed = statements(&expected);
    let options = ["--keep-going", "--json", "--page-size", "2"];

    let interleaved = |answers: &str| -> String {
        assert_eq!(answers.lines().count(), typed.lines().count(), "{answers}");
        let both = typed.lines().zip(answers.lines());
        both.map(|(statement, answer)| format!("> {statement}\n{answer}\n")).collect()
    };
    let (_directory, file) = scratch_file();
    let found = interleaved(&converse(&[&file, "--create".as_ref()], &options, &typed));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &found).expect("the transcript can be written");
        return;
    }
    compare("json.txt", &found, &expected);

    let (directory, file) = scratch_file();
    let socket = directory.path().join("socket");
    let db = DynaMite::create(&file).expect("the file is created");
    let server = Server::share(&db, &socket).expect("the server starts");
    let found = interleaved(&converse(&["--socket".as_ref(), &socket], &options, &typed));
    server.stop().expect("the server ends");
    compare("json.txt", &found, &expected);
}
