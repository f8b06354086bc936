//! The storage layer of DynaMite (placeholder introduction, rewritten when the layer is complete).

#![warn(clippy::multiple_unsafe_ops_per_block)]

pub mod page_id;

pub mod page;

pub mod checksum;

pub mod disk;

pub mod stats;

pub mod error;

#[allow(dead_code)]
pub(crate) mod sync;

#[cfg(not(loom))]
mod fork;

mod frames;

mod page_table;

pub mod epoch;

mod leases;

mod clock;

mod reserve;

mod taken_frame;

mod loads;

pub mod buffer_pool;

pub mod operation;

mod read_many;

mod read_ahead;

pub mod dirty_frame;

/// What the loom models need beyond the public interface.
#[cfg(loom)]
#[doc(hidden)]
pub mod loom_models {
    use std::path::Path;
    use std::sync::Arc;

    use crate::buffer_pool::BufferPool;
    use crate::checksum::DatabaseSeed;
    use crate::disk::Disk;
    use crate::error::ErrorContext;

    /// A pool of exactly `frames` frames.
    pub fn tiny_pool(disk: Arc<dyn Disk>, seed: DatabaseSeed, path: &Path, frames: usize) -> BufferPool {
        BufferPool::with_exactly(disk, seed, ErrorContext(path.into()), frames, Arc::default())
            .expect("memory")
    }
}
