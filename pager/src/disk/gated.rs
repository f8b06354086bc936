//! A simulated disk whose flushes, or one of whose writes, wait for a sign: for tests of what others may see and do meanwhile.

use std::io;
use std::sync::Arc;

use crate::disk::sim::DiskSim;
use crate::disk::{Backend, Disk, PageRead, PageWrite};
use crate::format::page::Page;
use crate::format::page_id::PageId;
use crate::sync::{Condvar, Mutex};

/// A disk whose flushes wait while its gate is shut, and one of whose writes does if it is told so.
#[derive(Debug)]
pub struct GatedDisk {
    disk: DiskSim,
    gate: Mutex<Gate>,
    moved: Condvar,
}

#[derive(Debug, Default)]
struct Gate {
    shut: bool,
    /// Flushes that stand before the gate.
    waiting: usize,
    write: HeldWrite,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum HeldWrite {
    #[default]
    No,
    Next,
    Waits,
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

    /// Makes the next batch of writes wait before it does anything, and only that one.
    pub fn hold_next_write(&self) {
        self.gate.lock().write = HeldWrite::Next;
    }

    /// Lets all flushes through, and the write that was held.
    pub fn open(&self) {
        let mut gate = self.gate.lock();
        (gate.shut, gate.write) = (false, HeldWrite::No);
        self.moved.notify_all();
    }

    /// Waits until the write that is to be held stands before the gate.
    pub fn wait_for_the_write(&self) {
        let mut gate = self.gate.lock();
        while gate.write != HeldWrite::Waits {
            gate = self.moved.wait(gate);
        }
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
        let mut gate = self.gate.lock();
        if gate.write == HeldWrite::Next {
            gate.write = HeldWrite::Waits;
            self.moved.notify_all();
            while gate.write == HeldWrite::Waits {
                gate = self.moved.wait(gate);
            }
        }
        drop(gate);
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
