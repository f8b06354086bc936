//! A disk in memory that keeps the pager's own pages only, so that a file of any size costs next to nothing. For
//! benchmarks whose own pages are never read.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use dynamite_pager::disk::{Backend, BackendKind, Disk, PageRead, PageWrite};
use dynamite_pager::{PAGE_SIZE, Page, PageId, PageKind};

/// See the module documentation.
#[derive(Debug, Default)]
pub struct ForgetfulDisk(Mutex<Contents>);

#[derive(Debug, Default)]
struct Contents {
    pages: HashMap<PageId, Box<Page>>,
    page_count: u64,
}

impl ForgetfulDisk {
    /// An empty disk.
    pub fn new() -> Arc<ForgetfulDisk> {
        Arc::default()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().expect("nobody panics with the contents in hand")
    }
}

impl Disk for ForgetfulDisk {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        let contents = self.contents();
        if u64::from(id.0) >= contents.page_count {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match contents.pages.get(&id) {
            Some(kept) => page.clone_from(kept),
            None => page.bytes_mut().fill(0),
        }
        Ok(())
    }

    fn read_batch(&self, reads: &mut [PageRead<'_>]) {
        for read in reads {
            read.result = self.read_page(read.id, read.page);
        }
    }

    fn write_batch(&self, writes: &[PageWrite<'_>]) -> io::Result<()> {
        let mut contents = self.contents();
        for write in writes {
            // The headers have no kind: they begin with a header of their own.
            if write.id.0 < 2 || write.page.kind().0 < PageKind::FIRST_FOREIGN.0 {
                let kept = contents.pages.entry(write.id).or_insert_with(Page::boxed);
                (**kept).clone_from(write.page);
            } else {
                contents.pages.remove(&write.id);
            }
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn byte_len(&self) -> io::Result<u64> {
        Ok(self.contents().page_count * PAGE_SIZE as u64)
    }

    fn grow(&self, page_count: u64) -> io::Result<()> {
        let mut contents = self.contents();
        contents.page_count = contents.page_count.max(page_count);
        Ok(())
    }

    fn write_zeros(&self, _first: PageId, _count: u32) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, page_count: u64) -> io::Result<()> {
        let mut contents = self.contents();
        contents.page_count = contents.page_count.min(page_count);
        contents.pages.retain(|id, _| u64::from(id.0) < page_count);
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }

    fn backend(&self) -> Backend {
        Backend { kind: BackendKind::Memory, direct: false, reason: "a disk that forgets".to_owned() }
    }
}
