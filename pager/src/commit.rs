//! The order of a commit, in one place.
//!
//! # The rules
//!
//! Each has a test that fails when it is broken, see `docs/testing.md`.
//!
//! 1. A commit writes only pages that neither the newest durable commit nor any operation in flight can reach.
//! 2. Its header goes to the place that does not hold the newest header, and is not issued before the flush of the
//!    header before it has returned. So the older header is known to be on the medium whenever the newer is at risk.
//! 3. (Opening, see [`crate::recovery`].)
//! 4. A seal is an empty commit with a fresh number, flushed before any later header is issued.
//! 5. Births and commit numbers are never used twice. A commit's number is the birth of the last batch in it, a
//!    seal's is drawn like a birth; none leads the newest flushed header by [`BIRTHS_AHEAD`](crate::recovery::BIRTHS_AHEAD) or more.
//! 6. A write or flush that failed is not tried again: the group fails, the handle is poisoned, and readers go on
//!    with what was published (INV-4).
//!
//! # One flush or two
//!
//! Pages and header are issued together, completed together and flushed once; the manifest in the header tells
//! the next open whether all of them arrived. A commit of more than [`MANIFEST_PAGES`] pages, or one that wrote
//! pages early, first flushes its pages and then writes a header that is marked as synced, and flushes that. So a batch that
//! has become so large may as well write early what it is done with ([`write_behind`]).

pub mod published;

pub(crate) mod write_state;

pub(crate) mod writer;

pub(crate) mod page_map;

pub mod write_batch;

mod savepoint;

pub(crate) mod growth;

pub(crate) mod background;

pub(crate) mod write_behind;

use std::io;
use std::sync::Arc;

use crate::commit::published::State;
use crate::commit::write_batch::WriteBatch;
use crate::commit::write_state::{Group, Release, WriteState};
use crate::commit::writer::Writer;
use crate::disk::PageWrite;
use crate::error::{IoOperation, PagerError, Result};
use crate::format::header::{Header, Trust};
use crate::format::manifest::{MANIFEST_PAGES, Manifest};
use crate::format::page::Page;
use crate::format::page_id::Birth;
use crate::pool::dirty_frame::PinnedFrame;
use crate::space::close::Closed as ClosedSpace;
use crate::sync::MutexGuard;

/// Whoever holds this flushes. Holds what a flush needs and nobody else does.
#[derive(Debug)]
pub(crate) struct FlushTurn {
    header_page: Box<Page>,
}

impl FlushTurn {
    pub(crate) fn new() -> FlushTurn {
        FlushTurn { header_page: Page::boxed() }
    }
}

/// A closed group on its way to the disk.
///
/// Should it fail, it is dropped: that leaves its pages in the pool, where readers may be looking at those that were published before
/// they were durable (INV-4).
struct Closed {
    /// In the order of their ids, as a manifest wants them.
    pages: Vec<PinnedFrame>,
    /// See [`Group::superseded`].
    superseded: Vec<PinnedFrame>,
    header: Header,
}

impl Writer {
    /// See [`Pager::begin`](crate::pager::Pager::begin).
    pub(crate) fn begin(&self) -> Result<WriteBatch<'_>> {
        self.core.check_forked()?;
        let turn = self.turn.lock();
        let mut write = self.write.lock();
        write.check_poison(&self.core.context)?;
        while !write.has_births() {
            drop(write);
            self.commit_group()?;
            self.write_seal()?;
            write = self.write.lock();
            write.check_poison(&self.core.context)?;
        }
        if write.group.is_large(&self.core.pool) {
            drop(write);
            match self.commit_group() {
                // A batch that frees something may help; and whoever waits for the group is told.
                Err(PagerError::DiskFull { .. }) => {}
                committed => drop(committed?),
            }
            write = self.write.lock();
        }
        write.release_passed(&self.core.pool);
        let usable_pages = self.growth.usable_pages(&write);
        write.space.tend_hot_area(&mut &*self.core, usable_pages)?;
        let birth = write.draw_birth();
        write.space.begin(birth);
        let durable = State { birth: write.durable.commit, roots: write.durable.roots };
        let base = write.group.last.or(write.in_flight).unwrap_or(durable);
        Ok(WriteBatch::new(self, turn, birth, base))
    }

    /// See [`Pager::commit_group`](crate::pager::Pager::commit_group).
    pub(crate) fn commit_group(&self) -> Result<Birth> {
        self.core.check_forked()?;
        let mut flush_turn = self.flush_turn.lock();
        self.in_one_piece(|| {
            let Some(closed) = self.close_group()? else {
                return Ok(self.write.lock().durable.commit);
            };
            let written = self.write_out(&closed, &mut flush_turn);
            self.conclude(closed, written)
        })
    }

    /// See [`Pager::seal`](crate::pager::Pager::seal).
    pub(crate) fn seal(&self) -> Result<()> {
        self.core.check_forked()?;
        let _turn = self.turn.lock();
        self.commit_group()?;
        let sealed = self.write.lock().durable.trust == Trust::Sealed;
        if sealed { Ok(()) } else { self.write_seal() }
    }

    /// See [`Pager::complete`](crate::pager::Pager::complete).
    pub(crate) fn complete(&self) -> Result<()> {
        self.core.check_forked()?;
        let _turn = self.turn.lock();
        self.commit_group()?;
        self.write.lock().durable.unfinished = false;
        // The first seal makes the database complete, as a whole or not at all; from the second one on both headers say so,
        // and either may rot.
        self.write_seal()?;
        self.write_seal()
    }

    /// Writes a seal. The caller holds the turn, so that the seal's number is behind every birth so far, and has
    /// committed what was finished.
    fn write_seal(&self) -> Result<()> {
        let mut flush_turn = self.flush_turn.lock();
        self.in_one_piece(|| {
            let mut write = self.write.lock();
            write.check_poison(&self.core.context)?;
            let commit = write.draw_birth();
            let header = Header {
                commit,
                trust: Trust::Sealed,
                manifest: Manifest::default(),
                ..write.durable.clone()
            };
            drop(write);
            let closed = Closed { pages: Vec::new(), superseded: Vec::new(), header };
            let written = self.write_out(&closed, &mut flush_turn);
            self.conclude(closed, written).map(drop)
        })
    }

    /// Ends the gathering group: fixes what its commit will be. `None` if there is nothing to commit.
    fn close_group(&self) -> Result<Option<Closed>> {
        let mut write = self.write.lock();
        let (last, space, mut group) = loop {
            write.check_poison(&self.core.context)?;
            let Some(last) = write.group.last else { return Ok(None) };
            let mut group = std::mem::take(&mut write.group);
            match self.close_space(&mut write, last.birth, &mut group) {
                Ok(Some(space)) => break (last, space, group),
                // Not even the reserve holds a page for the space root. Nothing has changed: once the file can grow,
                // or older operations have ended, the group can be committed after all.
                Ok(None) => {
                    write.group = group;
                    // The end of an operation is noticed when a batch begins, and perhaps none ever does.
                    let waiting = write.releases.len();
                    write.release_passed(&self.core.pool);
                    if write.releases.len() == waiting {
                        write = self.growth.extend_for_close(write)?;
                    }
                }
                // Nothing has changed here either: once others have let go of their frames, it can be committed.
                Err(error @ PagerError::PoolExhausted { .. }) => {
                    write.group = group;
                    return Err(error);
                }
                // As with a group that fails later, its pages stay in the pool.
                Err(error) => return Err(self.poison_locked(&mut write, error)),
            }
        };
        write.in_flight = Some(last);
        let (unfinished, database_id) = (write.durable.unfinished, write.durable.database_id);
        // What takes longer is done while others go on.
        drop(write);
        let pages = group.take_pages();
        let single_flush = !group.written_early && pages.len() <= MANIFEST_PAGES;
        let manifest = if single_flush {
            Manifest::of(last.birth, pages.iter().map(|page| &**page))
        } else {
            Manifest::default()
        };
        let header = Header {
            commit: last.birth,
            trust: if single_flush { Trust::Manifest } else { Trust::Synced },
            unfinished,
            database_id,
            page_count: space.page_count,
            space_root: space.root,
            roots: last.roots,
            manifest,
        };
        Ok(Some(Closed { pages, superseded: group.superseded, header }))
    }

    /// Turns the free space of the finished batches into pages of the group. What comes of it can be tried again after `None` and after
    /// [`PagerError::PoolExhausted`].
    fn close_space(
        &self,
        write: &mut WriteState,
        number: Birth,
        group: &mut Group,
    ) -> Result<Option<ClosedSpace>> {
        let core = &*self.core;
        let WriteState { space, file_pages, .. } = write;
        let mut emitted: Vec<PinnedFrame> = Vec::new();
        let mut is_emitted_written = false;
        let closed = space.close(&mut &*core, number, *file_pages, &mut |ptr, encode| {
            if group.frames() + emitted.len() > core.pool.frames() / 2 {
                group.written_early = true;
                core.write_early(&mut group.take_pages())?;
                core.write_early(&mut group.superseded)?;
                is_emitted_written |= !emitted.is_empty();
                core.write_early(&mut emitted)?;
            }
            let mut frame = core.pool.take_frame()?;
            encode(&mut frame);
            core.seed.stamp(&mut frame);
            emitted.push(frame.publish(ptr));
            Ok(())
        });
        match closed {
            // The next try may have other things to write at these places, with the same number.
            Err(error @ PagerError::PoolExhausted { .. }) if is_emitted_written => {
                Err(core.context.io(IoOperation::WriteBatch, io::Error::other(error)))
            }
            Err(error @ PagerError::PoolExhausted { .. }) => {
                emitted.into_iter().for_each(PinnedFrame::forget);
                Err(error)
            }
            closed => {
                group.pages.extend(emitted.into_iter().map(|page| (page.ptr().id, page)));
                closed
            }
        }
    }

    /// Writes and flushes a closed group, as its header's trust demands.
    fn write_out(&self, closed: &Closed, flush_turn: &mut FlushTurn) -> Result<()> {
        // Rule 2: whatever holds the newest header is left alone.
        let place = self.write.lock().place.other();
        let header_page = &mut flush_turn.header_page;
        closed.header.encode(place, header_page);
        let header_write = PageWrite { id: place.page(), page: header_page };
        if closed.header.trust == Trust::Synced {
            self.core.write_pages(closed.pages.iter())?;
            self.core.flush()?;
            self.core.counters.large_commits.add(1);
            self.core.write(&[header_write])?;
        } else {
            let mut writes = Vec::with_capacity(closed.pages.len() + 1);
            writes.push(header_write);
            writes.extend(closed.pages.iter().map(|page| PageWrite { id: page.ptr().id, page }));
            self.core.write(&writes)?;
        }
        self.core.flush()
    }

    /// Publishes a group that became durable, or poisons the handle.
    fn conclude(&self, closed: Closed, written: Result<()>) -> Result<Birth> {
        let mut write = self.write.lock();
        let written = written.and_then(|()| write.check_poison(&self.core.context));
        if let Err(error) = written {
            return Err(self.poison_locked(&mut write, error));
        }
        self.core.counters.commits.add(1);
        let commit = closed.header.commit;
        write.in_flight = None;
        write.older_page_count = write.durable.page_count;
        write.durable = closed.header;
        write.place = write.place.other();
        closed.pages.into_iter().for_each(PinnedFrame::unpin);
        self.publish_ready(&mut write);
        // Whoever enters from here on sees the new state; pages that it freed wait for those who entered before.
        let epoch = self.core.pool.epochs().advance();
        write.releases.push_back(Release { up_to: commit, epoch, superseded: closed.superseded });
        write.release_passed(&self.core.pool);
        if let Err(error) = write.make_room(&self.core) {
            // This commit is durable all the same; the next one is refused.
            self.poison_locked(&mut write, error);
        }
        let maintenance_due = self.growth.is_due(&write);
        drop(write);
        if maintenance_due {
            self.background.request();
        }
        Ok(commit)
    }

    /// Shows new readers every finished batch that they may see by now, in order.
    pub(crate) fn publish_ready(&self, write: &mut WriteState) {
        let durable = write.durable.commit;
        let mut newest: Option<State> = None;
        while let Some(batch) = write.unpublished.front()
            && (batch.eventual || batch.state.birth <= durable)
        {
            newest = write.unpublished.pop_front().map(|batch| batch.state);
        }
        if let Some(state) = newest {
            write.published = state.birth;
            self.core.published.store(state);
        }
    }

    /// Runs a step after whose half nothing could go on: poisons the handle if it panics. The caller holds no lock that poisoning takes.
    pub(crate) fn in_one_piece<R>(&self, step: impl FnOnce() -> R) -> R {
        struct Begun<'a>(&'a Writer);
        impl Drop for Begun<'_> {
            fn drop(&mut self) {
                self.0
                    .write
                    .lock()
                    .refuse_writes(|| Arc::new(io::Error::other("a thread panicked in the middle of it")));
            }
        }
        let begun = Begun(self);
        let result = step();
        std::mem::forget(begun);
        result
    }

    /// Refuses all further writes after a failed one, and returns the failure.
    pub(crate) fn poison(&self, error: PagerError) -> PagerError {
        self.poison_locked(&mut self.write.lock(), error)
    }

    fn poison_locked(&self, write: &mut MutexGuard<'_, WriteState>, error: PagerError) -> PagerError {
        write.refuse_writes(|| match &error {
            PagerError::Io { source, .. } => source.clone(),
            other => Arc::new(io::Error::other(other.to_string())),
        });
        error
    }
}
