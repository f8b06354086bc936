//! What the tests of the memory share.

#![allow(dead_code, reason = "no test file uses all of it")]

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use dynamite_core::api::{DynaMite, ManualClock};
use dynamite_memory::client::Memory;
use dynamite_memory::meaning::Encoder;
use dynamite_memory::place::Place;
use dynamite_memory::request::{Answer, Checked, Recalled, Remembered, Request, Source};
use dynamite_memory::store::Store;
use dynamite_memory::tools::{RecallInput, RememberInput};
use dynamite_server::Server;
use serde_json::Value;
use tempfile::TempDir;

/// A moment in November 2026.
pub(crate) const NOW_MS: u64 = 1_795_674_037_000;

pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What awaits, on a runtime of its own.
pub(crate) fn run<R>(test: impl Future<Output = R>) -> R {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test)
}

pub(crate) fn directory() -> TempDir {
    tempfile::Builder::new().prefix("m").tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}

/// An owner in this process, of a database in memory, by a clock that stands still.
pub(crate) struct Owned {
    pub(crate) db: DynaMite,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) memory: Memory,
    server: Option<Server>,
    directory: TempDir,
}

impl Owned {
    pub(crate) fn new() -> Owned {
        Owned::with_encoder(None)
    }

    pub(crate) fn with_encoder(encoder: Option<Arc<dyn Encoder>>) -> Owned {
        let directory = directory();
        std::fs::create_dir(directory.path().join(".git")).expect("a directory");
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let db = DynaMite::builder().clock(clock.clone()).in_memory().expect("a database");
        let memory = memory_at(&directory.path().join("m.sock"), directory.path());
        let mut owned = Owned { db, clock, memory, server: None, directory };
        owned.serve(encoder);
        owned
    }

    /// Goes on as a new owner of the same database.
    pub(crate) fn serve(&mut self, encoder: Option<Arc<dyn Encoder>>) {
        self.server.take().map(Server::stop);
        let store = Store::open(&self.db, self.clock.clone()).expect("tables");
        let store = match encoder {
            Some(encoder) => store.with_encoder(&self.db, encoder).expect("vectors"),
            None => store,
        };
        let socket = self.memory.place().socket.clone();
        self.server = Some(Server::share_extended(&self.db, &socket, Arc::new(store)).expect("a server"));
        // The connection to the owner before may be of a runtime that has ended.
        self.memory = memory_at(&socket, self.directory.path());
    }

    /// The memory, as another project sees it.
    pub(crate) fn elsewhere(&self) -> Memory {
        let other = self.directory.path().join("other");
        std::fs::create_dir_all(other.join(".git")).expect("a directory");
        memory_at(&self.memory.place().socket, &other)
    }

    pub(crate) async fn check(&self) {
        match self.memory.ask(&Request::Check).await {
            Ok(Answer::Checked(Checked { problems, .. })) => assert!(problems.is_empty(), "{problems:#?}"),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.server.take().map(Server::stop);
    }
}

fn memory_at(socket: &Path, project: &Path) -> Memory {
    let place = Place { db: "in memory".into(), socket: socket.to_owned(), program: None };
    Memory::new(place, project, Source::Agent)
}

pub(crate) fn fact(category: &str, key: &str, content: &str) -> RememberInput {
    RememberInput {
        category: category.to_owned(),
        key: key.to_owned(),
        content: content.to_owned(),
        ..RememberInput::default()
    }
}

pub(crate) async fn remember(memory: &Memory, category: &str, key: &str, content: &str) -> Remembered {
    memory.remember(fact(category, key, content), false).await.expect("it is remembered")
}

pub(crate) async fn ask(memory: &Memory, query: &str) -> Recalled {
    let input = RecallInput { query: Some(query.to_owned()), ..RecallInput::default() };
    memory.recall(input).await.expect("an answer")
}

pub(crate) async fn list(memory: &Memory, category: &str) -> Recalled {
    let input =
        RecallInput { category: Some(category.to_owned()), limit: Some(50), ..RecallInput::default() };
    memory.recall(input).await.expect("an answer")
}

pub(crate) fn keys(recalled: &Recalled) -> Vec<&str> {
    recalled.items.iter().map(|item| item.key.as_str()).collect()
}

/// The program with directories of its own. The owner that it starts is ended with it.
pub(crate) struct Home {
    pub(crate) directory: TempDir,
}

impl Home {
    pub(crate) fn new() -> Home {
        let home = Home { directory: directory() };
        // A project has a directory of git, else it would belong to what is around it.
        for name in ["run", "data", "project/.git"] {
            std::fs::create_dir_all(home.path(name)).expect("a directory");
        }
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn db(&self) -> PathBuf {
        self.path("data/dynamite/memory.db")
    }

    /// The program, as a shell would start it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dynamite-memory"));
        command.args(arguments).stdin(Stdio::null()).current_dir(self.path("project"));
        command.env("XDG_RUNTIME_DIR", self.path("run")).env("XDG_DATA_HOME", self.path("data"));
        command.env("HOME", self.directory.path()).env_remove("CLAUDE_PROJECT_DIR");
        command.env_remove("DYNAMITE_MEMORY_BIN").env_remove("DYNAMITE_MEMORY_HOOKS_OFF");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("the program")
    }

    /// Runs it with `--json`, and returns how it ended and what it said.
    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.run(&[arguments, &["--json"]].concat());
        let said = String::from_utf8_lossy(&output.stdout);
        let value = serde_json::from_str(said.trim()).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}: {said} {}", String::from_utf8_lossy(&output.stderr))
        });
        (output.status.code().expect("it was not killed"), value)
    }

    /// Runs it with something on its standard input.
    pub(crate) fn feed(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program");
        let written = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        drop(written);
        child.wait_with_output().expect("the program")
    }

    /// The program, as who passes hardly any of his environment on would start it.
    pub(crate) fn bare_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        std::fs::create_dir_all(self.path("tmp")).expect("a directory");
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path).env("HOME", self.directory.path());
        command.env("TMPDIR", self.path("tmp"));
        command
    }

    /// The sockets of owners.
    pub(crate) fn sockets(&self) -> Vec<PathBuf> {
        let bare = format!("tmp/dynamite-{}", rustix::process::geteuid().as_raw());
        let found =
            ["run/dynamite", &bare].into_iter().filter_map(|name| std::fs::read_dir(self.path(name)).ok());
        let paths = found.flatten().map(|entry| entry.expect("an entry").path());
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "sock")).collect()
    }

    /// The processes that own files here.
    pub(crate) fn owners(&self) -> Vec<rustix::process::Pid> {
        let connected = self.sockets().into_iter().filter_map(|path| UnixStream::connect(path).ok());
        connected
            .filter_map(|stream| rustix::net::sockopt::socket_peercred(&stream).ok())
            .map(|peer| peer.pid)
            .collect()
    }

    /// Ends the owners, and waits until they are gone.
    pub(crate) fn end_owners(&self, signal: rustix::process::Signal) {
        let owners = self.owners();
        for owner in &owners {
            let _ = rustix::process::kill_process(*owner, signal);
        }
        for owner in owners {
            // They are nobody's children here, or were reaped: a process that is there answers to the signal 0.
            while rustix::process::test_kill_process(owner).is_ok() && !is_zombie(owner) {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    }
}

fn is_zombie(pid: rustix::process::Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
}

impl Drop for Home {
    fn drop(&mut self) {
        self.end_owners(rustix::process::Signal::KILL);
    }
}
