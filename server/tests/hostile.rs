//! Whatever comes over a connection ends that connection at the most, costs bounded memory, and harms nobody else.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use dynamite_core::types::KeyType;
use dynamite_server::DynaMiteClient;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

use common::wire::{HELLO, frame, request, scan_request};
use common::{Served, Shared, run};

/// A put of the item `{"id": "b"}` into the table `things`, and a get of `a`, as clients send them.
const PUT: &[u8] = b"\x04\x06things\x01\x06\x01\x02id\x31b\0\0\0";
const GET: &[u8] = b"\x03\0\x06things\x01\x05\x01\x01v\x31a\0\0\0";

fn connect(socket: &std::path::Path) -> UnixStream {
    let stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// What the server says until it closes the connection.
fn last_words(mut stream: UnixStream) -> String {
    let mut said = Vec::new();
    // A connection that is reset has ended as well.
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[track_caller]
fn check_ended(served: &Served, bytes: &[u8], why: &str) {
    let mut stream = connect(&served.socket());
    // The server may have closed it before the last byte.
    let _ = stream.write_all(bytes);
    let said = last_words(stream);
    assert!(said.contains(why), "{said:?} does not say {why:?}");
}

/// The kinds and requests of the frames that the server sends until it closes the connection.
fn frames_until_closed(mut stream: UnixStream) -> Vec<(u8, u64)> {
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    let (mut frames, mut rest) = (Vec::new(), &said[..]);
    while let Some((len, after)) = rest.split_first_chunk() {
        let (frame, behind) = after.split_at(u32::from_le_bytes(*len) as usize);
        frames.push((frame[0], u64::from_le_bytes(frame[1..9].try_into().unwrap())));
        rest = behind;
    }
    frames
}

#[test]
fn the_greeting_comes_first_and_a_fault_behind_what_was_answered_before_it() {
    let served = Served::start(&[]);
    run(async {
        let things = served.client().await;
        things.create_table("things").partition_key("id", KeyType::Number).await.unwrap();
    });
    // A scan is answered by another thread, and pings where they arrive.
    let pings = (2..400).flat_map(|id| request(id, b"\x01")).collect::<Vec<_>>();
    for round in 0..50 {
        let mut stream = connect(&served.socket());
        stream.write_all(&[HELLO, &scan_request(1), &pings].concat()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let frames = frames_until_closed(stream);
        assert_eq!(frames.first(), Some(&(1, 0)), "{round}");
        assert_eq!(frames.len(), 400, "{round}");
    }
    let mut stream = connect(&served.socket());
    stream
        .write_all(&[HELLO, &request(1, b"\x01"), &request(2, b"\x01"), &frame(77, 3, &[])].concat())
        .unwrap();
    assert_eq!(frames_until_closed(stream), [(1, 0), (3, 1), (3, 2), (8, 0)]);
}

#[test]
fn bytes_that_are_not_the_protocol_end_their_connection_with_a_reason() {
    let served = Served::start(&[]);
    let after_hello = |bytes: &[u8]| [HELLO, bytes].concat();
    check_ended(&served, b"GET / HTTP/1.1\r\n\r\n", "a frame of");
    check_ended(&served, &[0; 64], "a frame of 0 bytes");
    check_ended(&served, &[0xFF; 64], "a frame of 4294967295 bytes");
    check_ended(&served, &frame(2, 1, &[1]), "no greeting");
    check_ended(&served, &frame(1, 0, b"DynaMite\x02\0\x03\0"), "speaks versions 2 to 3");
    check_ended(&served, &frame(1, 0, b"DynaMight\x02\0\x03"), "no greeting");
    check_ended(&served, &after_hello(HELLO), "a frame of kind 1");
    check_ended(&served, &after_hello(&frame(3, 1, &[])), "a frame of kind 3");
    check_ended(&served, &after_hello(&frame(77, 1, &[])), "a frame of kind 77");
    check_ended(&served, &after_hello(&frame(2, 1, &[])), "no operation");
    check_ended(&served, &after_hello(&frame(6, 1, &[1])), "a credit has 4 bytes");
    // Each class of operations is decoded elsewhere.
    for operation in [1, 3, 4, 12, 18, 21] {
        check_ended(&served, &after_hello(&frame(2, 1, &[operation, 0xFF, 0xFF, 0xFF])), "is malformed");
    }
    check_ended(&served, &after_hello(&frame(2, 1, &[1, 0])), "1 bytes are left over");
    // Items and values are looked at before they are used: another version of the stored form, an empty set, a byte too few.
    for (of, at, byte) in [(PUT, 10, 2), (PUT, 14, 0x80), (PUT, 14, 0x32), (GET, 11, 2), (GET, 14, 0x90)] {
        let mut damaged = of.to_vec();
        damaged[at] = byte;
        check_ended(&served, &after_hello(&frame(2, 1, &damaged)), "is malformed");
    }
    // One that this server does not know is no reason to end.
    let mut stream = connect(&served.socket());
    stream.write_all(&after_hello(&[frame(2, 1, &[200]), frame(2, 2, &[1])].concat())).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let said = last_words(stream);
    // The second request was answered: kind 3, id 2, nothing in it.
    assert!(said.as_bytes().ends_with(&frame(3, 2, &[])), "{said:?}");
    run(async {
        let stats = served.client().await.stats().await.unwrap();
        assert_eq!(stats.refused, 23);
    });
}

/// The greeting has its time, and so has every frame, however slowly its bytes drip.
#[test]
fn who_drips_is_cut_off() {
    let served = Served::start(&["--frame-timeout", "1"]);
    let mut slow = connect(&served.socket());
    slow.write_all(HELLO).unwrap();
    let body = frame(2, 1, &[1; 1000]);
    let dripped = body.iter().position(|byte| {
        std::thread::sleep(Duration::from_millis(20));
        slow.write_all(&[*byte]).is_err()
    });
    assert!(dripped.is_some(), "all of it was taken");
    assert!(last_words(slow).contains("took too long"));
    // Who says nothing between two requests is not slow.
    let idle = run(async { served.client().await });
    std::thread::sleep(Duration::from_millis(1500));
    drop(idle);
}

#[test]
fn announced_bytes_cost_nothing_before_they_come() {
    let served = Served::start(&["--cache-size", "16MiB"]);
    let mut announced = 9_u32 + (16 << 20);
    let connections = (0..200).map(|_| {
        let mut stream = connect(&served.socket());
        stream.write_all(HELLO).unwrap();
        stream.write_all(&announced.to_le_bytes()).unwrap();
        stream.write_all(&[2]).unwrap();
        stream.write_all(&[1; 1000]).unwrap();
        stream
    });
    let connections = connections.collect::<Vec<_>>();
    run(async { served.client().await.ping().await.unwrap() });
    let status = fs::read_to_string(format!("/proc/{}/status", served.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    let resident = line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10;
    assert!(resident < 64 << 20, "{resident} bytes for 3 GB that were announced");
    drop(connections);
    announced += 1;
    check_ended(&served, &[HELLO, &announced.to_le_bytes()].concat(), "the longest has 16777225");
}

async fn still_works(db: &DynaMiteClient) {
    assert_eq!(db.get_item("things", "a", None).await.unwrap(), Some(json!({"id": "a"})));
}

/// Random bodies for each operation, and damaged ones: no panic, no harm.
#[test]
fn random_and_damaged_requests_harm_nobody() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        db.create_table("things").partition_key("id", KeyType::String).await.unwrap();
        db.put_item("things", json!({"id": "a"})).await.unwrap();
        let (put, get) = (PUT.to_vec(), GET.to_vec());
        for sound in [&put, &get] {
            let mut stream = connect(&shared.socket);
            stream.write_all(&[HELLO, &frame(2, 1, sound)].concat()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            let said = last_words(stream);
            assert!(said.as_bytes().contains(&3) && !said.contains("malformed"), "{said:?}");
        }
        let mut runner =
            TestRunner::new(Config { cases: 300, failure_persistence: None, ..Config::default() });
        let strategy = (
            1..53_u8,
            proptest::collection::vec(any::<u8>(), 0..48),
            any::<prop::sample::Index>(),
            any::<u8>(),
            any::<bool>(),
        );
        runner
            .run(&strategy, |(operation, random, at, byte, of_put)| {
                let mut damaged = if of_put { put.clone() } else { get.clone() };
                let at = at.index(damaged.len());
                damaged[at] = byte;
                let bodies = [[&[operation][..], &random].concat(), damaged];
                for body in bodies.iter().filter(|body| !matches!(body[0], 22 | 23 | 34 | 49)) {
                    let mut stream = connect(&shared.socket);
                    let _ = stream.write_all(&[HELLO, &frame(2, 1, body)].concat());
                    stream.shutdown(std::net::Shutdown::Write).unwrap();
                    let said = last_words(stream);
                    prop_assert!(!said.contains("panic"), "{said:?} for {body:?}");
                }
                Ok(())
            })
            .unwrap();
        still_works(&db).await;
    });
}

#[test]
fn a_statement_that_writes_is_not_done_where_reads_are() {
    let shared = Shared::new();
    run(async {
        let db = shared.client().await;
        db.create_table("things").partition_key("id", KeyType::String).await.unwrap();
        db.put_item("things", json!({"id": "a"})).await.unwrap();
        let ask = |body: &[u8]| {
            let mut stream = connect(&shared.socket);
            stream.write_all(&[HELLO, &frame(2, 1, body)].concat()).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
            last_words(stream)
        };
        let insert = |code: u8| [&[code, 36][..], b"INSERT INTO things VALUE {'id': 'b'}", &[0; 4]].concat();
        let (read, write) = (insert(38), insert(39));
        assert!(ask(&read).contains("what writes was sent as what reads"));
        assert_eq!(db.get_item("things", "b", None).await.unwrap(), None);
        assert!(!ask(&write).contains("sent as"));
        assert!(db.get_item("things", "b", None).await.unwrap().is_some());
    });
}
