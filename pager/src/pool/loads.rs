//! Loads: reads of pages that are under way, so that two threads that miss the same page cause one read.
//!
//! Page ids are spread over shards, each with a lock. The lock of a page's shard orders everything that
//! happens to the page's entry in the page table: loads that end, eviction, publication, forgetting.
//!
//! # The life of a load
//!
//! 1. [`begin`](Loads::begin) looks again into the table, under the lock. If the page is there, or being read, that is
//!    the answer; else it registers a load and returns a [`Claim`] on it.
//! 2. The owner of the claim reads and checks the page into a frame that nobody else can see.
//! 3. [`Claim::finish`] enters the page into the table, takes the load off the shard, and wakes whoever
//!    waits. Or [`Claim::fail`] gives the error to all of them, and the table stays as it was. A claim that is dropped
//!    (a panic, or no frame to be had) tells them to try for themselves.
//!
//! If the page is published or forgotten meanwhile, the load is [superseded](Shard::supersede): what was read may be
//! what stood there before, and does not enter the table.
//!
//! The owner of a claim waits for nothing but the disk and, holding no frame and outside its frame epoch, for a frame;
//! both waits are bounded. Whoever waits for a load holds no frame, no claim and no frame epoch either. So no two wait for each
//! other.

use std::sync::Arc;

use crate::error::PagerError;
use crate::format::page_id::{Birth, PageId, PagePtr};
use crate::pool::frames::FrameId;
use crate::pool::page_table::PageTable;
use crate::sync::{Condvar, Mutex, MutexGuard};

#[cfg(not(loom))]
const SHARDS: usize = 64;
/// Pages that share a shard, and pages that do not.
#[cfg(loom)]
const SHARDS: usize = 2;

/// All loads under way.
#[derive(Debug)]
pub(crate) struct Loads {
    shards: Box<[PaddedShard]>,
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct PaddedShard(Mutex<Shard>);

/// The loads of some of the pages. A handful at a time, so looked through one by one.
#[derive(Debug, Default)]
pub(crate) struct Shard {
    loads: Vec<Arc<Load>>,
}

/// A read that is under way.
#[derive(Debug)]
pub(crate) struct Load {
    ptr: PagePtr,
    outcome: Mutex<Option<Outcome>>,
    settled: Condvar,
}

/// How a load ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// The page was entered into the table.
    Loaded,
    /// The page could not be read, or failed a check.
    Failed(PagerError),
    /// There was no result.
    Abandoned,
}

/// What [`Loads::begin`] found.
pub(crate) enum Begun<'a> {
    /// The page is in the table.
    Resident(FrameId),
    /// Somebody is reading the page.
    InFlight(Arc<Load>),
    /// The caller is to read the page.
    Claimed(Claim<'a>),
}

/// The right and the duty to settle a load.
#[derive(Debug)]
pub(crate) struct Claim<'a> {
    loads: &'a Loads,
    load: Arc<Load>,
    settled: bool,
}

impl Loads {
    pub(crate) fn new() -> Loads {
        Loads { shards: (0..SHARDS).map(|_| PaddedShard::default()).collect() }
    }

    /// Locks the shard of a page.
    pub(crate) fn shard(&self, id: PageId) -> MutexGuard<'_, Shard> {
        self.shards[id.0 as usize % SHARDS].0.lock()
    }

    /// Looks for a page that was missed, and registers a load if there is neither page nor load.
    pub(crate) fn begin(&self, ptr: PagePtr, table: &PageTable) -> Begun<'_> {
        let mut shard = self.shard(ptr.id);
        if let Some(frame) = table.find(ptr.id) {
            return Begun::Resident(frame);
        }
        if let Some(load) = shard.loads.iter().find(|load| load.ptr.id == ptr.id) {
            return Begun::InFlight(load.clone());
        }
        let load = Arc::new(Load { ptr, outcome: Mutex::default(), settled: Condvar::new() });
        shard.loads.push(load.clone());
        Begun::Claimed(Claim { loads: self, load, settled: false })
    }
}

impl Shard {
    /// Takes the load of a page off the shard, if there is one: its result must not enter the table.
    pub(crate) fn supersede(&mut self, id: PageId) {
        self.loads.retain(|load| load.ptr.id != id);
    }

    /// Takes this very load off the shard. Returns false if it was superseded.
    fn remove(&mut self, load: &Arc<Load>) -> bool {
        let place = self.loads.iter().position(|other| Arc::ptr_eq(other, load));
        place.map(|place| self.loads.swap_remove(place)).is_some()
    }
}

impl Load {
    /// The birth that the page is expected to have.
    pub(crate) fn birth(&self) -> Birth {
        self.ptr.birth
    }

    /// Waits until the load has ended. The caller has left its frame epoch, and holds neither frame nor claim.
    pub(crate) fn wait(&self) -> Outcome {
        let mut outcome = self.outcome.lock();
        loop {
            match &*outcome {
                Some(outcome) => return outcome.clone(),
                None => outcome = self.settled.wait(outcome),
            }
        }
    }

    fn settle(&self, outcome: Outcome) {
        *self.outcome.lock() = Some(outcome);
        self.settled.notify_all();
    }
}

impl Claim<'_> {
    /// The page to read.
    pub(crate) fn ptr(&self) -> PagePtr {
        self.load.ptr
    }

    /// Has `enter` put the page into the table, where it is not, and tells those who wait. Returns false if the load
    /// was superseded: then the table stays as it is and those who wait try for themselves.
    pub(crate) fn finish(mut self, enter: impl FnOnce()) -> bool {
        let entered = {
            let mut shard = self.loads.shard(self.load.ptr.id);
            let current = shard.remove(&self.load);
            if current {
                enter();
            }
            current
        };
        self.settled = true;
        self.load.settle(if entered { Outcome::Loaded } else { Outcome::Abandoned });
        entered
    }

    /// Gives the error to everybody who waits. Takes it and returns it, for the owner to return.
    pub(crate) fn fail(mut self, error: PagerError) -> PagerError {
        self.end(Outcome::Failed(error.clone()));
        error
    }

    fn end(&mut self, outcome: Outcome) {
        self.loads.shard(self.load.ptr.id).remove(&self.load);
        self.settled = true;
        self.load.settle(outcome);
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.end(Outcome::Abandoned);
        }
    }
}
