//! Moving the items of a table into files and back: what `dynamite-import` and `dynamite-export` have in common.
//!
//! `format` are the forms of files, `chunk` and `columns` how two of them are read in pieces, `s3_export` what is around the files of the
//! third. `pipeline` has pieces worked on by several threads, in order; `checksum` says whether two places hold the same items; `place` is
//! the database; `resume` remembers how far a transfer was.

pub(crate) mod checksum;
pub(crate) mod chunk;
pub(crate) mod columns;
pub(crate) mod error;
pub(crate) mod format;
pub(crate) mod pipeline;
pub(crate) mod place;
pub(crate) mod resume;
pub(crate) mod s3_export;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::SIGINT;
use signal_hook::flag;

pub use crate::transfer::format::Format;
pub use crate::transfer::place::PlaceArguments;

use crate::transfer::error::{Result, TransferError};

/// A flag that Ctrl-C sets; pressed once more, it ends the process.
pub(crate) fn interrupt() -> Result<Arc<AtomicBool>> {
    let interrupt = Arc::new(AtomicBool::new(false));
    let failed = |error| TransferError::Refused(format!("the signal of Ctrl-C cannot be heard: {error}"));
    flag::register_conditional_shutdown(SIGINT, 130, interrupt.clone()).map_err(failed)?;
    flag::register(SIGINT, interrupt.clone()).map_err(failed)?;
    Ok(interrupt)
}
