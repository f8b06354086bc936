//! Idempotency tokens: a transaction that is tried again is done once, for ten minutes, whatever happens in between.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{create_things, directory};
use dynamite_core::Error;
use dynamite_core::api::{Builder, Check, Delete, DynaMite, Put, Update};
use dynamite_txn::ManualClock;
use dynamite_txn::disk::sim::DiskSim;
use serde_json::json;

const MINUTE: u64 = 60_000;

fn builder(clock: &Arc<ManualClock>) -> Builder {
    DynaMite::builder().background(false).cache_size(1 << 20).clock(clock.clone())
}

fn counter(db: &DynaMite) -> i64 {
    let item = db.get_item("things").partition_key("counter").execute().unwrap();
    item.map_or(0, |item| item["n"].as_i64().unwrap())
}

/// Adds to a counter once for each token.
fn add(db: &DynaMite, token: &str) -> Result<u64, Error> {
    let update = Update::new("things").partition_key("counter").update("ADD n :one").value(":one", 1);
    db.transact_write().update(update).token(token).execute()
}

fn in_memory() -> (DynaMite, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(1_000));
    let db = builder(&clock).in_memory().unwrap();
    create_things(&db);
    (db, clock)
}

#[test]
fn a_transaction_is_done_once_and_answers_as_it_did() {
    let (db, clock) = in_memory();
    let version = add(&db, "one").unwrap();
    db.put_item("things", json!({"id": "other"})).unwrap();
    clock.advance(10 * MINUTE - 1);
    let commits = db.stats().commits;
    assert_eq!(add(&db, "one").unwrap(), version);
    assert_eq!((counter(&db), db.stats().commits), (1, commits));
    assert!(add(&db, "two").unwrap() > version);
    assert_eq!(counter(&db), 2);
    // Without a token there is nothing to remember.
    let put = || db.transact_write().put(Put::new("things").item(json!({"id": "a"}))).execute().unwrap();
    assert!(put() < put());
}

/// What the items are meanwhile does not matter: a condition that would not hold any more is not asked again.
#[test]
fn what_was_done_is_not_asked_whether_it_could_be_done_again() {
    let (db, _) = in_memory();
    let put = || {
        let put = Put::new("things").item(json!({"id": "a"})).condition("attribute_not_exists(id)");
        db.transact_write().put(put).token("t").execute()
    };
    let version = put().unwrap();
    assert_eq!(put().unwrap(), version);
    db.delete_item("things").partition_key("a").execute().unwrap();
    assert_eq!(put().unwrap(), version);
    assert_eq!(db.scan("things").count().unwrap(), 0);
}

/// A canceled transaction leaves its token free.
#[test]
fn what_was_not_done_can_be_tried_again() {
    let (db, _) = in_memory();
    let check = || {
        let check = Check::new("things").partition_key("a").condition("attribute_exists(id)");
        let put = Put::new("things").item(json!({"id": "b"}));
        db.transact_write().check(check).put(put).token("t").execute()
    };
    assert!(matches!(check(), Err(Error::TransactionCanceled { .. })));
    db.put_item("things", json!({"id": "a"})).unwrap();
    check().unwrap();
    assert_eq!(db.scan("things").count().unwrap(), 2);
}

#[test]
fn another_transaction_with_the_same_token_is_refused() {
    let (db, clock) = in_memory();
    db.create_table("others").partition_key("id", dynamite_core::types::KeyType::String).execute().unwrap();
    let update =
        || Update::new("things").partition_key("a").update("SET #x = :v").name("#x", "x").value(":v", 1);
    let first = || db.transact_write().update(update()).delete(Delete::new("things").partition_key("b"));
    first().token("t").execute().unwrap();
    let delete = |id: &'static str| Delete::new("things").partition_key(id);
    let others = [
        first().check(Check::new("things").partition_key("c").condition("attribute_not_exists(id)")),
        db.transact_write().update(update()),
        db.transact_write().delete(delete("b")).update(update()),
        db.transact_write().update(update()).delete(delete("c")),
        db.transact_write().update(update()).delete(Delete::new("others").partition_key("b")),
        db.transact_write().update(update()).delete(delete("b").if_version(0)),
        db.transact_write().update(update()).delete(delete("b").condition("attribute_not_exists(id)")),
        db.transact_write().update(update()).delete(delete("b").return_old_on_failure(true)),
        db.transact_write().update(update()).update(Update::new("things").partition_key("b")),
        db.transact_write().update(update()).put(Put::new("things").item(json!({"id": "b"}))),
        db.transact_write().update(update().value(":v", 2)).delete(delete("b")),
        db.transact_write().update(update().value(":v", "1")).delete(delete("b")),
        db.transact_write().update(update().name("#x", "y")).delete(delete("b")),
        db.transact_write().update(update().update("SET  #x = :v")).delete(delete("b")),
        db.transact_write().update(update().condition("attribute_exists(id)")).delete(delete("b")),
    ];
    for (nth, other) in others.into_iter().enumerate() {
        let refused = other.token("t").execute().unwrap_err();
        assert!(matches!(refused, Error::IdempotentParameterMismatch), "{nth}: {refused:?}");
        assert!(refused.to_string().contains("an idempotent token that was already used"), "{refused}");
    }
    first().token("t").execute().unwrap();
    clock.advance(10 * MINUTE);
    db.transact_write().delete(delete("c")).token("t").execute().unwrap();
    assert!(matches!(first().token("t").execute(), Err(Error::IdempotentParameterMismatch)));
}

#[test]
fn a_token_has_one_to_thirty_six_characters() {
    let (db, _) = in_memory();
    for (token, text) in [
        ("", "Member must have length greater than or equal to 1"),
        (&"é".repeat(37), "Member must have length less than or equal to 36"),
    ] {
        let refused = add(&db, token).unwrap_err();
        let says = "1 validation error detected: Value at 'ClientRequestToken' failed to satisfy constraint";
        assert_eq!(refused.to_string(), format!("{says}: {text}"));
    }
    // Tokens that begin with one another, or look like something else, are different ones.
    let tokens = ["t", "tt", "x", "x\0\0\0\0\0\0\0\0", "\0", &"é".repeat(36), &"é".repeat(35)];
    for (nth, token) in tokens.iter().enumerate() {
        add(&db, token).unwrap();
        add(&db, token).unwrap();
        assert_eq!(counter(&db), nth as i64 + 1, "{token:?}");
    }
}

#[test]
fn a_token_outlives_closing_and_not_its_ten_minutes() {
    let (directory, clock) = (directory(), Arc::new(ManualClock::at(1_000)));
    let path = directory.path().join("a.db");
    let db = builder(&clock).create(&path).unwrap();
    create_things(&db);
    let version = add(&db, "one").unwrap();
    db.close().unwrap();
    let db = builder(&clock).open(&path).unwrap();
    clock.advance(MINUTE);
    assert_eq!(add(&db, "one").unwrap(), version);
    // A clock that goes back makes no token older.
    clock.set(0);
    assert_eq!(add(&db, "one").unwrap(), version);
    clock.set(1_000 + 10 * MINUTE);
    db.close().unwrap();
    let db = builder(&clock).open(&path).unwrap();
    assert!(add(&db, "one").unwrap() > version);
    assert_eq!(counter(&db), 2);
    assert!(add(&db, "one").is_ok());
    assert_eq!(counter(&db), 2);
}

/// Entries of the tree of tokens, two for each token, as far as they are durable on a disk.
fn entries(disk: &DiskSim) -> u64 {
    let options = dynamite_txn::Options::new(Arc::new(ManualClock::at(0))).background(false);
    let store = options.open_on(Arc::new(disk.after_power_loss(0)), true).unwrap();
    let mut read = store.read().unwrap();
    let tree = read.table(b"\0tokens").unwrap().expect("there were tokens");
    read.stats(tree.id).unwrap().items
}

fn on_disk(background: bool) -> (DynaMite, Arc<ManualClock>, DiskSim) {
    let (clock, disk) = (Arc::new(ManualClock::at(1_000)), DiskSim::new(3));
    let db = builder(&clock).background(background).create_on(Arc::new(disk.clone())).unwrap();
    create_things(&db);
    (db, clock, disk)
}

#[test]
fn expired_tokens_are_removed() {
    let (db, clock, disk) = on_disk(false);
    for nth in 0..600 {
        add(&db, &format!("token {nth}")).unwrap();
    }
    clock.advance(10 * MINUTE - 1);
    db.maintain().unwrap();
    assert_eq!(entries(&disk), 1_200);
    clock.advance(1);
    db.maintain().unwrap();
    assert_eq!(entries(&disk), 0);
    add(&db, "token 1").unwrap();
    assert_eq!((entries(&disk), counter(&db)), (2, 601));
}

/// Without any chore the next tokens remove those that have expired: four each, so that there are never many.
#[test]
fn tokens_remove_those_before_them() {
    let (db, clock, disk) = on_disk(false);
    for round in 0..5 {
        for nth in 0..40 {
            add(&db, &format!("{round} {nth}")).unwrap();
        }
        assert_eq!(entries(&disk), 80, "after round {round}");
        clock.advance(10 * MINUTE);
    }
}

/// What is removed of an old use of a token is not what is remembered of a new one.
#[test]
fn a_token_that_is_used_anew_is_remembered_however_many_have_expired() {
    let (db, clock, disk) = on_disk(false);
    for nth in 0..20 {
        add(&db, &nth.to_string()).unwrap();
    }
    clock.advance(10 * MINUTE);
    let version = add(&db, "19").unwrap();
    db.maintain().unwrap();
    assert_eq!(entries(&disk), 2);
    assert_eq!(add(&db, "19").unwrap(), version);
    assert_eq!(counter(&db), 21);
}

#[test]
fn the_background_removes_expired_tokens() {
    let (db, clock, disk) = on_disk(true);
    // The thread has looked, and sleeps until it hears of something.
    std::thread::sleep(Duration::from_millis(300));
    for nth in 0..300 {
        add(&db, &nth.to_string()).unwrap();
    }
    assert_eq!(entries(&disk), 600);
    clock.advance(10 * MINUTE);
    // It looks at the clock once a second at least.
    for _ in 0..600 {
        if entries(&disk) == 0 {
            return db.close().unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{} entries are left after half a minute", entries(&disk));
}

#[test]
fn the_tree_of_tokens_is_no_table_of_users() {
    let (db, _) = in_memory();
    add(&db, "one").unwrap();
    assert_eq!(db.list_tables().unwrap(), ["things"]);
    let tree = "\0tokens";
    assert!(matches!(db.describe_table(tree), Err(Error::TableNotFound { .. })));
    assert!(matches!(db.drop_table(tree), Err(Error::TableNotFound { .. })));
    assert!(matches!(db.scan(tree).count(), Err(Error::TableNotFound { .. })));
    assert!(matches!(db.put_item(tree, json!({"id": "a"})), Err(Error::TableNotFound { .. })));
    add(&db, "one").unwrap();
    assert_eq!(counter(&db), 1);
}

/// Many threads try the same transactions: each is done once.
#[test]
fn threads_that_try_the_same_transactions_do_each_once() {
    let db = DynaMite::in_memory().unwrap();
    create_things(&db);
    let versions = std::thread::scope(|scope| {
        let db = &db;
        let tries = move || (0..50).map(|nth| add(db, &nth.to_string()).unwrap()).collect::<Vec<_>>();
        let threads = [scope.spawn(tries), scope.spawn(tries), scope.spawn(tries), scope.spawn(tries)];
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(counter(&db), 50);
    assert!(versions.iter().all(|other| *other == versions[0]));
}
