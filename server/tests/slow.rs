//! What takes long, and who does not read his answers: neither keeps a connection from what else it has to do.

mod common;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::time::Duration;

use common::wire::{HELLO, request, scan_request};
use common::{Served, Shared, run};
use dynamite_core::types::KeyType;
use serde_json::json;

/// Longer than anything takes that does not wait.
const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_connection_is_served_while_much_that_is_slow_is_under_way_on_it() {
    let shared = Shared::new();
    let (begin, begun) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let db = shared.db.clone();
    // Tables are made when this transaction has ended.
    let holds_up = std::thread::spawn(move || {
        db.transact(|_| {
            begin.send(()).unwrap();
            let _ = wait.recv();
            Ok(())
        })
        .unwrap();
    });
    begun.recv().unwrap();
    run(async {
        let client = shared.client().await;
        let mut slow = tokio::task::JoinSet::new();
        for number in 0..40 {
            let client = client.clone();
            slow.spawn(async move {
                client.create_table(&format!("table-{number}")).partition_key("id", KeyType::Number).await
            });
        }
        // They are under way, each as a request.
        let mut asked = 0;
        while client.stats().await.unwrap().requests < 40 + asked {
            asked += 1;
        }
        let tables = tokio::time::timeout(LONG, client.list_tables()).await;
        assert!(tables.expect("it does not wait").unwrap().is_empty());
        drop(go_on);
        while let Some(created) = slow.join_next().await {
            created.unwrap().unwrap();
        }
        assert_eq!(client.list_tables().await.unwrap().len(), 40);
    });
    holds_up.join().unwrap();
}

/// The time that a frame may take is that of its sender, not that in which nobody looked at it.
#[test]
fn who_reads_his_answers_late_is_not_taken_for_one_who_sends_slowly() {
    let served = Served::start(&["--frame-timeout", "1"]);
    run(async {
        let db = served.client().await;
        db.create_table("things").partition_key("id", KeyType::Number).await.unwrap();
        for id in 0..4 {
            db.put_item("things", json!({"id": id, "text": "x".repeat(390_000)})).await.unwrap();
        }
    });
    let mut stream = UnixStream::connect(served.socket()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    // A scan of all that is in the table, as often as the server takes requests without a pause.
    let scans = (1..=8).flat_map(scan_request);
    let ping = request(9, b"\x01");
    let (begin, rest) = ping.split_at(6);
    stream.write_all(&[HELLO, &scans.collect::<Vec<_>>(), begin].concat()).unwrap();
    std::thread::sleep(Duration::from_millis(1500));
    let mut answer = || {
        let mut header = [0; 13];
        stream.read_exact(&mut header).unwrap();
        let len = u64::from(u32::from_le_bytes(header[..4].try_into().unwrap())) - 9;
        let mut body = Vec::new();
        (&mut stream).take(len).read_to_end(&mut body).unwrap();
        (header[4], header[5], body.len())
    };
    assert_eq!(answer().0, 1);
    for _ in 0..8 {
        let (kind, _, len) = answer();
        assert!(kind == 3 && len > 1_000_000, "{kind} {len}");
    }
    std::thread::sleep(Duration::from_millis(300));
    stream.write_all(rest).unwrap();
    let mut header = [0; 13];
    stream.read_exact(&mut header).unwrap();
    assert_eq!((header[4], header[5]), (3, 9));
}
