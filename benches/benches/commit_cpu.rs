//! The processor time of a commit, by shape, and what of it is the pager's own.
//!
//! * `no device`: over a disk that forgets what it is given. All of it is the pager's (and the toy index's).
//! * `no device, holes`: the same in a file with many single free pages, which every commit lists.
//! * `io_uring, no flush`: writes to a file, flushes that do nothing. What it takes beyond `no device` is the kernel's.
//! * `io_uring`: all of a durable commit. The thread sleeps twice in it, and what it finds in the processor's caches
//!   afterwards is less.
//!
//! Shapes are those of the benchmark `commit`. The disks take turns.

#![forbid(unsafe_code)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dynamite_benches::arguments::Arguments;
use dynamite_benches::change::{CHANGES, Change, LEAVES};
use dynamite_benches::cpu_time::cpu_time;
use dynamite_benches::forgetful_disk::ForgetfulDisk;
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_benches::scratch::Scratch;
use dynamite_benches::table::Table;
use dynamite_benches::toy_index::ToyIndex;
use dynamite_benches::unflushed_disk::UnflushedDisk;
use dynamite_pager::disk::{Disk, file};
use dynamite_pager::{IoChoice, Options, PageKind, PagePtr, Pager};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Commits between two looks at the processor time.
const COMMITS: usize = 50;

/// Single free pages in a file of holes: nearly as many as the space root lists.
const HOLES: usize = 400;

/// What a database writes to.
const DISKS: [(&str, MakeDisk, usize); 4] = [
    ("no device", |_| Ok(ForgetfulDisk::new()), 0),
    ("no device, holes", |_| Ok(ForgetfulDisk::new()), HOLES),
    ("io_uring, no flush", |path| Ok(Arc::new(UnflushedDisk(file::create(path, IoChoice::Uring)?))), 0),
    ("io_uring", |path| Ok(file::create(path, IoChoice::Uring)?), 0),
];

type MakeDisk = fn(&Path) -> Outcome<Arc<dyn Disk>>;

fn main() -> Outcome<()> {
    let arguments = Arguments::of_process();
    if arguments.list {
        list();
        return Ok(());
    }
    let mut table =
        Table::new("Processor time of a commit, microseconds", &["change", "disk", "p10", "median", "p90"]);
    for change in CHANGES {
        let scratch = Scratch::new(env!("CARGO_TARGET_TMPDIR"))?;
        let mut subjects = Vec::new();
        for (disk, make, holes) in DISKS.iter().filter(|(disk, ..)| arguments.wants(&name(disk, &change))) {
            let settling = arguments.effort.pick(600, 100, 2);
            subjects.push((disk, Subject::new(make(&scratch.file(disk))?, *holes, change, settling)?));
        }
        for _ in 0..arguments.effort.pick(60, 10, 1) {
            subjects.iter_mut().try_for_each(|(_, subject)| subject.round())?;
        }
        for (disk, subject) in subjects {
            let quantile = |q| format!("{:.1}", subject.times.quantile(q));
            table.row([change.name.into(), (*disk).into(), quantile(0.1), quantile(0.5), quantile(0.9)]);
        }
    }
    table.print();
    Ok(())
}

#[allow(clippy::print_stdout, reason = "that is what was asked for")]
fn list() {
    for change in CHANGES {
        DISKS.iter().for_each(|(disk, ..)| println!("{}: benchmark", name(disk, &change)));
    }
}

fn name(disk: &str, change: &Change) -> String {
    format!("commit_cpu/{disk}/{}", change.name)
}

/// Leaves so many single pages free, each between two that stay in use.
fn make_holes(pager: &Pager, holes: usize) -> Outcome<()> {
    let mut batch = pager.begin()?;
    let run = batch.allocate_run(2 * holes as u32 + 1, PageKind::FIRST_FOREIGN)?;
    let birth = batch.commit()?;
    let mut batch = pager.begin()?;
    run.pages().skip(1).step_by(2).try_for_each(|id| batch.free(PagePtr { id, birth }))?;
    batch.commit()?;
    Ok(())
}

/// A database whose commits are measured.
struct Subject {
    pager: Pager,
    index: ToyIndex,
    change: Change,
    random: Random,
    times: Sample,
}

impl Subject {
    /// Commits until the file has its size and its free pages are as mixed as they get.
    fn new(disk: Arc<dyn Disk>, holes: usize, change: Change, settling: usize) -> Outcome<Subject> {
        let pager = Options::new().create_on(disk, *b"a commit's bench")?;
        let index = ToyIndex::create(&pager, LEAVES)?;
        make_holes(&pager, holes)?;
        let mut subject = Subject { pager, index, change, random: Random(3), times: Sample::default() };
        subject.commit(settling)?;
        Ok(subject)
    }

    /// Commits so many times, and returns the processor time that it took.
    fn commit(&mut self, times: usize) -> Outcome<Duration> {
        let choices: Vec<_> = (0..times).map(|_| self.change.choose(&mut self.random)).collect();
        let before = cpu_time()?;
        for leaves in &choices {
            self.index.change(&self.pager, leaves, 1, self.change.policy)?;
        }
        Ok(cpu_time()?.saturating_sub(before))
    }

    fn round(&mut self) -> Outcome<()> {
        let took = self.commit(COMMITS)?;
        self.times.push_us(took / COMMITS as u32);
        Ok(())
    }
}
