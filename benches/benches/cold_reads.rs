//! Random reads of pages that are not in the pool, beside bare I/O that reads other pages of the same file in the
//! same pattern at the same depth, in turns.
//!
//! The pool holds a small part of the file, and no page is asked for again before all others were. `depth 1` is
//! [`read`](dynamite_pager::Operation::read), the others are [`read_many`](dynamite_pager::Operation::read_many) of as
//! many pointers. Bare io_uring keeps its depth all the time; `bare, in batches` waits for a whole batch before it
//! goes on, as whoever needs all of the pages has to.

#![forbid(unsafe_code)]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use dynamite_benches::arguments::Arguments;
use dynamite_benches::bulk_fill::bulk_fill;
use dynamite_benches::interleave::interleave;
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_benches::scratch::Scratch;
use dynamite_benches::table::Table;
use dynamite_pager::disk::reference::{PreadReads, UringReads};
use dynamite_pager::{Access, IoChoice, Operation, Options, PageId, PagePtr, Pager, PagerError};

const DEPTHS: [usize; 3] = [1, 8, 32];

/// Pages read in one turn, and in one at depth 1, which takes several times as long a page.
const TURN: usize = 256;
const TURN_ALONE: usize = 64;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let arguments = Arguments::of_process();
    if arguments.list || !arguments.wants("cold_reads") {
        return list(arguments.list);
    }
    let effort = arguments.effort;
    let scratch = Scratch::new(env!("CARGO_TARGET_TMPDIR"))?;
    let path = scratch.file("cold");
    let pages = effort.pick(1 << 18, 1 << 16, 1 << 12);
    let cache_bytes = effort.pick(32 << 20, 16 << 20, 1 << 20);
    let rounds = effort.pick(240, 60, 2);

    let writer = Options::new().cache_bytes(256 << 20).create(&path, *b"cold reads bench")?;
    let mut ptrs = bulk_fill(&writer, pages)?;
    writer.close()?;
    Random(2).shuffle(&mut ptrs);
    let mut deck = Deck { ptrs, next: 0 };

    let options = Options::new().cache_bytes(cache_bytes);
    let backends = [
        ("io_uring", options.clone().io(IoChoice::Uring).open_read_only(&path)?),
        ("syscall", options.clone().io(IoChoice::Syscall).open_read_only(&path)?),
    ];
    let mut table = Table::new(
        format!(
            "Cold random reads, {} MiB of pages, a pool of {} MiB, {rounds} rounds",
            deck.ptrs.len() >> 8,
            cache_bytes >> 20
        ),
        &["what", "pages/s", "p10 us/page", "median", "p90", "of bare", "p10", "p90", "of our depth 1"],
    );
    let mut alone: Vec<f64> = Vec::new();
    for depth in DEPTHS {
        let mut subjects = bare_subjects(&path, depth)?;
        let bares = subjects.len();
        subjects.extend(backends.iter().map(|(name, pager)| Subject {
            name: format!("depth {depth}, {name} backend"),
            run: ours(pager, depth),
        }));
        let samples = interleave(rounds, subjects.len(), |number| {
            // Turns of a few milliseconds: as short as they can be without the first reads of each counting much.
            let hand = deck.deal(if depth == 1 { TURN_ALONE } else { TURN });
            let started = Instant::now();
            (subjects[number].run)(&hand)?;
            Ok::<_, Box<dyn Error>>(started.elapsed().as_secs_f64() * 1e6 / hand.len() as f64)
        })?;
        for (number, (subject, sample)) in subjects.iter().zip(&samples).enumerate() {
            let of_depth_1 = number.checked_sub(bares).map(|backend| {
                if depth == 1 {
                    alone.push(sample.median());
                }
                alone[backend] / sample.median()
            });
            table.row(row(subject, sample, &samples[0], of_depth_1));
        }
    }
    table.print();
    Ok(())
}

#[allow(clippy::print_stdout, reason = "that is what was asked for")]
fn list(wanted: bool) -> Outcome<()> {
    if wanted {
        println!("cold_reads: benchmark");
    }
    Ok(())
}

/// Reads the pages that it is given.
type Run<'a> = Box<dyn FnMut(&[PagePtr]) -> Outcome<()> + 'a>;

/// Somebody who reads pages.
struct Subject<'a> {
    name: String,
    run: Run<'a>,
}

/// Bare I/O at this depth. The first one is what all are compared with.
fn bare_subjects<'a>(path: &Path, depth: usize) -> Outcome<Vec<Subject<'a>>> {
    if depth == 1 {
        let mut pread = PreadReads::open(path)?;
        return Ok(vec![Subject {
            name: "depth 1, bare pread".to_owned(),
            run: Box::new(move |ptrs| Ok(pread.run(&ids(ptrs))?)),
        }]);
    }
    let mut sliding = UringReads::open(path, depth)?;
    let mut batches = UringReads::open(path, depth)?;
    Ok(vec![
        Subject {
            name: format!("depth {depth}, bare io_uring"),
            run: Box::new(move |ptrs| Ok(sliding.run(&ids(ptrs))?)),
        },
        Subject {
            name: format!("depth {depth}, bare, in batches"),
            run: Box::new(move |ptrs| {
                Ok(ids(ptrs).chunks(depth).try_for_each(|batch| batches.run(batch))?)
            }),
        },
    ])
}

fn ids(ptrs: &[PagePtr]) -> Vec<PageId> {
    ptrs.iter().map(|ptr| ptr.id).collect()
}

/// Our reads, one operation per batch.
fn ours(pager: &Pager, depth: usize) -> Run<'_> {
    Box::new(move |ptrs| {
        for batch in ptrs.chunks(depth) {
            let (mut operation, _) = pager.enter()?;
            match batch {
                [ptr] => check(*ptr, operation.read(*ptr, Access::Point)?.payload()),
                _ => read_many(&mut operation, batch)?,
            }
        }
        Ok(())
    })
}

fn read_many(operation: &mut Operation<'_>, ptrs: &[PagePtr]) -> Result<(), PagerError> {
    operation.read_many(ptrs, Access::Point, |index, page| {
        check(ptrs[index], page.payload());
        Ok(())
    })
}

fn check(ptr: PagePtr, payload: &[u8]) {
    assert_eq!(payload[..4], ptr.id.0.to_le_bytes(), "the page that was asked for");
}

fn row(subject: &Subject<'_>, sample: &Sample, bare: &Sample, of_depth_1: Option<f64>) -> [String; 9] {
    // Both are times, so the ratio of speeds is the inverse.
    let speed = bare.ratios(sample);
    [
        subject.name.clone(),
        format!("{:.0}", 1e6 / sample.median()),
        format!("{:.1}", sample.quantile(0.1)),
        format!("{:.1}", sample.median()),
        format!("{:.1}", sample.quantile(0.9)),
        format!("{:.2}", speed.median()),
        format!("{:.2}", speed.quantile(0.1)),
        format!("{:.2}", speed.quantile(0.9)),
        of_depth_1.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.1}")),
    ]
}

/// Pages in random order, dealt one hand after the other.
struct Deck {
    ptrs: Vec<PagePtr>,
    next: usize,
}

impl Deck {
    fn deal(&mut self, count: usize) -> Vec<PagePtr> {
        let hand = (self.next..self.next + count).map(|index| self.ptrs[index % self.ptrs.len()]).collect();
        self.next = (self.next + count) % self.ptrs.len();
        hand
    }
}
