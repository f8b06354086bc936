//! Power is cut at every operation of the disk, while items of a table with TTL, a change stream and a history change, expire, are
//! deleted and trimmed. Whatever survives, what belongs to the items fits them: replaying the stream rebuilds the table exactly,
//! the queue holds what can expire, and no acknowledged change is missing from the stream.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dynamite_core::api::{Builder, DynaMite, ManualClock, SequenceNumber, StreamView};
use dynamite_core::types::KeyType;
use dynamite_core::{Error, Item};
use dynamite_txn::disk::sim::DiskSim;
use serde_json::{Value, json};

const NOW: u64 = 1_700_000_000;

fn builder(clock: &Arc<ManualClock>) -> Builder {
    let builder = DynaMite::builder().background(false).cache_size(1 << 20).clock(clock.clone());
    builder.stream_retention(Duration::from_secs(1_000))
}

fn item(id: usize, round: usize, end: u64) -> Value {
    // From a few bytes to several pages.
    json!({"id": id.to_string(), "round": round, "end_s": end, "text": "z".repeat((id * 131 + round * 977) % 6_000)})
}

/// Stops at the first error: the crash. Returns, of every acknowledged change of the stream's table, the version.
fn workload(
    disk: &DiskSim,
    clock: &ManualClock,
    builder: &Builder,
    acknowledged: &mut Vec<u64>,
) -> Result<(), Error> {
    let db = builder.create_on(Arc::new(disk.clone()))?;
    let things = db.create_table("things").partition_key("id", KeyType::String);
    things.ttl("end_s").stream(StreamView::NewAndOldImages).history(Duration::from_secs(10)).execute()?;
    // One whose TTL is turned on when it has items.
    let late = db.create_table("late").partition_key("id", KeyType::String);
    late.stream(StreamView::NewAndOldImages).execute()?;
    for round in 0..4 {
        let now = NOW + round as u64 * 2;
        acknowledged.push(db.put_item("things", item(round, round, now + 1))?);
        acknowledged.push(
            (0..5)
                .fold(db.batch_write(), |batch, id| batch.put("things", item(id, round, now + id as u64)))
                .execute()?,
        );
        (0..5)
            .fold(db.batch_write(), |batch, id| batch.put("late", item(id, round, now + id as u64)))
            .execute()?;
        acknowledged.push(db.transact(|txn| {
            txn.put_item("things", item(7, round, now + 100))?;
            txn.put_item("things", item(7, round + 1, now + 1))?;
            txn.delete_item("things").partition_key("2").execute()?;
            Ok(txn.version())
        })?);
        clock.advance(2_000);
        // What has expired by now is replaced.
        acknowledged.push(db.put_item("things", item(1, round + 9, now + 9))?);
        if round == 1 {
            db.update_table("late").ttl("end_s").execute()?;
        }
        if round % 2 == 1 {
            db.maintain()?;
        }
    }
    db.close()
}

/// Replays a table's stream.
fn replayed(db: &DynaMite, table: &str) -> Result<(BTreeMap<String, Item>, Vec<SequenceNumber>), Error> {
    let (mut copy, mut numbers) = (BTreeMap::new(), Vec::new());
    let mut next = SequenceNumber::to_owned(&"100000000000000000000000000000".parse()?);
    loop {
        let page = db.stream(table).after(next).poll_items(7)?;
        if page.records.is_empty() {
            return Ok((copy, numbers));
        }
        for record in page.records {
            let id = record.keys["id"].as_s().unwrap().to_owned();
            let before = match record.new_image {
                Some(image) => copy.insert(id, image),
                None => copy.remove(&id),
            };
            assert_eq!(before, record.old_image);
            numbers.push(record.sequence_number);
        }
        next = page.next.unwrap();
    }
}

#[test]
fn power_loss_at_any_point_leaves_stream_queue_and_items_in_step() {
    for operations in 0.. {
        let (disk, clock) = (DiskSim::new(7), Arc::new(ManualClock::at(NOW * 1000)));
        let (builder, mut acknowledged) = (builder(&clock), Vec::new());
        disk.crash_after(operations);
        let finished = match workload(&disk, &clock, &builder, &mut acknowledged) {
            Ok(()) => true,
            Err(_) if disk.crashed() => false,
            Err(error) => panic!("after {operations} operations: {error}"),
        };
        for seed in 0..3 {
            let at = format!("power lost after {operations} operations, seed {seed}");
            let db = match builder.open_on(Arc::new(disk.after_power_loss(seed))) {
                Ok(db) => db,
                // Nobody was told that there is a database.
                Err(_) if acknowledged.is_empty() => continue,
                Err(error) => panic!("{at}: {error}"),
            };
            let tables = db.list_tables().unwrap();
            assert_eq!(db.check_belongings().unwrap(), Vec::<String>::new(), "{at}");
            for round in 0..2 {
                for table in &tables {
                    let (copy, numbers) = replayed(&db, table).unwrap();
                    assert!(numbers.is_sorted_by(|a, b| a < b), "{at}");
                    if table == "things" {
                        let told = |version: &u64| numbers.iter().any(|number| number.version() == *version);
                        assert!(acknowledged.iter().all(told), "{at}: {acknowledged:?}, {numbers:?}");
                    }
                    // All that is stored, expired or not.
                    if db.describe_table(table).unwrap().ttl.is_some() {
                        db.update_table(table).no_ttl().execute().unwrap();
                    }
                    let stored: Vec<Item> =
                        db.scan(table).iter_items().unwrap().map(Result::unwrap).collect();
                    assert_eq!(copy.into_values().collect::<Vec<_>>(), stored, "{at}, {table}");
                    // It goes on from there.
                    db.update_table(table).ttl("end_s").execute().unwrap();
                    db.put_item(table, item(9, round, NOW)).unwrap();
                }
                db.maintain().unwrap();
                assert_eq!(db.check_belongings().unwrap(), Vec::<String>::new(), "{at}");
            }
            db.close().unwrap();
        }
        if finished {
            return;
        }
    }
}
