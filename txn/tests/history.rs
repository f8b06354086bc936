//! What is kept of the past, and for how long: snapshots old and new, named ones, tables with retention.

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use common::*;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{ManualClock, Options, Result, Retention, Store, TableId, TxnError, TxnId};

fn text(_: TxnId, payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

fn put(store: &Store, table: TableId, key: &[u8], payload: &str) -> TxnId {
    store
        .write(|txn| -> Result<TxnId> {
            txn.put(table, key, payload.as_bytes())?;
            Ok(txn.id())
        })
        .unwrap()
}

fn create(store: &Store, retention: Retention) -> TableId {
    store.write(|txn| txn.create_table(b"t", b"", retention)).unwrap()
}

/// The versions of an item, newest first: who wrote it, who superseded it, what it was.
fn versions(store: &Store, table: TableId, key: &[u8]) -> Vec<(TxnId, Option<TxnId>, Option<String>)> {
    let mut versions = Vec::new();
    store
        .read()
        .unwrap()
        .versions(table, key, |found| {
            let payload = found.payload.map(|payload| text(found.version, payload));
            versions.push((found.version, found.superseded_by, payload));
            ControlFlow::Continue(())
        })
        .unwrap();
    versions
}

#[test]
fn a_long_snapshot_costs_only_the_versions_it_needs() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    let table = create(&store, Retention::None);
    let key = |n: u32| n.to_be_bytes();
    store.write(|txn| (0..2_000).try_for_each(|n| txn.put(table, &key(n), &[0; 150]))).unwrap();
    let used = |store: &Store| store.stats().page_count - store.stats().free_pages.unwrap();
    let before = used(&store);
    let snapshot = store.snapshot().unwrap();
    for round in 1..=50 {
        for n in 0..100 {
            store.write(|txn| txn.put(table, &key(n), &[round; 150])).unwrap();
        }
    }
    // The snapshot's version of each, and one or two young ones: some 300 rows of about 180 bytes.
    let held = used(&store);
    assert!(held < before + 40, "{before} pages before, {held} while the snapshot is held");
    let seen = snapshot.read().unwrap().get(table, &key(5), |_, payload| payload[0]).unwrap();
    assert_eq!(seen, Some(0));
    check_sound(&store, "held");
    drop(snapshot);
    store.maintain().unwrap();
    assert!(used(&store) <= before + 4, "{before} pages before, {} after", used(&store));
    check_sound(&store, "let go");
}

#[test]
fn one_old_snapshot_beside_many_young_ones_keeps_few_versions() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    let table = create(&store, Retention::None);
    let items = 200;
    store.write(|txn| (0..items).try_for_each(|n: u32| txn.put(table, &n.to_be_bytes(), b"first"))).unwrap();
    let old = store.snapshot().unwrap();
    for round in 0..60_u32 {
        // Each young snapshot needs the versions of its moment, and is let go when they have been superseded.
        let young = store.snapshot().unwrap();
        store
            .write(|txn| (0..items).try_for_each(|n| txn.put(table, &n.to_be_bytes(), &round.to_be_bytes())))
            .unwrap();
        drop(young);
    }
    store.maintain().unwrap();
    let kept: usize = (0..items).map(|n| versions(&store, table, &n.to_be_bytes()).len() - 1).sum();
    assert!(kept <= 2 * items as usize, "{kept} old versions of {items} items for one snapshot");
    let seen = old.read().unwrap().get(table, &7_u32.to_be_bytes(), text).unwrap();
    assert_eq!(seen.unwrap(), "first");
    check_sound(&store, "held");
}

#[test]
fn a_named_snapshot_survives_closing_and_power_loss_until_its_name_is_deleted() {
    let disk = DiskSim::new(1);
    let store = create_on(&disk).unwrap();
    let table = create(&store, Retention::None);
    put(&store, table, b"key", "old");
    let txn = store.write(|txn| txn.create_snapshot(b"friday")).unwrap();
    assert!(matches!(
        store.write(|txn| txn.create_snapshot(b"friday")),
        Err(TxnError::SnapshotExists { name }) if name == "friday"
    ));
    put(&store, table, b"key", "new");
    store.close().unwrap();

    let store = open_on(&disk).unwrap();
    put(&store, table, b"key", "newer");
    store.maintain().unwrap();
    let survivor = open_on(&disk.after_power_loss(0)).unwrap();
    for store in [&store, &survivor] {
        let snapshot = store.named_snapshot(b"friday").unwrap();
        assert_eq!(snapshot.txn(), txn);
        assert_eq!(snapshot.read().unwrap().get(table, b"key", text).unwrap().unwrap(), "old");
        assert_eq!(store.read().unwrap().named_snapshots().unwrap()[0].0, b"friday");
        check_sound(store, "held");
    }
    store.write(|txn| txn.delete_snapshot(b"friday")).unwrap();
    assert!(matches!(store.named_snapshot(b"friday"), Err(TxnError::NoSuchSnapshot { .. })));
    assert!(store.write(|txn| txn.delete_snapshot(b"friday")).is_err());
    store.maintain().unwrap();
    assert_eq!(versions(&store, table, b"key").len(), 1);
    check_sound(&store, "deleted");
}

#[test]
fn a_transaction_that_is_rolled_back_names_and_unnames_no_snapshot() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    let mut txn = store.begin().unwrap();
    txn.create_snapshot(b"never").unwrap();
    assert_eq!(store.snapshots_held(), 1);
    txn.roll_back().unwrap();
    assert_eq!(store.snapshots_held(), 0);
    // Nor is one let go by a deletion that is rolled back.
    store.write(|txn| txn.create_snapshot(b"kept")).unwrap();
    let mut txn = store.begin().unwrap();
    txn.delete_snapshot(b"kept").unwrap();
    txn.roll_back().unwrap();
    assert_eq!(store.snapshots_held(), 1);
    store.named_snapshot(b"kept").unwrap();
}

#[test]
fn a_table_that_keeps_versions_for_a_duration_answers_for_that_long() {
    let clock = Arc::new(ManualClock::at(1_000_000));
    let store = Options::new(clock.clone()).background(false).in_memory(DATABASE_ID).unwrap();
    let table = create(&store, Retention::Duration(Duration::from_secs(60)));
    let mut written = Vec::new();
    for step in 0..100 {
        clock.advance(2_000);
        written.push((dynamite_txn::Clock::now_ms(&*clock), put(&store, table, b"key", &step.to_string())));
        store.maintain().unwrap();
    }
    let mut answered = 0;
    for (step, (time, txn)) in written.iter().enumerate() {
        let found_at = store.newest_at(*time).unwrap();
        match store.as_of(table, *txn) {
            Ok(snapshot) => {
                let seen = snapshot.read().unwrap().get(table, b"key", text).unwrap().unwrap();
                assert_eq!(seen, step.to_string(), "as of {txn}");
                assert_eq!(found_at, Some(*txn), "at {time}");
                answered += 1;
            }
            Err(TxnError::BelowHorizon { .. }) => assert!(step < 75, "step {step} is less than a minute old"),
            Err(error) => panic!("{error}"),
        }
    }
    assert!(
        (30..=45).contains(&answered),
        "{answered} of 100 moments, two seconds apart, are kept for a minute"
    );
    assert!(versions(&store, table, b"key").len() <= 46);
    check_sound(&store, "at the end");
    // A past state is held for as long as somebody looks at it.
    let (_, txn) = written[95];
    let snapshot = store.as_of(table, txn).unwrap();
    clock.advance(1_000_000);
    put(&store, table, b"key", "much later");
    clock.advance(2_000);
    put(&store, table, b"key", "later still");
    store.maintain().unwrap();
    assert_eq!(snapshot.read().unwrap().get(table, b"key", text).unwrap().unwrap(), "95");
    drop(snapshot);
    put(&store, table, b"key", "at last");
    store.maintain().unwrap();
    assert!(matches!(store.as_of(table, txn), Err(TxnError::BelowHorizon { .. })));
    // What was current within the last minute: the state before the pause, and the three since.
    assert_eq!(versions(&store, table, b"key").len(), 4);
    check_sound(&store, "much later");
}

#[test]
fn a_table_that_keeps_a_number_of_versions_keeps_so_many_of_each_item() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    let table = create(&store, Retention::Versions(3));
    put(&store, table, b"rare", "once");
    put(&store, table, b"rare", "twice");
    for n in 0..20 {
        put(&store, table, b"key", &n.to_string());
    }
    store.maintain().unwrap();
    let kept: Vec<_> =
        versions(&store, table, b"key").into_iter().filter_map(|(_, _, payload)| payload).collect();
    // One more than promised may wait for its successor to be published.
    assert_eq!(kept[..4], ["19", "18", "17", "16"]);
    assert!(kept.len() <= 5, "{kept:?}");
    assert_eq!(versions(&store, table, b"rare").len(), 2);
    store.write(|txn| txn.delete(table, b"rare")).unwrap();
    let kept = versions(&store, table, b"rare");
    assert_eq!(
        kept.iter().map(|(_, _, payload)| payload.as_deref()).collect::<Vec<_>>(),
        [None, Some("twice"), Some("once")]
    );
    assert!(kept.windows(2).all(|pair| pair[1].1 == Some(pair[0].0)), "each names its successor: {kept:?}");
    check_sound(&store, "at the end");
}

#[test]
fn a_table_without_retention_has_no_past() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    let table = create(&store, Retention::None);
    let txn = put(&store, table, b"key", "old");
    assert!(matches!(store.as_of(table, txn), Err(TxnError::NoRetention { .. })));
    let later = TxnId(txn.0 + 1_000);
    assert!(matches!(store.as_of(table, later), Err(TxnError::NotYet { .. })));
}

#[test]
fn a_past_state_of_one_table_says_nothing_of_others() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    let table = create(&store, Retention::Duration(Duration::from_secs(60)));
    let other = store.write(|txn| txn.create_table(b"other", b"", Retention::None)).unwrap();
    let txn = put(&store, table, b"key", "old");
    let snapshot = store.as_of(table, txn).unwrap();
    let refused = snapshot.read().unwrap().get(other, b"key", text);
    assert!(matches!(refused, Err(TxnError::NoRetention { table }) if table == other));
}

#[test]
fn the_time_of_a_transaction_is_known_to_a_second() {
    let clock = Arc::new(ManualClock::at(1_000_000));
    let store = Options::new(clock.clone()).background(false).in_memory(DATABASE_ID).unwrap();
    let table = create(&store, Retention::Duration(Duration::from_secs(1_000)));
    let mut written = Vec::new();
    // Steps of all sizes; several commits in one millisecond, also after a long pause.
    for step in
        [0, 0, 1, 300, 999, 1_000, 1_001, 0, 50_000, 0, 0, 400, 400, 400, 2_000, 0, 1, 100_000, 0, 7, 0]
    {
        clock.advance(step);
        written.push((dynamite_txn::Clock::now_ms(&*clock), put(&store, table, b"key", "text")));
        for (time, txn) in &written {
            let found = store.time_of(*txn).unwrap().expect("the table keeps its past");
            assert!((time.saturating_sub(999)..=time + 1).contains(&found), "{txn} at {time}: {found}");
        }
    }
    assert_eq!(store.time_of(TxnId(0)).unwrap(), None);
    // And the state of a moment has what was committed two seconds before it, and nothing that was committed behind it.
    for (time, _) in &written {
        for moment in [*time, time + 1, time + 500, time + 999, time + 1_500, time + 2_000, time + 49_000] {
            let found = store.newest_at(moment).unwrap().unwrap_or_default();
            let at_least = written.iter().rev().find(|(time, _)| *time + 2_000 <= moment);
            assert!(at_least.is_none_or(|(_, txn)| *txn <= found), "at {moment}: {found}");
            let beyond = written.iter().find(|(time, _)| *time > moment);
            assert!(beyond.is_none_or(|(_, txn)| *txn > found), "at {moment}: {found}");
        }
    }
    check_sound(&store, "at the end");
}

#[test]
fn the_duration_for_which_a_table_keeps_versions_can_be_changed() {
    let clock = Arc::new(ManualClock::at(1_000_000));
    let store = Options::new(clock.clone()).background(false).in_memory(DATABASE_ID).unwrap();
    let table = create(&store, Retention::Duration(Duration::from_secs(60)));
    let write = |count: u32| {
        for step in 0..count {
            clock.advance(2_000);
            put(&store, table, b"key", &step.to_string());
            store.maintain().unwrap();
        }
    };
    write(100);
    let of_a_minute = versions(&store, table, b"key").len();
    assert!((30..=33).contains(&of_a_minute), "{of_a_minute} versions");
    store.write(|txn| txn.set_retention(table, Duration::from_secs(20))).unwrap();
    write(1);
    let of_a_third = versions(&store, table, b"key").len();
    assert!((10..=13).contains(&of_a_third), "{of_a_third} versions");
    store.write(|txn| txn.set_retention(table, Duration::from_secs(120))).unwrap();
    write(40);
    assert_eq!(versions(&store, table, b"key").len(), of_a_third + 40);
    write(60);
    assert!((60..=63).contains(&versions(&store, table, b"key").len()));
    check_sound(&store, "at the end");

    let counting = store.write(|txn| txn.create_table(b"counting", b"", Retention::Versions(3))).unwrap();
    let refused = store.write(|txn| txn.set_retention(counting, Duration::from_secs(60)));
    assert!(matches!(refused, Err(TxnError::NoRetention { table }) if table == counting));
}

/// What snapshots need of a table goes with it: long keys, long payloads, and items that were deleted; and what they need of
/// others stays.
#[test]
fn a_table_can_begin_to_keep_its_versions_while_snapshots_look_back() {
    let clock = Arc::new(ManualClock::at(1_000_000));
    let disk = DiskSim::new(1);
    let options = Options::new(clock.clone()).background(false);
    let store = options.create_on(Arc::new(disk.clone()), DATABASE_ID).unwrap();
    let table = create(&store, Retention::None);
    let other = store.write(|txn| txn.create_table(b"other", b"", Retention::None)).unwrap();
    let keys = (0..30u8).map(|n| if n % 3 == 0 { vec![n; 2_000] } else { vec![n] }).collect::<Vec<_>>();
    let payload = |n: usize, round: u8| vec![round; if n.is_multiple_of(4) { 9_000 } else { 20 }];
    let mut snapshots = Vec::new();
    let write = |store: &Store, round: u8| {
        clock.advance(2_000);
        for (n, key) in keys.iter().enumerate() {
            store
                .write(|txn| {
                    // Every fifth item is there every other time.
                    if n % 5 == 4 && round % 2 == 1 {
                        txn.delete(table, key)?;
                    } else {
                        txn.put(table, key, &payload(n, round))?;
                    }
                    txn.put(other, key, &payload(n, round))
                })
                .unwrap();
        }
    };
    for round in 0..3 {
        write(&store, round);
        snapshots.push(store.snapshot().unwrap());
    }
    write(&store, 3);
    store.write(|txn| txn.set_retention(table, Duration::from_secs(600))).unwrap();
    let since = store.read().unwrap().txn();
    check_sound(&store, "begun");
    for round in 4..7 {
        write(&store, round);
    }
    let check = |store: &Store, snapshots: &[dynamite_txn::Snapshot]| {
        for (round, snapshot) in snapshots.iter().enumerate() {
            let mut read = snapshot.read().unwrap();
            for (n, key) in keys.iter().enumerate() {
                let there = n % 5 != 4 || round % 2 == 0;
                let expected = there.then(|| payload(n, round as u8));
                assert_eq!(
                    read.get(table, key, |_, found| found.to_vec()).unwrap(),
                    expected,
                    "{n}, {round}"
                );
                assert_eq!(
                    read.get(other, key, |_, found| found.to_vec()).unwrap(),
                    Some(payload(n, round as u8))
                );
            }
        }
        let past = store.as_of(table, since).unwrap();
        let found = past.read().unwrap().get(table, &keys[1], |_, found| found.to_vec()).unwrap();
        assert_eq!(found, Some(payload(1, 3)));
    };
    check(&store, &snapshots);
    check_sound(&store, "written");
    let youngest = snapshots.pop();
    drop(snapshots);
    store.maintain().unwrap();
    check_sound(&store, "some let go");
    drop(youngest);
    store.maintain().unwrap();
    check_sound(&store, "let go");
    // The versions since then are kept, and those that went with the table go as they do.
    let kept = versions(&store, table, &keys[1]);
    assert_eq!(kept.iter().filter(|(version, ..)| *version >= since).count(), 3);
    assert_eq!(kept.len(), 7);
    assert_eq!(versions(&store, other, &keys[1]).len(), 1);
    drop(store);
    let store = options.open_on(Arc::new(disk.clone()), true).unwrap();
    check(&store, &[]);
    check_sound(&store, "reopened");
    clock.advance(700_000);
    put(&store, table, &keys[1], "late");
    store.maintain().unwrap();
    assert!(versions(&store, table, &keys[1]).len() <= 2);
    check_sound(&store, "late");
}

#[test]
fn a_transaction_sees_the_versions_that_it_leaves() {
    let store = create_on(&DiskSim::new(1)).unwrap();
    let table = create(&store, Retention::Duration(Duration::from_secs(60)));
    let first = put(&store, table, b"key", "first");
    let seen = store.write(|txn| -> Result<_> {
        txn.put(table, b"key", b"second")?;
        assert_eq!(txn.retention(table)?, Retention::Duration(Duration::from_secs(60)));
        let mut seen = Vec::new();
        txn.versions(table, b"key", |past| {
            seen.push((past.version, past.payload.map(<[u8]>::to_vec)));
            ControlFlow::Continue(())
        })?;
        Ok((txn.id(), seen))
    });
    let (id, seen) = seen.unwrap();
    assert_eq!(seen, [(id, Some(b"second".to_vec())), (first, Some(b"first".to_vec()))]);
}
