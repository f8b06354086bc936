//! Backups of the whole database, with word of their progress; and tables restored from backups of their own.
//!
//! A backup takes as long as it takes, on a thread for what is slow. Who watches it is told through a stream: how far it is when he has
//! credit for another page, not how far it was at every step on the way.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use dynamite_core::api::{BackupProgress, DynaMite, Snapshot};
use dynamite_core::error::Error;
use dynamite_core::item_codec;

use super::Context;
use super::reads::{look, not_of_past};
use crate::bell::Bell;
use crate::engine::Engine;
use crate::flow::{Next, Source};
use crate::frame::{self, FrameError, Kind};
use crate::link::{self, Link, Load};
use crate::protocol;
use crate::protocol::backup::{Copied, RestoreFrom, RestoreTable, WatchedBackup};
use crate::protocol::fault::{Failure, Refusal};

/// What a copy under way counts among the work of its connection.
const COPY: Load = Load::Slow(1);

pub(super) fn watched(
    context: Context<'_>,
    id: u64,
    backup: &WatchedBackup<'_>,
) -> Result<Box<dyn Source>, Failure> {
    let original =
        look!(context, backup.at, |source| Original::from(source.clone()), |_past| return not_of_past());
    let (link, state, bell) = (context.link.clone(), Mutex::default(), Arc::default());
    let copying = Arc::new(Copying { link, id, state, bell });
    Ok(Box::new(Watched { copying, begin: Some((original, backup.path.to_string())) }))
}

/// What is copied.
enum Original {
    Database(DynaMite),
    Snapshot(Snapshot),
}

impl From<DynaMite> for Original {
    fn from(db: DynaMite) -> Original {
        Original::Database(db)
    }
}

impl From<Snapshot> for Original {
    fn from(snapshot: Snapshot) -> Original {
        Original::Snapshot(snapshot)
    }
}

/// A backup under way, as who copies and who tells of it see it.
struct Copying {
    link: Arc<Link>,
    /// The request's.
    id: u64,
    state: Mutex<State>,
    /// Rung when there is something to tell.
    bell: Arc<Bell>,
}

#[derive(Default)]
struct State {
    /// How far it is, if that was not told yet.
    progress: Option<BackupProgress>,
    ended: Option<Result<BackupProgress, Failure>>,
    called_off: bool,
}

impl Copying {
    /// Copies, to the end or until it is called off.
    fn run(&self, original: &Original, path: &str) {
        let ended = link::guarded(|| {
            if self.state().called_off {
                return Err(Error::Cancelled.into());
            }
            let backup = match original {
                Original::Database(db) => db.backup(path),
                Original::Snapshot(snapshot) => snapshot.backup(path),
            };
            Ok(backup.progress(|progress| self.note(progress)).execute()?)
        });
        let mut state = self.state();
        if state.called_off {
            drop(state);
            self.say(ended);
        } else {
            state.ended = Some(ended);
            drop(state);
            self.bell.ring();
        }
        self.link.end(COPY);
    }

    fn note(&self, progress: BackupProgress) -> ControlFlow<()> {
        let mut state = self.state();
        if state.called_off {
            return ControlFlow::Break(());
        }
        state.progress = Some(progress);
        drop(state);
        self.bell.ring();
        ControlFlow::Continue(())
    }

    /// Says what became of a backup that was called off, and so has no stream any more. Not everybody waits for that.
    fn say(&self, ended: Result<BackupProgress, Failure>) {
        let mut frames = Vec::new();
        match ended {
            Ok(whole) => {
                let put = frame::put(&mut frames, Kind::Answer, self.id, |body| {
                    protocol::encode(&Copied::from(whole), body)
                });
                debug_assert_eq!(put, Ok::<(), FrameError>(()), "a short body");
            }
            Err(failure) => link::put_failure(&mut frames, self.id, failure),
        }
        self.link.outbox.send(&frames);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is one step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is told of a backup. Dropping it calls the backup off, which is too late for one that has ended.
struct Watched {
    copying: Arc<Copying>,
    /// What is to be copied where, before that has begun.
    begin: Option<(Original, String)>,
}

impl Source for Watched {
    fn next(&mut self, engine: &Engine, body: &mut Vec<u8>) -> Result<Next, Failure> {
        let copying = &self.copying;
        if let Some((original, path)) = self.begin.take() {
            copying.link.begin(COPY);
            let worked = copying.clone();
            engine.slow.push(copying.link.number, Box::new(move || worked.run(&original, &path)));
        }
        let mut state = copying.state();
        let (copied, next) = match (state.ended.take(), state.progress.take()) {
            (Some(ended), _) => (ended?, Next::Last),
            (None, Some(progress)) => (progress, Next::Page),
            (None, None) => return Ok(Next::WhenRung(copying.bell.clone())),
        };
        drop(state);
        protocol::encode(&Copied::from(copied), body).map_err(|_| Refusal::AnswerTooLarge)?;
        Ok(next)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut state = self.copying.state();
        state.called_off = true;
        let untold = state.ended.take();
        drop(state);
        if let Some(ended) = untold {
            self.copying.say(ended);
        }
    }
}

pub(super) fn restore_table(db: &DynaMite, restore: &RestoreTable<'_>) -> Result<(), Failure> {
    let mut builder = db.restore_table(&restore.name);
    builder = match &restore.source {
        Some(RestoreFrom::Backup(id)) => builder.from_backup(id),
        Some(RestoreFrom::Past(table, ms)) => {
            let time = UNIX_EPOCH.checked_add(Duration::from_millis(*ms));
            builder.from_past(table, time.unwrap_or(UNIX_EPOCH))
        }
        Some(RestoreFrom::Table(table)) => builder.from_table(table),
        None => builder,
    };
    if let Some(names) = &restore.global {
        builder = builder.global_indexes(names.iter().map(|name| &**name));
    }
    if let Some(names) = &restore.local {
        builder = builder.local_indexes(names.iter().map(|name| &**name));
    }
    if let Some(metadata) = &restore.metadata {
        let metadata = item_codec::decode(metadata.as_bytes());
        builder = builder.metadata(metadata.map_err(|damage| Error::Decode(damage.to_string()))?);
    }
    Ok(builder.execute()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::tests::{connected, kinds};

    const ID: u64 = 7;

    /// What is sent of a backup that nobody watches any more.
    async fn said(end: impl FnOnce(&Arc<Copying>)) -> Vec<Kind> {
        let (engine, link, far) = connected(|_| Ok(()));
        let copying = Copying { link: link.clone(), id: ID, state: Mutex::default(), bell: Arc::default() };
        end(&Arc::new(copying));
        drop((engine, link));
        kinds(far, ID).await
    }

    /// Whoever calls a backup off waits to hear whether that was in time.
    #[tokio::test]
    async fn how_a_backup_has_ended_is_said_once_however_late_it_is_called_off() {
        let whole = BackupProgress { items: 1, bytes: 2, of_items: 1, of_bytes: 2 };
        let call_off = |copying: &Arc<Copying>| drop(Watched { copying: copying.clone(), begin: None });
        let check = async |ended: Result<BackupProgress, Failure>, kind| {
            let told = said(|copying| {
                copying.state().ended = Some(ended);
                call_off(copying);
                call_off(copying);
            });
            assert_eq!(told.await, [kind]);
        };
        check(Ok(whole), Kind::Answer).await;
        check(Err(Error::Cancelled.into()), Kind::Error).await;
        let before_it_began = said(|copying| {
            call_off(copying);
            copying.link.begin(COPY);
            copying.run(&Original::Database(DynaMite::in_memory().unwrap()), "/nowhere");
        });
        assert_eq!(before_it_began.await, [Kind::Error]);
        assert_eq!(said(call_off).await, [], "it is under way, and says it itself");
    }
}
