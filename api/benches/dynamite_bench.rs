//! The document API in memory: what the processor does, without a device. A write's flush is nothing here.
//!
//! ```text
//! cargo bench -p dynamite-core --bench dynamite_bench [-- FILTER]
//! ```
//!
//! Documents of some 400 bytes of JSON with eight attributes, 20,000 of them. `json` is what it would cost to keep them as text:
//! `serde_json` alone, without any store.

#![forbid(unsafe_code)]

mod common;

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput};
use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use dynamite_core::{Error, Item};
use serde_json::{Value, json};

use crate::common::{User, id, scatter, user};

/// Documents that there are from the beginning.
const COUNT: u64 = 20_000;

/// Documents in a group: what a query returns.
const GROUP: u64 = 100;

const USERS: &str = "users";
const GROUPS: &str = "groups";

type Outcome<T> = Result<T, Error>;

fn main() -> Outcome<()> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    let db = filled()?;
    json_alone(&mut criterion);
    gets(&mut criterion, &db);
    many(&mut criterion, &db);
    puts(&mut criterion, &db);
    criterion.final_summary();
    db.close()
}

fn filled() -> Outcome<DynaMite> {
    let db = DynaMite::in_memory()?;
    db.create_table(USERS).partition_key("id", KeyType::String).execute()?;
    db.create_table(GROUPS)
        .partition_key("group", KeyType::Number)
        .sort_key("id", KeyType::String)
        .execute()?;
    let numbers: Vec<u64> = (0..COUNT).collect();
    for batch in numbers.chunks(1000) {
        let write = batch.iter().fold(db.batch_write(), |write, &number| {
            let mut member = user(number);
            member["group"] = json!(number / GROUP);
            write.put(USERS, user(number)).put(GROUPS, member)
        });
        write.execute()?;
    }
    Ok(db)
}

/// Numbers below a bound, each another time than the one before would tell.
fn numbers(bound: u64) -> impl FnMut() -> u64 {
    let mut turn = 0;
    move || {
        turn += 1;
        scatter(turn) % bound
    }
}

fn json_alone(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("json");
    let text = user(1).to_string();
    group.bench_function("parse as Value", |bencher| {
        bencher.iter(|| serde_json::from_str::<Value>(black_box(&text)).expect("it is JSON"));
    });
    group.bench_function("parse as struct", |bencher| {
        bencher.iter(|| serde_json::from_str::<User>(black_box(&text)).expect("it is a user"));
    });
    group.bench_function("write", |bencher| {
        let user = user(1);
        bencher.iter(|| serde_json::to_vec(black_box(&user)).expect("it is JSON"));
    });
    group.finish();
}

fn gets(criterion: &mut Criterion, db: &DynaMite) {
    let mut group = criterion.benchmark_group("get");
    let mut ids = {
        let mut numbers = numbers(COUNT);
        move || id(numbers())
    };
    group.bench_function("as Value", |bencher| {
        let get = |id: String| found(db.get_item(USERS).partition_key(id).execute());
        bencher.iter_batched(&mut ids, get, BatchSize::SmallInput);
    });
    group.bench_function("as Item", |bencher| {
        let get = |id: String| -> Item { found(db.get_item(USERS).partition_key(id).execute_item()) };
        bencher.iter_batched(&mut ids, get, BatchSize::SmallInput);
    });
    group.bench_function("one attribute", |bencher| {
        let get = |id: String| found(db.get_item(USERS).partition_key(id).attributes(["email"]).execute());
        bencher.iter_batched(&mut ids, get, BatchSize::SmallInput);
    });
    group.bench_function("as struct", |bencher| {
        let get = |id: String| -> User { found(db.get_item(USERS).partition_key(id).execute_as()) };
        bencher.iter_batched(&mut ids, get, BatchSize::SmallInput);
    });
    group.bench_function("not there", |bencher| {
        bencher.iter(|| db.get_item(USERS).partition_key(black_box("nobody")).execute().expect("no failure"));
    });
    group.finish();
}

fn found<T>(outcome: Outcome<Option<T>>) -> T {
    outcome.expect("no failure").expect("it is there")
}

fn many(criterion: &mut Criterion, db: &DynaMite) {
    let mut group = criterion.benchmark_group("query");
    group.throughput(Throughput::Elements(GROUP));
    group.bench_function("100 as Value", |bencher| {
        let query = |group: u64| db.query(GROUPS).partition_key(group).execute().expect("no failure");
        bencher.iter_batched(numbers(COUNT / GROUP), query, BatchSize::SmallInput);
    });
    group.bench_function("100 as struct", |bencher| {
        let query =
            |group: u64| db.query(GROUPS).partition_key(group).execute_as::<User>().expect("no failure");
        bencher.iter_batched(numbers(COUNT / GROUP), query, BatchSize::SmallInput);
    });
    group.finish();

    let mut group = criterion.benchmark_group("batch_get");
    group.throughput(Throughput::Elements(100));
    group.bench_function("100 as Value", |bencher| {
        let first = numbers(COUNT - 100);
        let get = |first: u64| {
            let batch =
                (first..first + 100).fold(db.batch_get(), |batch, number| batch.get(USERS, id(number)));
            batch.execute().expect("no failure")
        };
        bencher.iter_batched(first, get, BatchSize::SmallInput);
    });
    group.finish();

    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(COUNT)).sample_size(10);
    group.bench_function("all as Value", |bencher| {
        bencher.iter(|| {
            let documents = db.scan(USERS).iter().expect("no failure");
            documents
                .map(|document| document.expect("no failure"))
                .filter(|document| document["active"] == true)
                .count()
        });
    });
    group.bench_function("one attribute of all", |bencher| {
        bencher.iter(|| {
            let documents = db.scan(USERS).attributes(["age"]).iter().expect("no failure");
            documents.filter_map(|document| document.expect("no failure")["age"].as_u64()).sum::<u64>()
        });
    });
    group.bench_function("count", |bencher| {
        bencher.iter(|| db.scan(USERS).count().expect("no failure"));
    });
    // One document in seventy passes.
    let filtered = || db.scan(USERS).filter("age = :age").value(":age", 30);
    group.bench_function("filter on one attribute, count", |bencher| {
        bencher.iter(|| filtered().count().expect("no failure"));
    });
    group.bench_function("filter on one attribute, stream", |bencher| {
        bencher.iter(|| {
            let documents = filtered().iter().expect("no failure");
            documents.filter(|document| document.is_ok()).count()
        });
    });
    group.bench_function("filter on one attribute, pages", |bencher| {
        bencher.iter(|| {
            let (mut found, mut start) = (0, None::<Value>);
            loop {
                let page = match start.take() {
                    None => filtered().execute(),
                    Some(key) => filtered().exclusive_start_key(key).execute(),
                };
                let page = page.expect("no failure");
                found += page.items.len();
                start = page.last_evaluated_key;
                if start.is_none() {
                    return found;
                }
            }
        });
    });
    group.finish();
}

fn puts(criterion: &mut Criterion, db: &DynaMite) {
    let mut group = criterion.benchmark_group("put");
    group.bench_function("Value", |bencher| {
        let mut numbers = numbers(COUNT);
        let put = |user: Value| db.put_item(USERS, user).expect("no failure");
        bencher.iter_batched(|| user(numbers()), put, BatchSize::SmallInput);
    });
    group.bench_function("struct", |bencher| {
        let mut numbers = numbers(COUNT);
        let typed = || serde_json::from_value::<User>(user(numbers())).expect("it is a user");
        let put = |user: User| db.put_item_from(USERS, &user).expect("no failure");
        bencher.iter_batched(typed, put, BatchSize::SmallInput);
    });
    group.finish();

    let mut group = criterion.benchmark_group("batch_write");
    group.throughput(Throughput::Elements(100));
    group.bench_function("100 in one commit", |bencher| {
        let mut numbers = numbers(COUNT - 100);
        let users = || {
            let first = numbers();
            (first..first + 100).map(user).collect::<Vec<Value>>()
        };
        let write = |users: Vec<Value>| {
            let batch = users.iter().fold(db.batch_write(), |batch, user| batch.put(USERS, user));
            batch.execute().expect("no failure")
        };
        bencher.iter_batched(users, write, BatchSize::SmallInput);
    });
    group.finish();

    let mut group = criterion.benchmark_group("transact");
    group.bench_function("get, change and put two", |bencher| {
        let mut numbers = numbers(COUNT);
        let two = || {
            let first = numbers();
            [id(first), id((first + 1) % COUNT)]
        };
        bencher.iter_batched(two, |ids| transact(db, &ids).expect("no failure"), BatchSize::SmallInput);
    });
    group.finish();
}

fn transact(db: &DynaMite, ids: &[String]) -> Outcome<()> {
    db.transact(|txn| {
        for id in ids {
            let mut user = found(txn.get_item(USERS).partition_key(id).execute());
            user["active"] = json!(user["active"] != true);
            txn.put_item(USERS, user)?;
        }
        Ok(())
    })
}
