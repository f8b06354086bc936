//! Backups over a socket: of single tables, and of the whole database, watched and called off.

mod common;

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dynamite_core::api::{
    BackupProgress, DynaMite, GlobalIndex, IndexState, LocalIndex, ManualClock, TableBackup,
};
use dynamite_core::error::Error;
use dynamite_core::types::KeyType;
use dynamite_core::{AttributeValue, Result};
use dynamite_server::error::Refusal;
use dynamite_server::{ClientError, DynaMiteClient};
use serde_json::json;

use common::{Served, Shared, run};

#[track_caller]
fn check<T: std::fmt::Debug>(here: Result<T>, there: Result<T, ClientError>) {
    let here = here.expect_err("an error is what this is about");
    match there {
        Err(ClientError::Database(there)) => assert_eq!(format!("{there:?}"), format!("{here:?}")),
        other => panic!("{other:?}, where {here:?} is expected"),
    }
}

fn create(db: &DynaMite) {
    let things =
        db.create_table("things").partition_key("id", KeyType::String).sort_key("n", KeyType::Number);
    let metadata = [
        ("owner".to_owned(), "alice".into()),
        ("tags".to_owned(), vec!["a".into(), AttributeValue::from(1)].into()),
    ];
    things
        .global_index(GlobalIndex::new("by_kind").partition_key("kind", KeyType::String))
        .global_index(GlobalIndex::new("by_size").partition_key("size", KeyType::Number))
        .local_index(LocalIndex::new("by_size_within").sort_key("size", KeyType::Number))
        .metadata(metadata.into())
        .history(Duration::from_secs(3600))
        .execute()
        .unwrap();
    for n in 0..50 {
        db.put_item("things", json!({"id": "a", "n": n, "kind": "k", "size": n % 3})).unwrap();
    }
}

#[test]
fn tables_are_backed_up_listed_and_restored_as_embedded() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let db = DynaMite::builder().clock(clock.clone()).in_memory().unwrap();
    create(&db);
    let shared = Shared::of(db);
    run(async {
        let db = shared.client().await;
        let first = db.create_table_backup("things", "first").await.unwrap();
        assert_eq!((&first.name[..], first.table.item_count), ("first", 50));
        assert_eq!(
            first.table,
            shared.db.describe_table("things").unwrap(),
            "with what a front end keeps there"
        );
        let version = db.put_item("things", json!({"id": "b", "n": 1})).await.unwrap();
        clock.advance(1);
        let second = db.create_table_backup("things", "second").await.unwrap();
        let list: Vec<TableBackup> = db.list_table_backups().await.unwrap();
        assert_eq!(list, [first.clone(), second.clone()]);
        assert_eq!(list, shared.db.list_table_backups().unwrap());
        assert_eq!(db.describe_table_backup(&second.id).await.unwrap(), second);

        db.restore_table("old")
            .from_backup(&first.id)
            .global_indexes(["by_kind"])
            .local_indexes([""; 0])
            .await
            .unwrap();
        let old = db.describe_table("old").await.unwrap();
        assert_eq!(old.item_count, 50);
        assert_eq!(old.indexes.iter().map(|index| &index.name[..]).collect::<Vec<_>>(), ["by_kind"]);
        assert_eq!(old.metadata, first.table.metadata);
        db.wait_for_index("old", "by_kind").await.unwrap();
        assert_eq!(db.query("old").index("by_kind").partition_key("k").count().await.unwrap(), 50);

        let metadata = [("owner".to_owned(), "bob".into())];
        db.restore_table("new").from_table("things").metadata(metadata.clone().into()).await.unwrap();
        let new = db.describe_table("new").await.unwrap();
        assert_eq!((new.item_count, new.metadata, new.indexes.len()), (51, metadata.into(), 3));
        assert!(new.indexes.iter().all(|index| index.state != IndexState::Active || index.item_count > 0));

        assert_eq!(db.delete_table_backup(&first.id).await.unwrap(), first);
        assert_eq!(db.list_table_backups().await.unwrap(), [second]);
        assert!(version > 0);
    });
}

#[test]
fn a_table_is_restored_as_it_was_at_a_time() {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let db = DynaMite::builder().clock(clock.clone()).in_memory().unwrap();
    create(&db);
    clock.advance(60_000);
    db.put_item("things", json!({"id": "late", "n": 1})).unwrap();
    clock.advance(60_000);
    // What commits by then is what is known of the time between.
    db.put_item("things", json!({"id": "later", "n": 1})).unwrap();
    let shared = Shared::of(db);
    run(async {
        let db = shared.client().await;
        let then = UNIX_EPOCH + Duration::from_millis(1_700_000_030_000);
        db.restore_table("then").from_past("things", then).await.unwrap();
        assert_eq!(db.describe_table("then").await.unwrap().item_count, 50);
        assert!(db.get_item("then", "late", Some(json!(1))).await.unwrap().is_none());
        let never = UNIX_EPOCH + Duration::from_secs(1);
        let embedded = shared.db.restore_table("never").from_past("things", never).execute();
        check(embedded, db.restore_table("never").from_past("things", never).await);
    });
}

#[test]
fn errors_of_table_backups_are_the_embedded_ones() {
    let shared = Shared::new();
    create(&shared.db);
    shared.db.create_table("plain").partition_key("id", KeyType::String).execute().unwrap();
    run(async {
        let (here, there) = (&shared.db, &shared.client().await);
        let id = &here.create_table_backup("things", "b").unwrap().id;
        check(here.create_table_backup("nowhere", "b"), there.create_table_backup("nowhere", "b").await);
        check(here.describe_table_backup("none"), there.describe_table_backup("none").await);
        check(here.delete_table_backup("none"), there.delete_table_backup("none").await);
        check(here.restore_table("new").execute(), there.restore_table("new").await);
        check(
            here.restore_table("x").from_backup(id).execute(),
            there.restore_table("x").from_backup(id).await,
        );
        let taken = || there.restore_table("plain");
        check(here.restore_table("plain").from_backup(id).execute(), taken().from_backup(id).await);
        check(
            here.restore_table("new").from_backup("none").execute(),
            there.restore_table("new").from_backup("none").await,
        );
        check(
            here.restore_table("new").from_table("none").execute(),
            there.restore_table("new").from_table("none").await,
        );
        let now = SystemTime::now();
        check(
            here.restore_table("new").from_past("plain", now).execute(),
            there.restore_table("new").from_past("plain", now).await,
        );
        let none = || here.restore_table("new").from_backup(id);
        let none_there = || there.restore_table("new").from_backup(id);
        check(none().global_indexes(["none"]).execute(), none_there().global_indexes(["none"]).await);
        check(none().local_indexes(["by_kind"]).execute(), none_there().local_indexes(["by_kind"]).await);
    });
}

/// A database of some megabytes, so that a backup takes its time.
async fn fill(db: &DynaMiteClient, items: u32) {
    db.create_table("things").partition_key("id", KeyType::Number).await.unwrap();
    for first in (0..items).step_by(20) {
        let put = |batch: dynamite_server::client::BatchWrite, id| {
            batch.put("things", json!({"id": id, "pad": "x".repeat(100_000)}))
        };
        (first..first + 20).fold(db.batch_write(), put).await.unwrap();
    }
}

fn check_copy(path: &Path, items: u64) {
    let copy = DynaMite::open(path).unwrap();
    assert_eq!(copy.scan("things").count().unwrap(), items);
}

fn names(directory: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = std::fs::read_dir(directory).unwrap().map(name).collect();
    names.sort();
    names
}

#[test]
fn a_backup_tells_how_far_it_is_and_is_a_database() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        fill(&db, 200).await;
        let directory = common::directory();
        let told = Arc::new(Mutex::new(Vec::<BackupProgress>::new()));
        let telling = |path: &str| {
            let told = told.clone();
            told.lock().unwrap().clear();
            db.backup(directory.path().join(path)).progress(move |progress| {
                told.lock().unwrap().push(progress);
                ControlFlow::Continue(())
            })
        };
        let done = telling("pages").await.unwrap();
        assert_eq!(done.items, 200);
        {
            let told = told.lock().unwrap();
            assert!(!told.is_empty() && told.is_sorted_by_key(|progress| progress.bytes), "{told:?}");
            assert!(
                told.iter().all(|progress| progress.of_bytes > 20_000_000 && progress.bytes <= done.bytes)
            );
        }
        check_copy(&directory.path().join("pages"), 200);
        // Nobody has to ask how far it is.
        let unwatched = db.backup(directory.path().join("unwatched")).await.unwrap();
        assert_eq!(unwatched.items, 200);
        check_copy(&directory.path().join("unwatched"), 200);

        let snapshot = db.snapshot().await.unwrap();
        db.put_item("things", json!({"id": 999})).await.unwrap();
        let dense = snapshot.backup(directory.path().join("dense")).await.unwrap();
        assert_eq!(dense.items, 200);
        check_copy(&directory.path().join("dense"), 200);
        assert_eq!(names(directory.path()), ["dense", "pages", "unwatched"]);

        let taken = db.backup(directory.path().join("pages")).await.unwrap_err();
        let embedded = shared.db.backup(directory.path().join("pages")).execute().unwrap_err();
        assert_eq!(format!("{:?}", taken.database().unwrap()), format!("{embedded:?}"));
    });
}

/// How often a backup is called off until that has come in time, which depends on who is faster.
const TRIES: u32 = 50;

#[test]
fn a_backup_that_is_called_off_leaves_nothing_and_says_so() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        fill(&db, 400).await;
        let directory = common::directory();
        let copy = directory.path().join("copy");
        for _ in 0..TRIES {
            let asked = Arc::new(AtomicU64::new(0));
            let counting = asked.clone();
            let backup = db.backup(&copy).progress(move |_| {
                counting.fetch_add(1, Ordering::SeqCst);
                ControlFlow::Break(())
            });
            let ended = backup.await;
            assert_eq!(asked.load(Ordering::SeqCst), 1, "who has called it off is asked no more");
            match ended {
                Err(ClientError::Database(Error::Cancelled)) => {
                    return assert_eq!(names(directory.path()), [""; 0]);
                }
                // It came too late.
                Ok(done) => assert_eq!((done.items, names(directory.path())), (400, vec!["copy".to_owned()])),
                other => panic!("{other:?}"),
            }
            std::fs::remove_file(&copy).unwrap();
        }
        panic!("it never came in time");
    });
}

/// Begins to watch a backup, and gives it up as soon as it is under way.
async fn give_up(db: &DynaMiteClient, path: &Path) {
    let begun = Arc::new(AtomicBool::new(false));
    let watched = begun.clone();
    let backup = db.backup(path).progress(move |_| {
        watched.store(true, Ordering::SeqCst);
        ControlFlow::Continue(())
    });
    let mut backup = std::pin::pin!(backup.execute());
    while !begun.load(Ordering::SeqCst) {
        if tokio::time::timeout(Duration::from_millis(1), backup.as_mut()).await.is_ok() {
            return;
        }
    }
}

/// Waits until no backup is under way, and returns whether one has come into being.
async fn came_into_being(directory: &Path) -> bool {
    loop {
        let files = names(directory);
        if files.iter().any(|name| name.ends_with(".partial")) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        } else {
            return !files.is_empty();
        }
    }
}

/// Whoever watches a backup may go away at any time: with the future, or with the connection.
#[test]
fn a_backup_that_nobody_waits_for_is_called_off() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        fill(&db, 400).await;
        let directory = common::directory();
        let copy = directory.path().join("copy");
        for with_connection in [false, true] {
            let mut tries = 0;
            loop {
                let other = shared.client().await;
                give_up(&other, &copy).await;
                let kept = (!with_connection).then_some(other);
                if !came_into_being(directory.path()).await {
                    break;
                }
                drop(kept);
                std::fs::remove_file(&copy).unwrap();
                tries += 1;
                assert!(tries < TRIES, "it goes on without anybody");
            }
        }
    });
}

/// A connection may have 256 streams and snapshots open; backups that have ended are none.
#[test]
fn a_backup_that_has_ended_is_not_open_any_more() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        db.create_table("things").partition_key("id", KeyType::Number).await.unwrap();
        let directory = common::directory();
        let copy = directory.path().join("copy");
        db.backup(&copy).await.unwrap();
        // More than one connection may have under way.
        for _ in 0..10 {
            let taken = db.backup(&copy).await.unwrap_err();
            assert!(matches!(taken.database(), Some(Error::AlreadyExists { .. })), "{taken:?}");
        }
        give_up(&db, &directory.path().join("other")).await;
        let mut snapshots = Vec::new();
        for _ in 0..256 {
            snapshots.push(db.snapshot().await.unwrap());
        }
        let refused = db.backup(directory.path().join("more")).await.unwrap_err();
        assert!(matches!(refused, ClientError::Refused(Refusal::TooManyOpen { most: 256 })), "{refused:?}");
    });
}

/// A server that is told to end ends at once: the backup is called off, and its client knows it.
#[test]
fn a_server_that_ends_calls_backups_off() {
    let served = Served::start(&[]);
    run(async {
        let db = served.client().await;
        fill(&db, 400).await;
        let copies = common::directory();
        let (told, mut begun) = tokio::sync::mpsc::unbounded_channel();
        let backup = db.backup(copies.path().join("copy")).progress(move |_| {
            let _ = told.send(());
            ControlFlow::Continue(())
        });
        let backup = tokio::spawn(backup.into_future());
        begun.recv().await;
        let (status, _directory) = served.stop();
        assert!(status.success());
        match backup.await.unwrap() {
            Ok(done) => assert_eq!((done.items, names(copies.path())), (400, vec!["copy".to_owned()])),
            Err(ClientError::Database(Error::Cancelled) | ClientError::Lost { .. }) => {
                assert_eq!(names(copies.path()), [""; 0]);
            }
            other => panic!("{other:?}"),
        }
    });
}
