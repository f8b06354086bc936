//! DynamoDB's protocol: JSON over HTTP, as the SDKs of all languages speak it.
//!
//! [`serve`] answers on a listener until it is told to stop. What an operation means is the database's own business: a request
//! is read, checked and handed to it, and its answer is written. What clients and conformance suites look at is the order in which
//! mistakes are found, which is the order of the modules.
//!
//! # The modules, in reading order
//!
//! `connections` are accepted and given up, `body` is read from them, `http` reads requests and writes answers, `sigv4` checks signatures, `target` finds the operation. `json` is what bodies are
//! made of. `model` checks a body against the shapes of its operation: first the types, then the constraints. `errors` are the
//! refusals, by the texts that clients know. `attributes` makes values of JSON, `expressions` and `legacy` hand conditions and
//! updates to the database's own language, `capacity` counts units, `reply` writes answers. `table_settings` is what only this protocol knows of a table,
//! and is stored with it; `creating` are tables that pretend not to be ready; `arn` are the names of resources. `operations` are the rest, one a file.

mod arn;
mod attributes;
mod body;
mod capacity;
mod compression;
mod connections;
mod creating;
mod errors;
mod expressions;
mod http;
mod json;
mod legacy;
mod model;
mod operations;
mod reply;
mod sigv4;
mod table_settings;
mod target;

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dynamite_core::api::DynaMite;
use tokio::net::TcpListener;

use crate::dynamodb::body::Room;
use crate::dynamodb::creating::Creating;
pub use crate::dynamodb::http::Limits;
pub use crate::dynamodb::sigv4::AccessKeys;
use crate::io_threads::IoThreads;
use crate::warmth::Warmth;
use crate::writes::Writes;

/// How the endpoint answers.
#[derive(Clone, Debug)]
pub struct Config {
    /// The region that ARNs name.
    pub region: String,
    /// The account that ARNs name.
    pub account: String,
    /// Whose signatures are accepted; without keys, whatever is signed at all is.
    pub access_keys: Option<AccessKeys>,
    /// How large and how slow requests may be.
    pub limits: Limits,
    /// How long new tables tell that they are being created, and refuse to be used. Nothing needs that time: it is for those who
    /// test that their programs wait.
    pub creation_time: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            region: "us-east-1".to_owned(),
            account: "000000000000".to_owned(),
            access_keys: None,
            limits: Limits::default(),
            creation_time: Duration::ZERO,
        }
    }
}

/// What all requests share.
#[derive(Debug)]
struct Endpoint {
    db: DynaMite,
    config: Config,
    /// Tables are created, changed and dropped one at a time: what is decided about one must still hold when it is done.
    control: Mutex<()>,
    creating: Creating,
    writes: Arc<Writes>,
    room: Room,
    warmth: Warmth,
}

impl Endpoint {
    /// Waits for its turn to change tables. A panic of another turn left nothing half done: each is one transaction.
    fn control(&self) -> MutexGuard<'_, ()> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers requests until `shutdown` is ready; then those that are being answered are finished. Connections are served by threads of
/// their own, one for each processor.
///
/// # Errors
///
/// When the listener fails, or a thread cannot be started. Errors of connections end those.
pub async fn serve(
    listener: TcpListener,
    db: DynaMite,
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let io = IoThreads::start()?;
    let writes = Arc::new(Writes::start(&db)?);
    let served = serve_beside(listener, &io, db, writes.clone(), config, shutdown).await;
    let end = move || {
        drop(io);
        writes.stop();
    };
    tokio::task::spawn_blocking(end).await.map_err(io::Error::other)?;
    served
}

/// The same on threads, and for a database, that others use as well.
pub(crate) async fn serve_beside(
    listener: TcpListener,
    io: &IoThreads,
    db: DynaMite,
    writes: Arc<Writes>,
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> io::Result<()> {
    let (control, creating) = (Mutex::default(), Creating::default());
    let room = Room::new(config.limits);
    let warmth = Warmth::default();
    let endpoint = Arc::new(Endpoint { db, config, control, creating, writes, room, warmth });
    connections::serve(listener, io, endpoint, shutdown).await
}
