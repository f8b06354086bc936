//! What an open costs, whatever the size of the file: at most 250 page reads (INV-3), one write and two flushes.

mod toy;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::disk::{Backend, Disk, PageRead, PageWrite};
use dynamite_pager::{Options, Page, PageId, Pager};
use toy::*;

const READS_MAX: u64 = 250;

/// Counts the pages that are asked for.
#[derive(Debug)]
struct CountingDisk {
    disk: DiskSim,
    reads: AtomicU64,
    writes: AtomicU64,
    flushes: AtomicU64,
}

impl CountingDisk {
    fn new(disk: DiskSim) -> Arc<CountingDisk> {
        let count = AtomicU64::default;
        Arc::new(CountingDisk { disk, reads: count(), writes: count(), flushes: count() })
    }
}

impl Disk for CountingDisk {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.disk.read_page(id, page)
    }

    fn read_batch(&self, reads: &mut [PageRead<'_>]) {
        self.reads.fetch_add(reads.len() as u64, Ordering::Relaxed);
        self.disk.read_batch(reads);
    }

    fn write_batch(&self, writes: &[PageWrite<'_>]) -> io::Result<()> {
        self.writes.fetch_add(writes.len() as u64, Ordering::Relaxed);
        self.disk.write_batch(writes)
    }

    fn flush(&self) -> io::Result<()> {
        self.flushes.fetch_add(1, Ordering::Relaxed);
        self.disk.flush()
    }

    fn byte_len(&self) -> io::Result<u64> {
        self.disk.byte_len()
    }

    fn grow(&self, page_count: u64) -> io::Result<()> {
        self.disk.grow(page_count)
    }

    fn write_zeros(&self, first: PageId, count: u32) -> io::Result<()> {
        self.disk.write_zeros(first, count)
    }

    fn truncate(&self, page_count: u64) -> io::Result<()> {
        self.disk.truncate(page_count)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.disk.drop_cache()
    }

    fn backend(&self) -> Backend {
        self.disk.backend()
    }
}

/// A pool in which a commit of 240 pages is nothing large.
fn options() -> Options {
    Options::new().cache_bytes(16 << 20).background(false)
}

/// Opens what a power cut left, and returns how many pages were read for that.
#[track_caller]
fn reads_to_open(survivor: &DiskSim, expected: &[Cells]) -> u64 {
    let disk = CountingDisk::new(survivor.clone());
    let pager = options().open_on(disk.clone(), true).expect("it opens");
    let reads = disk.reads.load(Ordering::Relaxed);
    assert!(reads <= READS_MAX, "the open read {reads} pages");
    assert_eq!(disk.writes.load(Ordering::Relaxed), 1);
    assert_eq!(disk.flushes.load(Ordering::Relaxed), 2);
    let found = read_all(&pager).expect("the state can be read");
    assert!(expected.contains(&found));
    reads
}

/// Commits as many pages as a manifest names, loses power, and opens.
fn check_open_after_the_largest_manifest(pager: &Pager, disk: &DiskSim) {
    let old = read_all(pager).expect("the state can be read");
    let before = pager.stats();
    // Root and free space are two pages more.
    let changes = [(0, Cell { value: 1, pages: 238 })];
    commit(pager, &changes).expect("nothing fails");
    let after = pager.stats();
    assert_eq!(after.pages_written - before.pages_written, 241, "240 pages and the header");
    assert_eq!((after.flushes - before.flushes, after.large_commits), (1, before.large_commits));

    let mut new = old.clone();
    new[0] = changes[0].1;
    assert!(reads_to_open(&disk.after_power_loss(0), &[new.clone()]) > 240, "all pages are verified");
    assert!(reads_to_open(&disk.after_kill(), &[new.clone()]) > 240, "all pages are verified");

    // Once more, and the power goes before the flush.
    let before = disk.operations();
    let changes = [(0, Cell { value: 2, pages: 238 })];
    disk.crash_after(before + 241);
    commit(pager, &changes).expect_err("the power goes");
    let mut newest = new.clone();
    newest[0] = changes[0].1;
    for seed in 0..16 {
        reads_to_open(&disk.after_power_loss(seed), &[new.clone(), newest.clone()]);
    }
}

#[test]
fn opening_a_small_file_costs_no_more_than_its_manifest() {
    let disk = DiskSim::new(1);
    let pager = options().create_on(Arc::new(disk.clone()), DATABASE_ID).expect("nothing fails");
    fill(&pager, &[Cell { value: 0, pages: 238 }, Cell::of(0)]).expect("nothing fails");
    for _ in 0..3 {
        commit(&pager, &[(1, Cell::of(1))]).expect("nothing fails");
    }
    check_open_after_the_largest_manifest(&pager, &disk);
}

/// 128 MiB, more than one page of the free-space map can account for.
#[test]
fn opening_a_large_file_costs_no_more_than_opening_a_small_one() {
    let disk = DiskSim::new(2);
    let pager = options().create_on(Arc::new(disk.clone()), DATABASE_ID).expect("nothing fails");
    let mut cells = vec![Cell { value: 0, pages: 270 }; 122];
    cells[0] = Cell { value: 0, pages: 238 };
    fill(&pager, &cells).expect("nothing fails");
    // Holes all over the file.
    for cell in (2..122).step_by(2) {
        commit(&pager, &[(cell, Cell::of(1))]).expect("nothing fails");
    }
    assert!(pager.stats().page_count > 32_512, "{} pages", pager.stats().page_count);
    check_open_after_the_largest_manifest(&pager, &disk);
}
