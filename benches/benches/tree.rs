//! What a tree costs when its pages are in the pool: lookups, scans, inserts, and the room that it takes.
//!
//! Rows are of 24 + 150 bytes, keys random, in a database in memory whose pool holds all of it. Inserts go in batches of 32,
//! each committed, which costs checksums and copies to memory but no device, so their number is that of the pager as well. All are processor times of one
//! thread, since nothing here waits.

#![forbid(unsafe_code)]

use std::error::Error;
use std::hint::black_box;

use dynamite_benches::arguments::Arguments;
use dynamite_benches::cpu_time::cpu_time;
use dynamite_benches::random::Random;
use dynamite_benches::table::Table;
use dynamite_bptree::{Body, BulkLoad, NewValue, Tree, check_page};
use dynamite_pager::{Access, Options, Pager};

type Outcome<T> = Result<T, Box<dyn Error>>;

const KEY_LEN: usize = 24;
const VALUE_LEN: usize = 150;
const BATCH: usize = 32;

fn main() -> Outcome<()> {
    let arguments = Arguments::of_process();
    if arguments.list || !arguments.wants("tree") {
        list(arguments.list);
        return Ok(());
    }
    let rows = arguments.effort.pick(1_000_000, 200_000, 2_000);
    let mut table = Table::new(format!("A tree of {rows} rows, in the pool"), &["what", "value", "unit"]);
    let keys = keys(rows);
    random_load(&keys, &mut table)?;
    ascending_loads(&keys, &mut table)?;
    table.print();
    Ok(())
}

#[allow(clippy::print_stdout, reason = "the test runner asks for the list")]
fn list(asked: bool) {
    if asked {
        println!("tree: benchmark");
    }
}

fn random_load(keys: &[[u8; KEY_LEN]], table: &mut Table) -> Outcome<()> {
    let pager = pager()?;
    let mut tree = Tree::EMPTY;
    let per_insert = time(keys.len(), || {
        for batch in keys.chunks(BATCH) {
            insert_all(&pager, &mut tree, batch)?;
        }
        Ok(())
    })?;
    put(table, "random insert, 32 a batch", per_insert, "ns");
    put(table, "levels", f64::from(tree.to_bytes()[12]) + 1.0, "");
    let stats = pager.stats();
    let raw = (keys.len() * (KEY_LEN + VALUE_LEN)) as f64;
    put(table, "file / raw data, random load", stats.page_count as f64 * 4096.0 / raw, "");
    let used = stats.page_count - stats.free_pages.unwrap_or(0);
    put(table, "pages in use / raw data, random load", used as f64 * 4096.0 / raw, "");

    let mut random = Random(2);
    let order: Vec<usize> = (0..keys.len()).map(|_| random.below(keys.len())).collect();
    for round in ["get (first round)", "get"] {
        let per_get = time(keys.len(), || {
            for index in &order {
                let (mut operation, _) = pager.enter()?;
                black_box(tree.get(&mut operation, &keys[*index])?.expect("inserted").len());
            }
            Ok(())
        })?;
        put(table, round, per_get, "ns");
    }
    let before = pager.stats().hits;
    let (mut operation, _) = pager.enter()?;
    tree.get(&mut operation, &keys[0])?;
    drop(operation);
    put(table, "page touches of a get", (pager.stats().hits - before) as f64, "");
    let wanted: Vec<&[u8]> = order.iter().map(|index| &keys[*index][..]).collect();
    let per_get = time(keys.len(), || {
        for wanted in wanted.chunks(100) {
            let (mut operation, _) = pager.enter()?;
            tree.get_many(&mut operation, wanted, &mut |_, value| {
                black_box(value.expect("inserted").len());
                Ok(())
            })?;
        }
        Ok(())
    })?;
    put(table, "get_many, 100 at a time", per_get, "ns a key");
    let per_row = time(keys.len(), || scan(&pager, &tree))?;
    put(table, "scan by rows", per_row, "ns a row");
    let per_row = time(keys.len(), || {
        let (mut operation, _) = pager.enter()?;
        let mut cursor = tree.cursor(&mut operation, Access::Scan);
        while let Some(entry) = cursor.next()? {
            black_box(entry.value.len());
        }
        Ok(())
    })?;
    put(table, "scan by next", per_row, "ns a row");

    // Overwrites in place and inserts into a tree of this size.
    let more: Vec<_> = self::keys(keys.len() + keys.len() / 10).split_off(keys.len());
    let per_insert = time(more.len(), || {
        for batch in more.chunks(BATCH) {
            insert_all(&pager, &mut tree, batch)?;
        }
        Ok(())
    })?;
    put(table, "insert into the full tree, 32 a batch", per_insert, "ns");
    let per_insert = time(more.len(), || {
        for batch in more.chunks(1024) {
            insert_all(&pager, &mut tree, batch)?;
        }
        Ok(())
    })?;
    put(table, "overwrite, 1,024 a batch", per_insert, "ns");
    Ok(())
}

fn ascending_loads(keys: &[[u8; KEY_LEN]], table: &mut Table) -> Outcome<()> {
    let mut sorted = keys.to_vec();
    sorted.sort_unstable();
    let raw = (keys.len() * (KEY_LEN + VALUE_LEN)) as f64;
    let pager = self::pager()?;
    let mut tree = Tree::EMPTY;
    let per_insert = time(keys.len(), || {
        for batch in sorted.chunks(BATCH) {
            insert_all(&pager, &mut tree, batch)?;
        }
        Ok(())
    })?;
    put(table, "ascending insert, 32 a batch", per_insert, "ns");
    let used = |pager: &Pager| {
        let stats = pager.stats();
        stats.page_count - stats.free_pages.unwrap_or(0)
    };
    put(table, "pages in use / raw data, ascending", used(&pager) as f64 * 4096.0 / raw, "");
    let per_row = time(keys.len(), || scan(&pager, &tree))?;
    put(table, "scan by rows, ascending load", per_row, "ns a row");

    let pager = self::pager()?;
    let per_row = time(keys.len(), || {
        let mut batch = pager.begin()?;
        let mut load = BulkLoad::new();
        for key in &sorted {
            load.push(&mut batch, key, value(key))?;
        }
        tree = load.finish(&mut batch)?;
        batch.commit()?;
        Ok(())
    })?;
    put(table, "bulk load", per_row, "ns a row");
    put(table, "pages in use / raw data, bulk load", used(&pager) as f64 * 4096.0 / raw, "");
    Ok(())
}

fn insert_all(pager: &Pager, tree: &mut Tree, keys: &[[u8; KEY_LEN]]) -> Outcome<()> {
    let mut batch = pager.begin()?;
    for key in keys {
        black_box(tree.insert(&mut batch, key, value(key))?);
    }
    batch.commit()?;
    Ok(())
}

fn scan(pager: &Pager, tree: &Tree) -> Outcome<()> {
    let (mut operation, _) = pager.enter()?;
    let mut cursor = tree.cursor(&mut operation, Access::Scan);
    while let Some(mut rows) = cursor.next_rows()? {
        while let Some(entry) = rows.next() {
            black_box((entry.key.len(), entry.value.len()));
        }
    }
    Ok(())
}

fn pager() -> Outcome<Pager> {
    let options = Options::new().cache_bytes(512 << 20).background(false).page_check(check_page);
    Ok(options.in_memory(*b"tree benchmark..")?)
}

fn value(key: &[u8; KEY_LEN]) -> NewValue<'_> {
    static BODY: [u8; VALUE_LEN] = [b'v'; VALUE_LEN];
    NewValue { head: &key[..8], body: Body::Bytes(&BODY[8..]) }
}

fn keys(count: usize) -> Vec<[u8; KEY_LEN]> {
    let mut random = Random(1);
    (0..count)
        .map(|_| {
            let mut key = [0; KEY_LEN];
            key.chunks_exact_mut(8).for_each(|part| part.copy_from_slice(&random.next().to_be_bytes()));
            key
        })
        .collect()
}

/// Nanoseconds of processor time for each of `count`.
fn time(count: usize, work: impl FnOnce() -> Outcome<()>) -> Outcome<f64> {
    let before = cpu_time()?;
    work()?;
    Ok((cpu_time()? - before).as_nanos() as f64 / count as f64)
}

fn put(table: &mut Table, what: &str, value: f64, unit: &str) {
    table.row([what.to_owned(), format!("{value:.2}"), unit.to_owned()]);
}
