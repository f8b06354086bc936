//! What it costs to touch a page that is in the pool: look it up, compare the birth, note the hit, read from its header.
//!
//! The pages are touched in an order that looks random, and each touch waits for the one before, as in a descent through a tree:
//! the next page id comes out of the page. "overlapping" lets the processor look up several pages at a time. "memory alone"
//! follows the same chain through plain memory, without a pool: what is left after subtracting it is the pool's.

use std::hint::black_box;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dynamite_pager::buffer_pool::BufferPool;
use dynamite_pager::checksum::DatabaseSeed;
use dynamite_pager::disk::{Backend, BackendKind, Disk, PageRead, PageWrite};
use dynamite_pager::operation::Access;
use dynamite_pager::page::{Page, PageKind};
use dynamite_pager::page_id::{Birth, PageId, PagePtr};

/// Pages, each of which names another one, so that following them leads through all.
#[derive(Debug)]
struct Ring {
    seed: DatabaseSeed,
    /// The page after each page, by page id.
    next: Vec<u32>,
}

impl Ring {
    fn new(pages: u32) -> Ring {
        // Sattolo's shuffle makes one cycle of all.
        let mut next: Vec<_> = (0..pages).collect();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        for i in (1..pages as usize).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            next.swap(i, (state >> 33) as usize % i);
        }
        Ring { seed: DatabaseSeed::new([0; 16]), next: next.into_iter().map(|page| page + 2).collect() }
    }
}

impl Disk for Ring {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        page.format(id, Birth(1), PageKind(16), 0);
        page.payload_mut()[..4].copy_from_slice(&self.next[id.0 as usize - 2].to_le_bytes());
        self.seed.stamp(page);
        Ok(())
    }

    fn read_batch(&self, reads: &mut [PageRead<'_>]) {
        for read in reads {
            read.result = self.read_page(read.id, read.page);
        }
    }

    fn write_batch(&self, _: &[PageWrite<'_>]) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn page_count(&self) -> io::Result<u64> {
        Ok(self.next.len() as u64 + 2)
    }

    fn grow(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn write_zeros(&self, _: PageId, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }

    fn backend(&self) -> Backend {
        Backend { kind: BackendKind::Simulated, direct: false, reason: "a benchmark".into() }
    }
}

fn ptr(id: u32) -> PagePtr {
    PagePtr { id: PageId(id), birth: Birth(1) }
}

fn warm_pool(pages: u32) -> BufferPool {
    let ring = Ring::new(pages);
    let pool = BufferPool::new(
        Arc::new(ring),
        DatabaseSeed::new([0; 16]),
        Path::new("benchmark"),
        pages as usize * 11 / 10,
    )
    .expect("memory");
    pool.set_page_count(u64::from(pages) + 2);
    for _ in 0..4 {
        let mut operation = pool.enter().expect("not forked");
        for id in 2..pages + 2 {
            operation.read(ptr(id), Access::Point).expect("a good page");
        }
    }
    pool
}

fn chain_in_memory(pages: u32) -> Vec<Page> {
    let ring = Ring::new(pages);
    let mut chain = vec![Page::zeroed(); pages as usize];
    for (id, page) in (2..).map(PageId).zip(&mut chain) {
        ring.read_page(id, page).expect("this disk never fails");
    }
    chain
}

fn page_touch(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("page_touch");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(30);
    for pages in [100, 1_000, 10_000, 60_000] {
        let chain = chain_in_memory(pages);
        let mut at = 0;
        group.bench_function(BenchmarkId::new("memory alone", pages), |bencher| {
            bencher.iter(|| {
                let next = chain[at].payload()[..4].try_into().expect("4 bytes");
                at = black_box(u32::from_le_bytes(next)) as usize - 2;
            });
        });
        drop(chain);
        let pool = warm_pool(pages);
        let mut operation = pool.enter().expect("not forked");
        let mut id = 2;
        group.bench_function(BenchmarkId::new("chained", pages), |bencher| {
            bencher.iter(|| {
                let page = operation.read(ptr(id), Access::Point).expect("a good page");
                id = u32::from_le_bytes(page.payload()[..4].try_into().expect("4 bytes"));
            });
        });
        let mut step = 0_u32;
        group.bench_function(BenchmarkId::new("overlapping", pages), |bencher| {
            bencher.iter(|| {
                step = step.wrapping_add(0x9e37_79b9);
                let id = 2 + ((u64::from(step) * u64::from(pages)) >> 32) as u32;
                black_box(operation.read(ptr(id), Access::Point).expect("a good page").slot_count());
            });
        });
        drop(operation);
        assert_eq!(pool.dirty(), 0);
    }
    let pool = warm_pool(1000);
    group.bench_function("enter and leave", |bencher| bencher.iter(|| drop(black_box(pool.enter()))));
    group.bench_function("enter, touch, leave", |bencher| {
        bencher.iter(|| {
            let mut operation = pool.enter().expect("not forked");
            black_box(operation.read(ptr(7), Access::Point).expect("a good page").slot_count());
        });
    });
    group.finish();
}

criterion_group!(benches, page_touch);
criterion_main!(benches);
