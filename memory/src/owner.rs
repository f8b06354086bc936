//! The owner of a file: the one process that has it open, started by the first who wants something of it, and gone when nobody has been there
//! for ten minutes.
//!
//! Who finds nobody at the socket, nor where the last owner has [noted](Place::noted_socket) that it listens, takes the lock beside the socket,
//! looks again, and starts the program with `serve`; so of many that come at once one starts it, and the others find it there. Of two that
//! look for it in different directories both may start one: the file is for one of them, and the other finds that one by its note. It is a
//! child of nobody in particular: it has a session of its own and outlives who started it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use dynamite_core::api::SystemClock;
use dynamite_server::{Config, DynaMiteClient, ServerError, run_extended};
use rustix::fs::Mode;

use crate::error::Result;
use crate::meaning;
use crate::place::{self, Place};
use crate::store::Store;

/// How long an owner stays when nobody is there.
pub const IDLE_EXIT: Duration = Duration::from_secs(600);

/// How long a start may take; an owner that is about to end may have to do so first.
const PATIENCE: Duration = Duration::from_secs(15);

/// Pages of the file that are kept in memory: all of ten thousand memories.
const CACHE: &str = "16MiB";

/// Threads that read.
const READERS: &str = "2";

/// Owns a file until nobody has been there for `idle_exit`, or the process is told to end.
///
/// # Errors
///
/// [`ServerError`] if somebody else owns it, or it cannot be opened.
pub fn serve(db: &Path, socket: &Path, idle_exit: Duration) -> Result<(), ServerError> {
    // Files are for this user only, whatever is usual here.
    rustix::process::umask(Mode::from_raw_mode(0o077));
    // It fails where this process leads a group already: then nobody started it in the background.
    let _ = rustix::process::setsid();
    let idle_exit = idle_exit.as_secs().to_string();
    let arguments = ["--cache-size", CACHE, "--readers", READERS, "--log", "off", "--idle-exit", &idle_exit];
    let mut config = Config::parse_from(["dynamite-memory"].into_iter().chain(arguments));
    (config.db, config.socket) = (Some(db.to_owned()), Some(socket.to_owned()));
    run_extended(&config, |opened| {
        // The file is open, so nobody else is its owner. Without the note only those find this one who look where it is.
        let _ = place::note_socket(db, socket);
        let store = Store::open(opened, Arc::new(SystemClock::default()))?;
        Ok(Arc::new(match meaning::encoder() {
            Some(encoder) => {
                encoder.warm_up();
                store.with_encoder(opened, encoder)?
            }
            None => store,
        }))
    })
}

/// A connection to the owner, who is started if there is none.
pub(crate) async fn connect(place: &Place) -> Result<DynaMiteClient> {
    match try_connect(place).await {
        Some(client) => Ok(client),
        None => start(place).await,
    }
}

pub(crate) async fn try_connect(place: &Place) -> Option<DynaMiteClient> {
    match connect_to(&place.socket).await {
        Some(client) => Some(client),
        None => connect_to(&place.noted_socket()?).await,
    }
}

async fn connect_to(socket: &Path) -> Option<DynaMiteClient> {
    let builder = DynaMiteClient::builder().timeout(Duration::from_secs(60)).reconnect_for(Duration::ZERO);
    builder.connect(socket).await.ok()
}

async fn start(place: &Place) -> Result<DynaMiteClient> {
    let until = Instant::now() + PATIENCE;
    let _lock = lock(place, until).await?;
    let mut child: Option<Child> = None;
    loop {
        if let Some(client) = try_connect(place).await {
            if let Some(mut child) = child {
                // So that it leaves no trace in this process when it ends.
                std::thread::spawn(move || child.wait());
            }
            return Ok(client);
        }
        let ended = match &mut child {
            Some(child) => child.try_wait().ok().flatten().is_some(),
            None => true,
        };
        if ended {
            let reason = child.take().map(|_| last_words(place));
            // One that is about to end may have the file or the socket still.
            let is_taken = reason
                .as_deref()
                .is_none_or(|reason| reason.contains("locked") || reason.contains("listens"));
            if !is_taken || Instant::now() > until {
                return Err(place.unreachable(&reason.unwrap_or_default()));
            }
            child = Some(spawn(place).map_err(|error| place.unreachable(&error.to_string()))?);
        }
        if Instant::now() > until {
            return Err(place.unreachable("its owner does not answer"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The lock of those who would start it; the system gives it free when its holder is gone.
async fn lock(place: &Place, until: Instant) -> Result<File> {
    let path = place.beside(".start");
    let failed = |error: io::Error| place.unreachable(&format!("{}: {error}", path.display()));
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600);
    let file = options.open(&path).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(std::fs::TryLockError::WouldBlock) if Instant::now() < until => {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            Err(error) => return Err(failed(error.into())),
        }
    }
}

fn spawn(place: &Place) -> io::Result<Child> {
    let program = match &place.program {
        Some(program) => program.clone(),
        None => this_program()?,
    };
    let mut options = OpenOptions::new();
    let log = options.create(true).truncate(true).write(true).mode(0o600).open(place.beside(".log"))?;
    let mut command = Command::new(program);
    command.arg("--db").arg(&place.db).arg("serve").arg("--socket").arg(&place.socket);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).current_dir("/");
    command.env_remove("LISTEN_FDS").env_remove("LISTEN_PID");
    command.spawn()
}

/// The file that this process runs, or the one that took its place.
fn this_program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?;
    match path.to_str().and_then(|text| text.strip_suffix(" (deleted)")) {
        Some(replaced) => Ok(replaced.into()),
        None => Ok(path),
    }
}

/// What one said who could not start.
fn last_words(place: &Place) -> String {
    let mut text = String::new();
    if let Ok(mut file) = File::open(place.beside(".log")) {
        // What is no text says nothing.
        let _ = file.read_to_string(&mut text);
    }
    let last = text.lines().rfind(|line| !line.trim().is_empty());
    last.map_or_else(|| "its owner ended without a word".to_owned(), str::to_owned)
}
