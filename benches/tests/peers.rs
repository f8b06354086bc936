//! Every engine that benchmarks compare does what it is asked: otherwise the fastest would be the one that does least.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::path::Path;

use dynamite_benches::dataset::{Dataset, Key};
use dynamite_benches::peers::{Config, DiskUse, Engine, KINDS, Kind, Session, Tally, copy_database};
use dynamite_benches::scratch::Scratch;

const DATA: Dataset = Dataset { rows: 3000, seed: 11 };

const CONFIG: Config = Config { cache_bytes: 4 << 20, sessions: 4, exceeds_memory: false };

#[test]
fn a_row_is_found_as_it_was_last_put() {
    each_engine(|engine, _| {
        let mut session = engine.session().unwrap();
        let (key, value) = DATA.row(1);
        assert_eq!(get(&mut *session, &key), None);
        session.put(&key, &value).unwrap();
        assert_eq!(get(&mut *session, &key).as_deref(), Some(&value[..]));
        let other = DATA.value(1, 1);
        session.put(&key, &other).unwrap();
        assert_eq!(get(&mut *session, &key).as_deref(), Some(&other[..]));
        session.put(&key, b"short").unwrap();
        assert_eq!(get(&mut *session, &key).as_deref(), Some(&b"short"[..]));
    });
}

#[test]
fn a_batch_of_gets_shows_each_value_with_the_number_of_its_key() {
    each_engine(|engine, _| {
        load(engine, 0..DATA.rows);
        let mut session = engine.session().unwrap();
        // Every third one is not there.
        let numbers: Vec<usize> = (0..100).map(|n| if n % 3 == 0 { DATA.rows + n } else { n * 17 }).collect();
        let keys: Vec<Key> = numbers.iter().map(|row| DATA.key(*row)).collect();
        let mut found = vec![None; keys.len()];
        session
            .get_many(&keys, &mut |number, value| {
                assert!(found[number].replace(value.to_vec()).is_none(), "shown once");
            })
            .unwrap();
        for (row, value) in numbers.into_iter().zip(found) {
            assert_eq!(value, (row < DATA.rows).then(|| DATA.value(row, 0).to_vec()));
        }
    });
}

#[test]
fn a_scan_visits_every_row_once_in_order_and_tallies_the_same() {
    each_engine(|engine, _| {
        load(engine, 0..DATA.rows);
        let mut session = engine.session().unwrap();
        let expected: BTreeMap<_, _> = (0..DATA.rows).map(|row| DATA.row(row)).collect();
        let mut left = expected.iter();
        let mut tally = Tally::default();
        session
            .for_each(&mut |key, value| {
                assert_eq!(left.next(), Some((key.try_into().unwrap(), value.try_into().unwrap())));
                tally.add(key, value);
            })
            .unwrap();
        assert_eq!(left.next(), None);
        assert_eq!(session.scan().unwrap(), tally);
        assert_eq!((tally.rows, tally.bytes), (DATA.rows as u64, DATA.raw_bytes()));
    });
}

#[test]
fn a_range_shows_what_lies_between_its_bounds_in_order() {
    each_engine(|engine, _| {
        load(engine, 0..DATA.rows);
        let rows: BTreeMap<_, _> = (0..DATA.rows).map(|row| DATA.row(row)).collect();
        let keys: Vec<&Key> = rows.keys().collect();
        // The first bound belongs to the range, the second does not.
        for (from, to) in [(0, 1), (17, 200), (2900, DATA.rows - 1), (5, 5)] {
            let mut expected = rows.range(*keys[from]..*keys[to]);
            let mut session = engine.session().unwrap();
            session
                .range(keys[from], keys[to], &mut |key, value| {
                    assert_eq!(expected.next(), Some((key.try_into().unwrap(), value.try_into().unwrap())));
                })
                .unwrap();
            assert_eq!(expected.next(), None);
        }
    });
}

#[test]
fn deleted_rows_are_gone_and_no_others() {
    each_engine(|engine, _| {
        load(engine, 0..DATA.rows);
        let mut session = engine.session().unwrap();
        session.delete(&DATA.key(0)).unwrap();
        let keys: Vec<Key> = (1..DATA.rows).filter(|row| row % 10 != 0).map(|row| DATA.key(row)).collect();
        session.delete_many(&keys).unwrap();
        // One that is not there is no failure.
        session.delete(&DATA.key(0)).unwrap();
        for row in 0..DATA.rows {
            assert_eq!(get(&mut *session, &DATA.key(row)).is_some(), row != 0 && row % 10 == 0);
        }
    });
}

#[test]
fn a_snapshot_sees_nothing_of_what_its_thread_writes_afterwards() {
    each_engine(|engine, _| {
        load(engine, 0..10);
        let mut session = engine.session().unwrap();
        let mut snapshot = engine.snapshot().unwrap();
        session.put(&DATA.key(1), &DATA.value(1, 1)).unwrap();
        session.put(&DATA.key(20), &DATA.value(20, 0)).unwrap();
        session.delete(&DATA.key(2)).unwrap();
        for row in 0..10 {
            assert_eq!(snapshot.get(&DATA.key(row)).unwrap().as_deref(), Some(&DATA.value(row, 0)[..]));
        }
        assert_eq!(snapshot.get(&DATA.key(20)).unwrap(), None);
        // The thread itself does, also while it holds the snapshot.
        assert_eq!(get(&mut *session, &DATA.key(1)).as_deref(), Some(&DATA.value(1, 1)[..]));
        assert_eq!(get(&mut *session, &DATA.key(2)), None);
        drop(snapshot);
        let mut snapshot = engine.snapshot().unwrap();
        assert_eq!(snapshot.get(&DATA.key(1)).unwrap().as_deref(), Some(&DATA.value(1, 1)[..]));
    });
}

#[test]
fn what_was_written_is_there_after_a_reopen_and_in_a_copy() {
    for kind in KINDS {
        let scratch = Scratch::within(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let (directory, copy) = (scratch.file("database"), scratch.file("copy"));
        let engine = (kind.open)(&directory, &CONFIG).unwrap();
        load(&*engine, 0..DATA.rows);
        engine.session().unwrap().put(&DATA.key(1), &DATA.value(1, 1)).unwrap();
        engine.close().unwrap();
        let closed = DiskUse::of(&directory).unwrap();
        assert!(closed.length_bytes >= DATA.raw_bytes() && closed.allocated_bytes >= DATA.raw_bytes());
        copy_database(&directory, &copy).unwrap();
        for directory in [directory, copy] {
            let config = Config { exceeds_memory: true, ..CONFIG };
            let engine = (kind.open)(&directory, &config).unwrap();
            let mut session = engine.session().unwrap();
            for row in 0..DATA.rows {
                let value = DATA.value(row, u64::from(row == 1));
                assert_eq!(get(&mut *session, &DATA.key(row)).as_deref(), Some(&value[..]), "{}", kind.name);
            }
            drop(session);
            engine.close().unwrap();
        }
    }
}

#[test]
fn threads_that_write_at_once_lose_nothing() {
    each_engine(|engine, _| {
        std::thread::scope(|scope| {
            for thread in 0..4 {
                scope.spawn(move || {
                    let mut session = engine.session().unwrap();
                    for row in (thread..80).step_by(4) {
                        session.put(&DATA.key(row), &DATA.value(row, 0)).unwrap();
                        assert!(get(&mut *session, &DATA.key(row)).is_some(), "it sees what it wrote");
                    }
                });
            }
        });
        assert_eq!(engine.session().unwrap().scan().unwrap().rows, 80);
    });
}

/// What lies beside the data counts too: a log that is not written back yet can be most of a database.
#[test]
fn all_files_of_an_engine_count() {
    each_engine(|engine, directory| {
        load(engine, 0..DATA.rows);
        let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
        let length: u64 = files.map(|metadata| metadata.len()).sum();
        assert_eq!(DiskUse::of(directory).unwrap().length_bytes, length);
        assert!(length >= DATA.raw_bytes());
    });
}

/// Runs it on a new database of each engine.
fn each_engine(check: impl Fn(&dyn Engine, &Path)) {
    for Kind { name, open } in KINDS {
        let scratch = Scratch::within(Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
        let directory = scratch.file(name);
        let engine = open(&directory, &CONFIG).unwrap();
        check(&*engine, &directory);
        engine.close().unwrap();
    }
}

fn load(engine: &dyn Engine, rows: impl Iterator<Item = usize>) {
    let rows: Vec<_> = rows.map(|row| DATA.row(row)).collect();
    let rows: Vec<_> = rows.iter().map(|(key, value)| (&key[..], &value[..])).collect();
    engine.session().unwrap().put_many(&rows).unwrap();
}

fn get(session: &mut dyn Session, key: &[u8]) -> Option<Vec<u8>> {
    let mut found = None;
    session.get(key, &mut |value| found = Some(value.to_vec())).unwrap();
    found
}
