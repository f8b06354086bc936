//! Backups, as users make them: of a database that is in use, of a snapshot, of one in memory, of one that is read only.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use dynamite_core::Error;
use dynamite_core::api::{BackupProgress, DynaMite};
use dynamite_core::types::KeyType;
use serde_json::{Value, json};
use tempfile::TempDir;

fn scratch() -> (TempDir, PathBuf) {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = directory.path().join("backup.db");
    (directory, path)
}

fn put(db: &DynaMite, number: u32, text: &str) {
    db.put_item("notes", json!({"topic": "backups", "number": number, "text": text})).unwrap();
}

fn filled(db: &DynaMite) {
    db.create_table("notes")
        .partition_key("topic", KeyType::String)
        .sort_key("number", KeyType::Number)
        .execute()
        .unwrap();
    db.create_table("empty").partition_key("id", KeyType::Binary).execute().unwrap();
    for number in 0..300 {
        put(db, number, &"words ".repeat(1 + number as usize % 40));
    }
    put(db, 300, &"a long note ".repeat(20_000));
}

fn notes(db: &DynaMite) -> Vec<Value> {
    db.scan("notes").iter().unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_backup_is_the_database_at_one_moment_while_writers_go_on() {
    let (directory, path) = scratch();
    let db = DynaMite::create(directory.path().join("notes.db")).unwrap();
    filled(&db);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Each write moves every note on by one, so a copy of more than one moment would show.
        scope.spawn(|| {
            for round in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let text = format!("round {round}");
                let notes =
                    (0..301).map(|number| json!({"topic": "backups", "number": number, "text": text}));
                notes.fold(db.batch_write(), |batch, note| batch.put("notes", note)).execute().unwrap();
            }
        });
        while notes(&db)[0]["text"] != notes(&db)[300]["text"] || notes(&db)[0]["text"] == "words " {
            thread::yield_now();
        }
        for copy in 0..5 {
            let path = path.with_extension(copy.to_string());
            assert_eq!(db.backup(&path).execute().unwrap().items, 301);
            let notes = notes(&DynaMite::open(&path).unwrap());
            assert_eq!(notes.len(), 301);
            assert!(notes.iter().all(|note| note["text"] == notes[0]["text"]), "copy {copy}");
        }
        done.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_version_from_the_original_can_be_expected_of_the_copy() {
    let (_directory, path) = scratch();
    let db = DynaMite::in_memory().unwrap();
    filled(&db);
    let versioned = |db: &DynaMite| {
        db.get_item_versioned("notes").partition_key("backups").sort_key(7).execute().unwrap().unwrap()
    };
    let held = versioned(&db).version;
    db.backup(&path).execute().unwrap();
    let copy = DynaMite::open(&path).unwrap();
    assert_eq!(versioned(&copy).version, held);
    let note = json!({"topic": "backups", "number": 7, "text": "changed"});
    copy.put_item_versioned("notes", &note, Some(held)).unwrap();
    assert!(versioned(&copy).version > held);
    let again = copy.put_item_versioned("notes", &note, Some(held));
    assert!(matches!(again, Err(Error::VersionConflict { expected, .. }) if expected == held));
    // The two are databases of their own.
    assert_eq!(versioned(&db).version, held);
    assert_eq!(copy.list_tables().unwrap(), db.list_tables().unwrap());
    copy.create_table("later").partition_key("id", KeyType::String).execute().unwrap();
    assert_eq!(copy.scan("empty").execute().unwrap().items.len(), 0);
}

#[test]
fn a_snapshot_is_backed_up_as_it_was() {
    let (_directory, path) = scratch();
    let db = DynaMite::in_memory().unwrap();
    filled(&db);
    let (snapshot, then) = (db.snapshot().unwrap(), notes(&db));
    db.delete_item("notes").partition_key("backups").sort_key(3).execute().unwrap();
    db.drop_table("empty").unwrap();
    snapshot.backup(&path).execute().unwrap();
    let copy = DynaMite::open(&path).unwrap();
    assert_eq!(notes(&copy), then);
    assert_eq!(copy.list_tables().unwrap(), ["empty", "notes"]);
}

#[test]
fn a_database_that_is_open_for_reading_only_is_backed_up() {
    let (directory, path) = scratch();
    let original = directory.path().join("notes.db");
    let db = DynaMite::create(&original).unwrap();
    filled(&db);
    let expected = notes(&db);
    db.close().unwrap();
    let db = DynaMite::builder().read_only(true).open(&original).unwrap();
    db.backup(&path).execute().unwrap();
    assert_eq!(notes(&DynaMite::open(&path).unwrap()), expected);
}

#[test]
fn progress_is_told_and_may_call_the_backup_off() {
    let (directory, path) = scratch();
    let db = DynaMite::in_memory().unwrap();
    filled(&db);
    let mut last = BackupProgress::default();
    let copied = db
        .backup(&path)
        .progress(|progress| {
            last = progress;
            ControlFlow::Continue(())
        })
        .execute()
        .unwrap();
    assert_eq!((last, last.items, last.of_items), (copied, 301, 301));
    assert!(last.bytes == last.of_bytes && last.bytes > 240_000);
    let other = directory.path().join("other.db");
    let cancelled = db.backup(&other).progress(|_| ControlFlow::Break(())).execute();
    assert!(matches!(cancelled, Err(Error::Cancelled)));
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(names, [path]);
}

#[test]
fn a_file_that_exists_is_never_replaced() {
    let (_directory, path) = scratch();
    let db = DynaMite::in_memory().unwrap();
    fs::write(&path, "precious").unwrap();
    let refused = db.backup(&path).execute().unwrap_err();
    assert!(matches!(&refused, Error::AlreadyExists { path: named } if **named == *path));
    assert!(refused.to_string().contains("another name"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}
