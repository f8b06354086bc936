//! A server at work: it accepts connections until it is told to end, and ends without losing what is under way.
//!
//! 1. It accepts connections until it is told to end, or nobody has been there for as long as it was told.
//! 2. The socket goes, so that whoever comes now starts, or finds, another server.
//! 3. Each connection's requests that are under way are answered, and no other is begun; a connection that does not read its
//!    answers within the time of grace is cut off.
//! 4. The threads of connections end, and the engine's when they have done what they have.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use dynamite_core::api::DynaMite;
use tokio::net::UnixListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use crate::engine::Engine;
use crate::error::ServerError;
use crate::extension::Extension;
use crate::io_threads::IoThreads;
use crate::listener::{self, Place, Socket};
use crate::session::{self, Patience};

/// How long nothing is accepted after the system has run out of descriptors.
const OUT_OF_DESCRIPTORS: Duration = Duration::from_millis(50);

/// How a server serves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) readers: usize,
    pub(crate) patience: Patience,
    pub(crate) idle_exit: Option<Duration>,
    /// How long what is under way may take at the end.
    pub(crate) grace: Duration,
}

impl Default for Settings {
    fn default() -> Settings {
        let grace = Duration::from_secs(10);
        Settings { readers: 8, patience: Patience::default(), idle_exit: None, grace }
    }
}

/// A server within a process that has the database open, to share it with others. It ends with [`stop`](Server::stop), or when it is
/// dropped; the database stays open.
///
/// ```
/// use dynamite_core::api::DynaMite;
/// use dynamite_server::Server;
/// use dynamite_server::client::BlockingClient;
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("d.sock");
/// let db = DynaMite::in_memory()?;
/// let server = Server::share(&db, &path)?;
///
/// // In another process:
/// let client = BlockingClient::connect(&path)?;
/// assert!(client.wait(client.client().list_tables())?.is_empty());
/// server.stop()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Result<(), ServerError>>>,
}

impl Server {
    /// Serves an open database at a socket: for processes of the same user.
    ///
    /// # Errors
    ///
    /// [`ServerError`] if another server is there, or the system refuses.
    pub fn share(db: &DynaMite, socket: impl AsRef<Path>) -> Result<Server, ServerError> {
        Server::at(db, socket.as_ref(), None)
    }

    /// Serves an open database, and what the program adds to its operations.
    ///
    /// # Errors
    ///
    /// Those of [`share`](Server::share).
    pub fn share_extended(
        db: &DynaMite,
        socket: impl AsRef<Path>,
        extension: Arc<dyn Extension>,
    ) -> Result<Server, ServerError> {
        Server::at(db, socket.as_ref(), Some(extension))
    }

    fn at(
        db: &DynaMite,
        socket: &Path,
        extension: Option<Arc<dyn Extension>>,
    ) -> Result<Server, ServerError> {
        Server::in_place(Place::take(socket)?, db, socket.to_owned(), extension)
    }

    fn in_place(
        place: Place,
        db: &DynaMite,
        path: PathBuf,
        extension: Option<Arc<dyn Extension>>,
    ) -> Result<Server, ServerError> {
        let settings = Settings::default();
        let started = start(db.clone(), extension, &path, settings)?;
        let mut socket = place.listen()?;
        let (stop, stopped) = oneshot::channel();
        let failed = move |source| ServerError::Io { what: "serving on", path, source };
        let listener = listener(&started.runtime, &mut socket).map_err(failed.clone())?;
        let spawned = std::thread::Builder::new().name("dynamite-server".into()).spawn(move || {
            let told = async {
                // That the other end is gone is as good.
                let _ = stopped.await;
                "stop"
            };
            started.runtime.block_on(serve(&started, listener, socket, settings, told));
            drop(started);
            Ok(())
        });
        let thread = spawned.map_err(failed)?;
        Ok(Server { stop: Some(stop), thread: Some(thread) })
    }

    /// Ends it, when what is under way is answered.
    ///
    /// # Errors
    ///
    /// [`ServerError`].
    pub fn stop(mut self) -> Result<(), ServerError> {
        self.end()
    }

    fn end(&mut self) -> Result<(), ServerError> {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(ended)) => ended,
            // A panic was reported when it happened.
            _ => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").finish_non_exhaustive()
    }
}

/// An engine whose threads end, having done what they have, when this is dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<Engine>);

impl Running {
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// What a server works with. Dropped in this order: what accepts connections, what serves them, and what they ask for.
#[derive(Debug)]
pub(crate) struct Started {
    /// Of the thread that waits for connections and for the end.
    pub(crate) runtime: Runtime,
    pub(crate) io: Arc<IoThreads>,
    pub(crate) running: Running,
}

/// Starts the threads for connections, and those for the database.
pub(crate) fn start(
    db: DynaMite,
    extension: Option<Arc<dyn Extension>>,
    path: &Path,
    settings: Settings,
) -> Result<Started, ServerError> {
    let failed = |source| ServerError::Io { what: "starting threads for", path: path.to_owned(), source };
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let io = Arc::new(IoThreads::start().map_err(failed)?);
    let engine = Engine::new(db, extension).map_err(failed)?;
    // From here on, so that no thread is left if another one cannot be started.
    let running = Running(Arc::new(engine));
    running.engine().start(settings.readers).map_err(failed)?;
    Ok(Started { runtime, io, running })
}

/// The listener of a socket, for a runtime.
pub(crate) fn listener(runtime: &Runtime, socket: &mut Socket) -> io::Result<UnixListener> {
    let _inside = runtime.enter();
    socket.listener()
}

/// Serves until it is told to end, and nothing is under way any more.
pub(crate) async fn serve(
    started: &Started,
    listener: UnixListener,
    socket: Socket,
    settings: Settings,
    told: impl Future<Output = &'static str>,
) {
    let (stop, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    accept(started, &listener, settings, &stop, &mut connections, told).await;
    drop(listener);
    drop(socket);
    stop.send_replace(true);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(settings.grace, ended).await.is_err() {
        tracing::warn!(connections = connections.len(), "cut off what did not read its answers");
        connections.shutdown().await;
    }
}

async fn accept(
    started: &Started,
    listener: &UnixListener,
    settings: Settings,
    stop: &watch::Sender<bool>,
    connections: &mut JoinSet<()>,
    told: impl Future<Output = &'static str>,
) {
    tokio::pin!(told);
    let engine = started.running.engine();
    loop {
        let idle_exit = settings.idle_exit.filter(|_| connections.is_empty());
        let idle = async move {
            match idle_exit {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = &mut told => return tracing::info!(reason, "ending"),
            () = idle => return tracing::info!(reason = "nobody was there", "ending"),
            Some(_) = connections.join_next() => {}
            accepted = admitted(listener) => match accepted {
                Ok(Some(stream)) => {
                    let number = engine.writes.new_connection();
                    let counted = Counted::new(engine);
                    let session = session::serve(stream, engine.clone(), number, settings.patience, stop.subscribe());
                    let seat = started.io.seat();
                    let runtime = seat.runtime();
                    let served = async move {
                        session.await;
                        drop((counted, seat));
                    };
                    connections.spawn_on(served, &runtime);
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(OUT_OF_DESCRIPTORS).await;
                }
            },
        }
    }
}

/// The next connection, if who connected may; it goes on in another runtime.
async fn admitted(listener: &UnixListener) -> io::Result<Option<UnixStream>> {
    let (stream, _) = listener.accept().await?;
    if listener::admits(&stream) { stream.into_std().map(Some) } else { Ok(None) }
}

/// A connection, counted for as long as it is open.
struct Counted(Arc<Engine>);

impl Counted {
    fn new(engine: &Arc<Engine>) -> Counted {
        engine.counters.connections_total.fetch_add(1, Ordering::Relaxed);
        engine.counters.connections.fetch_add(1, Ordering::Relaxed);
        Counted(engine.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.counters.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use dynamite_core::api::Deferred;

    use super::*;

    #[derive(Debug)]
    struct Nothing;

    impl Extension for Nothing {
        fn read(&self, _: &DynaMite, _: &[u8]) -> Vec<u8> {
            Vec::new()
        }

        fn write(&self, _: &Deferred<'_>, _: &[u8]) -> Vec<u8> {
            Vec::new()
        }
    }

    #[test]
    fn nothing_runs_on_if_it_cannot_be_listened() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("missing").join("d.sock");
        let lock = std::fs::File::create(directory.path().join("lock")).unwrap();
        let extension: Arc<dyn Extension> = Arc::new(Nothing);
        let db = DynaMite::in_memory().unwrap();
        let place = Place::Locked(path.clone(), lock);
        let served = Server::in_place(place, &db, path, Some(extension.clone()));
        assert!(matches!(served, Err(ServerError::Io { what: "listening on", .. })), "{served:?}");
        // Each thread holds the engine, which holds this.
        assert_eq!(Arc::strong_count(&extension), 1);
    }
}
