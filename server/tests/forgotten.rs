//! What is asked for and forgotten before there is an answer costs its connection nothing.

mod common;

use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Waker};
use std::time::{Duration, SystemTime};

use common::{directory, run};
use dynamite_core::api::{Deferred, DynaMite};
use dynamite_core::types::KeyType;
use dynamite_server::error::Refusal;
use dynamite_server::{ClientError, DynaMiteClient, Extension, Server};
use serde_json::json;

/// Readers of a server, and states and streams that a connection may have open.
const READERS: usize = 8;
const MOST_OPEN: usize = 256;

/// Reads that wait at a gate.
#[derive(Debug, Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    waiting: AtomicUsize,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }
}

impl Extension for Gate {
    fn read(&self, _: &DynaMite, _: &[u8]) -> Vec<u8> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let is_open = self.is_open.lock().unwrap();
        drop(self.opened.wait_while(is_open, |is_open| !*is_open).unwrap());
        Vec::new()
    }

    fn write(&self, _: &Deferred<'_>, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }
}

/// Polls it once, and drops it: what it asks for is on its way.
fn begin_and_forget<R>(what: &str, future: impl IntoFuture<Output = Result<R, ClientError>>) {
    let polled = pin!(future.into_future()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_pending(), "{what} has been answered");
}

/// Has something forgotten while no reader can begin it. Then all but one of what a connection may have open is open, and the last one
/// has to be had.
fn check(what: &str, forget: impl AsyncFn(&DynaMiteClient, usize)) {
    let directory = directory();
    let socket = directory.path().join("d.sock");
    let db = DynaMite::in_memory().unwrap();
    db.create_table("things")
        .partition_key("id", KeyType::Number)
        .history(Duration::from_secs(60))
        .execute()
        .unwrap();
    // More than the pages that a stream sends by itself.
    for id in 0..10 {
        db.put_item("things", json!({"id": id, "text": "x".repeat(300_000)})).unwrap();
    }
    let gate = Arc::new(Gate::default());
    let server = Server::share_extended(&db, &socket, gate.clone()).unwrap();
    run(async {
        let client = DynaMiteClient::connect(&socket).await.unwrap();
        let mut open = Vec::new();
        for _ in 1..MOST_OPEN {
            open.push(client.snapshot().await.unwrap());
        }
        let other = DynaMiteClient::connect(&socket).await.unwrap();
        let mut held_up = tokio::task::JoinSet::new();
        for _ in 0..READERS {
            let other = other.clone();
            held_up.spawn(async move { other.extended_read(b"").await.unwrap() });
        }
        while gate.waiting.load(Ordering::SeqCst) < READERS {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        for nth in 0..READERS {
            forget(&client, nth).await;
        }
        // What was forgotten has arrived before this, which waits behind it.
        let last = tokio::spawn({
            let client = client.clone();
            async move { client.list_tables().await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        gate.open();
        held_up.join_all().await;
        last.await.unwrap().unwrap();
        // What has been opened in vain is given back when that is heard of.
        let had = async {
            loop {
                match client.snapshot().await {
                    Err(ClientError::Refused(Refusal::TooManyOpen { .. })) => {
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    had => break had.unwrap(),
                }
            }
        };
        let had = tokio::time::timeout(Duration::from_secs(20), had).await;
        assert!(had.is_ok(), "{what} is still open");
    });
    server.stop().unwrap();
}

#[test]
fn a_stream_that_is_dropped_before_it_is_opened_is_never_open() {
    check("a scan", async |db, _| begin_and_forget("a scan", db.scan("things").stream()));
    check("a query", async |db, _| {
        begin_and_forget("a query", db.query("things").partition_key(1).stream());
    });
}

#[test]
fn a_state_whose_future_is_dropped_before_the_answer_is_given_back() {
    check("a snapshot", async |db, _| begin_and_forget("a snapshot", db.snapshot()));
    check("a past table", async |db, _| {
        begin_and_forget("a past table", db.as_of_time("things", SystemTime::now()))
    });
}

#[test]
fn a_backup_that_is_dropped_before_it_begins_is_not_made() {
    let target = directory();
    check("a backup", async |db, nth| {
        let backup = db.backup(target.path().join(nth.to_string())).progress(|_| ControlFlow::Continue(()));
        begin_and_forget("a backup", backup);
    });
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0, "a backup was made");
}
