//! What writers share: the free space, the group that gathers, what waits to be published or released.
//!
//! # From a batch to the disk
//!
//! ```text
//!   open batch ──finish──▶ gathering group ──close──▶ group in flight ──flush returned──▶ durable, published
//!        │                      │                          │
//!      abort               (one at a time)            (one at a time)
//! ```
//!
//! One batch is open at a time; whoever has it open holds the *turn*. A finished batch belongs to the gathering
//! group; its pages are immutable from then on and stand in the page table, unevictable, so that the next batch
//! finds them. A group may be closed at any moment at which no batch is just finishing, also while the next batch
//! is open: what that one allocated counts as free, and what it freed as used.
//!
//! All of this is behind one mutex that is held for moments. Locks are taken in the order *turn*, *flush turn*,
//! *write state*.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::commit::page_map::PageMap;
use crate::commit::published::{Published, State};
use crate::disk::{Disk, PageWrite};
use crate::error::{Corruption, ErrorContext, IoOperation, PagerError, Result};
use crate::format::checksum::DatabaseSeed;
use crate::format::header::{Header, Place};
use crate::format::page::Page;
use crate::format::page_id::{Birth, PageId, PagePtr};
use crate::pool::buffer_pool::{BufferPool, PageCheck};
use crate::pool::dirty_frame::PinnedFrame;
use crate::pool::epoch::Epoch;
use crate::pool::operation::Access;
use crate::recovery::BIRTHS_AHEAD;
use crate::space::Space;
use crate::space::map::MapStore;
use crate::stats::Counters;

/// What every part of an open database needs: the file, the pool, and how to name the file in errors.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) pool: BufferPool,
    pub(crate) seed: DatabaseSeed,
    pub(crate) page_check: PageCheck,
    pub(crate) context: ErrorContext,
    pub(crate) counters: Arc<Counters>,
    pub(crate) published: Published,
}

/// The state behind the write lock.
#[derive(Debug)]
pub(crate) struct WriteState {
    pub(crate) space: Space,
    /// The birth of the next batch, or the number of the next seal.
    pub(crate) next_birth: Birth,
    /// The newest durable header and where it stands.
    pub(crate) durable: Header,
    pub(crate) place: Place,
    /// Pages that the header before the newest one counts; the file is not cut below either.
    pub(crate) older_page_count: u64,
    pub(crate) group: Group,
    /// The last batch of the group that is being written.
    pub(crate) in_flight: Option<State>,
    /// Finished batches that new readers do not see yet, in order.
    pub(crate) unpublished: VecDeque<FinishedBatch>,
    /// The last batch that new readers see.
    pub(crate) published: Birth,
    /// Durable commits whose freed pages still wait for older operations to end.
    pub(crate) releases: VecDeque<Release>,
    /// Pages that the file has, so that writing them cannot fail for want of space.
    pub(crate) file_pages: u64,
    /// Whether the background is extending the file right now.
    pub(crate) growing: bool,
    /// The failure after which nothing is written any more.
    pub(crate) poison: Option<Arc<io::Error>>,
}

/// A batch that its writer has finished.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FinishedBatch {
    pub(crate) state: State,
    /// Whether it may be seen before it is durable.
    pub(crate) eventual: bool,
}

/// What is let go once the operations of `epoch` have passed.
#[derive(Debug)]
pub(crate) struct Release {
    pub(crate) epoch: Epoch,
    /// Pages freed by batches up to this one may be given out again.
    pub(crate) up_to: Birth,
    /// Pages of the group that were replaced before they were written. They exist in the pool only, so they stay there as
    /// long as an operation may ask for them.
    pub(crate) superseded: Vec<PinnedFrame>,
}

/// Finished batches that will become one commit.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The last batch in it; `None` while it is empty.
    pub(crate) last: Option<State>,
    /// Pages to write.
    pub(crate) pages: PageMap<PinnedFrame>,
    /// Pages that a later batch of the same group replaced and that readers may have seen, or may see until that one is
    /// published. No commit needs them, so they stay in the pool, unwritten, until these readers have ended.
    pub(crate) superseded: Vec<PinnedFrame>,
    /// Whether some pages were written before the commit, so that no manifest could name them all.
    pub(crate) written_early: bool,
}

impl Group {
    /// The frames that it keeps from being evicted.
    pub(crate) fn frames(&self) -> usize {
        self.pages.len() + self.superseded.len()
    }

    /// Whether it takes so much of the pool that it is committed before another batch begins.
    pub(crate) fn is_large(&self, pool: &BufferPool) -> bool {
        self.last.is_some() && self.frames() > pool.frames() / 4
    }

    /// Takes the pages to write out, in the order of their ids.
    pub(crate) fn take_pages(&mut self) -> Vec<PinnedFrame> {
        let mut pages: Vec<_> = std::mem::take(&mut self.pages).into_values().collect();
        pages.sort_unstable_by_key(|page| page.ptr().id);
        pages
    }
}

impl WriteState {
    /// Refuses to write after a failed write.
    pub(crate) fn check_poison(&self, context: &ErrorContext) -> Result<()> {
        match &self.poison {
            None => Ok(()),
            Some(source) => Err(PagerError::Poisoned { path: context.0.clone(), source: source.clone() }),
        }
    }

    /// Refuses to write from now on, for the reason that came first.
    pub(crate) fn refuse_writes(&mut self, reason: impl FnOnce() -> Arc<io::Error>) {
        if self.poison.is_none() {
            let reason = reason();
            tracing::error!(%reason, "a write failed; the database refuses writes until it is opened again");
            self.poison = Some(reason);
        }
    }

    /// Whether a batch may begin, or one of the transactions in it: with one birth more, should it be undone, and a seal's number behind
    /// that, the next header would not lead the newest durable one too far.
    pub(crate) fn has_births(&self) -> bool {
        self.next_birth.0 + 2 < self.durable.commit.0 + BIRTHS_AHEAD
    }

    /// A birth that was never given before.
    pub(crate) fn draw_birth(&mut self) -> Birth {
        let birth = self.next_birth;
        self.next_birth = birth.next();
        birth
    }

    /// Gives out again what no operation in flight can reach any more.
    pub(crate) fn release_passed(&mut self, pool: &BufferPool) {
        while let Some(release) =
            self.releases.pop_front_if(|release| pool.epochs().operations_passed(release.epoch))
        {
            self.space.release(release.up_to);
            release.superseded.into_iter().for_each(PinnedFrame::forget);
        }
    }

    /// Writes pages that only old operations may still want, if they have become so many that the pool needs their frames.
    /// No header leads to them, so neither manifest nor flush is due; their ids are not given out before these
    /// operations end.
    pub(crate) fn make_room(&mut self, core: &Core) -> Result<()> {
        let held: usize = self.releases.iter().map(|release| release.superseded.len()).sum();
        if held <= core.pool.frames() / 8 {
            return Ok(());
        }
        for release in &mut self.releases {
            core.write_pages(release.superseded.iter())?;
            release.superseded.drain(..).for_each(PinnedFrame::unpin);
        }
        Ok(())
    }

    /// See [`Pager::published_after`](crate::pager::Pager::published_after).
    pub(crate) fn published_after(&self, birth: Birth) -> Option<Birth> {
        let mut older = self.unpublished.iter().rev().skip_while(|batch| batch.state.birth >= birth);
        older.find(|batch| !batch.eventual).map(|batch| batch.state.birth)
    }

    /// Whether a reader may see, now or before the group is durable, a state in which a page of birth `from` is
    /// current although the batch that is about to finish has replaced it.
    pub(crate) fn may_be_seen(&self, from: Birth) -> bool {
        self.published >= from
            || self.unpublished.iter().any(|batch| batch.eventual && batch.state.birth >= from)
    }
}

impl Core {
    /// Refuses a handle that was inherited through `fork`: its frames are not there any more.
    pub(crate) fn check_forked(&self) -> Result<()> {
        self.pool.check_forked()
    }

    /// Writes finished pages, each where its header says.
    pub(crate) fn write_pages<'a>(&self, pages: impl Iterator<Item = &'a PinnedFrame>) -> Result<()> {
        let writes: Vec<PageWrite<'_>> = pages.map(|page| PageWrite { id: page.ptr().id, page }).collect();
        self.write(&writes)
    }

    /// Writes pages ahead of the commit that they belong to, and lets the pool evict them. If that fails, they stay.
    pub(crate) fn write_early(&self, pages: &mut Vec<PinnedFrame>) -> Result<()> {
        self.write_pages(pages.iter())?;
        self.counters.early_writes.add(pages.len() as u64);
        pages.drain(..).for_each(PinnedFrame::unpin);
        Ok(())
    }

    pub(crate) fn write(&self, writes: &[PageWrite<'_>]) -> Result<()> {
        self.counters.pages_written.add(writes.len() as u64);
        self.disk.write_batch(writes).map_err(|error| self.context.io(IoOperation::WriteBatch, error))
    }

    pub(crate) fn flush(&self) -> Result<()> {
        self.counters.flushes.add(1);
        self.disk.flush().map_err(|error| self.context.io(IoOperation::Flush, error))
    }
}

/// Map pages come through the pool like any other, one operation each.
impl MapStore for &Core {
    fn read(&mut self, ptr: PagePtr, into: &mut Page) -> Result<()> {
        let mut operation = self.pool.enter()?;
        into.clone_from(&*operation.read(ptr, Access::Point)?);
        Ok(())
    }

    fn corrupt(&self, page: PageId, source: Corruption) -> PagerError {
        self.context.corrupt(page, source)
    }
}
