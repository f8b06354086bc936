//! Change streams: every change once, in order, as the views show it; read by polling and by waiting; trimmed by age.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{create_things, directory};
use dynamite_core::api::{
    Durability, DynaMite, ManualClock, ReturnValues, SequenceNumber, StreamEvent, StreamRecord, StreamView,
};
use dynamite_core::error::Invalid;
use dynamite_core::types::KeyType;
use dynamite_core::{Error, Item};
use serde_json::{Value, json};

const NOW: u64 = 1_700_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A database in memory with the table `things`, which has a stream and expires by `expires`, and its clock.
fn streaming(view: StreamView) -> (DynaMite, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(NOW * 1000));
    let db = DynaMite::builder().background(false).clock(clock.clone()).in_memory().unwrap();
    let things = db.create_table("things").partition_key("id", KeyType::String);
    things.stream(view).ttl("expires").execute().unwrap();
    (db, clock)
}

fn put(db: &DynaMite, id: &str, n: i64) -> u64 {
    db.put_item("things", json!({"id": id, "n": n})).unwrap()
}

fn delete(db: &DynaMite, id: &str) -> bool {
    db.delete_item("things").partition_key(id).execute().unwrap()
}

fn all(db: &DynaMite) -> Vec<StreamRecord> {
    db.stream("things").poll(usize::MAX).unwrap().records
}

/// What records say: the event, the id, the old and the new number.
fn told(records: &[StreamRecord]) -> Vec<(&'static str, &str, Option<i64>, Option<i64>)> {
    let number = |image: &Option<Value>| image.as_ref().and_then(|image| image["n"].as_i64());
    let tell =
        |record: &StreamRecord| (record.event.as_str(), number(&record.old_image), number(&record.new_image));
    let ids = records.iter().map(|record| record.keys["id"].as_str().unwrap());
    ids.zip(records).map(|(id, record)| (tell(record).0, id, tell(record).1, tell(record).2)).collect()
}

#[track_caller]
fn check_sound(db: &DynaMite) {
    assert_eq!(db.check_belongings().unwrap(), Vec::<String>::new());
}

#[test]
fn streams_larger_than_the_cache_are_checked() {
    let db = DynaMite::builder().background(false).cache_size(4 << 20).in_memory().unwrap();
    let things = db.create_table("things").partition_key("id", KeyType::String);
    things.stream(StreamView::NewAndOldImages).execute().unwrap();
    for id in 0..60 {
        db.put_item("things", json!({"id": id.to_string(), "text": "x".repeat(140_000)})).unwrap();
    }
    check_sound(&db);
}

#[test]
fn every_change_is_told_once_and_what_changes_nothing_is_not() {
    let (db, _) = streaming(StreamView::NewAndOldImages);
    let first = put(&db, "a", 1);
    put(&db, "a", 1);
    let second = put(&db, "a", 2);
    assert!(!delete(&db, "b"));
    db.update_item("things").partition_key("a").update("SET n = :n").value(":n", 2).execute().unwrap();
    db.update_item("things").partition_key("a").update("SET n = n + :n").value(":n", 1).execute().unwrap();
    db.update_item("things").partition_key("b").update("SET n = :n").value(":n", 9).execute().unwrap();
    assert!(delete(&db, "a"));
    assert!(!delete(&db, "a"));
    let refused = db.put("things").item(json!({"id": "b"})).condition("attribute_not_exists(id)").execute();
    assert!(matches!(refused, Err(Error::ConditionFailed { .. })));
    let given_up = db.transact(|txn| {
        txn.put_item("things", json!({"id": "never"}))?;
        Err::<(), _>(Error::abort("given up"))
    });
    assert!(given_up.is_err());

    let records = all(&db);
    assert_eq!(
        told(&records),
        [
            ("INSERT", "a", None, Some(1)),
            ("MODIFY", "a", Some(1), Some(2)),
            ("MODIFY", "a", Some(2), Some(3)),
            ("INSERT", "b", None, Some(9)),
            ("REMOVE", "a", Some(3), None),
        ]
    );
    assert_eq!(records[0].sequence_number.version(), first);
    assert_eq!(records[1].sequence_number.version(), second);
    for record in &records {
        assert_eq!(record.approximate_creation_time, NOW);
        assert_eq!(record.user_identity, None);
        assert_eq!(record.event_id.len(), 32);
    }
    assert!(records.is_sorted_by(|a, b| a.sequence_number < b.sequence_number && a.event_id != b.event_id));
    // Two for "id", one for "a", one for "n", two for a number.
    assert_eq!(records[0].size_bytes, 3 + 6);
    assert_eq!(records[1].size_bytes, 3 + 6 + 6);
    check_sound(&db);
}

#[test]
fn views_show_what_they_say() {
    let shown = |view| {
        let (db, _) = streaming(view);
        put(&db, "a", 1);
        put(&db, "a", 2);
        delete(&db, "a");
        check_sound(&db);
        let records = all(&db);
        records
            .iter()
            .map(|record| (record.old_image.is_some(), record.new_image.is_some()))
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(StreamView::KeysOnly), [(false, false); 3]);
    assert_eq!(shown(StreamView::NewImage), [(false, true), (false, true), (false, false)]);
    assert_eq!(shown(StreamView::OldImage), [(false, false), (true, false), (true, false)]);
    assert_eq!(shown(StreamView::NewAndOldImages), [(false, true), (true, true), (true, false)]);
}

#[test]
fn a_transaction_tells_of_its_changes_in_their_order_over_all_tables() {
    let (db, _) = streaming(StreamView::NewAndOldImages);
    let more = db.create_table("more").partition_key("id", KeyType::String);
    more.stream(StreamView::NewAndOldImages).execute().unwrap();
    let version = db
        .transact(|txn| {
            for n in 0..3 {
                txn.put_item("things", json!({"id": "a", "n": n}))?;
                txn.put_item("more", json!({"id": "a", "n": n}))?;
            }
            txn.delete_item("things").partition_key("a").execute()?;
            Ok(txn.version())
        })
        .unwrap();
    let things = all(&db);
    let more = db.stream("more").poll(10).unwrap().records;
    assert_eq!(things.len() + more.len(), 7);
    let mut numbers: Vec<_> = things.iter().chain(&more).map(|record| record.sequence_number).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), 7);
    assert!(numbers.iter().all(|number| number.version() == version));
    assert!(things[1].sequence_number < more[1].sequence_number);
    assert!(more[1].sequence_number < things[2].sequence_number);
    check_sound(&db);
}

#[test]
fn what_expires_is_removed_by_the_database() {
    let (db, clock) = streaming(StreamView::NewAndOldImages);
    for id in ["a", "b", "c"] {
        db.put_item("things", json!({"id": id, "n": 1, "expires": NOW})).unwrap();
    }
    clock.advance(1_000);
    // Nobody deletes what is not there; a put in its place lets it be removed first.
    assert!(!delete(&db, "a"));
    put(&db, "b", 2);
    let update = db.update_item("things").partition_key("c").update("SET n = :n").value(":n", 3);
    assert_eq!(update.return_values(ReturnValues::AllOld).execute().unwrap().attributes, None);
    check_sound(&db);
    db.maintain().unwrap();
    let records = all(&db);
    assert_eq!(
        told(&records[3..]),
        [
            ("REMOVE", "b", Some(1), None),
            ("INSERT", "b", None, Some(2)),
            ("REMOVE", "c", Some(1), None),
            ("INSERT", "c", None, Some(3)),
            ("REMOVE", "a", Some(1), None),
        ]
    );
    for (record, by_service) in records[3..].iter().zip([true, false, true, false, true]) {
        let identity = record.user_identity.map(|who| (who.identity_type, who.principal_id));
        assert_eq!(identity, by_service.then_some(("Service", "dynamodb.amazonaws.com")), "{record:?}");
    }
    check_sound(&db);
}

#[test]
fn a_reader_goes_on_where_it_ended() {
    let (db, _) = streaming(StreamView::NewImage);
    for n in 0..10 {
        put(&db, "a", n);
    }
    let records = all(&db);
    let mut found = Vec::new();
    let mut page = db.stream("things").from_start().poll(3).unwrap();
    while !page.records.is_empty() {
        assert!(page.records.len() <= 3);
        found.extend(page.records);
        page = db.stream("things").after(page.next.unwrap()).poll(3).unwrap();
    }
    assert_eq!(found, records);
    // What comes behind the end is found from there.
    put(&db, "b", 10);
    let rest = db.stream("things").after(page.next.unwrap()).poll(3).unwrap();
    assert_eq!(told(&rest.records), [("INSERT", "b", None, Some(10))]);

    let number = records[4].sequence_number;
    let number: SequenceNumber = number.to_string().parse().unwrap();
    assert_eq!(db.stream("things").at(number).poll(1).unwrap().records[0], records[4]);
    assert_eq!(db.stream("things").after(number).poll(1).unwrap().records[0], records[5]);
    let latest = db.stream("things").latest().poll(5).unwrap();
    assert_eq!(latest.records, []);
    put(&db, "c", 11);
    let rest = db.stream("things").after(latest.next.unwrap()).poll(5).unwrap();
    assert_eq!(told(&rest.records), [("INSERT", "c", None, Some(11))]);
}

#[test]
fn images_of_any_size_are_told_whole() {
    let (db, _) = streaming(StreamView::NewAndOldImages);
    let item = |len: usize, fill: &str| json!({"id": "a", "text": fill.repeat(len)});
    let sizes = [10, 200_000, 409_000, 5_000, 409_000, 130_000, 131_072, 1];
    for (nth, len) in sizes.into_iter().enumerate() {
        db.put_item("things", item(len, ["x", "y"][nth % 2])).unwrap();
    }
    delete(&db, "a");
    // A page ends after about a megabyte, and never within a record.
    let (mut records, mut next) = (Vec::new(), None);
    loop {
        let reader = db.stream("things");
        let page = next.map_or(reader.clone(), |next| reader.after(next)).poll(100).unwrap();
        if page.records.is_empty() {
            break;
        }
        assert!(page.records.len() < 9);
        records.extend(page.records);
        next = page.next;
    }
    assert_eq!(records.len(), 9);
    for (nth, len) in sizes.into_iter().enumerate() {
        assert_eq!(records[nth].new_image, Some(item(len, ["x", "y"][nth % 2])));
        assert_eq!(records[nth + 1].old_image, records[nth].new_image);
    }
    assert_eq!(db.stream("things").at(records[2].sequence_number).poll(1).unwrap().records, records[2..3]);
    assert_eq!(db.stream("things").after(records[2].sequence_number).poll(1).unwrap().records, records[3..4]);
    check_sound(&db);
}

#[test]
fn records_are_trimmed_when_they_have_reached_their_age() {
    let (db, clock) = streaming(StreamView::NewAndOldImages);
    for n in 0..600 {
        put(&db, "a", n);
    }
    db.put_item("things", json!({"id": "a", "n": 600, "text": "x".repeat(300_000)})).unwrap();
    clock.advance(1);
    put(&db, "c", 0);
    let mut late = db.stream("things").iter().unwrap();
    let mut prompt = db.stream("things").latest().iter().unwrap();
    clock.advance(DAY_MS - 2);
    put(&db, "b", 1);
    db.maintain().unwrap();
    let old = all(&db);
    assert_eq!(old.len(), 603);
    clock.advance(1);
    db.maintain().unwrap();
    // One millisecond too young, and a day.
    let left = all(&db);
    assert_eq!(told(&left), [("INSERT", "c", None, Some(0)), ("INSERT", "b", None, Some(1))]);
    check_sound(&db);

    // Who comes too late is told; who was at the last one that was trimmed has missed nothing.
    let last = old[600].sequence_number;
    assert_eq!(db.stream("things").after(last).poll(9).unwrap().records, left);
    for refused in [db.stream("things").at(last), db.stream("things").after(old[599].sequence_number)] {
        match refused.clone().poll(9) {
            Err(Error::StreamTrimmed { trimmed, .. }) => assert_eq!(trimmed, last),
            other => panic!("{other:?}"),
        }
        assert!(refused.iter().unwrap().next().unwrap().is_err());
    }
    let error = late.next().unwrap().unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("The operation attempted to read past the oldest stream record in a shard")
    );
    assert!(late.next().is_none() && late.is_ended());
    assert_eq!(prompt.next().unwrap().unwrap(), left[1]);
    // One that begins at the start misses nothing.
    assert_eq!(db.stream("things").iter().unwrap().next().unwrap().unwrap(), left[0]);
    clock.advance(DAY_MS);
    db.maintain().unwrap();
    assert_eq!(all(&db), []);
    put(&db, "b", 2);
    assert_eq!(told(&all(&db)), [("MODIFY", "b", Some(1), Some(2))]);
    check_sound(&db);
}

#[test]
fn the_background_trims_by_itself_after_the_age_that_was_set() {
    let clock = Arc::new(ManualClock::at(NOW * 1000));
    let builder = DynaMite::builder().clock(clock.clone()).stream_retention(Duration::from_secs(10));
    let db = builder.in_memory().unwrap();
    let things = db.create_table("things").partition_key("id", KeyType::String);
    things.stream(StreamView::KeysOnly).execute().unwrap();
    put(&db, "a", 1);
    assert_eq!(all(&db).len(), 1);
    clock.advance(11_000);
    while !all(&db).is_empty() {
        std::thread::yield_now();
    }
    db.close().unwrap();
}

#[test]
fn a_disabled_stream_is_closed_and_one_enabled_later_is_another() {
    let (db, clock) = streaming(StreamView::NewImage);
    let description = db.describe_table("things").unwrap();
    let stream = description.stream.unwrap();
    assert_eq!((stream.label.as_str(), stream.view), ("2023-11-14T22:13:20.000", StreamView::NewImage));
    assert_eq!(stream.ending_sequence_number, None);
    put(&db, "a", 1);
    let mut reader = db.stream("things").iter().unwrap();
    assert!(reader.next().is_some());
    assert_eq!(reader.next_timeout(Duration::ZERO).unwrap(), None);
    assert!(!reader.is_ended());
    put(&db, "a", 2);
    db.update_table("things").no_stream().execute().unwrap();
    put(&db, "a", 3);
    assert!(reader.next().is_some());
    assert!(reader.next().is_none() && reader.is_ended());

    let closed = db.describe_table("things").unwrap();
    assert_eq!(closed.stream, None);
    assert_eq!(closed.closed_streams.len(), 1);
    assert_eq!(closed.closed_streams[0].label, stream.label);
    assert!(closed.closed_streams[0].ending_sequence_number.is_some());
    let page = db.stream("things").poll(10).unwrap();
    assert_eq!((page.records.len(), page.next), (2, None));

    db.update_table("things").stream(StreamView::KeysOnly).execute().unwrap();
    put(&db, "a", 4);
    let description = db.describe_table("things").unwrap();
    let second = description.stream.unwrap();
    assert!(second.label > stream.label);
    assert_eq!(told(&all(&db)), [("MODIFY", "a", None, None)]);
    let first = db.stream("things").label(&stream.label).poll(10).unwrap();
    assert_eq!(told(&first.records), [("INSERT", "a", None, Some(1)), ("MODIFY", "a", None, Some(2))]);
    check_sound(&db);

    clock.advance(DAY_MS);
    put(&db, "a", 5);
    db.maintain().unwrap();
    let description = db.describe_table("things").unwrap();
    assert_eq!(description.closed_streams, []);
    assert_eq!(description.stream.as_ref().map(|stream| &stream.label), Some(&second.label));
    let gone = db.stream("things").label(&stream.label).poll(10);
    assert!(matches!(gone, Err(Error::StreamNotFound { .. })));
    assert_eq!(all(&db).len(), 1);
    check_sound(&db);
}

#[test]
fn mistakes_are_clear_errors() {
    let (db, _) = streaming(StreamView::NewImage);
    let refused = db.update_table("things").stream(StreamView::NewImage).execute().unwrap_err();
    assert_eq!(refused.to_string(), "Table already has an enabled stream: TableName: things");
    db.update_table("things").no_stream().execute().unwrap();
    let refused = db.update_table("things").no_stream().execute().unwrap_err();
    assert_eq!(refused.to_string(), "Table already has a disabled stream: TableName: things");
    assert!(matches!(db.stream("missing").poll(1), Err(Error::TableNotFound { .. })));
    let plain = DynaMite::in_memory().unwrap();
    create_things(&plain);
    assert!(matches!(plain.stream("things").poll(1), Err(Error::StreamNotFound { .. })));
    assert!(matches!(plain.stream("things").iter().map(drop), Err(Error::StreamNotFound { .. })));
    assert!(matches!(db.stream("things").poll(0), Err(Error::Validation(Invalid::Limit))));
    assert!(matches!(
        "12x".parse::<SequenceNumber>(),
        Err(Error::Validation(Invalid::SequenceNumber { .. }))
    ));
}

#[test]
fn a_dropped_table_takes_its_streams_along() {
    let (db, _) = streaming(StreamView::NewImage);
    put(&db, "a", 1);
    let mut reader = db.stream("things").iter().unwrap();
    assert!(reader.next().is_some());
    db.update_table("things").no_stream().execute().unwrap();
    db.update_table("things").stream(StreamView::KeysOnly).execute().unwrap();
    db.drop_table("things").unwrap();
    assert!(matches!(reader.next(), Some(Err(Error::TableNotFound { .. }))));
    assert!(reader.next().is_none());
    assert_eq!(db.list_tables().unwrap(), Vec::<String>::new());
    create_things(&db);
    assert!(matches!(db.stream("things").poll(1), Err(Error::StreamNotFound { .. })));
    db.update_table("things").stream(StreamView::KeysOnly).execute().unwrap();
    assert_eq!(all(&db), []);
    db.maintain().unwrap();
    check_sound(&db);
}

#[test]
fn streams_survive_closing_and_go_on() {
    let directory = directory();
    let path = directory.path().join("db");
    let db = DynaMite::create(&path).unwrap();
    let things = db.create_table("things").partition_key("id", KeyType::String);
    things.stream(StreamView::NewImage).execute().unwrap();
    put(&db, "a", 1);
    let next = db.stream("things").poll(10).unwrap().next.unwrap();
    let before = all(&db);
    db.close().unwrap();
    let db = DynaMite::open(&path).unwrap();
    assert_eq!(all(&db), before);
    put(&db, "a", 2);
    let rest = db.stream("things").after(next).poll(10).unwrap().records;
    assert_eq!(told(&rest), [("MODIFY", "a", None, Some(2))]);
    db.close().unwrap();
    let db = DynaMite::builder().read_only(true).open(&path).unwrap();
    assert_eq!(all(&db).len(), 2);
}

#[test]
fn every_kind_of_commit_wakes_a_reader_that_waits() {
    let (db, clock) = streaming(StreamView::KeysOnly);
    let mut reader = db.stream("things").latest().iter().unwrap();
    let (read, was_read) = std::sync::mpsc::sync_channel(0);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Nobody waits so long: a commit that was slept through is an error.
            while let Some(record) = reader.next_timeout(Duration::from_secs(60)).unwrap() {
                if read.send(record.event).is_err() {
                    return;
                }
            }
        });
        for n in 0..50 {
            put(&db, "a", n);
            assert!(was_read.recv().is_ok(), "put {n}");
            let put = |txn: &dynamite_core::api::Transaction<'_>| {
                txn.put_item("things", json!({"id": "b", "n": n, "expires": clock_seconds(&clock)}))
            };
            db.transact(put).unwrap();
            assert!(was_read.recv().is_ok(), "transaction {n}");
            clock.advance(1_000);
            db.maintain().unwrap();
            assert_eq!(was_read.recv(), Ok(StreamEvent::Remove), "expiry {n}");
        }
        // The stream is closed: the reader ends.
        db.update_table("things").no_stream().execute().unwrap();
        assert!(was_read.recv().is_err());
    });
}

fn clock_seconds(clock: &ManualClock) -> u64 {
    dynamite_core::api::Clock::now_ms(clock) / 1000
}

/// What the followers of a stream have in their copy of the table.
fn apply(copy: &mut BTreeMap<String, Item>, record: StreamRecord<Item>) {
    let id = record.keys["id"].as_s().unwrap().to_owned();
    let before = match record.new_image {
        Some(image) => copy.insert(id, image),
        None => copy.remove(&id),
    };
    assert_eq!(before, record.old_image);
    assert_eq!(before.is_none(), record.event == StreamEvent::Insert);
}

#[test]
fn an_iterator_beside_four_writers_sees_every_change_once_and_in_order() {
    for durability in [Durability::Immediate, Durability::Eventual] {
        let (writers, each) = (4, 200);
        let db = DynaMite::builder().durability(durability).in_memory().unwrap();
        let things = db.create_table("things").partition_key("id", KeyType::String);
        things.stream(StreamView::NewAndOldImages).execute().unwrap();
        let mut reader = db.stream("things").latest().iter_items().unwrap();
        let changes = AtomicUsize::new(0);
        let mut copy = BTreeMap::new();
        std::thread::scope(|scope| {
            for writer in 0..writers {
                let (db, changes) = (&db, &changes);
                scope.spawn(move || {
                    for n in 0..each {
                        let id = ((writer * 31 + n * 17) % 40).to_string();
                        let done = match n % 5 {
                            4 => usize::from(delete(db, &id)),
                            3 => db
                                .transact(|txn| {
                                    txn.put_item("things", json!({"id": id, "writer": writer, "n": n}))?;
                                    let other = json!({"id": format!("{id} too"), "writer": writer, "n": n});
                                    txn.put_item("things", other).map(|_| 2)
                                })
                                .unwrap(),
                            _ => {
                                db.put_item("things", json!({"id": id, "writer": writer, "n": n})).unwrap();
                                1
                            }
                        };
                        changes.fetch_add(done, Ordering::SeqCst);
                    }
                    put(db, &format!("end {writer}"), 0);
                });
            }
            let (mut last, mut ends, mut seen) = (None, 0, 0);
            while ends < writers {
                let record = reader.next().unwrap().unwrap();
                assert!(last < Some(record.sequence_number));
                last = Some(record.sequence_number);
                match record.keys["id"].as_s().unwrap().starts_with("end") {
                    true => ends += 1,
                    false => seen += 1,
                }
                apply(&mut copy, record);
            }
            assert_eq!(seen, changes.load(Ordering::SeqCst));
        });
        assert_eq!(reader.next_timeout(Duration::from_millis(1)).unwrap(), None);
        let table: Vec<Item> = db.scan("things").iter_items().unwrap().map(Result::unwrap).collect();
        assert_eq!(copy.into_values().collect::<Vec<_>>(), table);
        check_sound(&db);
    }
}
