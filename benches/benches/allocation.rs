//! What it costs to allocate and to free a page of a file with ten million free ones.
//!
//! Driven as the layers above drive it, through a write batch, so the price of a frame and of formatting it is in the
//! numbers. The file is on a disk that forgets what is not the pager's own, so no device is in them.
//!
//! * `scattered`: every second page is free.
//! * `contiguous`: all pages are free, but one in 40,000.
//!
//! `allocate` and `free` are times a page within one batch, `commit` is that of a commit which replaces 64 pages. `floor`
//! is what a page costs without a search for it: the batch gets its pages in one run. All are processor times, since
//! nothing here waits.

#![forbid(unsafe_code)]

use std::error::Error;
use std::time::Duration;

use dynamite_benches::arguments::Arguments;
use dynamite_benches::bulk_fill::bulk_fill;
use dynamite_benches::cpu_time::cpu_time;
use dynamite_benches::forgetful_disk::ForgetfulDisk;
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_benches::table::Table;
use dynamite_pager::{Options, PageKind, PagePtr, Pager, Placement};

type Outcome<T> = Result<T, Box<dyn Error>>;

const KIND: PageKind = PageKind::FIRST_FOREIGN;

/// Pages that one batch allocates or frees: well below a quarter of the pool.
const BATCH: usize = 4096;

/// Of the pages that `contiguous` frees, one in so many stays.
const STRIDE: usize = 40_000;

fn main() -> Outcome<()> {
    let arguments = Arguments::of_process();
    if arguments.list || !arguments.wants("allocation") {
        list(arguments.list);
        return Ok(());
    }
    let free = arguments.effort.pick(10_000_000, 1_000_000, 10_000);
    let rounds = arguments.effort.pick(100, 30, 2);
    let disk = ForgetfulDisk::new();
    let pager =
        Options::new().cache_bytes(256 << 20).background(false).create_on(disk, *b"allocation bench")?;
    let mut table = Table::new(
        "Allocating and freeing through a write batch, no device",
        &["free pages", "what", "p10", "median", "p90", "unit"],
    );
    let mut in_use = bulk_fill(&pager, 2 * free)?;
    let mut number = 0;
    free_all(&pager, &mut in_use, |_| {
        number += 1;
        number % 2 == 0
    })?;
    measure(&pager, "scattered", rounds, &mut in_use, &mut table)?;
    in_use.sort_by_key(|ptr| ptr.id);
    let mut number = 0;
    let kept = in_use.len() - 2 * BATCH;
    free_all(&pager, &mut in_use, |_| {
        number += 1;
        number % (STRIDE / 2) != 0 && number <= kept
    })?;
    measure(&pager, "contiguous", rounds, &mut in_use, &mut table)?;
    table.print();
    Ok(())
}

#[allow(clippy::print_stdout, reason = "that is what was asked for")]
fn list(wanted: bool) {
    if wanted {
        println!("allocation: benchmark");
    }
}

/// Frees those of the pages that are chosen, in one batch.
fn free_all(
    pager: &Pager,
    in_use: &mut Vec<PagePtr>,
    mut chosen: impl FnMut(PagePtr) -> bool,
) -> Outcome<()> {
    let (freed, kept): (Vec<PagePtr>, Vec<PagePtr>) = in_use.iter().partition(|ptr| chosen(**ptr));
    *in_use = kept;
    let mut batch = pager.begin()?;
    freed.into_iter().try_for_each(|ptr| batch.free(ptr))?;
    batch.commit()?;
    // What a commit has freed is released when the next batch begins.
    drop(pager.begin()?);
    Ok(())
}

fn measure(
    pager: &Pager,
    name: &str,
    rounds: usize,
    in_use: &mut [PagePtr],
    table: &mut Table,
) -> Outcome<()> {
    let free = pager.stats().free_pages.expect("a writer knows");
    let mut row = |what: &str, sample: &Sample, unit: &str| {
        let quantile = |q| format!("{:.0}", sample.quantile(q));
        let first = format!("{free} {name}");
        table.row([first, what.to_owned(), quantile(0.1), quantile(0.5), quantile(0.9), unit.to_owned()]);
    };
    for (what, placement) in
        [("allocate, hole", Placement::Hole), ("allocate, together", Placement::Together)]
    {
        let mut times = Sample::default();
        for _ in 0..rounds {
            let mut batch = pager.begin()?;
            let took = timed(|| {
                for _ in 0..BATCH {
                    batch.allocate(KIND, 0, placement)?;
                }
                Ok(())
            });
            times.push(ns_a_page(took?));
        }
        row(what, &times, "ns/page");
    }
    let mut times = Sample::default();
    for _ in 0..rounds {
        let mut batch = pager.begin()?;
        // All that is left is frames and formatting.
        let took = timed(|| {
            batch.allocate_run(BATCH as u32, KIND)?;
            Ok(())
        });
        times.push(ns_a_page(took?));
    }
    row("floor", &times, "ns/page");
    let mut random = Random(6);
    random.shuffle(in_use);
    let mut times = Sample::default();
    for _ in 0..rounds {
        let mut batch = pager.begin()?;
        let took = timed(|| {
            in_use[..BATCH].iter().try_for_each(|ptr| batch.free(*ptr))?;
            Ok(())
        });
        times.push(ns_a_page(took?));
        random.shuffle(&mut in_use[..2 * BATCH]);
    }
    row("free", &times, "ns/page");
    let mut commits = Sample::default();
    for _ in 0..rounds {
        commits.push_us(timed(|| replace(pager, &mut in_use[..64]))?);
        random.shuffle(&mut in_use[..BATCH]);
    }
    row("commit of 64 pages", &commits, "us");
    Ok(())
}

/// Frees the pages, allocates as many, and commits.
fn replace(pager: &Pager, pages: &mut [PagePtr]) -> Outcome<()> {
    let mut batch = pager.begin()?;
    for page in pages {
        batch.free(*page)?;
        *page = batch.allocate(KIND, 0, Placement::Hole)?;
    }
    batch.commit()?;
    Ok(())
}

/// The processor time of some work.
fn timed(work: impl FnOnce() -> Outcome<()>) -> Outcome<Duration> {
    let before = cpu_time()?;
    work()?;
    Ok(cpu_time()?.saturating_sub(before))
}

fn ns_a_page(time: Duration) -> f64 {
    time.as_nanos() as f64 / BATCH as f64
}
