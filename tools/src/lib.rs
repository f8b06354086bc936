//! The operator's tools. They present what the layers below report, and know no format of their own.
//!
//! * [`fsck`]: `dynamite-fsck`, which checks a database file.
//! * [`dump`]: `dynamite-dump`, which shows what is in one.
//!
//! `program` is what they have in common; `survey` collects what a walk over a file tells, `map` draws it.

#![forbid(unsafe_code)]

pub mod dump;

pub mod fsck;

mod map;

pub mod program;

mod progress;

mod repair;

mod salvage;

mod survey;

mod text_table;
