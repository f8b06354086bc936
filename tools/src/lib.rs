//! The operator's tools. They present what the layers below report, and know no format of their own.
//!
//! * [`fsck`]: `dynamite-fsck`, which checks a database file, repairs it, and salvages what can be read of one.
//! * [`dump`]: `dynamite-dump`, which shows what is in one.
//! * [`backup`]: `dynamite-backup` and `dynamite-restore`, which copy one.
//! * [`compact`]: `dynamite-compact`, which makes one shorter.
//! * [`import`] and [`export`]: `dynamite-import` and `dynamite-export`, items from files and into files; [`transfer`] is what they share.
//! * `copy`: `dynamite-copy`, tables from DynamoDB endpoints and to them, with the feature `endpoint`.
//! * [`console`]: `dynamite-console`, a conversation with a database; [`json_text`] is how it reads JSON.
//!
//! `program` is what they have in common; `survey` collects what a walk over a file tells, `map` draws it.

#![forbid(unsafe_code)]

pub mod backup;

pub mod compact;

pub mod console;

#[cfg(feature = "endpoint")]
pub mod copy;

pub mod dump;

pub mod export;

pub mod fsck;

pub mod import;

pub mod json_text;

mod map;

pub mod program;

mod progress;

mod repair;

mod salvage;

mod survey;

mod text_table;

pub mod transfer;
