//! The storage layer of DynaMite (placeholder introduction, rewritten when the layer is complete).

#![warn(clippy::multiple_unsafe_ops_per_block)]

pub mod page_id;

pub mod page;

pub mod checksum;

pub mod disk;

pub mod file;

mod page_file;

mod transfer;

mod disk_syscall;

mod disk_uring;

mod ring;

#[cfg(feature = "sim")]
pub mod disk_sim;

#[cfg(feature = "sim")]
mod sim_medium;

#[cfg(feature = "reference")]
pub mod disk_reference;

pub mod stats;

pub mod error;

#[allow(dead_code)]
pub(crate) mod sync;
