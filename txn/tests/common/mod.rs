//! A model of the database that is plainly right, and a random client that changes both in step.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{
    Access, Durability, ManualClock, Options, Range, ReadTxn, Result, Retention, Store, TableId, TxnError,
    TxnId, WriteTxn,
};

/// The items of one table.
pub(crate) type Items = BTreeMap<Vec<u8>, Vec<u8>>;

/// All tables by name. The model: cloned where the database remembers.
pub(crate) type World = BTreeMap<String, Items>;

pub(crate) const DATABASE_ID: [u8; 16] = *b"a test database.";

/// Names that the random client uses.
const NAMES: [&str; 4] = ["ants", "bees", "cats", "dogs"];

pub(crate) fn options() -> Options {
    Options::new(Arc::new(ManualClock::at(1_000))).background(false).cache_bytes(1 << 20)
}

pub(crate) fn create_on(disk: &DiskSim) -> Result<Store> {
    options().create_on(Arc::new(disk.clone()), DATABASE_ID)
}

pub(crate) fn open_on(disk: &DiskSim) -> Result<Store> {
    options().open_on(Arc::new(disk.clone()), true)
}

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn one_in(&mut self, chance: u64) -> bool {
        self.below(chance) == 0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// What a random client does to the database and the model alike.
pub(crate) struct Client {
    pub(crate) random: Random,
    /// Different keys of a table.
    pub(crate) keys: u64,
    /// Whether keys and payloads may be large.
    pub(crate) large: bool,
    /// Whether tables may come and go.
    pub(crate) drops: bool,
}

impl Client {
    pub(crate) fn new(seed: u64) -> Client {
        Client { random: Random(seed), keys: 40, large: true, drops: true }
    }

    fn key(&mut self) -> Vec<u8> {
        let number = self.random.below(self.keys);
        let mut key = format!("key {number:04}").into_bytes();
        // Which keys are long is decided by their number, so that they are met again.
        if self.large && number % 8 == 1 {
            key.resize(450 + number as usize, b'.');
        } else if self.large && number == 2 {
            key.resize(9_000, 0);
        }
        key
    }

    fn payload(&mut self) -> Vec<u8> {
        let len = match self.random.below(if self.large { 24 } else { 16 }) {
            0 => 0,
            1..=15 => self.random.below(120),
            16..=20 => self.random.below(2_200),
            21 | 22 => self.random.below(9_000),
            _ => self.random.below(60_000),
        };
        self.random.bytes(len as usize)
    }

    /// One change of a transaction.
    pub(crate) fn change(&mut self, txn: &mut WriteTxn<'_>, world: &mut World) -> Result<()> {
        let name = NAMES[self.random.below(NAMES.len() as u64) as usize];
        let Some(info) = txn.table(name.as_bytes())? else {
            assert!(!world.contains_key(name), "the table {name} is missing");
            txn.create_table(name.as_bytes(), name.as_bytes(), Retention::None)?;
            world.insert(name.into(), Items::new());
            return Ok(());
        };
        assert_eq!(info.meta, name.as_bytes());
        let items = world.get_mut(name).unwrap_or_else(|| panic!("the table {name} should not be there"));
        match self.random.below(100) {
            0 if self.drops => {
                assert!(txn.drop_table(name.as_bytes())?);
                world.remove(name);
            }
            1..=3 => {
                let count = self.random.below(20);
                let some: Items = (0..count).map(|_| (self.key(), self.payload())).collect();
                let list: Vec<_> = some.iter().map(|(key, payload)| (&key[..], &payload[..])).collect();
                txn.put_ascending(info.id, &list)?;
                items.extend(some);
            }
            0..=69 => {
                let (key, payload) = (self.key(), self.payload());
                txn.put(info.id, &key, &payload)?;
                items.insert(key, payload);
            }
            70..=94 => {
                let key = self.key();
                assert_eq!(txn.delete(info.id, &key)?, items.remove(&key).is_some());
            }
            _ => {
                let key = self.key();
                let found = txn.get(info.id, &key, |_, payload| payload.to_vec())?;
                assert_eq!(found.as_ref(), items.get(&key), "a transaction reads what it wrote");
            }
        }
        Ok(())
    }

    /// The changes of a transaction.
    pub(crate) fn changes(&mut self, txn: &mut WriteTxn<'_>, world: &mut World) -> Result<()> {
        for _ in 0..=self.random.below(8) {
            self.change(txn, world)?;
        }
        Ok(())
    }

    /// A series of some such transactions, of which some are refused. Says what it will leave before it joins its group, and returns for
    /// which transaction to wait.
    pub(crate) fn series(
        &mut self,
        store: &Store,
        mut world: World,
        leaves: impl FnOnce(World),
    ) -> Result<TxnId> {
        let mut series = store.series(Durability::Immediate);
        for _ in 0..=self.random.below(5) {
            let (mut after, is_refused) = (world.clone(), self.random.one_in(3));
            let done = series.run(|txn| {
                self.changes(txn, &mut after)?;
                if is_refused { Err(TxnError::Aborted) } else { Ok(()) }
            });
            match done {
                Ok(()) => world = after,
                Err(TxnError::Aborted) if is_refused => {}
                Err(error) => return Err(error),
            }
        }
        leaves(world);
        series.finish()
    }
}

/// All that a read sees.
pub(crate) fn read_world(read: &mut ReadTxn<'_>) -> Result<World> {
    let mut world = World::new();
    for (name, info) in read.tables()? {
        let items = read_items(read, info.id, &Range::all())?.into_iter().collect();
        world.insert(String::from_utf8(name).unwrap(), items);
    }
    Ok(world)
}

pub(crate) fn read_items(
    read: &mut ReadTxn<'_>,
    table: TableId,
    range: &Range,
) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut items = Vec::new();
    read.scan(table, &range.borrow(), Access::Scan, |row| {
        items.push((row.key.to_vec(), row.payload.to_vec()));
        ControlFlow::Continue(())
    })?;
    Ok(items)
}

/// A read sees exactly the model: by scans both ways, by single and batched lookups.
#[track_caller]
pub(crate) fn check_world(read: &mut ReadTxn<'_>, expected: &World, context: &str) {
    let found = read_world(read).unwrap_or_else(|error| panic!("{context}: {error}"));
    if &found != expected {
        panic!("{context}: {}", difference(&found, expected));
    }
    for (name, items) in expected {
        let table = read.table(name.as_bytes()).unwrap().expect("listed above").id;
        let mut backwards = read_items(read, table, &Range::all().reversed()).unwrap();
        backwards.reverse();
        assert!(backwards.iter().map(|(key, _)| key).eq(items.keys()), "{context}: {name} backwards");
        let keys: Vec<&[u8]> = items.keys().map(|key| &key[..]).chain([&b"no such key"[..]]).collect();
        let mut got = vec![None; keys.len()];
        read.get_many(table, &keys, |index, item| got[index] = item.map(|(_, payload)| payload.to_vec()))
            .unwrap();
        let single: Vec<_> =
            keys.iter().map(|key| read.get(table, key, |_, payload| payload.to_vec()).unwrap()).collect();
        assert_eq!(got, single, "{context}: batched and single lookups in {name}");
        assert!(
            keys.iter().zip(&got).all(|(key, item)| items.get(*key) == item.as_ref()),
            "{context}: {name}"
        );
    }
}

/// The newest state is the model, counts included.
#[track_caller]
pub(crate) fn check_newest(store: &Store, expected: &World, context: &str) {
    let mut read = store.read().unwrap();
    check_world(&mut read, expected, context);
    for (name, items) in expected {
        let table = read.table(name.as_bytes()).unwrap().unwrap().id;
        let stats = read.stats(table).unwrap();
        let bytes: usize = items.iter().map(|(key, payload)| key.len() + payload.len()).sum();
        assert_eq!((stats.items, stats.bytes), (items.len() as u64, bytes as u64), "{context}: {name}");
    }
}

/// Every page of the file is accounted for, and nothing in it contradicts anything else (INV-7).
#[track_caller]
pub(crate) fn check_sound(store: &Store, context: &str) {
    let findings = dynamite_txn::verify::verify(store, &mut |_| {}).unwrap();
    let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.is_empty(), "{context}:\n{}", findings.join("\n"));
}

fn difference(found: &World, expected: &World) -> String {
    let names = |world: &World| world.keys().cloned().collect::<Vec<_>>();
    if names(found) != names(expected) {
        return format!("tables {:?}, expected {:?}", names(found), names(expected));
    }
    let mut lines = Vec::new();
    for (name, items) in expected {
        let keys = items.keys().chain(found[name].keys());
        for key in keys.collect::<std::collections::BTreeSet<_>>() {
            let (is, should) = (found[name].get(key), items.get(key));
            if is != should {
                let show = |payload: Option<&Vec<u8>>| payload.map(|p| (p.len(), p.first().copied()));
                let key = String::from_utf8_lossy(&key[..key.len().min(12)]).into_owned();
                lines.push(format!("{name} {key:?}: {:?}, expected {:?}", show(is), show(should)));
            }
        }
    }
    lines.join("\n")
}

/// A state and the transaction after which it was.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) txn: TxnId,
    pub(crate) world: World,
}
