//! A panic, which would be a bug, ends the work in which it happened, and nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// What is known of a panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Panicked {
    pub(crate) text: String,
}

/// Runs some work. What it worked on must be undone when it is dropped, as a transaction is, or else not seen again.
pub(crate) fn caught<R>(work: impl FnOnce() -> R) -> Result<R, Panicked> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        tracing::error!(%text, "an operation panicked");
        Panicked { text }
    })
}
