//! The memory of coding agents, on DynaMite.
//!
//! What an agent is to know in its next session is kept in one file, which one process of a user owns: the [`store`], beside the data, is all that
//! touches it. Whatever wants something of the memory (the MCP server, the command line, the hooks of an editor) asks the owner through
//! a [`client`](client::Memory), which starts the owner where there is none.
//!
//! # The modules, in reading order
//!
//! `key` and `project` are about names, `text` about what is done with text, `meaning` about what it means. `request` is what is asked and answered, `error` what can go wrong.
//! `store` is the owner's side. `place` is where a file and its owner's socket are, `owner` how there comes to be one, `client` how it is asked; `tools` are the
//! four things that an agent can do. On top of that, one folder each: `mcp`, `hook`, `transfer` (import and export), `cli`.

#![forbid(unsafe_code)]

pub mod cli;
pub mod client;
pub mod error;
pub mod hook;
pub mod key;
pub mod mcp;
pub mod meaning;
pub mod owner;
pub mod place;
pub mod project;
pub mod request;
pub mod store;
pub mod text;
pub mod tools;
pub mod transfer;

pub use crate::error::{MemoryError, Result};
