//! What commits write, counted, not timed: pages, and the extents that they stand in. It does not depend on the machine's mood.
//!
//! On a file in memory, rows of 24 + 150 and 24 + 400 bytes: all of them put in random order by durable transactions of many, then single
//! puts of one and of several threads, which share commits, before and after maintenance.

#![forbid(unsafe_code)]

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dynamite_benches::arguments::Arguments;
use dynamite_benches::random::{Random, scattered_key};
use dynamite_benches::recording_disk::RecordingDisk;
use dynamite_benches::table::Table;
use dynamite_pager::disk::{Backend, Disk, PageRead, PageWrite, file};
use dynamite_pager::{Page, PageId};
use dynamite_txn::{Durability, ManualClock, Options, Retention, Store, TableId};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes of a row's value, and rows in a transaction while loading.
const LOADS: [(usize, usize); 3] = [(400, 1_000), (150, 1_000), (150, 10_000)];

/// Transactions of one put that become one commit.
const GROUPS: [usize; 4] = [1, 8, 16, 32];

fn main() -> Outcome<()> {
    let arguments = Arguments::of_process();
    for (value_bytes, batch) in LOADS {
        if arguments.wants(&format!("extents/{value_bytes}/{batch}")) {
            let rows = arguments.effort.pick(1_000_000, 200_000, 4_000);
            Subject::new(value_bytes, rows)?.run(batch, arguments.effort.pick(1_000, 300, 5))?;
        }
    }
    Ok(())
}

struct Subject {
    disk: Arc<RecordingDisk>,
    disk_pause: Arc<AtomicBool>,
    store: Store,
    table: TableId,
    rows: usize,
    value: Vec<u8>,
    random: Random,
}

impl Subject {
    fn new(value_bytes: usize, rows: usize) -> Outcome<Subject> {
        let is_slow = Arc::new(AtomicBool::new(false));
        let disk =
            RecordingDisk::new(Arc::new(SlowDisk { inner: file::memory()?, is_slow: is_slow.clone() }));
        let options = Options::new(Arc::new(ManualClock::at(1))).background(false).cache_bytes(1 << 30);
        let store = options.create_on(disk.clone(), *b"for benchmarking")?;
        let table = store.write(|txn| txn.create_table(b"t", b"", Retention::None))?;
        Ok(Subject {
            disk,
            disk_pause: is_slow,
            store,
            table,
            rows,
            value: vec![7; value_bytes],
            random: Random(7),
        })
    }

    fn run(&mut self, batch: usize, groups: usize) -> Outcome<()> {
        let title = format!(
            "Pages and extents of a commit, {} rows of 24 + {} bytes, loaded {batch} in a transaction",
            self.rows,
            self.value.len()
        );
        let mut table = Table::new(
            title,
            &["commits", "pages", "extents", "pages an extent", "file, of raw data", "in use"],
        );
        let mut order: Vec<u64> = (0..self.rows as u64).collect();
        self.random.shuffle(&mut order);
        for (tenth, part) in order.chunks(self.rows / 10).enumerate() {
            let commits = part.chunks(batch).len();
            for rows in part.chunks(batch) {
                self.store.write(|txn| {
                    rows.iter().try_for_each(|n| txn.put(self.table, &scattered_key(*n), &self.value))
                })?;
            }
            self.report(&mut table, format!("load, tenth {}", tenth + 1), commits)?;
        }
        self.groups(&mut table, groups)?;
        self.store.maintain()?;
        self.report(&mut table, "maintenance".into(), 1)?;
        self.groups(&mut table, groups)?;
        table.print();
        Ok(())
    }

    fn groups(&mut self, table: &mut Table, groups: usize) -> Outcome<()> {
        for size in GROUPS {
            for turn in 1..=2 {
                let commits = self.store.stats().commits;
                self.group(size, groups)?;
                let commits = (self.store.stats().commits - commits) as usize;
                let of = (size * groups) as f64 / commits as f64;
                self.report(table, format!("{size} threads, groups of {of:.1}, turn {turn}"), commits)?;
            }
        }
        Ok(())
    }

    /// Lets threads put one row after the other, as many as make up so many groups if all of them join each.
    fn group(&mut self, threads: usize, groups: usize) -> Outcome<()> {
        self.disk_pause.store(true, Ordering::Relaxed);
        let seeds: Vec<u64> = (0..threads).map(|_| self.random.next()).collect();
        let (store, table, rows, value) = (&self.store, self.table, self.rows, &self.value);
        std::thread::scope(|scope| {
            for seed in seeds {
                scope.spawn(move || {
                    let mut random = Random(seed);
                    for _ in 0..groups {
                        let row = random.below(rows) as u64;
                        store
                            .write_in_company(Durability::Immediate, |txn| {
                                txn.put(table, &scattered_key(row), value)
                            })
                            .expect("a disk in memory never fails");
                    }
                });
            }
        });
        self.disk_pause.store(false, Ordering::Relaxed);
        Ok(())
    }

    fn report(&self, table: &mut Table, called: String, commits: usize) -> Outcome<()> {
        let notes = self.disk.take();
        let (pages, extents) = (notes.pages() as f64, notes.extents() as f64);
        let stats = self.store.stats();
        let raw = (self.rows * (24 + self.value.len())) as f64;
        let of_raw = |pages: u64| format!("{:.3}", pages as f64 * 4096.0 / raw);
        table.row([
            called,
            format!("{:.1}", pages / commits as f64),
            format!("{:.2}", extents / commits as f64),
            format!("{:.2}", pages / extents),
            format!("{:.3}", self.disk.byte_len()? as f64 / raw),
            of_raw(stats.page_count - stats.free_pages.unwrap_or(0)),
        ]);
        Ok(())
    }
}

/// A disk whose flushes take a while if so told, so that the commits of many threads gather meanwhile.
#[derive(Debug)]
struct SlowDisk {
    inner: Arc<dyn Disk>,
    is_slow: Arc<AtomicBool>,
}

impl Disk for SlowDisk {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        self.inner.read_page(id, page)
    }

    fn read_batch(&self, reads: &mut [PageRead<'_>]) {
        self.inner.read_batch(reads);
    }

    fn write_batch(&self, writes: &[PageWrite<'_>]) -> io::Result<()> {
        self.inner.write_batch(writes)
    }

    fn flush(&self) -> io::Result<()> {
        if self.is_slow.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.inner.flush()
    }

    fn byte_len(&self) -> io::Result<u64> {
        self.inner.byte_len()
    }

    fn grow(&self, page_count: u64) -> io::Result<()> {
        self.inner.grow(page_count)
    }

    fn write_zeros(&self, first: PageId, count: u32) -> io::Result<()> {
        self.inner.write_zeros(first, count)
    }

    fn truncate(&self, page_count: u64) -> io::Result<()> {
        self.inner.truncate(page_count)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.inner.drop_cache()
    }

    fn backend(&self) -> Backend {
        self.inner.backend()
    }
}
