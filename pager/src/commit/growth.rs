//! The size of the file: growing ahead of need, growing at once, and cutting the free tail off.
//!
//! - A writer that finds no free page takes one behind the last page in use, as long as the file reaches that far.
//!   If it does not, the file is extended on the spot: blocks are reserved (so that a commit cannot run out of
//!   space half-way), nothing is written.
//! - A first write to a reserved block costs the file system a metadata change, which makes a small commit two to
//!   three times as slow. So the background extends the file before it is needed and fills it with zeros. Only when
//!   that is done does the new size count, hence zeros are never written over a page in use.
//! - Steps are 1/16 of the file, at least 64 KiB, at most 16 MiB.
//! - The last pages of the file are a reserve: an ordinary batch may not use them, one that frees more than it
//!   allocates may ([`use_reserve`](crate::commit::write_batch::WriteBatch::use_reserve)), so that deleting works on a full
//!   device; the very last are for closing a group. Where closing has used some of them, as many pages elsewhere
//!   must stay free: else ordinary batches that live on what the one before has freed would use up the
//!   reserve, a space root at a time.
//! - The free tail is cut off when both headers, and every operation still in flight, know only the smaller file.

use std::io;
use std::sync::Arc;

use crate::commit::write_state::{Core, WriteState};
use crate::error::{PagerError, Result, is_full};
use crate::format::page_id::{Extent, PageId};
use crate::space::Placement;
use crate::sync::{Condvar, Mutex, MutexGuard};

const STEP_MIN: u64 = 16;
const STEP_MAX: u64 = 4096;

/// Pages that only batches that free more than they allocate may use.
const RESERVE: u64 = 14;
/// Pages that only the closing of a group may use.
const CLOSE_RESERVE: u64 = 2;

/// Pages that a file may have: page ids have 32 bits.
const PAGES_MAX: u64 = 1 << 32;

/// Extends and cuts the file.
#[derive(Debug)]
pub(crate) struct Growth {
    core: Arc<Core>,
    write: Arc<Mutex<WriteState>>,
    /// Signalled when the background has finished a step.
    grown: Condvar,
}

impl Growth {
    pub(crate) fn new(core: Arc<Core>, write: Arc<Mutex<WriteState>>) -> Growth {
        Growth { core, write, grown: Condvar::new() }
    }

    /// How many of the file's pages any batch may use.
    pub(crate) fn usable_pages(&self, write: &WriteState) -> u64 {
        write.file_pages.saturating_sub(reserve(false))
    }

    /// Takes free pages for the open batch, or extends the file.
    pub(crate) fn allocate(&self, count: u32, placement: Placement, use_reserve: bool) -> Result<Extent> {
        let reserve = reserve(use_reserve);
        let mut write = self.write.lock();
        if count == 1 && write.space.wants_stretch(&mut &*self.core, placement)? {
            write = self.grow_stretch(write, reserve)?;
        }
        loop {
            if keeps_reserve(&write, count, reserve)
                && let Some(extent) = write.space.allocate(&mut &*self.core, count, placement)?
            {
                return Ok(extent);
            }
            let limit = write.file_pages.saturating_sub(reserve);
            if let Some(extent) = write.space.allocate_at_end(count, limit) {
                return Ok(extent);
            }
            // Rather than have a batch wait, or fail on a full disk.
            if keeps_reserve(&write, count, reserve)
                && let Some(extent) = write.space.allocate_hot(count)
            {
                return Ok(extent);
            }
            write = self.extend(write, u64::from(count) + reserve)?;
        }
    }

    /// Lets the file grow for a batch that could do without, if the device has room.
    fn grow_stretch<'a>(
        &'a self,
        mut write: MutexGuard<'a, WriteState>,
        reserve: u64,
    ) -> Result<MutexGuard<'a, WriteState>> {
        loop {
            let limit = write.file_pages.saturating_sub(reserve);
            if write.space.grow_stretch(limit) {
                return Ok(write);
            }
            write = match self.extend(write, 1 + reserve) {
                Err(PagerError::DiskFull { .. } | PagerError::FileTooLarge { .. }) => {
                    let mut write = self.write.lock();
                    write.space.stretches.cannot_grow();
                    return Ok(write);
                }
                extended => extended?,
            };
        }
    }

    /// Takes free pages for the open batch without extending the file.
    pub(crate) fn allocate_from_free(
        &self,
        count: u32,
        placement: Placement,
        use_reserve: bool,
    ) -> Result<Option<Extent>> {
        let mut write = self.write.lock();
        if !keeps_reserve(&write, count, reserve(use_reserve)) {
            return Ok(None);
        }
        write.space.allocate(&mut &*self.core, count, placement)
    }

    /// Extends the file for the space root of a commit.
    pub(crate) fn extend_for_close<'a>(
        &'a self,
        write: MutexGuard<'a, WriteState>,
    ) -> Result<MutexGuard<'a, WriteState>> {
        self.extend(write, CLOSE_RESERVE)
    }

    /// Extends the file by a step, and by as much as `needed` pages behind the last one in use take.
    fn extend<'a>(
        &'a self,
        mut write: MutexGuard<'a, WriteState>,
        needed: u64,
    ) -> Result<MutexGuard<'a, WriteState>> {
        if write.growing {
            return Ok(self.grown.wait(write));
        }
        // At the start of a range, some pages are not for use; a run that crosses one starts behind them.
        let least = (write.space.page_count() + needed).max(write.file_pages + 1);
        let wanted = least.max(write.file_pages + step(write.file_pages)).min(PAGES_MAX);
        if least > PAGES_MAX {
            return Err(PagerError::FileTooLarge { path: self.core.context.0.clone() });
        }
        let grown = match self.core.disk.grow(wanted) {
            Err(error) if is_full(&error) && least < wanted => self.core.disk.grow(least).map(|()| least),
            result => result.map(|()| wanted),
        };
        match grown {
            Ok(file_pages) => {
                write.file_pages = file_pages;
                self.core.pool.set_page_count(file_pages);
                Ok(write)
            }
            Err(error) => Err(self.core.context.growth(least, error)),
        }
    }

    /// Whether the next commits will need a larger file, or much of the file is a free tail.
    pub(crate) fn is_due(&self, write: &WriteState) -> bool {
        !write.growing && (runs_short(write) || tail_to_cut(write).is_some())
    }

    /// Extends the file ahead of need, with zeros, and cuts a large free tail off. A failure is only logged: whoever
    /// needs the space will meet it.
    pub(crate) fn maintain(&self) {
        let mut write = self.write.lock();
        if write.poison.is_some() || write.growing {
            return;
        }
        write.release_passed(&self.core.pool);
        if let Some(pages) = tail_to_cut(&write) {
            match self.core.disk.truncate(pages) {
                Ok(()) => {
                    write.file_pages = pages;
                    self.core.pool.set_page_count(pages);
                }
                Err(error) => tracing::warn!(%error, pages, "cutting the free tail of the file failed"),
            }
        } else if runs_short(&write) {
            let from = write.file_pages;
            let to = (from + step(from)).min(PAGES_MAX);
            write.growing = true;
            drop(write);
            let prepared = self.prepare(from, to);
            let mut write = self.write.lock();
            write.growing = false;
            match prepared {
                Ok(()) => {
                    write.file_pages = to;
                    self.core.pool.set_page_count(to);
                }
                Err(error) => tracing::warn!(%error, pages = to, "growing the file ahead of need failed"),
            }
            drop(write);
            self.grown.notify_all();
        }
    }

    fn prepare(&self, from: u64, to: u64) -> io::Result<()> {
        if from == to {
            return Ok(());
        }
        self.core.disk.grow(to)?;
        self.core.disk.write_zeros(PageId(from as u32), (to - from) as u32)?;
        self.core.counters.zeroed_pages.add(to - from);
        Ok(())
    }
}

/// How many pages a batch must leave free.
fn reserve(use_reserve: bool) -> u64 {
    CLOSE_RESERVE + if use_reserve { 0 } else { RESERVE }
}

/// Whether the reserve is whole after `count` pages were taken from the free space.
fn keeps_reserve(write: &WriteState, count: u32, reserve: u64) -> bool {
    let tail = write.file_pages.saturating_sub(write.space.page_count());
    tail >= reserve || tail + write.space.spare_pages() >= reserve + u64::from(count)
}

fn step(file_pages: u64) -> u64 {
    (file_pages / 16).clamp(STEP_MIN, STEP_MAX)
}

fn runs_short(write: &WriteState) -> bool {
    let usable = write.file_pages.saturating_sub(RESERVE + CLOSE_RESERVE);
    usable < write.space.page_count() + (step(write.file_pages) / 2).max(STEP_MIN)
        && write.file_pages < PAGES_MAX
}

/// The size to which the file may and should be cut.
fn tail_to_cut(write: &WriteState) -> Option<u64> {
    let in_use = write.space.page_count().max(write.durable.page_count).max(write.older_page_count);
    // A little more than what has the next step taken ahead of need.
    let target = in_use + RESERVE + CLOSE_RESERVE + (step(in_use) * 5 / 8).max(STEP_MIN);
    let operations_passed = write.releases.is_empty();
    // Two steps of slack, so that a file that breathes is not cut and extended in turn.
    (operations_passed && write.file_pages > target + 2 * step(write.file_pages)).then_some(target)
}
