//! Loom models of the lock-free types: each drives the types that ship, through the one door to locks and atomics
//! (`pager/src/sync.rs`), and explores the orders in which their steps can happen and the values that loads can see.
//!
//! ```text
//! RUSTFLAGS="--cfg loom" CARGO_TARGET_DIR=target/loom cargo test -p dynamite-loom-tests --release
//! ```
//!
//! The models bound the number of preemptions, so that all of them end within minutes. To explore further, raise the
//! bound: `LOOM_MAX_PREEMPTIONS=4` before the command above, and hours of patience. To look at a failure: `LOOM_LOG=trace`
//! and `LOOM_LOCATION=1`.
//!
//! Under `--cfg loom` a bucket of the page table has fewer entries, there are two shards, waits for a frame are short, and
//! threads keep no epoch slots: less of the same to explore. Whatever is not about order, like a checksum, is tested elsewhere.

#![forbid(unsafe_code)]
#![cfg(loom)]

pub mod model_disk;

/// Explores a model with at most `preemptions` preemptions, unless `LOOM_MAX_PREEMPTIONS` says otherwise.
pub fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 50_000;
    builder.check(model);
}
