//! Reads of many pages: what misses is read in batches, so that the device works on many requests at once.
//!
//! A batch takes frames first, then claims as many loads as it has frames: while it waits for a frame it holds neither
//! frame nor claim, and while it holds them it waits for nothing but the disk (see [`crate::pool::loads`]). It takes what frames
//! it gets without waiting, at least one. Pages that others are reading are left to them, and waited for when nothing is left to read.

use crate::disk::PageRead;
use crate::error::{PagerError, Result};
use crate::format::page::Page;
use crate::format::page_id::PagePtr;
use crate::pool::buffer_pool::Shared;
use crate::pool::frames::FrameId;
use crate::pool::loads::{Begun, Claim};
use crate::pool::operation::{Access, Operation};
use crate::pool::taken_frame::TakenFrame;

/// Pages in a batch, at the most.
pub(crate) const BATCH: usize = 64;

/// What a batch is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Somebody waits for the pages.
    Demand(Access),
    /// Somebody may want them soon. Not worth waiting for frames.
    ReadAhead,
}

/// A page that a batch has read, or tried to.
type Loaded = (PagePtr, Result<FrameId>);

impl Operation<'_> {
    /// Visits the pages that `ptrs` lead to, each once per pointer, in an order that suits the pool: those in memory
    /// first. `visit` gets the pointer's index. Ends with the first error, of a page or of `visit`.
    pub fn read_many<E: From<PagerError>>(
        &mut self,
        ptrs: &[PagePtr],
        access: Access,
        mut visit: impl FnMut(usize, &Page) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut rest = Vec::new();
        for (portion, start) in ptrs.chunks(BATCH).zip((0..).step_by(BATCH)) {
            self.renew_frames();
            // All of a portion are looked up before the first is looked at, so that the processor waits for many of their
            // headers at once.
            let mut found = [None; BATCH];
            for (place, ptr) in found.iter_mut().zip(portion) {
                *place = self.find(*ptr, access);
            }
            for (index, frame) in (start..).zip(&found[..portion.len()]) {
                match frame {
                    Some(frame) => visit(index, &self.page(*frame))?,
                    None => rest.push(index),
                }
            }
        }
        // Neighbours in the file become neighbours in the batch; equal pages too.
        rest.sort_unstable_by_key(|index| (ptrs[*index].id, ptrs[*index].birth));
        while !rest.is_empty() {
            let batch: Vec<_> = rest.drain(..rest.len().min(BATCH)).collect();
            let mut wanted: Vec<_> = batch.iter().map(|index| ptrs[*index]).collect();
            wanted.dedup_by_key(|ptr| ptr.id);
            let loaded = self.load_batch(&wanted, Purpose::Demand(access))?;
            let mut left = Vec::new();
            for index in batch {
                // All that was loaded is visited within one frame epoch.
                match result_for(&loaded, ptrs[index]) {
                    Some(frame) => {
                        let page = self.page(frame?);
                        self.pool().check_birth(page.birth(), ptrs[index])?;
                        visit(index, &page)?;
                    }
                    None => left.push(index),
                }
            }
            if loaded.is_empty() {
                // All of them have come in since, or are being read by others, who were faster.
                for index in left.drain(..) {
                    visit(index, &*self.read(ptrs[index], access)?)?;
                }
            }
            rest.splice(0..0, left);
        }
        Ok(())
    }

    /// Reads what is missing of these pages, ordered by page id and without repetition, as far as frames can be had. On
    /// return the operation is in one frame epoch since before the pages entered the table.
    pub(crate) fn load_batch(&mut self, ptrs: &[PagePtr], purpose: Purpose) -> Result<Vec<Loaded>> {
        let pool = self.pool();
        let mut frames = self.outside_frames(|| take_frames(pool, ptrs.len(), purpose))?;
        let mut loaded = Vec::new();
        let mut batch: Vec<(Claim<'_>, TakenFrame<&Shared>)> = Vec::new();
        for ptr in ptrs {
            if frames.is_empty() {
                break;
            }
            if let Begun::Claimed(claim) = pool.loads.begin(*ptr, &pool.table) {
                match pool.check_bounds(ptr.id) {
                    Ok(()) => batch.extend(frames.pop().map(|frame| (claim, frame))),
                    Err(error) => loaded.push((*ptr, Err(claim.fail(error)))),
                }
            }
        }
        drop(frames);
        if batch.is_empty() {
            return Ok(loaded);
        }
        let results = self.outside_frames(|| read_batch(pool, &mut batch, purpose));
        for ((claim, page), result) in batch.into_iter().zip(results) {
            let ptr = claim.ptr();
            match result {
                Err(error) => loaded.push((ptr, Err(claim.fail(error)))),
                Ok(()) => {
                    let access = match purpose {
                        Purpose::Demand(access) => access,
                        Purpose::ReadAhead => Access::Scan,
                    };
                    // A load that was superseded is tried again by whoever needs the page.
                    loaded.extend(pool.enter_page(claim, page, access).map(|frame| (ptr, Ok(frame))));
                }
            }
        }
        Ok(loaded)
    }
}

/// What became of a page in this batch. `None` if it was not part of it, or refused for a birth that is not this pointer's.
fn result_for(loaded: &[Loaded], ptr: PagePtr) -> Option<Result<FrameId>> {
    let (tried, result) = loaded.iter().find(|(tried, _)| tried.id == ptr.id)?;
    (result.is_ok() || tried.birth == ptr.birth).then(|| result.clone())
}

/// Takes frames for a batch: what can be had without waiting; if somebody waits for the pages, at least one. Not more than a
/// quarter of the pool, so that a batch does not evict what the next step needs.
fn take_frames(pool: &Shared, wanted: usize, purpose: Purpose) -> Result<Vec<TakenFrame<&Shared>>> {
    let wanted = wanted.min(BATCH).min((pool.frames.count() / 4).max(1));
    let mut frames = Vec::with_capacity(wanted);
    if let Purpose::Demand(_) = purpose {
        frames.push(pool.wait_for_frame(|| TakenFrame::take(pool).ok())?);
    }
    while frames.len() < wanted
        && let Ok(frame) = TakenFrame::take(pool)
    {
        frames.push(frame);
    }
    Ok(frames)
}

/// Reads and verifies the pages of a batch.
fn read_batch(
    pool: &Shared,
    batch: &mut [(Claim<'_>, TakenFrame<&Shared>)],
    purpose: Purpose,
) -> Vec<Result<()>> {
    let counter = match purpose {
        Purpose::Demand(_) => &pool.counters.misses,
        Purpose::ReadAhead => &pool.counters.prefetched,
    };
    counter.add(batch.len() as u64);
    pool.counters.count_read_batch(batch.len());
    let results: Vec<_> = match batch {
        [(claim, page)] => vec![pool.disk().read_page(claim.ptr().id, page)],
        _ => {
            let mut reads: Vec<_> = batch
                .iter_mut()
                .map(|(claim, page)| PageRead { id: claim.ptr().id, page, result: Ok(()) })
                .collect();
            pool.disk().read_batch(&mut reads);
            reads.into_iter().map(|read| read.result).collect()
        }
    };
    let verified = batch.iter().zip(results).map(|((claim, page), result)| {
        let ptr = claim.ptr();
        result.map_err(|error| pool.read_error(ptr.id, error))?;
        pool.verify(page, ptr)
    });
    verified.collect()
}
