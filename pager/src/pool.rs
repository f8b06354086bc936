//! The buffer pool: pages in memory, an explicit number of frames, and who may look at which for how long.
//!
//! The modules, bottom-up: [`frames`] is the memory, [`page_table`] finds a page's frame, [`epoch`] and [`leases`] say who
//! may still be looking, [`clock`] chooses what to evict, [`reserve`] holds the free frames and those that wait in
//! limbo, [`loads`] lets two misses of one page share a read. On them stand [`buffer_pool`], the [`operation`] that
//! readers use, its batches ([`read_many`]) and read-ahead ([`read_ahead`]), and the writer's [`dirty_frame`]s.

#[cfg(not(loom))]
pub(crate) mod fork;

pub(crate) mod frames;

pub(crate) mod page_table;

pub mod epoch;

pub(crate) mod leases;

pub(crate) mod clock;

pub(crate) mod reserve;

pub(crate) mod taken_frame;

pub(crate) mod loads;

pub mod buffer_pool;

pub mod operation;

pub(crate) mod read_many;

pub(crate) mod read_ahead;

pub mod dirty_frame;
