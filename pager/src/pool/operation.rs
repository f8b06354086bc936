//! Operations: how pages are read. The hot path is [`Operation::read`]; `read_miss` is the way to the disk.
//!
//! An operation is in its operation epoch from beginning to end, and in its frame epoch except while it waits (see
//! [`crate::pool::epoch`]). A reference to a page borrows from the operation so that the compiler refuses what the frame epoch does not
//! cover: [`read`](Operation::read) may wait and takes the operation mutably, so no reference outlives it;
//! [`read_resident`](Operation::read_resident) never waits, so several pages may be looked at together.

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::{PagerError, Result};
use crate::format::page::Page;
use crate::format::page_id::{PageId, PagePtr};
use crate::pool::buffer_pool::Shared;
use crate::pool::epoch::{Epoch, Slot};
use crate::pool::frames::FrameId;
use crate::pool::leases;
use crate::pool::loads::{Begun, Claim, Outcome};
use crate::pool::taken_frame::TakenFrame;

/// Why a page is read, which says how long it is worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// On the way to something that was asked for by its key.
    Point,
    /// As one of many in a row, seldom wanted again soon.
    Scan,
}

/// An operation under way. Belongs to the thread that began it; a thread may have several open.
///
/// An operation that rests between two reads still holds its frame epoch, and with it every frame retired since: in a full
/// pool others then wait for frames, and give up after about a second. So an operation is for one lookup or one page of a
/// scan, and is dropped before user code runs.
///
/// A thread that waits for a frame while it has other operations open may wait for itself: that ends with
/// [`PagerError::PoolExhausted`](crate::error::PagerError::PoolExhausted), in a small pool.
#[derive(Debug)]
pub struct Operation<'p> {
    pool: &'p Arc<Shared>,
    /// What `pool` leads to, one step nearer for the hits.
    shared: &'p Shared,
    /// `Some` until the operation is dropped.
    slot: Option<Arc<Slot>>,
    frame_epoch: Epoch,
    /// The slot goes back to the thread that leased it.
    not_send: PhantomData<*const ()>,
}

/// An operation that rests: the page ids that it may meet are not given out again, but it holds no frame. For whoever keeps
/// a state readable and reads it by other operations.
#[derive(Debug)]
pub struct RestingOperation<'p>(
    #[expect(dead_code, reason = "held for what dropping it does")] Operation<'p>,
);

/// A page in the pool, for as long as the operation stays in its frame epoch.
#[derive(Debug)]
pub struct PageRef<'a> {
    page: &'a Page,
    /// Loom is told of every access.
    #[cfg(loom)]
    cell: (&'a crate::pool::frames::Frames, FrameId),
}

impl<'p> Operation<'p> {
    #[inline]
    pub(crate) fn enter(pool: &'p Arc<Shared>) -> Operation<'p> {
        let slot = leases::lease(&pool.epochs);
        let frame_epoch = pool.epochs.enter(&slot);
        Operation { pool, shared: pool, slot: Some(slot), frame_epoch, not_send: PhantomData }
    }

    /// Carries on in a slot whose operation epoch is held already.
    pub(crate) fn inherit(pool: &'p Arc<Shared>, slot: Arc<Slot>) -> Operation<'p> {
        let frame_epoch = pool.epochs.enter_frames(&slot);
        Operation { pool, shared: pool, slot: Some(slot), frame_epoch, not_send: PhantomData }
    }

    /// The page that `ptr` leads to, from the pool or from disk.
    // Always inlined, so that on a hit the result does not go through memory: an error is many words long.
    #[inline(always)]
    pub fn read(&mut self, ptr: PagePtr, access: Access) -> Result<PageRef<'_>> {
        self.renew_frames();
        let frame = match self.find(ptr, access) {
            Some(frame) => frame,
            None => self.read_miss(ptr, access)?,
        };
        Ok(self.page(frame))
    }

    /// The page that `ptr` leads to, if it is in the pool. Never waits.
    ///
    /// `None` also if the page in the pool is not the one that the pointer means; [`read`](Operation::read) has the
    /// error.
    #[inline]
    pub fn read_resident(&self, ptr: PagePtr, access: Access) -> Option<PageRef<'_>> {
        self.find(ptr, access).map(|frame| self.page(frame))
    }

    /// Asks for pages that will be wanted soon, and does not wait for them. Errors, and requests that are too much, are
    /// dropped: the read that follows will see to them.
    pub fn prefetch(&self, ptrs: &[PagePtr]) {
        let missing = || ptrs.iter().filter(|ptr| self.pool.table.find(ptr.id).is_none());
        if missing().next().is_some() {
            self.pool.read_ahead.request(self.pool, self.slot(), missing().copied());
        }
    }

    /// How many pages are worth asking for ahead of a scan. Of more, some would be evicted before the scan comes to them.
    pub fn ahead_most(&self) -> usize {
        self.pool.ahead_most()
    }

    /// Moves the frame epoch forward if frames were retired since it was entered: nothing that was found before is in
    /// use any more, or the borrow checker would not have let the caller come here. So an operation that finds all its
    /// pages in the pool holds back no frames either.
    #[inline]
    pub(crate) fn renew_frames(&mut self) {
        if self.shared.epochs.hint() != self.frame_epoch {
            self.frame_epoch = self.shared.epochs.enter_frames(self.slot());
        }
    }

    /// Looks for a page in the table. The birth that it is told by stands in its header, which the caller reads anyway, so
    /// no other line of memory is touched for it.
    #[inline(always)]
    pub(crate) fn find(&self, ptr: PagePtr, access: Access) -> Option<FrameId> {
        let frame = self.shared.table.find(ptr.id)?;
        if self.page(frame).birth() != ptr.birth {
            return None;
        }
        self.note_hit(frame, access);
        Some(frame)
    }

    #[inline]
    fn note_hit(&self, frame: FrameId, access: Access) {
        self.slot().count_hit();
        if access == Access::Point {
            self.shared.clock.touch(frame);
        }
    }

    /// The page in a frame that was found in, or entered into, the table since the frame epoch was entered.
    #[inline]
    pub(crate) fn page(&self, frame: FrameId) -> PageRef<'_> {
        PageRef {
            // SAFETY: the frame was in the page table after this operation entered its present frame epoch. Frames go
            // back to the reserve only after the frame epochs older than their removal have passed (`Epochs`, fences F1
            // and F2), and before that nobody writes to them (rule 2 of `frames`). Leaving or renewing the epoch takes
            // `&mut self`, which waits for this borrow to end.
            page: unsafe { self.shared.frames.page(frame) },
            #[cfg(loom)]
            cell: (&self.shared.frames, frame),
        }
    }

    /// Gets a page that was not found, or not with the right birth.
    #[cold]
    #[inline(never)]
    fn read_miss(&mut self, ptr: PagePtr, access: Access) -> Result<FrameId> {
        let pool = self.pool;
        if access == Access::Scan
            && let Some(request) = pool.read_ahead.take_over(ptr)
        {
            self.outside_frames(|| request.serve(pool));
        }
        let mut shared = false;
        loop {
            // In the frame epoch, so a frame that is found now may be returned.
            match pool.loads.begin(ptr, &pool.table) {
                Begun::Resident(frame) => {
                    pool.check_birth(self.page(frame).birth(), ptr)?;
                    if !shared {
                        self.note_hit(frame, access);
                    }
                    return Ok(frame);
                }
                Begun::InFlight(load) => {
                    pool.counters.shared_misses.add(u64::from(!shared));
                    shared = true;
                    match self.outside_frames(|| load.wait()) {
                        // What another pointer was refused says nothing about this one.
                        Outcome::Failed(error) if load.birth() == ptr.birth => return Err(error),
                        // The page may have been evicted again, so it is looked for from the beginning.
                        Outcome::Loaded | Outcome::Failed(_) | Outcome::Abandoned => {}
                    }
                }
                Begun::Claimed(claim) => {
                    if let Some(frame) = self.load(claim, access)? {
                        return Ok(frame);
                    }
                }
            }
        }
    }

    /// Reads one page from disk. Returns `None` if the load was superseded.
    fn load(&mut self, claim: Claim<'_>, access: Access) -> Result<Option<FrameId>> {
        let (pool, ptr) = (self.pool, claim.ptr());
        let read = self.outside_frames(|| {
            pool.check_bounds(ptr.id)?;
            let mut page = pool.wait_for_frame(|| TakenFrame::take(&**pool).ok())?;
            pool.counters.misses.add(1);
            pool.counters.count_read_batch(1);
            pool.disk().read_page(ptr.id, &mut page).map_err(|error| pool.read_error(ptr.id, error))?;
            pool.verify(&page, ptr)?;
            Ok(page)
        });
        match read {
            Ok(page) => Ok(pool.enter_page(claim, page, access)),
            Err(error) => Err(claim.fail(error)),
        }
    }

    /// Leaves the frame epoch, waits, and enters it again, even if the wait panics.
    pub(crate) fn outside_frames<R>(&mut self, wait: impl FnOnce() -> R) -> R {
        struct Outside<'a, 'p>(&'a mut Operation<'p>);
        impl Drop for Outside<'_, '_> {
            fn drop(&mut self) {
                self.0.frame_epoch = self.0.pool.epochs.enter_frames(self.0.slot());
            }
        }
        self.slot().leave_frames();
        let _outside = Outside(self);
        wait()
    }

    /// Lets go of the frames, and keeps the page ids.
    pub fn rest(self) -> RestingOperation<'p> {
        self.slot().leave_frames();
        RestingOperation(self)
    }

    /// The error for a page that holds what the calling layer never writes there.
    pub fn malformed(&self, page: PageId, why: impl std::error::Error + Send + Sync + 'static) -> PagerError {
        self.pool.malformed(page, Arc::new(why))
    }

    pub(crate) fn pool(&self) -> &'p Arc<Shared> {
        self.pool
    }

    #[inline]
    fn slot(&self) -> &Slot {
        self.slot.as_ref().expect("only dropping the operation takes the slot")
    }
}

impl Drop for Operation<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.leave();
            leases::give_back(&self.pool.epochs, slot);
        }
    }
}

impl<'a> PageRef<'a> {
    /// The page, for as long as the operation is borrowed.
    #[inline]
    pub fn into_page(self) -> &'a Page {
        self.page
    }
}

impl Deref for PageRef<'_> {
    type Target = Page;

    #[inline]
    fn deref(&self) -> &Page {
        #[cfg(loom)]
        // SAFETY: as in `Operation::page`. This reference is not used, only the access is noted.
        let _ = unsafe { self.cell.0.page(self.cell.1) };
        self.page
    }
}
