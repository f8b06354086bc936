//! What the examples in the documentation run beside: a server of their own.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "an example that fails is to say where")]

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use dynamite_core::api::DynaMite;

use crate::error::Result;
use crate::server::Server;

static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Runs an example beside a server of an empty database.
pub fn beside_server(example: impl FnOnce(PathBuf) -> Result<()>) {
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("dynamite-doc-{}-{number}", std::process::id());
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir(&directory).expect("a directory of its own");
    let path = directory.join("d.sock");
    let db = DynaMite::in_memory().expect("a database");
    let server = Server::share(&db, &path).expect("a server");
    let result = example(path);
    server.stop().expect("an end");
    std::fs::remove_dir_all(&directory).expect("an empty directory");
    result.expect("the example");
}

/// The same, for what is awaited.
pub fn with_server(example: impl AsyncFnOnce(PathBuf) -> Result<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    beside_server(|path| runtime.block_on(example(path)));
}
