//! DynaMite for many processes: the server of a database, and its clients.
//!
//! One process has a database file open; others reach it over a Unix socket, or, as [`dynamodb`] has it, over HTTP.

#![forbid(unsafe_code)]

pub mod config;

mod frame;

mod protocol;

mod socket;

mod outbox;

mod queue;

mod caught;

mod writes;

mod link;

mod bell;

mod flow;

mod news;

mod warmth;

mod stats;

mod extension;

mod engine;

mod dispatch;

mod session;

mod listener;

mod io_threads;

mod server;

mod shutdown;

pub mod client;

pub mod dynamodb;

pub mod error;

#[doc(hidden)]
pub mod doc_test;

pub use crate::client::DynaMiteClient;
pub use crate::config::{Config, default_socket};
pub use crate::error::{ClientError, ServerError};
pub use crate::extension::Extension;
pub use crate::frame::{Identity, MAX_BODY, VERSION};
pub use crate::server::Server;
pub use crate::shutdown::{run, run_extended};
pub use crate::stats::ServerStats;
