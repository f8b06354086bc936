//! Random operations on the whole API beside a plain twin: maps in memory. Every answer is compared, the file is closed and
//! opened in between, snapshots are asked again long after.

mod common;

use std::collections::BTreeMap;

use common::directory;
use dynamite_core::Error;
use dynamite_core::api::{DynaMite, Page, Query, Snapshot, Source, Transaction};
use dynamite_core::types::KeyType;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

/// The twin of a table: items and versions, by partition key and sort key.
type Twin = BTreeMap<(String, i64), (Value, u64)>;

/// The twin of a database.
type World = BTreeMap<&'static str, Twin>;

const TABLES: [&str; 2] = ["first", "second"];
const PARTITIONS: [&str; 4] = ["", "a", "a\0", "b"];

#[derive(Clone, Debug)]
enum Step {
    Write(usize, Write),
    Batch(Vec<(usize, Write)>),
    /// A transaction of several writes; the last says whether it is given up.
    Transact(Vec<(usize, Write)>, bool),
    Look(usize, Look),
    Batched(Vec<(usize, Key)>),
    Recreate(usize),
    TakeSnapshot,
    AskSnapshots(usize, Look),
    DropSnapshots,
    Reopen,
}

type Key = (usize, i64);

#[derive(Clone, Debug)]
enum Write {
    Put(Key, usize),
    /// With the version that is there, plus an error.
    PutVersioned(Key, usize, u64),
    Delete(Key),
    DeleteVersioned(Key, u64),
}

#[derive(Clone, Debug)]
enum Look {
    Get(Key),
    Query { partition: usize, condition: Condition, descending: bool, limit: Option<usize> },
    Scan { limit: usize, segments: u32 },
    Partitions,
}

#[derive(Clone, Debug)]
enum Condition {
    None,
    Eq(i64),
    Lt(i64),
    Le(i64),
    Gt(i64),
    Ge(i64),
    Between(i64, i64),
}

fn keys() -> impl Strategy<Value = Key> {
    (1..PARTITIONS.len(), -3_i64..20)
}

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0_usize..60, 3 => 60_usize..1_500, 1 => 1_500_usize..30_000]
}

fn writes() -> impl Strategy<Value = Write> {
    prop_oneof![
        5 => (keys(), sizes()).prop_map(|(key, size)| Write::Put(key, size)),
        2 => (keys(), sizes(), 0_u64..2).prop_map(|(key, size, off)| Write::PutVersioned(key, size, off)),
        2 => keys().prop_map(Write::Delete),
        1 => (keys(), 0_u64..2).prop_map(|(key, off)| Write::DeleteVersioned(key, off)),
    ]
}

fn looks() -> impl Strategy<Value = Look> {
    let number = -4_i64..21;
    let condition = prop_oneof![
        Just(Condition::None),
        number.clone().prop_map(Condition::Eq),
        number.clone().prop_map(Condition::Lt),
        number.clone().prop_map(Condition::Le),
        number.clone().prop_map(Condition::Gt),
        number.clone().prop_map(Condition::Ge),
        (number.clone(), number).prop_map(|(a, b)| Condition::Between(a.min(b), a.max(b))),
    ];
    let limit = prop_oneof![Just(None), (1_usize..8).prop_map(Some)];
    prop_oneof![
        3 => keys().prop_map(Look::Get),
        4 => (1..PARTITIONS.len(), condition, any::<bool>(), limit).prop_map(
            |(partition, condition, descending, limit)| Look::Query { partition, condition, descending, limit }
        ),
        2 => (1_usize..30, 1_u32..4).prop_map(|(limit, segments)| Look::Scan { limit, segments }),
        1 => Just(Look::Partitions),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let table = 0..TABLES.len();
    let several = || prop::collection::vec((0..TABLES.len(), writes()), 1..12);
    prop_oneof![
        10 => (table.clone(), writes()).prop_map(|(table, write)| Step::Write(table, write)),
        3 => several().prop_map(Step::Batch),
        3 => (several(), any::<bool>()).prop_map(|(writes, given_up)| Step::Transact(writes, given_up)),
        10 => (table.clone(), looks()).prop_map(|(table, look)| Step::Look(table, look)),
        2 => prop::collection::vec((table.clone(), keys()), 1..10).prop_map(Step::Batched),
        1 => table.clone().prop_map(Step::Recreate),
        1 => Just(Step::TakeSnapshot),
        3 => (table, looks()).prop_map(|(table, look)| Step::AskSnapshots(table, look)),
        1 => Just(Step::DropSnapshots),
        1 => Just(Step::Reopen),
    ]
}

fn item((partition, at): Key, size: usize) -> Value {
    json!({"p": PARTITIONS[partition], "at": at, "nested": {"list": [size, null]}, "text": "t".repeat(size)})
}

fn twin_key((partition, at): Key) -> (String, i64) {
    (PARTITIONS[partition].to_owned(), at)
}

fn create(db: &DynaMite, table: &str) {
    let table = db.create_table(table).partition_key("p", KeyType::String);
    table.sort_key("at", KeyType::Number).execute().unwrap();
}

/// The writes of a database and of a transaction, by the same names.
macro_rules! write {
    ($to:expr, $twin:expr, $table:expr, $write:expr) => {{
        let (twin, table): (&mut Twin, &str) = ($twin, $table);
        let actual = |key: Key| twin.get(&twin_key(key)).map(|(_, version)| *version);
        match *$write {
            Write::Put(key, size) => {
                let version = $to.put_item(table, item(key, size))?;
                twin.insert(twin_key(key), (item(key, size), version));
            }
            Write::PutVersioned(key, size, off) => {
                let expected = actual(key).unwrap_or(0) + off;
                let result = $to.put_item_versioned(table, item(key, size), Some(expected));
                if off == 0 {
                    twin.insert(twin_key(key), (item(key, size), result?));
                } else {
                    check_conflict(result, expected, actual(key));
                }
            }
            Write::Delete((partition, at)) => {
                let delete = $to.delete_item(table).partition_key(PARTITIONS[partition]).sort_key(at);
                let was_there = delete.execute()?;
                assert_eq!(was_there, twin.remove(&twin_key((partition, at))).is_some());
            }
            Write::DeleteVersioned(key, off) => {
                let expected = actual(key).unwrap_or(0) + off;
                let delete = $to.delete_item(table).partition_key(PARTITIONS[key.0]).sort_key(key.1);
                let result = delete.if_version(expected).execute();
                if off == 0 {
                    assert_eq!(result?, twin.remove(&twin_key(key)).is_some());
                } else {
                    check_conflict(result, expected, actual(key));
                }
            }
        }
    }};
}

#[track_caller]
fn check_conflict<T: std::fmt::Debug>(result: Result<T, Error>, expected: u64, actual: Option<u64>) {
    match result {
        Err(Error::VersionConflict { expected: e, actual: a }) => assert_eq!((e, a), (expected, actual)),
        other => panic!("no conflict: {other:?}"),
    }
}

/// What the twin answers to a query, in the order asked for.
fn expected_of_query(twin: &Twin, partition: usize, condition: &Condition, descending: bool) -> Vec<Value> {
    let meets = |at: i64| match *condition {
        Condition::None => true,
        Condition::Eq(x) => at == x,
        Condition::Lt(x) => at < x,
        Condition::Le(x) => at <= x,
        Condition::Gt(x) => at > x,
        Condition::Ge(x) => at >= x,
        Condition::Between(x, y) => x <= at && at <= y,
    };
    let of_partition = twin.iter().filter(|((p, at), _)| p == PARTITIONS[partition] && meets(*at));
    let mut items = of_partition.map(|(_, (item, _))| item.clone()).collect::<Vec<_>>();
    if descending {
        items.reverse();
    }
    items
}

/// All pages of a result.
fn pages(limit: Option<usize>, mut read: impl FnMut(Option<Value>) -> Page) -> Vec<Value> {
    let (mut items, mut start) = (Vec::new(), None);
    loop {
        let page = read(start);
        assert!(limit.is_none_or(|limit| page.items.len() <= limit));
        items.extend(page.items);
        match page.last_evaluated_key {
            Some(key) => start = Some(key),
            None => return items,
        }
    }
}

/// The reads of all sources: a database, a snapshot, a transaction.
trait Reads: Source + Sized {
    fn get(&self, table: &str, key: Key) -> Option<(Value, u64)>;
    fn query_of<'a>(&'a self, table: &'a str) -> Query<'a, Self>;
    fn scan_of<'a>(&'a self, table: &'a str) -> dynamite_core::api::Scan<'a, Self>;
    fn partitions(&self, table: &str) -> Option<Vec<Value>>;
}

macro_rules! reads {
    ($source:ty, $partitions:expr) => {
        impl Reads for $source {
            fn get(&self, table: &str, (partition, at): Key) -> Option<(Value, u64)> {
                let get = self.get_item_versioned(table).partition_key(PARTITIONS[partition]).sort_key(at);
                get.execute().unwrap().map(|found| (found.item, found.version))
            }
            fn query_of<'a>(&'a self, table: &'a str) -> Query<'a, Self> {
                self.query(table)
            }
            fn scan_of<'a>(&'a self, table: &'a str) -> dynamite_core::api::Scan<'a, Self> {
                self.scan(table)
            }
            fn partitions(&self, table: &str) -> Option<Vec<Value>> {
                let list: fn(&Self, &str) -> Option<Vec<Value>> = $partitions;
                list(self, table)
            }
        }
    };
}

reads!(DynaMite, |db, table| Some(db.list_partition_keys(table, "", 100).unwrap()));
reads!(Snapshot, |snapshot, table| Some(snapshot.list_partition_keys(table, "", 100).unwrap()));
reads!(Transaction<'_>, |_, _| None);

fn look(source: &impl Reads, twin: &Twin, table: &str, look: &Look) {
    match look {
        Look::Get(key) => assert_eq!(source.get(table, *key), twin.get(&twin_key(*key)).cloned()),
        Look::Query { partition, condition, descending, limit } => {
            let query = || {
                let query = source.query_of(table).partition_key(PARTITIONS[*partition]);
                let query = match *condition {
                    Condition::None => query,
                    Condition::Eq(x) => query.sort_key_eq(x),
                    Condition::Lt(x) => query.sort_key_lt(x),
                    Condition::Le(x) => query.sort_key_le(x),
                    Condition::Gt(x) => query.sort_key_gt(x),
                    Condition::Ge(x) => query.sort_key_ge(x),
                    Condition::Between(x, y) => query.sort_key_between(x, y),
                };
                query.scan_forward(!descending)
            };
            let expected = expected_of_query(twin, *partition, condition, *descending);
            let found = pages(*limit, |start| {
                let query = match start {
                    Some(key) => query().exclusive_start_key(key),
                    None => query(),
                };
                match limit {
                    Some(limit) => query.limit(*limit).execute().unwrap(),
                    None => query.execute().unwrap(),
                }
            });
            assert_eq!(found, expected);
            let streamed = query().iter().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
            assert_eq!(streamed, expected);
            assert_eq!(query().count().unwrap(), expected.len() as u64);
        }
        Look::Scan { limit, segments } => {
            let mut expected = twin.values().map(|(item, _)| item.clone()).collect::<Vec<_>>();
            let streamed = source.scan_of(table).iter().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
            assert_eq!(streamed, expected);
            let mut found = Vec::new();
            for segment in 0..*segments {
                found.extend(pages(Some(*limit), |start| {
                    let scan = source.scan_of(table).segment(segment, *segments).limit(*limit);
                    match start {
                        Some(key) => scan.exclusive_start_key(key).execute().unwrap(),
                        None => scan.execute().unwrap(),
                    }
                }));
            }
            let key = |item: &Value| (item["p"].as_str().unwrap().to_owned(), item["at"].as_i64().unwrap());
            found.sort_by_key(key);
            expected.sort_by_key(key);
            assert_eq!(found, expected);
        }
        Look::Partitions => {
            if let Some(found) = source.partitions(table) {
                let mut expected = twin.keys().map(|(partition, _)| json!(partition)).collect::<Vec<_>>();
                expected.dedup();
                assert_eq!(found, expected);
            }
        }
    }
}

fn run(steps: &[Step]) -> Result<(), Error> {
    let directory = directory();
    let path = directory.path().join("model.db");
    // So small a cache that the larger worlds do not fit.
    let builder =
        DynaMite::builder().cache_size(1 << 20).durability(dynamite_core::api::Durability::Eventual);
    let mut db = builder.create(&path)?;
    let mut world = World::new();
    for table in TABLES {
        create(&db, table);
        world.insert(table, Twin::new());
    }
    let mut snapshots: Vec<(Snapshot, World)> = Vec::new();
    for step in steps {
        match step {
            Step::Write(table, write) => {
                let table = TABLES[*table];
                write!(db, world.get_mut(table).unwrap(), table, write);
            }
            Step::Batch(writes) => {
                let (mut batch, mut after) = (db.batch_write(), world.clone());
                let mut written = std::collections::BTreeSet::new();
                for (table, write) in writes {
                    let (Write::Put(key, _)
                    | Write::PutVersioned(key, _, _)
                    | Write::Delete(key)
                    | Write::DeleteVersioned(key, _)) = *write;
                    if !written.insert((*table, key)) {
                        continue;
                    }
                    let (table, twin) = (TABLES[*table], after.get_mut(TABLES[*table]).unwrap());
                    if let Write::Put(_, size) | Write::PutVersioned(_, size, _) = *write {
                        batch = batch.put(table, item(key, size));
                        twin.insert(twin_key(key), (item(key, size), u64::MAX));
                    } else {
                        batch = batch.delete_sorted(table, PARTITIONS[key.0], key.1);
                        twin.remove(&twin_key(key));
                    }
                }
                let version = batch.execute()?;
                for (_, written) in after.values_mut().flat_map(Twin::values_mut) {
                    *written = (*written).min(version);
                }
                world = after;
            }
            Step::Transact(writes, given_up) => {
                let mut after = world.clone();
                let outcome = db.transact(|txn| {
                    for (table, write) in writes {
                        let table = TABLES[*table];
                        write!(txn, after.get_mut(table).unwrap(), table, write);
                        look(txn, &after[table], table, &Look::Scan { limit: 5, segments: 1 });
                    }
                    if *given_up { Err(Error::abort("given up")) } else { Ok(()) }
                });
                match outcome {
                    Ok(()) => world = after,
                    Err(Error::Aborted(_)) if *given_up => {}
                    Err(error) => return Err(error),
                }
            }
            Step::Look(table, what) => look(&db, &world[TABLES[*table]], TABLES[*table], what),
            Step::Batched(keys) => {
                let mut keys = keys.clone();
                keys.sort_unstable();
                keys.dedup();
                let batch = keys.iter().fold(db.batch_get(), |batch, (table, (partition, at))| {
                    batch.get_sorted(TABLES[*table], PARTITIONS[*partition], *at)
                });
                let expected = keys.iter().map(|(table, key)| {
                    world[TABLES[*table]].get(&twin_key(*key)).map(|(item, _)| item.clone())
                });
                assert_eq!(batch.execute()?, expected.collect::<Vec<_>>());
            }
            Step::Recreate(table) => {
                db.drop_table(TABLES[*table])?;
                create(&db, TABLES[*table]);
                world.insert(TABLES[*table], Twin::new());
            }
            Step::TakeSnapshot => snapshots.push((db.snapshot()?, world.clone())),
            Step::AskSnapshots(table, what) => {
                for (snapshot, world) in &snapshots {
                    look(snapshot, &world[TABLES[*table]], TABLES[*table], what);
                }
            }
            Step::DropSnapshots => snapshots.clear(),
            Step::Reopen => {
                snapshots.clear();
                db.close()?;
                db = builder.open(&path)?;
            }
        }
        for table in TABLES {
            assert_eq!(db.describe_table(table)?.item_count, world[table].len() as u64);
        }
    }
    Ok(())
}

#[test]
fn random_operations_answer_as_a_plain_twin_does() {
    let config = Config { cases: 60, max_shrink_iters: 400, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let workloads = prop::collection::vec(steps(), 1..120);
    runner
        .run(&workloads, |steps| {
            run(&steps).unwrap();
            Ok(())
        })
        .unwrap();
}
