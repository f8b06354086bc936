//! What it costs to touch a page that is in the pool, and to begin and end an operation.
//!
//! * `touch`: pages in random order within one operation, one word of each. The processor overlaps touches that do
//!   not depend on one another, so this is what a touch costs a scan or a batch of look-ups.
//! * `chase`: each page holds the pointer to the next one, as in a descent.
//! * `bare`, `bare chase`: the same words out of an array of pages, with nothing of ours in between: what the
//!   memory alone costs.
//! * `enter`: an operation that does nothing. `descent`: an operation with three touches, each leading to the next.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use dynamite_benches::random::Random;
use dynamite_benches::toy_index::ToyIndex;
use dynamite_pager::{Access, Options, PAGE_SIZE, PAYLOAD_SIZE, Page, PageKind, PagePtr, Pager, Result};

/// Pages in the working set.
const SETS: [usize; 3] = [1_000, 10_000, 60_000];

/// Leaves under the index that `descent` goes down.
const LEAVES: usize = 10_000;

/// Touches between two looks at the clock.
const TOUCHES: usize = 1000;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    touches(&mut criterion);
    operations(&mut criterion);
    criterion.final_summary();
}

fn touches(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("page_touch");
    group.throughput(Throughput::Elements(TOUCHES as u64));
    for pages in SETS {
        let pager = pool_of(pages);
        let cycle = Cycle::write(&pager, pages).expect("memory");
        let misses = pager.stats().misses;
        let (mut operation, _) = pager.enter().expect("not forked");
        rotate(&mut group, "touch", pages, |places| {
            places.iter().fold(0, |sum, place| {
                let page = operation.read(cycle.ptrs[*place], Access::Point).expect("in the pool");
                sum ^ cycle.word(&page, *place)
            })
        });
        rotate(&mut group, "chase", pages, |places| {
            let mut next = cycle.ptrs[places[0]];
            for place in places {
                let page = operation.read(next, Access::Point).expect("in the pool");
                next = cycle.next(&page, *place);
            }
            u64::from(next.id.0)
        });
        assert_eq!(pager.stats().misses, misses, "every touch was a hit");
        let bare = cycle.bare_pages();
        rotate(&mut group, "bare", pages, |places| {
            places.iter().fold(0, |sum, place| {
                let page = &bare[cycle.ptrs[*place].id.0 as usize];
                sum ^ cycle.word(page, *place)
            })
        });
        rotate(&mut group, "bare chase", pages, |places| {
            let mut next = cycle.ptrs[places[0]];
            for place in places {
                next = cycle.next(&bare[next.id.0 as usize], *place);
            }
            u64::from(next.id.0)
        });
    }
    group.finish();
}

fn operations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("operation");
    let pager = pool_of(LEAVES);
    let index = ToyIndex::create(&pager, LEAVES).expect("memory");
    group.bench_function("enter", |bencher| {
        bencher.iter(|| drop(black_box(pager.enter().expect("not forked"))));
    });
    group.bench_function("descent", |bencher| {
        let mut random = Random(5);
        bencher.iter_batched(
            || random.below(index.leaves()),
            |leaf| {
                let (mut operation, state) = pager.enter().expect("not forked");
                let root = state.roots.catalog.expect("the index was created");
                ToyIndex::get(&mut operation, root, leaf).expect("in the pool")
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// Measures a piece of work on the next places of the cycle, again and again from where the last one ended.
fn rotate(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    pages: usize,
    mut work: impl FnMut(&[usize]) -> u64,
) {
    group.bench_function(BenchmarkId::new(name, pages), |bencher| {
        let order: Vec<usize> = (0..pages + TOUCHES).map(|place| place % pages).collect();
        let mut at = 0;
        bencher.iter(|| {
            let sum = work(&order[at..at + TOUCHES]);
            at = (at + TOUCHES) % pages;
            sum
        });
    });
}

/// A database in memory whose pool is three quarters full with so many pages.
fn pool_of(pages: usize) -> Pager {
    let frames = pages * 4 / 3 + 512;
    let options = Options::new().cache_bytes(frames * PAGE_SIZE).background(false);
    options.in_memory(*b"page touch bench").expect("memory")
}

/// Pages in random order, each of which holds the pointer to the next.
struct Cycle {
    /// The pages in the order of the cycle.
    ptrs: Vec<PagePtr>,
}

impl Cycle {
    fn write(pager: &Pager, pages: usize) -> Result<Cycle> {
        let mut batch = pager.begin()?;
        let birth = batch.birth();
        let mut ids = Vec::new();
        while ids.len() < pages {
            let run = batch.allocate_run((pages - ids.len()).min(1000) as u32, PageKind::FIRST_FOREIGN)?;
            ids.extend(run.pages());
        }
        Random(1).shuffle(&mut ids);
        let cycle = Cycle { ptrs: ids.into_iter().map(|id| PagePtr { id, birth }).collect() };
        for (place, ptr) in cycle.ptrs.iter().enumerate() {
            cycle.fill(batch.page_mut(*ptr), place);
        }
        batch.commit()?;
        let (mut operation, _) = pager.enter()?;
        for ptr in &cycle.ptrs {
            operation.read(*ptr, Access::Point)?;
        }
        Ok(cycle)
    }

    /// The same pages in an array, each where its page id says.
    fn bare_pages(&self) -> Vec<Page> {
        let length = self.ptrs.iter().map(|ptr| ptr.id.0 as usize + 1).max().unwrap_or(0);
        let mut pages = vec![Page::zeroed(); length];
        for (place, ptr) in self.ptrs.iter().enumerate() {
            self.fill(&mut pages[ptr.id.0 as usize], place);
        }
        pages
    }

    fn fill(&self, page: &mut Page, place: usize) {
        let next = self.ptrs[(place + 1) % self.ptrs.len()];
        page.payload_mut()[offset(place)..][..PagePtr::SIZE].copy_from_slice(&next.to_bytes());
    }

    #[inline]
    fn next(&self, page: &Page, place: usize) -> PagePtr {
        let bytes = &page.payload()[offset(place)..][..PagePtr::SIZE];
        PagePtr::from_bytes(bytes.try_into().expect("the bytes of a pointer"))
    }

    #[inline]
    fn word(&self, page: &Page, place: usize) -> u64 {
        u64::from_le_bytes(page.payload()[offset(place)..][..8].try_into().expect("8 bytes"))
    }
}

/// Where in a page the word is that is read: not always in the same place, lest all the words meet in a few
/// sets of the processor's cache.
#[inline]
fn offset(place: usize) -> usize {
    place * 64 % (PAYLOAD_SIZE & !63)
}
