//! Indexes that are added to a table in use: what readers and writers see meanwhile, and what a crash leaves behind.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use common::{directory, pick};
use dynamite_core::Error;
use dynamite_core::api::{Builder, Durability, DynaMite, GlobalIndex, IndexState, LocalIndex, Projection};
use dynamite_core::types::KeyType;
use dynamite_txn::ManualClock;
use dynamite_txn::disk::sim::DiskSim;
use serde_json::{Value, json};

/// More than two of the smallest steps.
const MANY: u64 = 2_500;

fn by_x(projection: Projection) -> GlobalIndex {
    GlobalIndex::new("by_x")
        .partition_key("x", KeyType::Number)
        .sort_key("y", KeyType::String)
        .projection(projection)
}

fn item(id: u64, x: u64) -> Value {
    json!({"id": format!("item {id:06}"), "x": x, "y": format!("y{}", id % 7), "text": "t".repeat(id as usize % 90)})
}

fn fill(db: &DynaMite, ids: std::ops::Range<u64>) {
    for chunk in ids.collect::<Vec<_>>().chunks(500) {
        let batch = chunk.iter().fold(db.batch_write(), |batch, id| batch.put("things", item(*id, id % 11)));
        batch.execute().unwrap();
    }
}

/// A table with many items, in a database whose steps are taken one by one.
fn by_hand() -> DynaMite {
    let db = DynaMite::builder().background(false).in_memory().unwrap();
    db.create_table("things").partition_key("id", KeyType::String).execute().unwrap();
    fill(&db, 0..MANY);
    db
}

fn state(db: &DynaMite) -> IndexState {
    db.describe_table("things").unwrap().indexes[0].state
}

#[track_caller]
fn check_sound(db: &DynaMite) {
    assert_eq!(db.verify_indexes(&mut |_| {}).unwrap(), []);
}

#[track_caller]
fn check_error<T: std::fmt::Debug>(result: Result<T, Error>, expected: &str) {
    assert_eq!(result.expect_err(expected).to_string(), expected);
}

#[test]
fn a_build_reads_a_cold_table_ahead() {
    let directory = directory();
    let path = directory.path().join("cold.db");
    let cold = || DynaMite::builder().background(false).cache_size(4 << 20);
    let db = cold().create(&path).unwrap();
    db.create_table("things").partition_key("id", KeyType::String).execute().unwrap();
    fill(&db, 0..10 * MANY);
    db.close().unwrap();
    let db = cold().open(&path).unwrap();
    db.update_table("things").add_index(by_x(Projection::KeysOnly)).execute().unwrap();
    db.wait_for_index("things", "by_x").unwrap();
    let stats = db.stats();
    // A thread brings in what is asked for, so how much of it was in time is not known.
    assert!(stats.prefetched > 50, "{stats:?}");
    check_sound(&db);
}

#[test]
fn an_added_index_takes_in_what_was_there() {
    for projection in [Projection::All, Projection::KeysOnly, Projection::include(["text"])] {
        let db = by_hand();
        db.update_table("things").add_index(by_x(projection.clone())).execute().unwrap();
        db.wait_for_index("things", "by_x").unwrap();
        let described = &db.describe_table("things").unwrap().indexes[0];
        assert_eq!((described.state, described.item_count), (IndexState::Active, MANY));
        assert_eq!(described.projection, projection);
        check_sound(&db);
        let found =
            db.query("things").index("by_x").partition_key(3).sort_key_eq("y3").execute().unwrap().items;
        let expected = (0..MANY).filter(|id| id % 11 == 3 && id % 7 == 3).map(|id| item(id, 3)["id"].clone());
        assert_eq!(pick(&found, "id"), expected.collect::<Vec<_>>());
        db.wait_for_index("things", "by_x").unwrap();
    }
}

#[test]
fn an_index_that_is_being_built_is_described_maintained_and_not_read() {
    let db = by_hand();
    let before = db.snapshot().unwrap();
    db.update_table("things").add_index(by_x(Projection::All)).execute().unwrap();
    assert_eq!(state(&db), IndexState::Creating { done: 0, of: MANY });
    let meanwhile = db.snapshot().unwrap();
    let text = "Cannot read from backfilling global secondary index: by_x";
    check_error(db.query("things").index("by_x").partition_key(1).execute(), text);
    check_error(db.scan("things").index("by_x").iter().map(drop), text);
    db.transact(|txn| {
        check_error(txn.scan("things").index("by_x").count(), text);
        Ok(())
    })
    .unwrap();
    db.put_item("things", item(1, 100)).unwrap();
    check_sound(&db);
    let wrong = json!({"id": "wrong", "x": "1"});
    check_error(
        db.put_item("things", wrong),
        "One or more parameter values were invalid: Type mismatch for Index Key x Expected: N Actual: S IndexName: by_x",
    );
    db.wait_for_index("things", "by_x").unwrap();
    assert_eq!(db.query("things").index("by_x").partition_key(100).count().unwrap(), 1);
    // Snapshots see the index as it was described in their time.
    check_error(
        before.scan("things").index("by_x").count(),
        "The table does not have the specified index: by_x",
    );
    check_error(meanwhile.scan("things").index("by_x").count(), text);
    assert_eq!(
        meanwhile.describe_table("things").unwrap().indexes[0].state,
        IndexState::Creating { done: 0, of: MANY }
    );
    let after = db.snapshot().unwrap();
    db.put_item("things", item(1, 101)).unwrap();
    assert_eq!(after.query("things").index("by_x").partition_key(100).count().unwrap(), 1);
    assert_eq!(db.query("things").index("by_x").partition_key(100).count().unwrap(), 0);
    check_sound(&db);
}

/// Steps of a build, and between any two of them writes of all kinds before and behind its cursor.
#[test]
fn writes_between_the_steps_of_a_build_are_neither_lost_nor_doubled() {
    let db = by_hand();
    db.update_table("things").add_index(by_x(Projection::include(["text"]))).execute().unwrap();
    let mut steps = 0;
    let mut dones = Vec::new();
    while let IndexState::Creating { done, .. } = state(&db) {
        dones.push(done);
        for part in 0..5 {
            let id = part * MANY / 5 + steps * 10;
            // Put anew as it is, put with another key, updated, deleted, deleted and put again, new.
            db.put_item("things", item(id, id % 11)).unwrap();
            db.put_item("things", item(id + 1, 1000 + steps)).unwrap();
            let update = |id| db.update_item("things").partition_key(format!("item {id:06}"));
            update(id + 2).update("SET #t = :t").name("#t", "text").value(":t", "new").execute().unwrap();
            update(id + 3).update("REMOVE x").execute().unwrap();
            let delete =
                |id: u64| db.delete_item("things").partition_key(format!("item {id:06}")).execute().unwrap();
            delete(id + 4);
            delete(id + 5);
            db.put_item("things", item(id + 5, (id + 5) % 11)).unwrap();
            db.put_item("things", json!({"id": format!("item {id:06} b"), "x": 5, "y": "new"})).unwrap();
        }
        check_sound(&db);
        step(&db);
        check_sound(&db);
        steps += 1;
    }
    assert!(steps >= 3, "{steps} steps");
    assert!(dones.is_sorted() && dones[1] >= 1024, "{dones:?}");
    check_sound(&db);
    assert_eq!(db.describe_table("things").unwrap().indexes[0].skipped_count, 0);
}

fn step(db: &DynaMite) {
    db.step_of_index_build("things", "by_x").unwrap();
}

#[test]
fn items_that_do_not_fit_an_added_index_are_left_out_and_counted() {
    let db = by_hand();
    for (nth, x) in [json!("text"), json!(null), json!([1])].into_iter().enumerate() {
        db.put_item("things", json!({"id": format!("wrong {nth}"), "x": x, "y": "y"})).unwrap();
    }
    db.put_item("things", json!({"id": "empty", "x": 1, "y": ""})).unwrap();
    db.put_item("things", json!({"id": "long", "x": 1, "y": "y".repeat(1025)})).unwrap();
    db.put_item("things", json!({"id": "without", "x": 1})).unwrap();
    db.update_table("things").add_index(by_x(Projection::All)).execute().unwrap();
    db.maintain().unwrap();
    let described = || db.describe_table("things").unwrap().indexes.remove(0);
    assert_eq!(
        (described().state, described().item_count, described().skipped_count),
        (IndexState::Active, MANY, 5)
    );
    check_sound(&db);
    // They can be mended, and deleted.
    db.put_item("things", json!({"id": "wrong 0", "x": 77, "y": "y"})).unwrap();
    assert!(db.delete_item("things").partition_key("wrong 1").execute().unwrap());
    assert_eq!(described().item_count, MANY + 1);
    check_sound(&db);
}

#[test]
fn indexes_are_dropped_at_once_and_added_again_under_the_same_name() {
    let db = by_hand();
    let add = |projection| db.update_table("things").add_index(by_x(projection)).execute();
    let drop_index = || db.update_table("things").drop_index("by_x").execute();
    add(Projection::All).unwrap();
    check_error(add(Projection::All), "Attempting to create an index which already exists");
    step(&db);
    // Dropped half-built.
    drop_index().unwrap();
    assert_eq!(db.describe_table("things").unwrap().indexes, []);
    check_error(drop_index(), "Requested resource not found: Index: by_x not found");
    check_error(db.wait_for_index("things", "by_x"), "Requested resource not found: Index: by_x not found");
    db.put_item("things", json!({"id": "free", "x": "any", "y": 1})).unwrap();
    add(Projection::KeysOnly).unwrap();
    db.put_item("things", item(1, 1)).unwrap();
    db.maintain().unwrap();
    assert_eq!(db.describe_table("things").unwrap().indexes[0].skipped_count, 1);
    let snapshot = db.snapshot().unwrap();
    let count = |x: u64| db.query("things").index("by_x").partition_key(x).count().unwrap();
    let there = count(1);
    drop_index().unwrap();
    check_error(db.scan("things").index("by_x").count(), "The table does not have the specified index: by_x");
    assert_eq!(snapshot.query("things").index("by_x").partition_key(1).count().unwrap(), there);
    add(Projection::KeysOnly).unwrap();
    db.wait_for_index("things", "by_x").unwrap();
    db.put_item("things", item(1, 2)).unwrap();
    assert_eq!(count(1), there - 1);
    assert_eq!(snapshot.query("things").index("by_x").partition_key(1).count().unwrap(), there);
    drop(snapshot);
    db.maintain().unwrap();
    check_sound(&db);
}

#[test]
fn changes_of_a_table_that_make_no_sense_are_refused() {
    let db = by_hand();
    let update = || db.update_table("things");
    let index = || by_x(Projection::All);
    let twice = "One or more parameter values were invalid: Only one global secondary index update per index is allowed \
                 simultaneously. Index: by_x";
    check_error(
        update().execute(),
        "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, GlobalSecondaryIndexUpdates or \
         SSESpecification or ReplicaUpdates is required",
    );
    check_error(update().add_index(index()).drop_index("by_x").execute(), twice);
    check_error(update().add_index(index()).add_index(index()).execute(), twice);
    check_error(
        db.update_table("nothing").add_index(index()).execute(),
        "Requested resource not found: Table: nothing not found",
    );
    check_error(
        db.wait_for_index("nothing", "by_x"),
        "Requested resource not found: Table: nothing not found",
    );
    check_error(
        update().add_index(GlobalIndex::new("by_id").partition_key("id", KeyType::Number)).execute(),
        "Attribute Name is duplicated: id",
    );
    let many = |count: usize, from: usize| {
        (from..from + count).fold(update(), |update, nth| {
            update.add_index(GlobalIndex::new(format!("index{nth}")).partition_key("z", KeyType::String))
        })
    };
    many(20, 0).execute().unwrap();
    check_error(
        many(1, 20).execute(),
        "Subscriber limit exceeded: Number of global secondary indexes exceeds per-table limit of 20",
    );
    update().drop_index("index7").add_index(index()).execute().unwrap();
    db.create_table("sorted")
        .partition_key("id", KeyType::String)
        .sort_key("at", KeyType::Number)
        .local_index(LocalIndex::new("by_x").sort_key("x", KeyType::Number))
        .execute()
        .unwrap();
    check_error(
        db.update_table("sorted").drop_index("by_x").execute(),
        "Cannot delete an index that is not a GlobalSecondaryIndex: by_x",
    );
}

#[test]
fn a_table_can_be_dropped_while_its_index_is_built() {
    let db = by_hand();
    db.update_table("things").add_index(by_x(Projection::All)).execute().unwrap();
    step(&db);
    db.drop_table("things").unwrap();
    db.maintain().unwrap();
    check_error(db.wait_for_index("things", "by_x"), "Requested resource not found: Table: things not found");
    db.create_table("things")
        .partition_key("id", KeyType::String)
        .global_index(by_x(Projection::All))
        .execute()
        .unwrap();
    fill(&db, 0..10);
    db.maintain().unwrap();
    assert_eq!(db.scan("things").index("by_x").count().unwrap(), 10);
    check_sound(&db);
}

#[test]
fn a_build_goes_on_after_the_next_open() {
    let directory = directory();
    let path = directory.path().join("a.db");
    let by_hand = DynaMite::builder().background(false);
    let db = by_hand.create(&path).unwrap();
    db.create_table("things").partition_key("id", KeyType::String).execute().unwrap();
    fill(&db, 0..MANY);
    db.update_table("things").add_index(by_x(Projection::All)).execute().unwrap();
    step(&db);
    let IndexState::Creating { done, .. } = state(&db) else { panic!("one step is not enough") };
    db.close().unwrap();
    let db = by_hand.open(&path).unwrap();
    assert_eq!(state(&db), IndexState::Creating { done, of: MANY });
    check_sound(&db);
    db.close().unwrap();
    // In the background this time.
    let db = DynaMite::open(&path).unwrap();
    while state(&db) != IndexState::Active {
        std::thread::yield_now();
    }
    assert_eq!(db.scan("things").index("by_x").count().unwrap(), MANY);
    check_sound(&db);
    db.close().unwrap();
}

#[test]
fn a_build_beside_many_writers_ends_with_an_index_that_is_exact() {
    let directory = directory();
    let builder = DynaMite::builder().durability(Durability::Eventual);
    let db = builder.create(directory.path().join("a.db")).unwrap();
    db.create_table("things").partition_key("id", KeyType::String).execute().unwrap();
    fill(&db, 0..4 * MANY);
    let (stop, written) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0_u64..3 {
            let (db, stop, written) = (&db, &stop, &written);
            scope.spawn(move || {
                let mut random = thread + 1;
                while !stop.load(Ordering::Relaxed) {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let id = (random >> 33) % (5 * MANY);
                    match (random >> 20) % 5 {
                        0 => drop(
                            db.delete_item("things")
                                .partition_key(format!("item {id:06}"))
                                .execute()
                                .unwrap(),
                        ),
                        1 => drop(db.put_item("things", item(id, id % 11)).unwrap()),
                        2 => drop(
                            db.put_item("things", json!({"id": format!("item {id:06}"), "x": 1})).unwrap(),
                        ),
                        _ => drop(db.put_item("things", item(id, random % 13)).unwrap()),
                    }
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 0..3 {
            db.update_table("things").add_index(by_x(Projection::include(["text"]))).execute().unwrap();
            if round == 1 {
                while state(&db) != IndexState::Active {
                    std::thread::yield_now();
                }
            }
            db.wait_for_index("things", "by_x").unwrap();
            check_sound(&db);
            if round < 2 {
                db.update_table("things").drop_index("by_x").execute().unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(written.load(Ordering::Relaxed) > 0);
    check_sound(&db);
    db.close().unwrap();
}

fn builder() -> Builder {
    DynaMite::builder().background(false).cache_size(1 << 20).clock(Arc::new(ManualClock::at(1_000)))
}

/// A build of several steps with writes between them. Returns whether the index was acknowledged, and how many writes were.
fn workload(disk: &DiskSim) -> (Result<(), Error>, bool, u64) {
    let (mut added, mut writes) = (false, 0);
    let mut run = || {
        let db = builder().create_on(Arc::new(disk.clone()))?;
        db.create_table("things").partition_key("id", KeyType::String).execute()?;
        for chunk in 0..2 {
            let ids = chunk * 800..(chunk + 1) * 800;
            ids.fold(db.batch_write(), |batch, id| batch.put("things", item(id, id % 11))).execute()?;
        }
        db.update_table("things").add_index(by_x(Projection::KeysOnly)).execute()?;
        added = true;
        while state(&db) != IndexState::Active {
            db.put_item("things", item(2_000 + writes, writes))?;
            db.put_item("things", item(writes * 300, 500 + writes))?;
            db.delete_item("things").partition_key(format!("item {:06}", writes * 300 + 1)).execute()?;
            writes += 1;
            db.step_of_index_build("things", "by_x")?;
        }
        db.update_table("things").drop_index("by_x").execute()?;
        db.maintain()?;
        db.close()
    };
    let result = run();
    (result, added, writes)
}

#[test]
fn power_loss_at_any_point_of_a_build_leaves_an_index_that_can_be_finished() {
    for operations in 0.. {
        let disk = DiskSim::new(11);
        disk.crash_after(operations);
        let (result, added, writes) = workload(&disk);
        let finished = match result {
            Ok(()) => true,
            Err(_) if disk.crashed() => false,
            Err(error) => panic!("after {operations} operations: {error}"),
        };
        for seed in 0..3 {
            let Ok(db) = builder().open_on(Arc::new(disk.after_power_loss(seed))) else {
                assert!(!added, "power lost after {operations} operations, seed {seed}");
                continue;
            };
            let at = format!("power lost after {operations} operations, seed {seed}");
            if !db.list_tables().unwrap().is_empty() {
                assert_eq!(db.verify_indexes(&mut |_| {}).unwrap(), [], "{at}");
                let found = (0..writes).filter(|n| {
                    let id = item(2_000 + n, 0)["id"].clone();
                    db.get_item("things").partition_key(id).execute().unwrap().is_some()
                });
                assert_eq!(found.count() as u64, writes, "{at}");
                let described = db.describe_table("things").unwrap();
                db.maintain().unwrap();
                if !described.indexes.is_empty() {
                    db.wait_for_index("things", "by_x").unwrap();
                    let count = db.scan("things").index("by_x").count().unwrap();
                    assert_eq!(count, described.item_count, "{at}");
                }
                assert_eq!(db.verify_indexes(&mut |_| {}).unwrap(), [], "{at}");
            }
            db.close().unwrap();
        }
        if finished {
            return;
        }
    }
}
