//! The disk of the models. It takes no time, and its own counters are invisible to loom: there is nothing to explore in it.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use dynamite_pager::disk::{Backend, BackendKind, Disk, PageRead, PageWrite};
use dynamite_pager::format::checksum::DatabaseSeed;
use dynamite_pager::format::page::{Page, PageKind};
use dynamite_pager::format::page_id::{Birth, PageId, PagePtr};
use dynamite_pager::loom_models::tiny_pool;
use dynamite_pager::pool::buffer_pool::BufferPool;

static SEED: LazyLock<DatabaseSeed> = LazyLock::new(|| DatabaseSeed::new(*b"models of a pool"));

/// Pages 2 to 9, of birth 1.
#[derive(Debug, Default)]
pub struct ModelDisk {
    reads: AtomicUsize,
    /// How many reads fail before the first one succeeds.
    failures: usize,
}

impl ModelDisk {
    /// A disk whose first `failures` reads fail.
    pub fn failing_at_first(failures: usize) -> Arc<ModelDisk> {
        Arc::new(ModelDisk { reads: AtomicUsize::new(0), failures })
    }

    /// Reads so far.
    pub fn reads(&self) -> usize {
        self.reads.load(Ordering::Relaxed)
    }
}

/// A pool of `frames` frames over the disk.
pub fn pool(disk: Arc<ModelDisk>, frames: usize) -> Arc<BufferPool> {
    let pool = tiny_pool(disk, *SEED, Path::new("model.dynamite"), frames);
    pool.set_page_count(10);
    Arc::new(pool)
}

/// The pointer to a page of the disk.
pub fn ptr(id: u32) -> PagePtr {
    PagePtr { id: PageId(id), birth: Birth(1) }
}

/// Makes the page that stands for a pointer.
pub fn fill(page: &mut Page, ptr: PagePtr) {
    page.format(ptr.id, ptr.birth, PageKind(16), 0);
    page.payload_mut().fill(contents(ptr));
    SEED.stamp(page);
}

/// The page is the one that stands for the pointer, from the first byte to the last.
#[track_caller]
pub fn assert_page(page: &Page, ptr: PagePtr) {
    assert_eq!((page.id(), page.birth()), (ptr.id, ptr.birth));
    assert!(page.payload().iter().all(|byte| *byte == contents(ptr)), "the contents of {ptr:?}");
}

fn contents(ptr: PagePtr) -> u8 {
    (ptr.id.0 * 16) as u8 + ptr.birth.0 as u8
}

impl Disk for ModelDisk {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        if self.reads.fetch_add(1, Ordering::Relaxed) < self.failures {
            return Err(io::Error::other("the model wants this read to fail"));
        }
        fill(page, ptr(id.0));
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

    fn byte_len(&self) -> io::Result<u64> {
        Ok(10 * 4096)
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
        Backend { kind: BackendKind::Simulated, direct: false, reason: "a model".into() }
    }
}
