//! How long commits take, as a multiple of F: one write of 4 KiB and one flush, measured in turns with them.
//!
//! The database is a toy index of 2,000 leaves under six inner pages and a root. Beside F and the commit two
//! more subjects take turns, which tell where the time goes:
//!
//! * `same shape`: the pages that the commit wrote, written to a twin of the file by the same backend and flushed, with
//!   nothing around it. What the commit takes beyond that is our own doing.
//! * `one run`: as many pages, in one run and a header. What `same shape` takes beyond that is the price of
//!   scattered pages.
//!
//! F comes in pairs with commits, 20 pairs a round. A round is quiet if F's 90th percentile is at most 1.3 × its median.
//! A device that is busy throughout a round passes for quiet too, and makes every ratio look like 1; so `quiet F us`
//! has to be about as small as F ever is before the ratio beside it says anything.

#![forbid(unsafe_code)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dynamite_benches::arguments::{Arguments, Effort};
use dynamite_benches::change::{CHANGES, Change, LEAVES};
use dynamite_benches::interleave::interleave;
use dynamite_benches::random::Random;
use dynamite_benches::recording_disk::{Notes, RecordingDisk};
use dynamite_benches::sample::Sample;
use dynamite_benches::scratch::Scratch;
use dynamite_benches::table::Table;
use dynamite_benches::toy_index::ToyIndex;
use dynamite_pager::disk::reference::WriteAndFlush;
use dynamite_pager::disk::{Disk, PageWrite, file};
use dynamite_pager::{IoChoice, Options, Page, PageId, Pager};

/// Pairs of F and a commit in a round.
const PAIRS: usize = 20;

/// Pages of the files that the two bare subjects write to: more than the database ever has.
const TWIN_PAGES: u32 = 8192;

type Outcome<T> = Result<T, Box<dyn Error>>;

const BACKENDS: [(&str, IoChoice); 2] = [("io_uring", IoChoice::Uring), ("syscall", IoChoice::Syscall)];

fn main() -> Outcome<()> {
    let arguments = Arguments::of_process();
    if arguments.list {
        list();
        return Ok(());
    }
    let scratch = Scratch::new(env!("CARGO_TARGET_TMPDIR"))?;
    for (backend, choice) in BACKENDS {
        let wanted = || CHANGES.into_iter().filter(|change| arguments.wants(&name(backend, change)));
        if wanted().next().is_none() {
            continue;
        }
        let mut times = Table::new(
            format!("Commits by {backend}, in multiples of F"),
            &[
                "change",
                "F us",
                "F p90",
                "commit us",
                "of F",
                "round p10",
                "p90",
                "quiet rounds",
                "quiet F us",
                "of F, quiet",
            ],
        );
        let mut parts = Table::new(
            format!(
                "Where the time of a commit goes, by {backend}, and what bare I/O takes, in multiples of F"
            ),
            &[
                "change",
                "pages",
                "extents",
                "flushes",
                "write us",
                "flush us",
                "rest us",
                "same shape",
                "one run",
                "resizes",
            ],
        );
        for change in wanted() {
            let bench = Bench::new(&scratch, choice, &format!("{backend} {}", change.name))?;
            bench.settle(change, arguments.effort)?;
            let measured = bench.measure(change, &scratch.file("unit"), arguments.effort)?;
            times.row(measured.times_row(change));
            parts.row(measured.parts_row(change));
        }
        times.print();
        parts.print();
    }
    Ok(())
}

fn name(backend: &str, change: &Change) -> String {
    format!("commit/{backend}/{}", change.name)
}

#[allow(clippy::print_stdout, reason = "that is what was asked for")]
fn list() {
    for (backend, _) in BACKENDS {
        CHANGES.iter().for_each(|change| println!("{}: benchmark", name(backend, change)));
    }
}

/// A database and what its commits are compared with.
struct Bench {
    pager: Pager,
    disk: Arc<RecordingDisk>,
    index: ToyIndex,
    twin: Arc<dyn Disk>,
}

impl Bench {
    fn new(scratch: &Scratch, choice: IoChoice, name: &str) -> Outcome<Bench> {
        let disk = RecordingDisk::new(file::create(&scratch.file(&format!("{name} database")), choice)?);
        let pager = Options::new().create_on(disk.clone(), *b"a commit's bench")?;
        let index = ToyIndex::create(&pager, LEAVES)?;
        let twin = file::create(&scratch.file(&format!("{name} twin")), choice)?;
        twin.grow(TWIN_PAGES.into())?;
        twin.write_zeros(PageId(0), TWIN_PAGES)?;
        twin.flush()?;
        Ok(Bench { pager, disk, index, twin })
    }

    /// Commits until the file has its size and its free pages are as mixed as they get.
    fn settle(&self, change: Change, effort: Effort) -> Outcome<()> {
        let mut random = Random(3);
        for round in 0..effort.pick(600, 100, 2) {
            self.index.change(&self.pager, &change.choose(&mut random), round, change.policy)?;
        }
        Ok(())
    }

    fn measure(&self, change: Change, unit: &Path, effort: Effort) -> Outcome<Measured> {
        let mut measured = Measured::default();
        let mut unit = WriteAndFlush::open(unit)?;
        let mut random = Random(4);
        for _ in 0..effort.pick(10, 3, 1) {
            let mut last = vec![PageId(0)];
            let samples = interleave(effort.pick(PAIRS, PAIRS, 2), 4, |subject| {
                let leaves = change.choose(&mut random);
                drop(self.disk.take());
                let started = Instant::now();
                match subject {
                    0 => unit.run()?,
                    1 => drop(self.index.change(&self.pager, &leaves, 1, change.policy)?),
                    2 => write_and_flush(&*self.twin, &last)?,
                    _ => write_and_flush(&*self.twin, &run_of(last.len()))?,
                }
                let took = started.elapsed();
                if subject == 1 {
                    let notes = self.disk.take();
                    last = notes.batches.concat();
                    measured.note(&notes, took);
                }
                Ok::<_, Box<dyn Error>>(took.as_secs_f64() * 1e6)
            })?;
            measured.round(&samples);
        }
        Ok(measured)
    }
}

/// Where `pages` pages stand, if they are a header and one run.
fn run_of(pages: usize) -> Vec<PageId> {
    std::iter::once(0).chain(100..).take(pages).map(PageId).collect()
}

fn write_and_flush(disk: &dyn Disk, ids: &[PageId]) -> std::io::Result<()> {
    let mut page = Page::boxed();
    page.bytes_mut()[..4].copy_from_slice(&ids[0].0.to_le_bytes());
    let writes: Vec<PageWrite<'_>> = ids.iter().map(|id| PageWrite { id: *id, page: &page }).collect();
    disk.write_batch(&writes)?;
    disk.flush()
}

/// What was measured of one change.
#[derive(Default)]
struct Measured {
    unit: Sample,
    commit: Sample,
    /// The ratio of the medians of each round, of all of them and of the quiet ones.
    ratio: Sample,
    quiet_ratio: Sample,
    quiet_unit: Sample,
    same_shape: Sample,
    one_run: Sample,
    pages: Sample,
    extents: Sample,
    flushes: Sample,
    writing: Sample,
    flushing: Sample,
    rest: Sample,
    resizes: usize,
}

impl Measured {
    fn note(&mut self, notes: &Notes, took: Duration) {
        self.pages.push(notes.pages() as f64);
        self.extents.push(notes.extents() as f64);
        self.flushes.push(notes.flushes as f64);
        self.writing.push_us(notes.writing);
        self.flushing.push_us(notes.flushing);
        self.rest.push_us(took.saturating_sub(notes.writing + notes.flushing));
        self.resizes += notes.resizes;
    }

    fn round(&mut self, samples: &[Sample]) {
        let [unit, commit, same_shape, one_run] = samples else { unreachable!("four subjects") };
        let ratio = commit.median() / unit.median();
        self.ratio.push(ratio);
        if unit.quantile(0.9) <= 1.3 * unit.median() {
            self.quiet_ratio.push(ratio);
            self.quiet_unit.push(unit.median());
        }
        self.same_shape.push(same_shape.median() / unit.median());
        self.one_run.push(one_run.median() / unit.median());
        self.unit.extend(unit);
        self.commit.extend(commit);
    }

    fn times_row(&self, change: Change) -> [String; 10] {
        [
            change.name.to_owned(),
            format!("{:.0}", self.unit.median()),
            format!("{:.0}", self.unit.quantile(0.9)),
            format!("{:.0}", self.commit.median()),
            format!("{:.2}", self.ratio.median()),
            format!("{:.2}", self.ratio.quantile(0.1)),
            format!("{:.2}", self.ratio.quantile(0.9)),
            format!("{} of {}", self.quiet_ratio.len(), self.ratio.len()),
            or_dash(&self.quiet_unit, 0),
            or_dash(&self.quiet_ratio, 2),
        ]
    }

    fn parts_row(&self, change: Change) -> [String; 10] {
        [
            change.name.to_owned(),
            format!("{:.1}", self.pages.mean()),
            format!("{:.1}", self.extents.mean()),
            format!("{:.2}", self.flushes.mean()),
            format!("{:.0}", self.writing.median()),
            format!("{:.0}", self.flushing.median()),
            format!("{:.0}", self.rest.median()),
            format!("{:.2}", self.same_shape.median()),
            format!("{:.2}", self.one_run.median()),
            self.resizes.to_string(),
        ]
    }
}

/// The median, if there is one.
fn or_dash(sample: &Sample, decimals: usize) -> String {
    if sample.is_empty() { "-".to_owned() } else { format!("{:.decimals$}", sample.median()) }
}
