//! Workloads and helpers of the benchmarks.
//!
//! Criterion measures one thing at a time, which suits what happens in memory. A device that others use too drifts
//! by more than what is to be told apart, so whatever touches it is measured in turns with bare I/O, in small
//! rounds, and reported as the ratio: [`interleave`](mod@interleave) takes the turns, [`sample`] keeps the times, [`table`] prints them.

// A map of a file is unsafe to open, and `peers::lmdb` has to: that one function is let through, in builds with peers.
#![cfg_attr(not(feature = "peers"), forbid(unsafe_code))]
#![cfg_attr(feature = "peers", deny(unsafe_code))]

pub mod arguments;

pub mod scratch;

pub mod random;

pub mod sample;

pub mod cpu_time;

pub mod interleave;

pub mod table;

pub mod bulk_fill;

pub mod toy_index;

pub mod change;

pub mod recording_disk;

pub mod forgetful_disk;

pub mod unflushed_disk;

pub mod dataset;

#[cfg(feature = "peers")]
pub mod peers;

#[cfg(feature = "peers")]
pub mod documents;

#[cfg(feature = "peers")]
pub mod harness;
