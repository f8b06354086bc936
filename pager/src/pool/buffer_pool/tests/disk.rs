//! A disk in memory for the tests of the pool: it counts reads, holds them up, and fails or lies on request.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::{Arc, LazyLock};

use parking_lot::{Condvar, Mutex};

use super::{PATIENCE, fill};
use crate::disk::{Backend, BackendKind, Disk, PageRead, PageWrite};
use crate::format::checksum::DatabaseSeed;
use crate::format::page::Page;
use crate::format::page_id::{Birth, PageId, PagePtr};

pub(super) static SEED: LazyLock<DatabaseSeed> = LazyLock::new(|| DatabaseSeed::new(*b"buffer pool test"));

#[derive(Debug, Default)]
pub(super) struct TestDisk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    pages: HashMap<PageId, Box<Page>>,
    /// Reads of these end with an error.
    failing: HashSet<PageId>,
    /// A read of this page panics, once.
    panicking: Option<PageId>,
    /// The page ids of each request so far.
    requests: Vec<Vec<u32>>,
    /// Whether reads have to wait.
    held: bool,
    /// Requests that wait.
    waiting: usize,
}

impl TestDisk {
    /// Pages 2 to `count` - 1, with birth 1.
    pub(super) fn with_pages(count: u32) -> Arc<TestDisk> {
        let disk = TestDisk::default();
        for id in 2..count {
            disk.write(PagePtr { id: PageId(id), birth: Birth(1) });
        }
        Arc::new(disk)
    }

    /// Writes the page that stands for a pointer.
    pub(super) fn write(&self, ptr: PagePtr) {
        let mut page = Page::boxed();
        fill(&mut page, ptr);
        self.state.lock().pages.insert(ptr.id, page);
    }

    pub(super) fn damage(&self, id: u32, damage: impl FnOnce(&mut Page)) {
        damage(self.state.lock().pages.get_mut(&PageId(id)).expect("a page that was written"));
    }

    pub(super) fn fail(&self, id: u32) {
        self.state.lock().failing.insert(PageId(id));
    }

    pub(super) fn panic_at(&self, id: u32) {
        self.state.lock().panicking = Some(PageId(id));
    }

    pub(super) fn heal(&self) {
        self.state.lock().failing.clear();
    }

    /// Makes reads wait, before they look at the page.
    pub(super) fn hold(&self) {
        self.state.lock().held = true;
    }

    pub(super) fn release(&self) {
        self.state.lock().held = false;
        self.changed.notify_all();
    }

    /// Waits until so many requests wait.
    #[track_caller]
    pub(super) fn wait_for_requests(&self, count: usize) {
        let mut state = self.state.lock();
        while state.waiting < count {
            if self.changed.wait_for(&mut state, PATIENCE).timed_out() {
                let waiting = state.waiting;
                drop(state);
                // Those that wait would keep the pool from ending.
                self.release();
                panic!("{waiting} requests wait, not {count}");
            }
        }
    }

    /// The requests since the last call, each a list of page ids.
    pub(super) fn take_requests(&self) -> Vec<Vec<u32>> {
        std::mem::take(&mut self.state.lock().requests)
    }

    fn request(&self, ids: Vec<PageId>) {
        let mut state = self.state.lock();
        state.requests.push(ids.iter().map(|id| id.0).collect());
        state.waiting += 1;
        self.changed.notify_all();
        while state.held {
            self.changed.wait(&mut state);
        }
        state.waiting -= 1;
        let panics = state.panicking.take_if(|id| ids.contains(id)).is_some();
        drop(state);
        assert!(!panics, "this read was told to panic");
    }

    fn read(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        let state = self.state.lock();
        // Whatever was asked for, the buffer is overwritten first: nobody may have it in use.
        page.bytes_mut().fill(0xee);
        if state.failing.contains(&id) {
            return Err(io::Error::other("this read was told to fail"));
        }
        let found = state.pages.get(&id).ok_or(io::ErrorKind::UnexpectedEof)?;
        page.bytes_mut().copy_from_slice(found.bytes());
        Ok(())
    }
}

impl Disk for TestDisk {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        self.request(vec![id]);
        self.read(id, page)
    }

    fn read_batch(&self, reads: &mut [PageRead<'_>]) {
        self.request(reads.iter().map(|read| read.id).collect());
        for read in reads {
            read.result = self.read(read.id, read.page);
        }
    }

    fn write_batch(&self, writes: &[PageWrite<'_>]) -> io::Result<()> {
        let mut state = self.state.lock();
        for write in writes {
            state.pages.insert(write.id, Box::new(write.page.clone()));
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn byte_len(&self) -> io::Result<u64> {
        Ok(10_000)
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
        Backend { kind: BackendKind::Simulated, direct: false, reason: "a test".into() }
    }
}
