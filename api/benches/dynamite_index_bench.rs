//! What secondary indexes cost: a put into a table with two of them, beside one into a table without; and the build of an index
//! of a table that is there.
//!
//! ```text
//! cargo bench -p dynamite-core --bench dynamite_index_bench [-- FILTER]
//! DYNAMITE_INSTRUCTIONS=new/0 valgrind --tool=callgrind --toggle-collect='*::counted' TARGET   # puts, counted
//! DYNAMITE_INSTRUCTIONS=build/all valgrind --tool=callgrind --toggle-collect='*::counted_build' TARGET   # or build/keys
//! ```
//!
//! In memory, documents of some 400 bytes of JSON, processor time: other work on the machine changes it less. `new` puts documents that were not there; `same` puts documents in the place of
//! others that say the same to the indexes; `moved` puts documents that change their place in both.

#![forbid(unsafe_code)]

#[allow(dead_code, reason = "the documents are not read as a type of one's own here")]
mod common;

use std::time::Duration;

use criterion::{Criterion, Throughput};
use dynamite_core::Error;
use dynamite_core::api::{DynaMite, GlobalIndex, Projection};
use dynamite_core::types::KeyType;
use serde_json::{Value, json};

use crate::common::{id, scatter, user};

/// Documents that there are from the beginning.
const COUNT: u64 = 20_000;
/// Documents of the table whose index is built.
const BUILT: u64 = 200_000;
/// Puts that are counted.
const COUNTED: u64 = 10_000;

const USERS: &str = "users";

type Outcome<T> = Result<T, Error>;

fn main() -> Outcome<()> {
    if let Ok(which) = std::env::var("DYNAMITE_INSTRUCTIONS") {
        return count(&which);
    }
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    puts(&mut criterion)?;
    builds(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn by_email() -> GlobalIndex {
    GlobalIndex::new("by_email").partition_key("email", KeyType::String)
}

fn by_name() -> GlobalIndex {
    GlobalIndex::new("by_name").partition_key("name", KeyType::String).sort_key("age", KeyType::Number)
}

fn filled(indexes: usize, count: u64) -> Outcome<DynaMite> {
    let db = DynaMite::builder().cache_size(1 << 30).background(false).in_memory()?;
    let table = db.create_table(USERS).partition_key("id", KeyType::String);
    let [email, name] = [by_email(), by_name()].map(|index| index.projection(Projection::KeysOnly));
    match indexes {
        0 => table,
        _ => table.global_index(email).global_index(name),
    }
    .execute()?;
    let numbers: Vec<u64> = (0..count).collect();
    for batch in numbers.chunks(1000) {
        batch.iter().fold(db.batch_write(), |write, &number| write.put(USERS, user(number))).execute()?;
    }
    Ok(db)
}

/// The document of a turn.
fn document(kind: &str, turn: u64) -> Value {
    if kind == "new" {
        return user(COUNT + turn);
    }
    let mut document = user(scatter(turn) % COUNT);
    document["score"] = json!(turn);
    if kind == "moved" {
        document["email"] = json!(format!("{turn}.{}", document["email"]));
        document["age"] = json!(turn);
    }
    document
}

fn puts(criterion: &mut Criterion) -> Outcome<()> {
    let mut group = criterion.benchmark_group("put");
    for kind in ["new", "same", "moved"] {
        for indexes in [0, 2] {
            let db = filled(indexes, COUNT)?;
            let mut turn = 0;
            let mut next = || {
                turn += 1;
                document(kind, turn)
            };
            group.bench_function(format!("{kind}, {indexes} indexes"), |bencher| {
                bencher.iter_custom(|rounds| {
                    let documents = (0..rounds).map(|_| next()).collect::<Vec<_>>();
                    let begin = processor_time();
                    counted(&db, &documents).expect("no failure");
                    processor_time() - begin
                });
            });
            db.close()?;
        }
    }
    group.finish();
    Ok(())
}

fn builds(criterion: &mut Criterion) -> Outcome<()> {
    let db = filled(0, BUILT)?;
    let mut group = criterion.benchmark_group("build");
    group.throughput(Throughput::Elements(BUILT)).sample_size(10);
    for (name, projection) in [("keys only", Projection::KeysOnly), ("all", Projection::All)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|rounds| {
                (0..rounds).map(|_| build(&db, projection.clone()).expect("no failure")).sum()
            });
        });
    }
    group.finish();
    db.close()
}

/// What it takes until an index can be read.
fn build(db: &DynaMite, projection: Projection) -> Outcome<Duration> {
    let begin = processor_time();
    db.update_table(USERS).add_index(by_email().projection(projection)).execute()?;
    db.wait_for_index(USERS, "by_email")?;
    let took = processor_time() - begin;
    assert_eq!(db.describe_table(USERS)?.indexes[0].item_count, BUILT, "all are in it");
    db.update_table(USERS).drop_index("by_email").execute()?;
    db.maintain()?;
    Ok(took)
}

/// What this thread has used of a processor. There is no other: the databases have no background.
fn processor_time() -> Duration {
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the system says it");
    let nanoseconds = statistics.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first is a number of nanoseconds"))
}

/// Puts whose instructions are counted from outside.
fn count(which: &str) -> Outcome<()> {
    let (kind, indexes) = which
        .split_once('/')
        .expect("a kind of put and a number of indexes, new/2, or build/keys or build/all");
    if kind == "build" {
        let db = filled(0, BUILT)?;
        counted_build(&db, if indexes == "all" { Projection::All } else { Projection::KeysOnly })?;
        return db.close();
    }
    let db = filled(indexes.parse().expect("a number of indexes"), COUNT)?;
    let documents = (1..=COUNTED).map(|turn| document(kind, turn)).collect::<Vec<_>>();
    counted(&db, &documents)?;
    assert!(db.get_item(USERS).partition_key(id(0)).execute()?.is_some());
    db.close()
}

#[inline(never)]
fn counted(db: &DynaMite, documents: &[Value]) -> Outcome<()> {
    documents.iter().try_for_each(|document| db.put_item(USERS, document).map(drop))
}

#[inline(never)]
fn counted_build(db: &DynaMite, projection: Projection) -> Outcome<()> {
    db.update_table(USERS).add_index(by_email().projection(projection)).execute()?;
    db.wait_for_index(USERS, "by_email")
}
