//! Backups of a database that is much larger than its cache, of its pages and of a snapshot's records, beside a bare copy of the
//! database's file: large direct reads and writes by a few threads. All end with a flush, and take turns.
//!
//! Each database is copied as its loading has left it, in the order of its keys or in another, and once more while a writer goes on.
//! The copy of records is smaller than the others; what counts is how long it takes.

#![forbid(unsafe_code)]

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dynamite_benches::arguments::Arguments;
use dynamite_benches::interleave::interleave;
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_benches::scratch::Scratch;
use dynamite_benches::table::Table;
use dynamite_pager::disk::reference;
use dynamite_txn::{Durability, ManualClock, Options, Retention, Store, TableId, TxnError};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes of the cache of a database that is backed up.
const CACHE: usize = 32 << 20;

/// Keys have 24 bytes.
const KEY: usize = 24;

/// The rows of a database, and the order in which they are loaded.
const SHAPES: [(&str, usize, bool); 4] = [
    ("150 bytes, random order", 150, false),
    ("150 bytes, ascending", 150, true),
    ("400 bytes, ascending", 400, true),
    ("60,000 bytes, ascending", 60_000, true),
];

fn main() -> Outcome<()> {
    let arguments = Arguments::of_process();
    let bytes = arguments.effort.pick(512 << 20, 128 << 20, 1 << 20);
    let rounds = arguments.effort.pick(7, 3, 1);
    let mut table = Table::new(
        "Backup, MB of the original's file a second (medians)",
        &[
            "rows",
            "MB",
            "bare copy",
            "of pages",
            "of bare",
            "while writing",
            "writes/s",
            "of records",
            "of bare",
        ],
    );
    for (name, value, ascending) in SHAPES {
        if !arguments.wants(&format!("backup/{name}")) {
            continue;
        }
        let scratch = Scratch::new(env!("CARGO_TARGET_TMPDIR"))?;
        let subject = Subject::load(&scratch, value, bytes / (KEY + value), ascending)?;
        let len = fs::metadata(&subject.path)?.len();
        let mut written = 0.0;
        let samples = interleave(rounds, 4, |turn| {
            let copy = scratch.file("copy");
            let time = match turn {
                0 => timed(|| Ok(reference::copy(&subject.path, &copy)?))?,
                1 => timed(|| subject.backup(&copy))?,
                2 => timed(|| subject.backup_records(&copy))?,
                _ => {
                    let (time, writes) = subject.backup_beside_a_writer(&copy)?;
                    written += writes as f64 / time.as_secs_f64() / rounds as f64;
                    time
                }
            };
            fs::remove_file(&copy)?;
            Ok::<_, Box<dyn Error>>(len as f64 / 1e6 / time.as_secs_f64())
        })?;
        let [bare, alone, records, beside]: [Sample; 4] = samples.try_into().expect("four subjects");
        table.row([
            name.into(),
            format!("{:.0}", len as f64 / 1e6),
            format!("{:.0}", bare.median()),
            format!("{:.0}", alone.median()),
            format!("{:.2}", alone.ratios(&bare).median()),
            format!("{:.0}", beside.median()),
            format!("{written:.0}"),
            format!("{:.0}", records.median()),
            format!("{:.2}", records.ratios(&bare).median()),
        ]);
    }
    table.print();
    Ok(())
}

fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<Duration> {
    let begun = Instant::now();
    work()?;
    Ok(begun.elapsed())
}

struct Subject {
    path: PathBuf,
    table: TableId,
    rows: u64,
    value: usize,
}

impl Subject {
    fn load(scratch: &Scratch, value: usize, rows: usize, ascending: bool) -> Outcome<Subject> {
        let path = scratch.file("original");
        let store = options(256 << 20).create(&path, *b"for benchmarking")?;
        let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None))?;
        let rows = rows as u64;
        let step = (4_000_000 / (KEY + value)) as u64;
        for first in (0..rows).step_by(step as usize) {
            store.write(|txn| {
                (first..rows.min(first + step)).try_for_each(|n| {
                    // Scattered, but always the same.
                    let n = if ascending { n } else { n.wrapping_mul(0x9e37_79b9_7f4a_7c15) };
                    txn.put(table, &key(n), &vec![n as u8; value])
                })
            })?;
        }
        store.maintain()?;
        store.close()?;
        Ok(Subject { path, table, rows, value })
    }

    /// Opens it, so that nothing is in memory, and backs it up.
    fn backup(&self, copy: &Path) -> Outcome<()> {
        let store = options(CACHE).open(&self.path)?;
        back_up(&store, copy)?;
        Ok(store.close()?)
    }

    /// The same for what a snapshot sees.
    fn backup_records(&self, copy: &Path) -> Outcome<()> {
        let store = options(CACHE).open(&self.path)?;
        store.snapshot()?.backup(copy, *b"as another is it", &mut |_| ControlFlow::Continue(()))?;
        Ok(store.close()?)
    }

    /// A backup of pages while one thread writes, durably, as fast as it can. Returns how long the backup took, and how many writes were
    /// done meanwhile.
    fn backup_beside_a_writer(&self, copy: &Path) -> Outcome<(Duration, u64)> {
        let store = options(CACHE).background(true).open(&self.path)?;
        let (done, writes) = (AtomicBool::new(false), AtomicU64::new(0));
        let time = thread::scope(|scope| {
            let writer = scope.spawn(|| -> Result<(), TxnError> {
                let mut random = Random(1);
                while !done.load(Ordering::Relaxed) {
                    let n = random.below(self.rows as usize) as u64;
                    store.write_with(Durability::Immediate, |txn| {
                        txn.put(self.table, &key(n), &vec![1; self.value])
                    })?;
                    writes.fetch_add(1, Ordering::Relaxed);
                }
                Ok(())
            });
            let time = timed(|| back_up(&store, copy));
            done.store(true, Ordering::Relaxed);
            writer.join().map_err(|_| "the writer has panicked")??;
            time
        })?;
        store.close()?;
        Ok((time, writes.into_inner()))
    }
}

fn options(cache: usize) -> Options {
    Options::new(Arc::new(ManualClock::at(1))).background(false).cache_bytes(cache)
}

fn back_up(store: &Store, copy: &Path) -> Outcome<()> {
    store.backup(copy, *b"as another is it", &mut |_| ControlFlow::Continue(()))?;
    Ok(())
}

fn key(n: u64) -> [u8; KEY] {
    let mut key = *b"00000000000000000000rows";
    key[..8].copy_from_slice(&n.to_be_bytes());
    key
}
