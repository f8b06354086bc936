//! A simulated disk whose flushes wait for a sign: for tests of what others may see and do meanwhile.

use std::io;
use std::sync::Arc;

use crate::disk::sim::DiskSim;
use crate::disk::{Backend, Disk, PageRead, PageWrite};
use crate::format::page::Page;
use crate::format::page_id::PageId;
use crate::sync::{Condvar, Mutex};

/// A disk whose flushes wait while its gate is shut.
#[derive(Debug)]
pub struct GatedDisk {
    disk: DiskSim,
    gate: Mutex<Gate>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    shut: bool,
    waiting: usize,
}

impl GatedDisk {
    /// A simulated disk behind a gate that is open.
    pub fn new(disk: DiskSim) -> Arc<GatedDisk> {
        Arc::new(GatedDisk { disk, gate: Mutex::default(), moved: Condvar::new() })
    }

    /// Makes flushes wait from now on.
    pub fn shut(&self) {
        self.gate.lock().shut = true;
    }

    /// Lets all flushes through.
    pub fn open(&self) {
        self.gate.lock().shut = false;
        self.moved.notify_all();
    }

    /// Waits until somebody stands before the gate.
    pub fn wait_for_a_flush(&self) {
        let mut gate = self.gate.lock();
        while gate.waiting == 0 {
            gate = self.moved.wait(gate);
        }
    }
}

impl Disk for GatedDisk {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        self.disk.read_page(id, page)
    }

    fn read_batch(&self, reads: &mut [PageRead<'_>]) {
        self.disk.read_batch(reads);
    }

    fn write_batch(&self, writes: &[PageWrite<'_>]) -> io::Result<()> {
        self.disk.write_batch(writes)
    }

    fn flush(&self) -> io::Result<()> {
        let mut gate = self.gate.lock();
        gate.waiting += 1;
        self.moved.notify_all();
        while gate.shut {
            gate = self.moved.wait(gate);
        }
        gate.waiting -= 1;
        drop(gate);
        self.disk.flush()
    }

    fn byte_len(&self) -> io::Result<u64> {
        self.disk.byte_len()
    }

    fn grow(&self, page_count: u64) -> io::Result<()> {
        self.disk.grow(page_count)
    }

    fn write_zeros(&self, first: PageId, count: u32) -> io::Result<()> {
        self.disk.write_zeros(first, count)
    }

    fn truncate(&self, page_count: u64) -> io::Result<()> {
        self.disk.truncate(page_count)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.disk.drop_cache()
    }

    fn backend(&self) -> Backend {
        self.disk.backend()
    }
}
