//! Random operations on a table with several indexes beside a plain twin: a map of items, and for each index the list that its
//! definition makes of it. In every state that may use it, be it the newest one, an old snapshot or a transaction under way, an
//! index is the projection of its table.

mod common;

use std::collections::BTreeMap;
use std::path::Path;

use common::directory;
use dynamite_core::Error;
use dynamite_core::api::{
    Builder, Durability, DynaMite, GlobalIndex, IndexState, LocalIndex, Projection, Query, Scan, Snapshot,
    Source, Transaction,
};
use dynamite_core::error::{IndexError, Invalid};
use dynamite_core::types::KeyType;
use md5::{Digest, Md5};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const TABLE: &str = "things";
const PARTITIONS: [&str; 3] = ["a", "a\0", "b"];
const NAMES: [&str; 5] = ["local", "whole", "sparse", "several", "turned"];

/// Those whose entries of equal keys are in the order of a hash.
const HASHED: [&str; 2] = ["whole", "sparse"];

/// What the twin knows of an index.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Known {
    Absent,
    Building,
    Active,
}

#[derive(Clone, Debug)]
struct World {
    items: BTreeMap<(String, i64), Value>,
    indexes: [Known; NAMES.len()],
}

/// The attributes of an index's key, how many of them are its partition, and which others it holds; `None` for all.
type Plan = (&'static [&'static str], usize, Option<&'static [&'static str]>);

const PLANS: [Plan; NAMES.len()] = [
    (&["p", "n"], 1, Some(&[])),
    (&["s"], 1, None),
    (&["n", "s"], 1, Some(&[])),
    (&["s", "t", "n", "m"], 2, Some(&["text", "q"])),
    (&["at", "p"], 1, Some(&["text"])),
];

fn key_type(attribute: &str) -> KeyType {
    if matches!(attribute, "n" | "m" | "at") { KeyType::Number } else { KeyType::String }
}

fn projection(held: Option<&[&str]>) -> Projection {
    match held {
        None => Projection::All,
        Some([]) => Projection::KeysOnly,
        Some(names) => Projection::include(names.iter().copied()),
    }
}

fn global(nth: usize) -> GlobalIndex {
    let (keys, partition, held) = PLANS[nth];
    let index = keys[..partition]
        .iter()
        .fold(GlobalIndex::new(NAMES[nth]), |index, name| index.partition_key(*name, key_type(name)));
    let index = keys[partition..].iter().fold(index, |index, name| index.sort_key(*name, key_type(name)));
    let index = if HASHED.contains(&NAMES[nth]) { index.hashed_ties() } else { index };
    index.projection(projection(held))
}

/// A value by which keys are ordered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Ordered {
    Number(i64),
    Text(String),
}

fn ordered(value: &Value) -> Ordered {
    match value {
        Value::Number(number) => Ordered::Number(number.as_i64().unwrap()),
        Value::String(text) => Ordered::Text(text.clone()),
        other => panic!("{other} is no key"),
    }
}

fn has_type(value: &Value, key_type: KeyType) -> bool {
    match key_type {
        KeyType::Number => value.is_number(),
        _ => value.as_str().is_some_and(|text| !text.is_empty()),
    }
}

/// Whether an index of this plan would refuse the item.
fn is_unfit(nth: usize, item: &Value) -> bool {
    PLANS[nth].0.iter().any(|name| item.get(*name).is_some_and(|value| !has_type(value, key_type(name))))
}

/// The first 31 bits of DynamoDB's hash of an item's key, whose number is small.
fn tie(partition: &str, at: i64) -> u32 {
    let at = match at {
        0 => vec![0x80],
        1.. => vec![0xC1, 1 + at as u8],
        _ => vec![0x3E, 0x65 - at.unsigned_abs() as u8, 0x66],
    };
    let hash = Md5::new_with_prefix("Outliers").chain_update(partition).chain_update(at).finalize();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) >> 1
}

/// What an index of this plan holds of these items, in its order.
fn entries(nth: usize, items: &BTreeMap<(String, i64), Value>) -> Vec<Value> {
    let (keys, _, held) = PLANS[nth];
    let all =
        items.values().filter(|item| !is_unfit(nth, item) && keys.iter().all(|key| item.get(*key).is_some()));
    let mut found = all
        .map(|item| {
            let values = |names: &[&str]| names.iter().map(|name| ordered(&item[*name])).collect::<Vec<_>>();
            let is_hashed = HASHED.contains(&NAMES[nth]);
            let tie =
                if is_hashed { tie(item["p"].as_str().unwrap(), item["at"].as_i64().unwrap()) } else { 0 };
            let place = (values(keys), tie, values(&["p", "at"]));
            let is_held = |name: &str| {
                held.is_none_or(|held| {
                    held.contains(&name) || keys.contains(&name) || ["p", "at"].contains(&name)
                })
            };
            let object = item.as_object().unwrap().iter();
            let part =
                object.filter(|(name, _)| is_held(name)).map(|(name, value)| (name.clone(), value.clone()));
            (place, part.collect::<Value>())
        })
        .collect::<Vec<_>>();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    found.into_iter().map(|(_, item)| item).collect()
}

type Key = (usize, i64);

#[derive(Clone, Debug)]
enum Write {
    Put(Key, Attributes),
    Set(Key, &'static str, usize),
    Remove(Key, &'static str),
    Delete(Key),
}

/// Which of their values the attributes s, t, n, m and q have, and how long the text is.
type Attributes = ([usize; 5], usize);

#[derive(Clone, Debug)]
enum Step {
    Write(Write),
    Batch(Vec<(Key, Option<Attributes>)>),
    /// The last says whether it is given up.
    Transact(Vec<Write>, bool),
    Add(usize),
    Drop(usize),
    Build(usize),
    Wait(usize),
    TakeSnapshot,
    DropSnapshots,
    Reopen,
    Maintain,
}

/// A value of an attribute; `None` stands for none.
fn value(name: &str, nth: usize) -> Option<Value> {
    Some(match (key_type(name), nth) {
        (_, 0) => return None,
        (KeyType::Number, 1..6) => json!(nth as i64 * 3 - 9),
        (_, 1..6) => json!(["x", "x\0", "y", "", "zz"][nth - 1]),
        (KeyType::Number, _) => json!("of another type"),
        _ => json!(7),
    })
}

fn item((partition, at): Key, (values, text): &Attributes) -> Value {
    let mut item = json!({"p": PARTITIONS[partition], "at": at, "text": "t".repeat(*text)});
    for (name, nth) in ["s", "t", "n", "m", "q"].into_iter().zip(values) {
        if let Some(value) = value(name, *nth) {
            item[name] = value;
        }
    }
    item
}

fn keys() -> impl Strategy<Value = Key> {
    (0..PARTITIONS.len(), -3_i64..12)
}

fn values() -> impl Strategy<Value = usize> {
    prop_oneof![3 => 0_usize..1, 20 => 1_usize..4, 1 => 4_usize..6, 1 => 6_usize..7]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let text = prop_oneof![6 => 0_usize..60, 2 => 60_usize..1_500, 1 => 1_500_usize..9_000];
    ([values(), values(), values(), values(), values()], text)
}

fn writes() -> impl Strategy<Value = Write> {
    let name = prop::sample::select(&["s", "t", "n", "m", "q"][..]);
    prop_oneof![
        6 => (keys(), attributes()).prop_map(|(key, attributes)| Write::Put(key, attributes)),
        3 => (keys(), name.clone(), 1_usize..7).prop_map(|(key, name, value)| Write::Set(key, name, value)),
        2 => (keys(), name).prop_map(|(key, name)| Write::Remove(key, name)),
        3 => keys().prop_map(Write::Delete),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    let index = 1..NAMES.len();
    prop_oneof![
        16 => writes().prop_map(Step::Write),
        3 => prop::collection::vec((keys(), prop::option::of(attributes())), 1..10).prop_map(Step::Batch),
        4 => (prop::collection::vec(writes(), 1..10), any::<bool>())
            .prop_map(|(writes, given_up)| Step::Transact(writes, given_up)),
        3 => index.clone().prop_map(Step::Add),
        1 => index.clone().prop_map(Step::Drop),
        2 => index.clone().prop_map(Step::Build),
        2 => index.prop_map(Step::Wait),
        2 => Just(Step::TakeSnapshot),
        1 => Just(Step::DropSnapshots),
        1 => Just(Step::Reopen),
        1 => Just(Step::Maintain),
    ]
}

/// The reads of all sources.
trait Reads: Source + Sized {
    fn query_of(&self) -> Query<'_, Self>;
    fn scan_of(&self) -> Scan<'_, Self>;
}

macro_rules! reads {
    ($($source:ty)*) => {$(
        impl Reads for $source {
            fn query_of(&self) -> Query<'_, Self> {
                self.query(TABLE)
            }
            fn scan_of(&self) -> Scan<'_, Self> {
                self.scan(TABLE)
            }
        }
    )*};
}

reads!(DynaMite Snapshot Transaction<'_>);

/// Reads every index in several ways.
fn check(source: &impl Reads, world: &World) {
    for (nth, known) in world.indexes.into_iter().enumerate() {
        let scan = || source.scan_of().index(NAMES[nth]);
        let index = NAMES[nth].to_owned();
        let expected_error = match known {
            Known::Active => None,
            Known::Absent => Some(IndexError::NotFound { index }),
            Known::Building => Some(IndexError::IsBuilding { index }),
        };
        if let Some(expected) = expected_error {
            match scan().count() {
                Err(Error::Validation(Invalid::Index(error))) => assert_eq!(error, expected),
                other => panic!("{}: {other:?}", NAMES[nth]),
            }
            continue;
        }
        let expected = entries(nth, &world.items);
        let found = scan().iter().unwrap().map(Result::unwrap).collect::<Vec<_>>();
        assert_eq!(found, expected, "{}", NAMES[nth]);
        check_partition(source, nth, &expected);
        if nth == 0 {
            let whole = scan().all_attributes().iter().unwrap().map(Result::unwrap);
            let expected = expected.iter().map(|entry| {
                let key = (entry["p"].as_str().unwrap().to_owned(), entry["at"].as_i64().unwrap());
                world.items[&key].clone()
            });
            assert_eq!(whole.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
}

/// Reads the partition of the entry in the middle, in pages of three, backwards.
fn check_partition(source: &impl Reads, nth: usize, expected: &[Value]) {
    let Some(middle) = expected.get(expected.len() / 2) else { return };
    let partition = &PLANS[nth].0[..PLANS[nth].1];
    let is_in = |item: &&Value| partition.iter().all(|name| item[*name] == middle[*name]);
    let (mut found, mut start) = (Vec::new(), None::<Value>);
    loop {
        let query = source.query_of().index(NAMES[nth]).scan_forward(false).limit(3);
        let query = partition.iter().fold(query, |query, name| query.partition_key(&middle[*name]));
        let query = match &start {
            Some(start) => query.exclusive_start_key(start),
            None => query,
        };
        let page = query.execute().unwrap();
        found.extend(page.items);
        assert!(found.len() <= expected.len(), "{}: the pages go round", NAMES[nth]);
        start = page.last_evaluated_key;
        if start.is_none() {
            break;
        }
    }
    assert_eq!(found, expected.iter().rev().filter(is_in).cloned().collect::<Vec<_>>(), "{}", NAMES[nth]);
}

/// A write of a database and of a transaction, by the same names.
macro_rules! write {
    ($to:expr, $world:expr, $write:expr) => {{
        let world: &mut World = $world;
        let key = |(partition, at): Key| (PARTITIONS[partition].to_owned(), at);
        let (at, changed, done) = match $write {
            Write::Put(at, attributes) => {
                let item = item(*at, attributes);
                (*at, Some(item.clone()), $to.put_item(TABLE, item).map(drop))
            }
            Write::Set(at, name, nth) => {
                let value = value(name, *nth).unwrap();
                let mut item = world.items.get(&key(*at)).cloned();
                let item_or_key = item.get_or_insert(json!({"p": PARTITIONS[at.0], "at": at.1}));
                item_or_key[*name] = value.clone();
                let update = $to.update_item(TABLE).partition_key(PARTITIONS[at.0]).sort_key(at.1);
                let update = update.update("SET #a = :v").name("#a", name).value(":v", value);
                (*at, item, update.execute().map(drop))
            }
            Write::Remove(at, name) => {
                // No item is made of nothing but a removal.
                let mut item = world.items.get(&key(*at)).cloned();
                if let Some(item) = &mut item {
                    item.as_object_mut().unwrap().remove(*name);
                }
                let update = $to.update_item(TABLE).partition_key(PARTITIONS[at.0]).sort_key(at.1);
                (*at, item, update.update("REMOVE #a").name("#a", name).execute().map(drop))
            }
            Write::Delete(at) => {
                let delete = $to.delete_item(TABLE).partition_key(PARTITIONS[at.0]).sort_key(at.1);
                let was_there = world.items.contains_key(&key(*at));
                (*at, None, delete.execute().map(|deleted| assert_eq!(deleted, was_there)))
            }
        };
        let is_refused = changed.as_ref().is_some_and(|item| refuses(world, item));
        match (done, is_refused) {
            (Ok(()), false) => match changed {
                Some(item) => drop(world.items.insert(key(at), item)),
                None => drop(world.items.remove(&key(at))),
            },
            (Err(Error::Validation(_)), true) => {}
            (done, _) => panic!("{:?}, expected to be refused: {is_refused}: {done:?}", $write),
        }
    }};
}

/// Whether there is an index that refuses an item.
fn refuses(world: &World, item: &Value) -> bool {
    (0..NAMES.len()).any(|nth| world.indexes[nth] != Known::Absent && is_unfit(nth, item))
}

fn builder() -> Builder {
    DynaMite::builder().cache_size(1 << 20).durability(Durability::Eventual).background(false)
}

fn create(path: &Path) -> (DynaMite, World) {
    let db = builder().create(path).unwrap();
    let table = db.create_table(TABLE).partition_key("p", KeyType::String).sort_key("at", KeyType::Number);
    let local = LocalIndex::new(NAMES[0]).sort_key("n", KeyType::Number).projection(projection(PLANS[0].2));
    table.local_index(local).global_index(global(1)).execute().unwrap();
    let mut indexes = [Known::Absent; NAMES.len()];
    indexes[..2].fill(Known::Active);
    (db, World { items: BTreeMap::new(), indexes })
}

fn run(steps: &[Step]) {
    let directory = directory();
    let path = directory.path().join("model.db");
    let (mut db, mut world) = create(&path);
    let mut snapshots: Vec<(Snapshot, World)> = Vec::new();
    for step in steps {
        match step {
            Step::Write(write) => write!(db, &mut world, write),
            Step::Batch(writes) => {
                let mut after = world.clone();
                let writes = writes.iter().cloned().collect::<BTreeMap<Key, _>>();
                let batch =
                    writes.iter().fold(db.batch_write(), |batch, (key, attributes)| match attributes {
                        Some(attributes) => batch.put(TABLE, item(*key, attributes)),
                        None => batch.delete_sorted(TABLE, PARTITIONS[key.0], key.1),
                    });
                let mut is_refused = false;
                for (key, attributes) in &writes {
                    let twin_key = (PARTITIONS[key.0].to_owned(), key.1);
                    match attributes.as_ref().map(|attributes| item(*key, attributes)) {
                        Some(item) => {
                            is_refused |= refuses(&world, &item);
                            after.items.insert(twin_key, item);
                        }
                        None => drop(after.items.remove(&twin_key)),
                    }
                }
                match batch.execute() {
                    Ok(_) => {
                        assert!(!is_refused);
                        world = after;
                    }
                    Err(Error::Operation { .. }) => assert!(is_refused),
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Transact(writes, given_up) => {
                let mut after = world.clone();
                let outcome = db.transact(|txn| {
                    for write in writes {
                        write!(txn, &mut after, write);
                    }
                    check(txn, &after);
                    if *given_up { Err(Error::abort("given up")) } else { Ok(()) }
                });
                match outcome {
                    Ok(()) => world = after,
                    Err(Error::Aborted(_)) if *given_up => {}
                    Err(error) => panic!("{error}"),
                }
            }
            Step::Add(nth) => {
                let added = db.update_table(TABLE).add_index(global(*nth)).execute();
                assert_eq!(added.is_ok(), world.indexes[*nth] == Known::Absent, "{added:?}");
                if added.is_ok() {
                    world.indexes[*nth] = Known::Building;
                }
            }
            Step::Drop(nth) => {
                let dropped = db.update_table(TABLE).drop_index(NAMES[*nth]).execute();
                assert_eq!(dropped.is_ok(), world.indexes[*nth] != Known::Absent, "{dropped:?}");
                world.indexes[*nth] = Known::Absent;
            }
            Step::Build(nth) | Step::Wait(nth) => {
                let built = match step {
                    Step::Build(_) => db.step_of_index_build(TABLE, NAMES[*nth]),
                    _ => db.wait_for_index(TABLE, NAMES[*nth]),
                };
                // There are so few items that one step is enough.
                match world.indexes[*nth] {
                    Known::Absent => assert!(built.is_err() || matches!(step, Step::Build(_))),
                    _ => {
                        built.unwrap();
                        world.indexes[*nth] = Known::Active;
                    }
                }
            }
            Step::TakeSnapshot => snapshots.push((db.snapshot().unwrap(), world.clone())),
            Step::DropSnapshots => snapshots.clear(),
            Step::Reopen => {
                snapshots.clear();
                db.close().unwrap();
                db = builder().open(&path).unwrap();
            }
            Step::Maintain => {
                db.maintain().unwrap();
                let building = world.indexes.iter_mut().filter(|known| **known == Known::Building);
                building.for_each(|known| *known = Known::Active);
            }
        }
        check(&db, &world);
        assert_eq!(db.verify_indexes(&mut |_| {}).unwrap(), []);
        for index in db.describe_table(TABLE).unwrap().indexes {
            let nth = NAMES.iter().position(|name| *name == index.name).unwrap();
            assert_eq!(index.state == IndexState::Active, world.indexes[nth] == Known::Active);
            if index.state == IndexState::Active {
                assert_eq!(index.item_count, entries(nth, &world.items).len() as u64);
            }
        }
    }
    for (snapshot, world) in &snapshots {
        check(snapshot, world);
    }
}

#[test]
fn an_index_is_the_projection_of_its_table_in_every_state_that_may_use_it() {
    let config = Config { cases: 60, max_shrink_iters: 400, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let workloads = prop::collection::vec(steps(), 1..90);
    runner
        .run(&workloads, |steps| {
            run(&steps);
            Ok(())
        })
        .unwrap();
}
