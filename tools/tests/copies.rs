//! `dynamite-backup`, `dynamite-restore` and `dynamite-compact` as their users see them, and what all programs print about themselves.

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use common::*;
use dynamite_core::Error;
use dynamite_core::api::DynaMite;
use dynamite_pager::{Access, PageId};
use dynamite_server::Server;
use dynamite_txn::{ManualClock, Range};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The keys and items of a tree.
type Items = Vec<(Vec<u8>, Vec<u8>)>;

/// All trees, by their names.
fn contents(path: &Path) -> Vec<(Vec<u8>, Items)> {
    let store = options().open_read_only(path).expect("it is a database");
    let tables = store.read().and_then(|mut read| read.tables()).expect("it can be read");
    let items = |id| {
        let mut items = Vec::new();
        let mut read = store.read().expect("it can be read");
        read.scan(id, &Range::all().borrow(), Access::Point, |row| {
            items.push((row.key.to_vec(), row.payload.to_vec()));
            std::ops::ControlFlow::Continue(())
        })
        .expect("it can be read");
        items
    };
    tables.into_iter().map(|(name, info)| (name, items(info.id))).collect()
}

#[test]
fn a_backup_is_restored_as_it_was() {
    let (directory, path) = documents();
    let before = fs::read(&path).expect("the file is there");
    let backup = run_beside(BACKUP, &path, &["db", "copy", "--verify"]);
    assert_eq!((backup.code, &backup.err[..]), (0, ""), "{}", backup.out);
    assert!(backup.out.starts_with("backed up db to copy: 702 items, "), "{}", backup.out);
    assert!(fs::read(&path).expect("the file is there") == before, "the file has changed");
    let restored = run_beside(RESTORE, &path, &["copy", "again", "--json"]);
    assert_eq!((restored.code, &restored.err[..]), (0, ""), "{}", restored.out);
    let told: Value = serde_json::from_str(&restored.out).expect("it is JSON");
    assert_eq!((&told["to"], &told["items"]), (&"again".into(), &702.into()));
    let dense = run_beside(BACKUP, &path, &["db", "dense", "--dense"]);
    assert_eq!((dense.code, &dense.err[..]), (0, ""), "{}", dense.out);
    for file in ["copy", "again", "dense"] {
        let file = directory.path().join(file);
        assert!(contents(&file) == contents(&path), "{}", file.display());
        assert_eq!(fsck(&[&file]).code, 0);
    }
}

#[test]
fn a_server_backs_up_the_database_that_it_shares() {
    let (directory, path) = documents();
    let before = contents(&path);
    let socket = directory.path().join("socket");
    let db = DynaMite::builder().background(false).open(&path).expect("it is a database");
    let server = Server::share(&db, &socket).expect("the server starts");
    let arguments = ["--socket", "socket", "copy", "--verify"];
    let backup = run_beside(BACKUP, &path, &arguments);
    assert_eq!((backup.code, &backup.err[..]), (0, ""), "{}", backup.out);
    assert!(backup.out.starts_with("backed up socket to copy: 702 items, "), "{}", backup.out);
    let dense = run_beside(BACKUP, &path, &["--socket", "socket", "dense", "--dense", "--json"]);
    assert_eq!((dense.code, &dense.err[..]), (0, ""), "{}", dense.out);
    let told: Value = serde_json::from_str(&dense.out).expect("it is JSON");
    assert_eq!((&told["from"], &told["items"]), (&"socket".into(), &702.into()));

    let taken = run_beside(BACKUP, &path, &arguments);
    assert_eq!((taken.code, &taken.out[..]), (3, ""));
    assert!(taken.err.contains("copy already exists"), "{}", taken.err);
    for wrong in [&["--socket", "socket", "db", "more"][..], &["more"], &["--socket", "nowhere", "more"]] {
        let report = run_beside(BACKUP, &path, wrong);
        assert_eq!((report.code, &report.out[..]), (3, ""), "{wrong:?}");
        assert!(!report.err.is_empty() && !directory.path().join("more").exists(), "{wrong:?}");
    }
    server.stop().expect("the server ends");
    db.close().expect("the file is sealed");
    let len = |file: &str| fs::metadata(directory.path().join(file)).expect("it is there").len();
    assert!(len("dense") < len("copy"), "{} {}", len("dense"), len("copy"));
    for file in ["copy", "dense"] {
        let file = directory.path().join(file);
        assert!(contents(&file) == before, "{}", file.display());
    }
}

#[test]
fn nothing_is_replaced_that_was_not_to_be() {
    let (directory, path) = documents();
    let other = directory.path().join("other");
    options().create(&other, DATABASE_ID).expect("it is created").close().expect("it is sealed");
    for program in [BACKUP, RESTORE] {
        let report = run_beside(program, &path, &["db", "other"]);
        assert_eq!((report.code, &report.out[..]), (3, ""));
        assert!(report.err.contains("other already exists"), "{}", report.err);
    }
    assert!(contents(&other).is_empty());

    let open = options().open(&other).expect("nobody else has it");
    let report = run_beside(RESTORE, &path, &["db", "other", "--replace"]);
    assert_eq!(report.code, 3);
    assert!(report.err.contains("other is locked"), "{}", report.err);
    drop(open);
    let report = run_beside(RESTORE, &path, &["db", "other", "--replace"]);
    assert_eq!((report.code, &report.err[..]), (0, ""), "{}", report.out);
    assert!(contents(&other) == contents(&path));
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 2, "something is left behind");
}

/// A server that is started meanwhile would write to a file that is about to lose its name.
#[test]
fn nobody_writes_to_a_database_while_another_one_comes_in_its_place() {
    let (directory, path) = documents();
    let target = directory.path().join("target");
    let beside = directory.path().join("target.restored");
    // A copy that ends before it is stopped shows nothing.
    let stopped = (0..100).find_map(|_| {
        fs::copy(&path, &target).expect("the device has room");
        let mut restore = Command::new(RESTORE)
            .current_dir(directory.path())
            .args(["db", "target", "--replace", "--quiet"])
            .spawn()
            .expect("the program runs");
        while !beside.exists() && restore.try_wait().expect("it is ours").is_none() {}
        kill_process(Pid::from_child(&restore), Signal::STOP).expect("it has not been waited for");
        // It runs on for a moment: what counts is what is there when it stands still, or has ended.
        let stat = format!("/proc/{}/stat", restore.id());
        let is_still = |stat: String| stat.contains(") T ") || stat.contains(") Z ");
        while !fs::read_to_string(&stat).is_ok_and(is_still) {}
        let is_there = beside.exists();
        if !is_there {
            kill_process(Pid::from_child(&restore), Signal::CONT).expect("it has not been waited for");
            assert!(restore.wait().expect("it ends").success());
        }
        is_there.then_some(restore)
    });
    let mut restore = stopped.expect("some copy takes a moment");
    let opened = DynaMite::builder().background(false).open(&target).map(drop);
    kill_process(Pid::from_child(&restore), Signal::CONT).expect("it has not been waited for");
    assert!(restore.wait().expect("it ends").success());
    assert!(matches!(opened, Err(Error::Locked { .. })), "{opened:?}");
    assert!(contents(&target) == contents(&path));
    DynaMite::open(&target).expect("nobody has it any more").close().expect("the file is sealed");
}

#[test]
fn what_a_link_names_is_replaced_and_not_the_link() {
    let (directory, path) = documents();
    let elsewhere = directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).expect("the device has room");
    let target = elsewhere.join("target");
    options().create(&target, DATABASE_ID).expect("it is created").close().expect("it is sealed");
    let link = directory.path().join("link");
    symlink("elsewhere/target", &link).expect("the device has room");
    let report = run_beside(RESTORE, &path, &["db", "link", "--replace"]);
    assert_eq!((report.code, &report.err[..]), (0, ""), "{}", report.out);
    assert!(link.is_symlink() && contents(&target) == contents(&path));
    assert_eq!(fs::read_dir(&elsewhere).expect("it is there").count(), 1, "something is left behind");
}

#[test]
fn what_is_no_database_is_replaced_too() {
    let (directory, path) = documents();
    let target = directory.path().join("target");
    for junk in [&b""[..], &[7; 3 * 4096 + 5]] {
        fs::write(&target, junk).expect("the device has room");
        let report = run_beside(RESTORE, &path, &["db", "target", "--replace"]);
        assert_eq!((report.code, &report.err[..]), (0, ""), "{}", report.out);
        assert!(contents(&target) == contents(&path));
    }
}

#[test]
fn a_damaged_file_is_not_backed_up_and_a_damaged_backup_replaces_nothing() {
    let (directory, path) = documents();
    let (_other, good) = copy_of(&path);
    flip(&path, PageId(8), 3000);
    let report = run_beside(BACKUP, &path, &["db", "copy"]);
    assert_eq!(report.code, 2, "{report:?}");
    assert!(report.err.contains("page 8 of db is corrupt"), "{}", report.err);
    assert!(!directory.path().join("copy").exists());
    let target = directory.path().join("target");
    fs::copy(&good, &target).expect("the device has room");
    let report = run_beside(RESTORE, &path, &["db", "target", "--replace"]);
    assert_eq!(report.code, 2, "{report:?}");
    assert!(contents(&target) == contents(&good), "the database that was to be replaced has changed");
    assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 2, "something is left behind");
}

#[test]
fn a_file_that_is_mostly_free_becomes_short_in_place_and_as_a_copy() {
    let (directory, path) = documents();
    let clock = Arc::new(ManualClock::at(1_700_000_020_000));
    let db = DynaMite::builder().background(false).clock(clock).open(&path).expect("it is a database");
    let id = |number: u32| format!("more {:08x}", number.wrapping_mul(0x9e37_79b9));
    for numbers in (0..4_000).collect::<Vec<u32>>().chunks(500) {
        db.transact(|txn| {
            for number in numbers {
                let item = serde_json::json!({"id": id(*number), "age": 1, "about": "z".repeat(700)});
                txn.put_item("users", item)?;
            }
            Ok(())
        })
        .expect("the device has room");
    }
    for numbers in (0..3_800).collect::<Vec<u32>>().chunks(500) {
        db.transact(|txn| {
            for number in numbers {
                txn.delete_item("users").partition_key(id(*number)).execute()?;
            }
            Ok(())
        })
        .expect("the device has room");
    }
    db.close().expect("the file is sealed");
    let before = contents(&path);
    let long = fs::metadata(&path).expect("it is there").len();

    let copied = run_beside(COMPACT, &path, &["db", "--to", "copy", "--json"]);
    assert_eq!((copied.code, &copied.err[..]), (0, ""), "{}", copied.out);
    let copy = directory.path().join("copy");
    assert!(contents(&copy) == before);
    assert!(fs::metadata(&copy).expect("it is there").len() < long / 4, "{}", copied.out);

    let compacted = run_beside(COMPACT, &path, &["db"]);
    assert_eq!((compacted.code, &compacted.err[..]), (0, ""), "{}", compacted.out);
    assert!(contents(&path) == before);
    assert!(fs::metadata(&path).expect("it is there").len() < long / 2, "{}", compacted.out);
    assert_eq!(fsck(&[&path]).code, 0);
    assert_eq!(fsck(&[&copy]).code, 0);
}

/// Each program says what it is, and prints what is installed beside it.
#[test]
fn each_program_explains_itself() {
    for (program, says) in [
        (FSCK, "--salvage"),
        (DUMP, "versions"),
        (BACKUP, "--verify"),
        (RESTORE, "--replace"),
        (COMPACT, "--to"),
    ] {
        let name = Path::new(program).file_name().and_then(|name| name.to_str()).expect("it has a name");
        let help = run(program, &["--help"]);
        assert_eq!((help.code, &help.err[..]), (0, ""));
        assert!(help.out.contains(says) && help.out.contains("Exit codes"), "{name}: {}", help.out);
        let version = run(program, &["--version"]);
        assert!(version.out.starts_with(name), "{}", version.out);
        let man = run(program, &["--generate", "man"]);
        assert_eq!((man.code, &man.err[..]), (0, ""));
        assert!(man.out.contains(&format!(".TH {name} 1")) && man.out.contains(".SH"), "{name}: {}", man.out);
        for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
            let completions = run(program, &["--generate", shell]);
            assert_eq!((completions.code, &completions.err[..]), (0, ""), "{name} {shell}");
            assert!(completions.out.contains(name), "{name} {shell}");
        }
        let wrong = run(program, &["--generate", "nothing"]);
        assert_eq!(wrong.code, 3);
        assert!(wrong.err.contains("--generate takes man"), "{}", wrong.err);
        let nothing = run(program, &["no such file", "nor this"]);
        assert_eq!((nothing.code, &nothing.out[..]), (3, ""), "{name}");
    }
    let page = run(DUMP, &["--generate", "man", "page"]);
    assert!(
        page.out.contains("dynamite-dump-page") || page.out.contains("dynamite\\-dump\\-page"),
        "{}",
        page.out
    );
}
