//! The storage layer of DynaMite: one file of 4 KiB pages, read through a buffer pool and written by copy-on-write
//! commits that cost one flush.
//!
//! It knows pages, frames, I/O, headers, free space, and how a batch of pages becomes durable. It knows nothing of
//! keys, trees, transactions or items: it never looks past a page's header.
//!
//! # What it promises
//!
//! * **INV-1** No byte from disk is used before checksum, page id and expected birth were checked, once, when the page
//!   enters the pool; every hit compares births.
//! * **INV-2** A page reachable from the newest durable header, or from an operation in flight, is never written.
//! * **INV-3** Whatever subset of the unflushed writes survives, torn in pieces of 8 bytes, the next open yields exactly
//!   the last commit whose flush returned, or a later one that was complete. Opening costs at most 250 page reads.
//! * **INV-4** After a failed write or flush the handle refuses writes until the file is opened again; reads of the last
//!   published state go on.
//! * **INV-5** Resident memory stays within cache size + 10 % + 16 MiB.
//!
//! # The modules, in reading order
//!
//! [`format`](mod@format) says what the bytes on disk mean, [`disk`] how they are moved, [`pool`] keeps pages in memory, `space` knows
//! the free ones, [`commit`] makes changes durable, `recovery` and `create` begin a life, [`pager`] is the handle,
//! [`census`] checks the books, [`copy`] makes a second file, [`inspect`] looks at files in whatever state they are.

#![warn(clippy::multiple_unsafe_ops_per_block)]

pub mod format;

pub mod disk;

pub mod pool;

mod space;

pub mod commit;

mod recovery;

mod create;

pub mod pager;

pub mod census;

pub mod copy;

pub mod inspect;

pub mod stats;

pub mod error;

pub mod sync;

pub use crate::census::{Census, Examine, Examined, Finding, Follow, Problem, Remarks, Scout, Severity};
pub use crate::commit::published::State;
pub use crate::commit::write_batch::{Durability, WriteBatch};
pub use crate::disk::file::IoChoice;
pub use crate::error::{Corruption, IoOperation, Malformation, PagerError, Result};
pub use crate::format::describe::Field;
pub use crate::format::header::Roots;
pub use crate::format::page::{PAGE_SIZE, PAYLOAD_SIZE, Page, PageKind};
pub use crate::format::page_id::{Birth, Extent, PageId, PagePtr};
pub use crate::inspect::{HeaderContents, HeaderView, Inspection};
pub use crate::pager::{Options, Pager};
pub use crate::pool::buffer_pool::PageCheck;
pub use crate::pool::operation::{Access, Operation, PageRef, RestingOperation};
pub use crate::space::Placement;
pub use crate::stats::Stats;

/// What the loom models need beyond the public interface.
#[cfg(loom)]
#[doc(hidden)]
pub mod loom_models {
    use std::path::Path;
    use std::sync::Arc;

    use crate::commit::published::{Published, State};
    use crate::disk::Disk;
    use crate::error::ErrorContext;
    use crate::format::checksum::DatabaseSeed;
    use crate::pool::buffer_pool::BufferPool;

    /// A pool of exactly `frames` frames.
    pub fn tiny_pool(disk: Arc<dyn Disk>, seed: DatabaseSeed, path: &Path, frames: usize) -> BufferPool {
        BufferPool::with_exactly(disk, seed, ErrorContext(path.into()), frames, |_| Ok(()), Arc::default())
            .expect("memory")
    }

    /// The published state, by itself.
    #[derive(Debug)]
    pub struct PublishedState(Published);

    impl PublishedState {
        /// Publishes a first state.
        pub fn new(state: State) -> PublishedState {
            PublishedState(Published::new(state))
        }

        /// What a reader sees.
        pub fn load(&self) -> State {
            self.0.load()
        }

        /// What the one writer does.
        pub fn store(&self, state: State) {
            self.0.store(state);
        }
    }
}
