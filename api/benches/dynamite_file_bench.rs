//! The document API on a device: what durable writes and cold reads take.
//!
//! ```text
//! BENCH_DIR=/path cargo bench -p dynamite-core --bench dynamite_file_bench [-- FILTER]
//! ```
//!
//! `BENCH_DIR` is a directory on the device that is to be measured; what is written there is removed afterwards. Without it
//! there is nothing to measure, and a line says so.
//!
//! Documents of some 400 bytes of JSON with eight attributes, 200,000 of them, loaded in batches of 1,000. Every write is
//! durable when it returns. *Cold* means that the database was opened just now, with a cache of a sixteenth of the data: it
//! reads past the kernel's page cache, so nothing of the data is in memory.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the hint is for whoever runs it")]

mod common;

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput};
use dynamite_core::Error;
use dynamite_core::api::{Builder, DynaMite};
use dynamite_core::types::KeyType;
use serde_json::Value;
use tempfile::TempDir;

use crate::common::{User, id, scatter, user};

/// Names the directory on the device to be measured.
const VARIABLE: &str = "BENCH_DIR";

/// Documents that there are from the beginning.
const COUNT: u64 = 200_000;
/// As many when this only shows that it works.
const SMOKE_COUNT: u64 = 2_000;

const LOAD_BATCH: u64 = 1_000;

/// For cold reads.
const SMALL_CACHE: usize = 4 << 20;
/// For all others.
const AMPLE_CACHE: usize = 256 << 20;

const USERS: &str = "users";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let Some(parent) = std::env::var_os(VARIABLE) else {
        println!("dynamite_file_bench: set {VARIABLE} to a directory on the device that is to be measured.");
        return Ok(());
    };
    // Cargo says `--bench` when it runs benchmarks, and nothing when it runs them as tests.
    let count = if std::env::args().any(|argument| argument == "--bench") { COUNT } else { SMOKE_COUNT };
    let directory = TempDir::with_prefix_in("dynamite-bench-", parent)?;
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(10)
        .configure_from_args();
    let path = directory.path().join("bench.db");
    load(&path, count)?;
    // Reads first: what is read cold is what a load has left, not what scattered writes have.
    cold_reads(&mut criterion, &path, count)?;
    durable_writes(&mut criterion, &path, count)?;
    criterion.final_summary();
    Ok(directory.close()?)
}

fn with_cache(bytes: usize) -> Builder {
    DynaMite::builder().cache_size(bytes)
}

fn load(path: &PathBuf, count: u64) -> Outcome<()> {
    let db = with_cache(AMPLE_CACHE).create(path)?;
    db.create_table(USERS).partition_key("id", KeyType::String).execute()?;
    let begun = Instant::now();
    for first in (0..count).step_by(LOAD_BATCH as usize) {
        put_many(&db, (first..count.min(first + LOAD_BATCH)).map(user))?;
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    println!("loaded {count} documents, {LOAD_BATCH} in a commit: {rate:.0}/s");
    Ok(db.close()?)
}

fn put_many(db: &DynaMite, users: impl Iterator<Item = Value>) -> Result<u64, Error> {
    users.fold(db.batch_write(), |batch, user| batch.put(USERS, user)).execute()
}

/// Numbers below a bound, each another time than the one before would tell.
fn numbers(bound: u64, seed: u64) -> impl FnMut() -> u64 {
    let mut turn = seed << 32;
    move || {
        turn += 1;
        scatter(turn) % bound
    }
}

fn cold_reads(criterion: &mut Criterion, path: &Path, count: u64) -> Outcome<()> {
    let db = with_cache(SMALL_CACHE).open(path)?;
    let mut group = criterion.benchmark_group("cold");
    group.bench_function("get", |bencher| {
        let mut numbers = numbers(count, 1);
        let get = |id: String| {
            let found = db.get_item(USERS).partition_key(id).execute_as::<User>().expect("no failure");
            found.expect("it is there")
        };
        bencher.iter_batched(|| id(numbers()), get, BatchSize::SmallInput);
    });
    group.throughput(Throughput::Elements(100));
    group.bench_function("batch_get of 100", |bencher| {
        let mut numbers = numbers(count, 2);
        let hundred = || {
            let mut hundred: Vec<u64> = (0..100).map(|_| numbers()).collect();
            hundred.sort_unstable();
            hundred.dedup();
            hundred
        };
        let get = |hundred: Vec<u64>| {
            let batch = hundred.iter().fold(db.batch_get(), |batch, number| batch.get(USERS, id(*number)));
            batch.execute_as::<User>().expect("no failure")
        };
        bencher.iter_batched(hundred, get, BatchSize::SmallInput);
    });
    group.finish();
    db.close()?;

    let mut group = criterion.benchmark_group("after reopening");
    group.throughput(Throughput::Elements(count));
    for (name, cache) in [("scan, small cache", SMALL_CACHE), ("scan, ample cache", AMPLE_CACHE)] {
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|scans| {
                let mut time = Duration::ZERO;
                for _ in 0..scans {
                    let db = with_cache(cache).open(path).expect("no failure");
                    let begun = Instant::now();
                    let documents = db.scan(USERS).iter_as::<User>().expect("no failure");
                    let found = documents.filter(|document| document.is_ok()).count();
                    time += begun.elapsed();
                    assert_eq!(found as u64, count);
                    db.close().expect("no failure");
                }
                time
            });
        });
    }
    group.bench_function("open", |bencher| {
        bencher.iter_custom(|opens| {
            let mut time = Duration::ZERO;
            for _ in 0..opens {
                let begun = Instant::now();
                let db = with_cache(SMALL_CACHE).open(path).expect("no failure");
                time += begun.elapsed();
                db.close().expect("no failure");
            }
            time
        });
    });
    group.finish();
    Ok(())
}

fn durable_writes(criterion: &mut Criterion, path: &Path, count: u64) -> Outcome<()> {
    let db = with_cache(AMPLE_CACHE).open(path)?;
    let mut group = criterion.benchmark_group("durable put");
    for threads in [1, 8] {
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("{threads} thread{}", if threads == 1 { "" } else { "s" }), |bencher| {
            let mut seed = 10;
            bencher.iter_custom(|puts| {
                seed += 1;
                put_by_threads(&db, threads, puts, count, seed)
            });
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("durable batch");
    for size in [10, 100, 1000] {
        group.throughput(Throughput::Elements(size));
        group.bench_function(format!("of {size}"), |bencher| {
            let mut numbers = numbers(count - 1000, size);
            let users = || {
                let first = numbers();
                (first..first + size).map(user).collect::<Vec<_>>()
            };
            let put = |users: Vec<Value>| put_many(&db, users.into_iter()).expect("no failure");
            bencher.iter_batched(users, put, BatchSize::SmallInput);
        });
    }
    group.finish();
    Ok(db.close()?)
}

/// Shares so many puts out among threads. Returns how long all of them took together.
fn put_by_threads(db: &DynaMite, threads: u64, puts: u64, count: u64, seed: u64) -> Duration {
    let share = |thread: u64| {
        let mut numbers = numbers(count, seed * 100 + thread);
        let mine = puts / threads + u64::from(thread < puts % threads);
        (0..mine).map(|_| user(numbers())).collect::<Vec<Value>>()
    };
    let shares: Vec<Vec<Value>> = (0..threads).map(share).collect();
    let begun = Instant::now();
    thread::scope(|scope| {
        for share in shares {
            scope.spawn(move || {
                for user in share {
                    db.put_item(USERS, user).expect("no failure");
                }
            });
        }
    });
    begun.elapsed()
}
