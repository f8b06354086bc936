//! A disk whose flushes do nothing, to see what a commit costs without them. It keeps no promise of durability.

use std::io;
use std::sync::Arc;

use dynamite_pager::disk::{Backend, Disk, PageRead, PageWrite};
use dynamite_pager::{Page, PageId};

/// See the module documentation.
#[derive(Debug)]
pub struct UnflushedDisk(pub Arc<dyn Disk>);

impl Disk for UnflushedDisk {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        self.0.read_page(id, page)
    }

    fn read_batch(&self, reads: &mut [PageRead<'_>]) {
        self.0.read_batch(reads);
    }

    fn write_batch(&self, writes: &[PageWrite<'_>]) -> io::Result<()> {
        self.0.write_batch(writes)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn byte_len(&self) -> io::Result<u64> {
        self.0.byte_len()
    }

    fn grow(&self, page_count: u64) -> io::Result<()> {
        self.0.grow(page_count)
    }

    fn write_zeros(&self, first: PageId, count: u32) -> io::Result<()> {
        self.0.write_zeros(first, count)
    }

    fn truncate(&self, page_count: u64) -> io::Result<()> {
        self.0.truncate(page_count)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.0.drop_cache()
    }

    fn backend(&self) -> Backend {
        self.0.backend()
    }
}
