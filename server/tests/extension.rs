//! Operations that a program adds to its server.

#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use common::{directory, run};
use dynamite_core::api::{Deferred, DynaMite};
use dynamite_core::types::KeyType;
use dynamite_server::error::Refusal;
use dynamite_server::{ClientError, DynaMiteClient, Extension, Server};
use serde_json::json;
use tempfile::TempDir;

/// A counter, which reads before it writes.
#[derive(Debug)]
struct Counter;

impl Extension for Counter {
    fn read(&self, db: &DynaMite, request: &[u8]) -> Vec<u8> {
        assert_ne!(request, b"panic", "as it was asked to");
        let found = db.get_item("counters").partition_key("c").execute().unwrap();
        found.map_or(0, |found| found["count"].as_u64().unwrap()).to_le_bytes().into()
    }

    fn write(&self, target: &Deferred<'_>, _: &[u8]) -> Vec<u8> {
        let counted = target.transact(|txn| {
            let found = txn.get_item("counters").partition_key("c").execute()?;
            let count = 1 + found.map_or(0, |found| found["count"].as_u64().unwrap());
            txn.put_item("counters", json!({"id": "c", "count": count}))?;
            Ok(count)
        });
        counted.unwrap().to_le_bytes().into()
    }
}

/// A server that counts, and where it is.
fn counting() -> (TempDir, PathBuf, Server) {
    let directory = directory();
    let socket = directory.path().join("d.sock");
    let db = DynaMite::in_memory().unwrap();
    db.create_table("counters").partition_key("id", KeyType::String).execute().unwrap();
    let server = Server::share_extended(&db, &socket, Arc::new(Counter)).unwrap();
    (directory, socket, server)
}

#[test]
fn what_reads_before_it_writes_loses_nothing_among_many() {
    let (_directory, socket, server) = counting();
    run(async {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let client = DynaMiteClient::connect(&socket).await.unwrap();
            tasks.spawn(async move {
                for _ in 0..50 {
                    client.extended_write(b"").await.unwrap();
                }
            });
        }
        tasks.join_all().await;
        let client = DynaMiteClient::connect(&socket).await.unwrap();
        assert_eq!(client.extended_read(b"").await.unwrap(), 400_u64.to_le_bytes());
    });
    server.stop().unwrap();
}

#[test]
fn a_panic_in_it_is_an_error_and_the_server_goes_on() {
    let (_directory, socket, server) = counting();
    run(async {
        let client = DynaMiteClient::connect(&socket).await.unwrap();
        let refused = client.extended_read(b"panic").await;
        assert!(matches!(refused, Err(ClientError::Refused(Refusal::Panicked { .. }))), "{refused:?}");
        assert_eq!(client.extended_read(b"").await.unwrap(), 0_u64.to_le_bytes());
    });
    server.stop().unwrap();
}

#[test]
fn a_server_without_any_says_so() {
    let shared = common::Shared::new();
    run(async {
        let client = shared.client().await;
        for refused in [client.extended_read(b"").await, client.extended_write(b"").await] {
            assert!(matches!(refused, Err(ClientError::Refused(Refusal::NotExtended))), "{refused:?}");
        }
    });
}
