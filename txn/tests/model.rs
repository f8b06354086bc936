//! Thousands of random transactions beside a model: what each reader sees is what the model was at its time, whatever
//! happened since.

mod common;

use common::*;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{Durability, Snapshot, Store};

/// A run of the random client against one database.
struct Run {
    disk: DiskSim,
    store: Option<Store>,
    client: Client,
    world: World,
    snapshots: Vec<(Snapshot, World)>,
    named: Vec<(String, World)>,
    names_given: u32,
}

impl Run {
    fn new(seed: u64) -> Run {
        let disk = DiskSim::new(seed);
        let store = create_on(&disk).unwrap();
        Run {
            disk,
            store: Some(store),
            client: Client::new(seed),
            world: World::new(),
            snapshots: Vec::new(),
            named: Vec::new(),
            names_given: 0,
        }
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn step(&mut self) {
        let store = self.store.as_ref().unwrap();
        match self.client.random.below(46) {
            0..=24 => {
                let durability =
                    if self.client.random.one_in(4) { Durability::Eventual } else { Durability::Immediate };
                let mut txn = store.begin().unwrap();
                self.client.changes(&mut txn, &mut self.world).unwrap();
                txn.commit(durability).unwrap();
            }
            25..=27 => {
                let mut txn = store.begin().unwrap();
                self.client.changes(&mut txn, &mut self.world.clone()).unwrap();
                txn.roll_back().unwrap();
            }
            28..=31 => self.snapshots.push((store.snapshot().unwrap(), self.world.clone())),
            32..=34 if !self.snapshots.is_empty() => {
                let index = self.client.random.below(self.snapshots.len() as u64) as usize;
                self.snapshots.swap_remove(index);
            }
            35 => {
                let name = format!("snapshot {}", self.names_given);
                self.names_given += 1;
                store.write(|txn| txn.create_snapshot(name.as_bytes())).unwrap();
                self.named.push((name, self.world.clone()));
            }
            36 if !self.named.is_empty() => {
                let index = self.client.random.below(self.named.len() as u64) as usize;
                let (name, _) = self.named.swap_remove(index);
                store.write(|txn| txn.delete_snapshot(name.as_bytes())).unwrap();
            }
            37 => store.maintain().unwrap(),
            38 if self.client.random.one_in(3) => self.reopen(),
            40..=45 => {
                let needs =
                    self.client.series(store, self.world.clone(), |world| self.world = world).unwrap();
                store.wait_durable(needs).unwrap();
            }
            _ => self.check_one(),
        }
    }

    fn reopen(&mut self) {
        self.snapshots.clear();
        self.store.take().unwrap().close().unwrap();
        self.store = Some(open_on(&self.disk).unwrap());
    }

    fn check_one(&mut self) {
        if self.snapshots.is_empty() {
            return;
        }
        let index = self.client.random.below(self.snapshots.len() as u64) as usize;
        let (snapshot, world) = &self.snapshots[index];
        check_world(&mut snapshot.read().unwrap(), world, "a snapshot");
    }

    fn check(&self, context: &str) {
        check_newest(self.store(), &self.world, context);
        for (snapshot, world) in &self.snapshots {
            let context = format!("{context}, snapshot {}", snapshot.txn());
            check_world(&mut snapshot.read().unwrap(), world, &context);
        }
        for (name, world) in &self.named {
            let snapshot = self.store().named_snapshot(name.as_bytes()).unwrap();
            check_world(&mut snapshot.read().unwrap(), world, &format!("{context}, {name}"));
        }
        check_sound(self.store(), context);
    }
}

/// Runs the client, and checks everything now and then.
fn check_seeds(seeds: std::ops::Range<u64>, steps: u32, prepare: impl Fn(&mut Run)) {
    for seed in seeds {
        let mut run = Run::new(seed);
        prepare(&mut run);
        for step in 0..steps {
            run.step();
            if step % 50 == 49 {
                run.check(&format!("seed {seed}, step {step}"));
            }
        }
        // When nobody looks back any more, nothing but the newest state is left.
        run.snapshots.clear();
        for (name, _) in std::mem::take(&mut run.named) {
            run.store().write(|txn| txn.delete_snapshot(name.as_bytes())).unwrap();
        }
        run.store().maintain().unwrap();
        run.check(&format!("seed {seed}, at the end"));
        let mut read = run.store().read().unwrap();
        for name in run.world.keys() {
            let table = read.table(name.as_bytes()).unwrap().unwrap().id;
            let stats = read.stats(table).unwrap();
            assert_eq!(stats.entries, stats.items, "seed {seed}: tombstones are left in {name}");
        }
    }
}

#[test]
fn every_reader_sees_what_the_model_was_at_its_time() {
    check_seeds(0..6, 300, |_| {});
}

#[test]
fn the_same_with_few_small_items_that_are_written_often() {
    check_seeds(100..104, 500, |run| {
        run.client.keys = 5;
        run.client.large = false;
    });
}

#[test]
fn the_same_with_many_items() {
    check_seeds(200..202, 600, |run| {
        run.client.keys = 2_000;
        run.client.drops = false;
    });
}
