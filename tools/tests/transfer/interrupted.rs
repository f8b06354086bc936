//! Transfers that are ended, and go on.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dynamite_core::api::DynaMite;
use rustix::process::{Pid, Signal, kill_process};

use crate::common::{scratch_file, terminal};
use crate::support::*;

/// Enough to be in the middle of.
const COUNT: u64 = 120_000;

/// Starts a program, and ends it by a signal when that is due, or lets it come to its end.
fn interrupt(program: &str, arguments: &[&str], signal: Signal, is_due: impl Fn(u32) -> bool) -> Option<i32> {
    let mut child: Child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program runs");
    loop {
        if let Some(status) = child.try_wait().expect("it is ours") {
            return status.code();
        }
        if is_due(child.id()) {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("it is a process");
            // It may have come to its end meanwhile.
            let _ = kill_process(pid, signal);
            return child.wait().expect("it ends").code();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether a process has read so many bytes.
fn has_read(process: u32, bytes: u64) -> bool {
    let counters = fs::read_to_string(format!("/proc/{process}/io")).unwrap_or_default();
    let read = counters.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse::<u64>().ok());
    read.is_some_and(|read| read > bytes)
}

#[test]
fn an_import_goes_on_where_it_was_ended() {
    let mut interrupted = 0;
    // In order, and in runs that are read, or merged; and out of order within the memory, when nothing has been put.
    for (signal, in_order, memory, runs) in [
        (Signal::KILL, true, "32", 0),
        (Signal::KILL, false, "32", 2),
        (Signal::INT, false, "32", 4),
        (Signal::KILL, false, "32", usize::MAX),
        (Signal::INT, false, "256", 0),
    ] {
        let (directory, path) = scratch_file();
        let input = directory.path().join("in.jsonl");
        fs::write(&input, lines(COUNT, in_order)).expect("there is room");
        let remembered = directory.path().join("in.jsonl.import");
        let arguments =
            ["--db", text(&path), "-t", "users", "--create", "(id S)", "--memory", memory, text(&input)];
        let often = [&arguments[..], &["--threads", "1", "--checkpoint", "0"]].concat();
        let run_file = |nth: usize| directory.path().join(format!("in.jsonl.import.run-{nth}"));
        let code = interrupt(IMPORT, &often, signal, |process| match (memory, runs) {
            ("256", _) => has_read(process, 10 << 20),
            (_, 0) => remembered.exists(),
            // Some items were put from the runs.
            (_, usize::MAX) => {
                fs::read_to_string(&remembered).is_ok_and(|text| text.contains("\"merged\":\""))
            }
            (_, count) => run_file(count - 1).exists() && remembered.exists(),
        });
        interrupted += usize::from(remembered.exists());
        if remembered.exists() {
            assert_eq!(code, if signal == Signal::INT { Some(130) } else { None });
            let again = run(IMPORT, &arguments);
            assert_eq!(again.code, Some(2), "{again:?}");
            assert!(again.err.contains("--resume goes on, --restart begins anew"), "{again:?}");
            let other = run(
                IMPORT,
                &["--db", text(&path), "-t", "others", "--create", "(id S)", "--resume", text(&input)],
            );
            assert!(other.code == Some(2) && other.err.contains("into another table"), "{other:?}");
        }
        let report = run_json(IMPORT, &[&arguments[..], &["--resume", "--verify"]].concat());
        assert_eq!(
            (&report["items"], &report["verified"]["equal"]),
            (&COUNT.into(), &true.into()),
            "{report}"
        );
        assert!(!remembered.exists() && !run_file(0).exists());
    }
    assert!(interrupted > 0, "each import had come to its end before it was ended");
}

#[test]
fn an_export_goes_on_where_it_was_ended() {
    let (directory, path) = scratch_file();
    let input = directory.path().join("in.jsonl");
    fs::write(&input, lines(COUNT, true)).expect("there is room");
    let imported =
        run_json(IMPORT, &["--db", text(&path), "-t", "users", "--create", "(id S)", text(&input)]);
    let mut interrupted = 0;
    for (name, options) in [
        ("out.jsonl", &[][..]),
        ("out.csv.gz", &[]),
        ("bucket", &["--format", "dynamodb", "--file-items", "20000"]),
    ] {
        let output = directory.path().join(name);
        let remembered = directory.path().join(format!("{name}.export"));
        let arguments = [&["--db", text(&path), "-t", "users", text(&output)], options].concat();
        let often = [&arguments[..], &["--threads", "1", "--checkpoint", "0"]].concat();
        let code = interrupt(EXPORT, &often, Signal::KILL, |_| remembered.exists());
        interrupted += usize::from(remembered.exists());
        if remembered.exists() {
            assert_eq!(code, None);
            assert!(!output.is_file(), "what is not complete has no name");
            let again = run(EXPORT, &arguments);
            assert_eq!(again.code, Some(2), "{again:?}");
            assert!(again.err.contains("--resume goes on, --restart begins anew"), "{again:?}");
            let report = run_json(EXPORT, &[&arguments[..], &["--resume"]].concat());
            assert_eq!(report["checksum"], imported["checksum"], "{report}");
        }
        let (_other, copy) = scratch_file();
        let back = run_json(
            IMPORT,
            &["--db", text(&copy), "-t", "users", "--create", "(id S)", "--verify", text(&output)],
        );
        assert_eq!(
            (&back["checksum"], &back["verified"]["equal"]),
            (&imported["checksum"], &true.into()),
            "{name}"
        );
        assert!(!remembered.exists());
    }
    assert!(interrupted > 0, "each export had come to its end before it was ended");
}

/// The headings are written already. What does not fit them may neither be left out nor become something else.
#[test]
fn an_export_to_csv_does_not_go_on_with_items_that_its_columns_do_not_fit() {
    let (directory, path) = scratch_file();
    let (input, output) = (directory.path().join("in.jsonl"), directory.path().join("out.csv"));
    fs::write(&input, lines(COUNT, true)).expect("there is room");
    run_json(IMPORT, &["--db", text(&path), "-t", "users", "--create", "(id S)", text(&input)]);
    let arguments = ["--db", text(&path), "-t", "users", text(&output)];
    let often = [&arguments[..], &["--threads", "1", "--checkpoint", "0"]].concat();
    let remembered = directory.path().join("out.csv.export");
    interrupt(EXPORT, &often, Signal::KILL, |_| remembered.exists());
    assert!(remembered.exists(), "it has come to its end before it was ended");
    let last = format!("user {:08}", COUNT - 1);
    for (change, reason) in [("SET more = :v", "attribute \"more\""), ("SET n = :v", "column \"n:N\"")] {
        let db = DynaMite::open(&path).expect("nobody else has it");
        let update = db.update_item("users").partition_key(&*last).update(change);
        update.value(":v", "text").execute().expect("there is room");
        if change.contains(" n ") {
            db.update_item("users")
                .partition_key(&*last)
                .update("REMOVE more")
                .execute()
                .expect("there is room");
        }
        db.close().expect("the file is sealed");
        let resumed = run(EXPORT, &[&arguments[..], &["--resume"]].concat());
        assert_eq!(resumed.code, Some(2), "{resumed:?}");
        assert!(resumed.err.contains(reason) && resumed.err.contains("--restart begins anew"), "{resumed:?}");
        assert!(!output.exists(), "what is not complete has no name");
    }
    let exported = run_json(EXPORT, &[&arguments[..], &["--restart"]].concat());
    let (_other, copy) = scratch_file();
    let back = run_json(IMPORT, &["--db", text(&copy), "-t", "users", "--create", "(id S)", text(&output)]);
    assert_eq!(back["checksum"], exported["checksum"]);
}

#[test]
fn progress_is_shown_on_a_terminal_only() {
    let (directory, path) = scratch_file();
    let input = directory.path().join("in.jsonl");
    fs::write(&input, lines(20_000, true)).expect("there is room");
    for (nth, (option, shown)) in
        [(None, true), (Some("--quiet"), false), (Some("--json"), false)].into_iter().enumerate()
    {
        let output = directory.path().join(format!("out-{nth}.jsonl"));
        for (program, file, what) in [(IMPORT, &input, "left"), (EXPORT, &output, "items")] {
            let (mut here, there) = terminal();
            let mut command = Command::new(program);
            command
                .args(["--db", text(&path), "-t", "users", text(file)])
                .args(option)
                .env("TERM", "xterm")
                .stderr(there);
            if program == IMPORT {
                command.args(["--create", "(id S)"]);
            }
            let result = command.output().expect("the program runs");
            // The last descriptor of the other side goes with the command.
            drop(command);
            assert_eq!(result.status.code(), Some(0), "{result:?}");
            let mut seen = Vec::new();
            // A terminal whose other side is closed ends with an error, after all that was written to it.
            let _ = std::io::Read::read_to_end(&mut here, &mut seen);
            let seen = String::from_utf8_lossy(&seen);
            assert_eq!(seen.contains(what), shown, "{option:?}: {seen:?}");
        }
    }
}
