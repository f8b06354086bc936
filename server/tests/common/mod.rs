//! What the tests of the server share.

#![allow(dead_code, reason = "no test file uses all of it")]

pub(crate) mod wire;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dynamite_core::api::DynaMite;
use dynamite_server::{DynaMiteClient, Server};
use tempfile::TempDir;

/// Bytes that the path of a socket may have, less those of its name.
const LONGEST_DIRECTORY: usize = 80;

/// A directory for a socket and a database, gone at the end of the test.
pub(crate) fn directory() -> TempDir {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let made = match target.as_os_str().len() < LONGEST_DIRECTORY {
        true => tempfile::Builder::new().prefix("s").tempdir_in(target),
        false => tempfile::tempdir(),
    };
    made.expect("a temporary directory")
}

/// What awaits, on a runtime of its own.
pub(crate) fn run<R>(test: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test)
}

/// A server in this process, of a database in memory.
pub(crate) struct Shared {
    pub(crate) db: DynaMite,
    pub(crate) socket: PathBuf,
    server: Option<Server>,
    _directory: TempDir,
}

impl Shared {
    pub(crate) fn new() -> Shared {
        Shared::of(DynaMite::in_memory().expect("a database"))
    }

    pub(crate) fn of(db: DynaMite) -> Shared {
        let directory = directory();
        let socket = directory.path().join("d.sock");
        let server = Server::share(&db, &socket).expect("a server");
        Shared { db, socket, server: Some(server), _directory: directory }
    }

    pub(crate) async fn client(&self) -> DynaMiteClient {
        DynaMiteClient::connect(&self.socket).await.expect("a connection")
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.server.take().map(Server::stop);
    }
}

/// Two databases with the same tables and items, one of which is behind a socket.
pub(crate) struct Pair {
    pub(crate) here: DynaMite,
    pub(crate) shared: Shared,
}

impl Pair {
    /// Each is filled likewise.
    pub(crate) fn of(fill: fn(&DynaMite)) -> Pair {
        let database = || {
            let db = DynaMite::in_memory().expect("a database");
            fill(&db);
            db
        };
        Pair { here: database(), shared: Shared::of(database()) }
    }
}

/// A server's process. It is killed when this is dropped.
pub(crate) struct Served {
    pub(crate) directory: Arc<TempDir>,
    child: Child,
}

impl Served {
    pub(crate) fn start(arguments: &[&str]) -> Served {
        Served::start_in(Arc::new(directory()), arguments)
    }

    /// Starts a server in a directory that may have a database already, and waits until it listens.
    pub(crate) fn start_in(directory: Arc<TempDir>, arguments: &[&str]) -> Served {
        let child = command(directory.path()).args(arguments).spawn().expect("the server's process");
        let mut served = Served { directory, child };
        loop {
            if UnixStream::connect(served.socket()).is_ok() {
                return served;
            }
            if let Some(status) = served.child.try_wait().expect("a child") {
                panic!("the server ended: {status}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("d.sock")
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.directory.path().join("d.db")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) async fn client(&self) -> DynaMiteClient {
        DynaMiteClient::connect(self.socket()).await.expect("a connection")
    }

    /// Sends a signal to it.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).expect("a process");
    }

    /// Waits until it has ended.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child")
    }

    /// Tells it to end, and waits until it has.
    pub(crate) fn stop(mut self) -> (ExitStatus, Arc<TempDir>) {
        self.signal(rustix::process::Signal::TERM);
        let status = self.wait();
        (status, self.directory.clone())
    }

    /// Kills it. What it leaves behind is in the directory.
    pub(crate) fn kill(mut self) -> Arc<TempDir> {
        self.child.kill().expect("a process");
        self.wait();
        self.directory.clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's program, for a database and a socket in a directory.
pub(crate) fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dynamite-server"));
    command.arg("--db").arg(directory.join("d.db")).arg("--socket").arg(directory.join("d.sock"));
    command.args(["--log", "off"]).stdin(Stdio::null());
    command
}
