//! The life of the program: it takes the socket's place, opens the database, serves, and closes the database.
//!
//! In this order, so that who connects finds an open database: the right to the socket, the database, the socket and the
//! address for HTTP. A second server on
//! the same socket, or the same file, fails at one of the first two, and touches nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dynamite_core::api::DynaMite;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::config::{self, Config};
use crate::dynamodb;
use crate::error::ServerError;
use crate::extension::Extension;
use crate::listener::Place;
use crate::server::{self, Settings, Started};
use crate::session::Patience;

/// Runs a server until it is told to end.
///
/// # Errors
///
/// [`ServerError`] if it does not start, or cannot close the database.
pub fn run(config: &Config) -> Result<(), ServerError> {
    run_with(config, |_| Ok(None), Some(serve_http))
}

/// Runs a server with operations of the program's own until it is told to end. They are made when the database is open, and nobody can
/// connect yet. It serves the socket only: such a program need not have the endpoint for HTTP in it, so [`Config::http`] does not matter.
///
/// # Errors
///
/// Those of [`run`], and of `extension`.
pub fn run_extended(
    config: &Config,
    extension: impl FnOnce(&DynaMite) -> Result<Arc<dyn Extension>, ServerError>,
) -> Result<(), ServerError> {
    run_with(config, |db| extension(db).map(Some), None)
}

fn run_with(
    config: &Config,
    extension: impl FnOnce(&DynaMite) -> Result<Option<Arc<dyn Extension>>, ServerError>,
    serve_http: Option<ServeHttp>,
) -> Result<(), ServerError> {
    allow_many_descriptors();
    let (path, socket_path) = (config.db_path()?, config.socket_path());
    let place = Place::given_or_taken(&socket_path)?;
    config::make_parent(&path)?;
    let db = DynaMite::builder().cache_size(config.cache_size).open_or_create(&path)?;
    let extension = extension(&db)?;
    let access_keys = config.access_keys()?;
    let settings = Settings {
        readers: usize::from(config.readers),
        patience: Patience { frame: Duration::from_secs(config.frame_timeout), ..Patience::default() },
        idle_exit: config.idle_exit.map(Duration::from_secs),
        grace: Duration::from_secs(config.grace),
    };
    let started = server::start(db, extension, &path, settings)?;
    let engine = started.running.engine().clone();
    let failed = |source| ServerError::Io { what: "serving on", path: socket_path.clone(), source };
    // Before anybody can see that it listens.
    let told = {
        let _inside = started.runtime.enter();
        told_to_end().map_err(failed)?
    };
    let mut socket = place.listen()?;
    let listener = server::listener(&started.runtime, &mut socket).map_err(failed)?;
    tracing::info!(db = %path.display(), socket = %socket_path.display(), "serving");
    let (end_http, http_ended) = oneshot::channel::<()>();
    let endpoint = dynamodb::Config {
        access_keys,
        limits: dynamodb::Limits { shutdown_time: settings.grace, ..dynamodb::Limits::default() },
        ..dynamodb::Config::default()
    };
    let http = config.http.zip(serve_http);
    let http = http.map(|(address, serve)| serve(&started, address, endpoint, http_ended));
    let http = http.transpose()?;
    let told = async move {
        let reason = told.await;
        drop(end_http);
        reason
    };
    started.runtime.block_on(async {
        server::serve(&started, listener, socket, settings, told).await;
        if let Some(http) = http {
            // It says itself what went wrong.
            let _ = http.await;
        }
    });
    drop(started);
    Arc::into_inner(engine).map_or(Ok(()), |engine| engine.db.close())?;
    tracing::info!("ended");
    Ok(())
}

/// How DynamoDB's clients are served. Only programs that say so have it in them: it is a third of this crate.
type ServeHttp =
    fn(&Started, SocketAddr, dynamodb::Config, oneshot::Receiver<()>) -> Result<JoinHandle<()>, ServerError>;

/// Answers DynamoDB's clients until it is told to end.
fn serve_http(
    started: &Started,
    address: SocketAddr,
    config: dynamodb::Config,
    told: oneshot::Receiver<()>,
) -> Result<JoinHandle<()>, ServerError> {
    let failed = |source| ServerError::Http { address, source };
    let listener = started.runtime.block_on(TcpListener::bind(address)).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if !address.ip().is_loopback() && config.access_keys.is_none() {
        tracing::warn!(%address, "whoever reaches this address may read and write everything; see --access-key-file");
    }
    tracing::info!("serving http://{address}");
    let engine = started.running.engine();
    let (io, db, writes) = (started.io.clone(), engine.db.clone(), engine.writes.clone());
    Ok(started.runtime.spawn(async move {
        let told = async { drop(told.await) };
        if let Err(error) = dynamodb::serve_beside(listener, &io, db, writes, config, told).await {
            tracing::error!(%error, "the endpoint for HTTP has ended");
        }
    }))
}

/// Waits for SIGTERM or SIGINT, which from now on do not kill the process.
fn told_to_end() -> std::io::Result<impl Future<Output = &'static str>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        }
    })
}

/// As many connections as the system allows: a thousand are more than it does by default.
fn allow_many_descriptors() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, "the limit of open files stays what it is");
    }
}
