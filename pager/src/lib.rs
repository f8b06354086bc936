//! The storage layer of DynaMite (placeholder introduction, rewritten when the layer is complete).

#![warn(clippy::multiple_unsafe_ops_per_block)]

pub mod page_id;

pub mod page;

pub mod checksum;

pub mod disk;

#[allow(dead_code)]
mod space_range;

#[allow(dead_code)]
mod space_page;

#[allow(dead_code)]
mod space_bits;

#[allow(dead_code)]
mod space_map;

#[allow(dead_code)]
mod space;

#[allow(dead_code)]
mod space_search;

#[allow(dead_code)]
mod space_close;

#[allow(dead_code)]
mod space_check;

#[cfg(test)]
mod space_testing;

#[cfg(test)]
mod space_test;

#[cfg(test)]
mod space_model_test;

#[allow(dead_code)]
mod extent_set;

#[allow(dead_code)]
mod page_set;

pub mod stats;

pub mod error;

#[allow(dead_code)]
pub(crate) mod sync;
