//! Doing all that can be done with a database that may be damaged in any way.

use std::io::{Write, stderr};
use std::ops::ControlFlow;
use std::panic::AssertUnwindSafe;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use dynamite_bptree::TreeError;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{Access, PagerError};
use dynamite_txn::verify::verify;
use dynamite_txn::{Durability, Range, ReadTxn, Result, Store, TxnError};

use super::{KEPT, PLAIN, PLAIN_ITEMS, SNAPSHOT_NAMES, TABLES, key, open, payload};
use crate::common::Random;

/// Does all that can be done with a database, whatever comes of it. Says how often something was refused. The case is named if it
/// panics.
#[track_caller]
pub(crate) fn live(case: &str, disk: &DiskSim, seed: u64) -> usize {
    let lived = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let mut life = Life { refused: 0, random: Random(seed) };
        let lived = open(disk, false).and_then(|reader| life.read_all(&reader));
        life.tolerate("a read-only open", lived);
        let lived = open(disk, true).and_then(|store| life.write_all(store));
        life.tolerate("a writer's open", lived);
        let lived = open(disk, true).and_then(|store| life.read_all(&store));
        life.tolerate("a later open", lived);
        life.refused
    }));
    lived.unwrap_or_else(|_| panic!("the panic above is of this case: {case}"))
}

struct Life {
    refused: usize,
    random: Random,
}

/// Rows that a scan of the sample may see before it goes round in circles.
const ROWS_MOST: usize = 100_000;

impl Life {
    fn tolerate<T>(&mut self, what: &str, result: Result<T>) {
        if let Err(error) = result {
            check_refusal(what, &error);
            self.refused += 1;
        }
    }

    fn read_all(&mut self, store: &Store) -> Result<()> {
        verify(store, &mut |_| {})?;
        self.read_state(store.read()?);
        for name in SNAPSHOT_NAMES {
            match store.named_snapshot(name) {
                Ok(snapshot) => {
                    self.read_state(snapshot.read()?);
                    for (_, table, _) in TABLES {
                        let mut scan = snapshot.scan(table, Range::all());
                        let mut rows = 0;
                        let end = loop {
                            match scan.next() {
                                Ok(Some(_)) => rows += 1,
                                Ok(None) => break Ok(()),
                                Err(error) => break Err(error),
                            }
                            assert!(rows < ROWS_MOST, "a long scan goes round in circles");
                        };
                        self.tolerate("a long scan", end);
                    }
                }
                Err(error) => self.tolerate::<()>("a named snapshot", Err(error)),
            }
        }
        for time in [1_500, u64::MAX] {
            match store.newest_at(time) {
                Ok(Some(txn)) => match store.as_of(KEPT, txn) {
                    Ok(snapshot) => self.read_state(snapshot.read()?),
                    Err(error) => self.tolerate::<()>("a past state", Err(error)),
                },
                Ok(None) => {}
                Err(error) => self.tolerate::<()>("a look at a time", Err(error)),
            }
        }
        Ok(())
    }

    fn read_state(&mut self, mut read: ReadTxn<'_>) {
        self.tolerate("a list of tables", read.tables());
        self.tolerate("a list of snapshots", read.named_snapshots());
        for (name, table, _) in TABLES {
            self.tolerate("a name", read.table(name.as_bytes()));
            self.tolerate("counts", read.stats(table));
            let keys: Vec<Vec<u8>> = (0..PLAIN_ITEMS).step_by(3).map(key).collect();
            for key in keys.iter().take(12) {
                self.tolerate("a get", read.get(table, key, |_, payload| payload.len()));
                let mut versions = 0;
                let visited = read.versions(table, key, |_| {
                    versions += 1;
                    assert!(versions < ROWS_MOST, "a chain goes round in circles");
                    ControlFlow::Continue(())
                });
                self.tolerate("a list of versions", visited);
            }
            let keys: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
            self.tolerate("a batch of gets", read.get_many(table, &keys, |_, _| {}));
            for range in [Range::all(), Range::all().reversed()] {
                let mut rows = 0;
                let scanned = read.scan(table, &range.borrow(), Access::Scan, |_| {
                    rows += 1;
                    assert!(rows < ROWS_MOST, "a scan goes round in circles");
                    ControlFlow::Continue(())
                });
                self.tolerate("a scan", scanned);
            }
        }
    }

    fn write_all(&mut self, store: Store) -> Result<()> {
        for round in 0..3 {
            for (name, table, retention) in TABLES {
                for _ in 0..4 {
                    let number = self.random.below(u64::from(PLAIN_ITEMS)) as u32;
                    let put = store.write(|txn| txn.put(table, &key(number), &payload(number, 9)));
                    self.tolerate("a put", put);
                    let number = self.random.below(u64::from(PLAIN_ITEMS)) as u32;
                    self.tolerate("a deletion", store.write(|txn| txn.delete(table, &key(number))));
                }
                if round == 2 {
                    self.tolerate("a drop", store.write(|txn| txn.drop_table(name.as_bytes())));
                    let created =
                        store.write(|txn| txn.create_table(name.as_bytes(), b"", retention).map(drop));
                    self.tolerate("a new table", created);
                }
            }
            let held = store.snapshot()?;
            let name = SNAPSHOT_NAMES[round % 2];
            self.tolerate("a snapshot given up", store.write(|txn| txn.delete_snapshot(name)));
            self.tolerate("a new snapshot", store.write(|txn| txn.create_snapshot(name)));
            let many = store.begin().and_then(|mut txn| {
                for number in 0..PLAIN_ITEMS {
                    txn.put(PLAIN, &key(number), &payload(number, 10))?;
                }
                txn.commit(Durability::Eventual)
            });
            self.tolerate("many puts", many);
            self.read_state(held.read()?);
            drop(held);
            self.tolerate("maintenance", store.maintain());
        }
        self.read_state(store.read()?);
        self.tolerate("a check", verify(&store, &mut |_| {}));
        self.tolerate("a close", store.close());
        Ok(())
    }
}

/// An error is right if it is one of those that damage leads to.
#[track_caller]
fn check_refusal(what: &str, error: &TxnError) {
    let expected = matches!(
        error,
        TxnError::Damaged { .. }
            | TxnError::NoSuchTable { .. }
            | TxnError::NoSuchSnapshot { .. }
            | TxnError::SnapshotExists { .. }
            | TxnError::TableExists { .. }
            | TxnError::TooManyTables
            | TxnError::BelowHorizon { .. }
            | TxnError::NoRetention { .. }
            | TxnError::NotYet { .. }
            | TxnError::Tree(TreeError::Pager(
                PagerError::Malformed { .. } | PagerError::Corrupt { .. } | PagerError::Poisoned { .. }
            ))
    );
    assert!(expected, "{what}: {error:?}");
    assert!(!error.to_string().is_empty());
}

/// Ends the process with a message if a case takes for ever, so that a hang has a name. It is far from what any case takes.
pub(crate) struct Watchdog(Sender<String>);

impl Watchdog {
    pub(crate) fn start() -> Watchdog {
        let (sender, cases) = channel::<String>();
        std::thread::spawn(move || {
            let mut case = String::new();
            loop {
                match cases.recv_timeout(Duration::from_secs(100)) {
                    Ok(next) => case = next,
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        let _ = writeln!(stderr(), "this case hangs: {case}");
                        std::process::abort();
                    }
                }
            }
        });
        Watchdog(sender)
    }

    /// Says what comes next.
    pub(crate) fn case(&self, name: &str) {
        self.0.send(name.to_owned()).expect("the watchdog listens");
    }
}
