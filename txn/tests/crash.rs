//! Power is cut in the middle of transactions on everything that the layer does: overwrites, deletions, snapshots, aborts, large
//! values, dropped tables, collecting. Whatever survives, opening shows the state after the last acknowledged
//! transaction, or after a later one, whole; every page is accounted for; and what was dropped is freed in the end.

mod common;

use common::*;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_txn::{Durability, Result, Snapshot};

/// What a client knows when the power goes.
#[derive(Default)]
struct Witness {
    /// States that may be found: after the last acknowledged transaction, and after each one that came later.
    allowed: Vec<World>,
    newest: World,
    named: Vec<(String, World)>,
}

impl Witness {
    fn attempt(&mut self, world: World) {
        self.newest = world.clone();
        self.allowed.push(world);
    }

    fn acknowledged(&mut self) {
        self.allowed.drain(..self.allowed.len() - 1);
    }
}

/// Stops at the first error: the crash.
fn workload(disk: &DiskSim, seed: u64, witness: &mut Witness) -> Result<()> {
    witness.allowed = vec![World::new()];
    let store = create_on(disk)?;
    let mut client = Client::new(seed);
    client.keys = 12;
    let mut snapshots: Vec<Snapshot> = Vec::new();
    for _ in 0..40 {
        match client.random.below(14) {
            0..=5 => {
                let mut world = witness.newest.clone();
                let mut txn = store.begin()?;
                client.changes(&mut txn, &mut world)?;
                witness.attempt(world);
                txn.commit(Durability::Immediate)?;
                witness.acknowledged();
            }
            // Seen at once, durable with the next flush.
            6 | 7 => {
                let mut world = witness.newest.clone();
                let mut txn = store.begin()?;
                client.changes(&mut txn, &mut world)?;
                witness.attempt(world);
                txn.commit(Durability::Eventual)?;
            }
            8 => {
                let mut txn = store.begin()?;
                client.changes(&mut txn, &mut witness.newest.clone())?;
                txn.roll_back()?;
                // What it had read is durable now.
                witness.acknowledged();
            }
            12 | 13 => {
                let needs = client.series(&store, witness.newest.clone(), |world| witness.attempt(world))?;
                store.wait_durable(needs)?;
                witness.acknowledged();
            }
            9 => snapshots.push(store.snapshot()?),
            10 => {
                snapshots.pop();
                store.maintain()?;
            }
            _ => {
                let name = format!("snapshot {}", witness.named.len());
                // Named snapshots are checked once they are acknowledged.
                witness.attempt(witness.newest.clone());
                store.write(|txn| txn.create_snapshot(name.as_bytes()).map(drop))?;
                witness.acknowledged();
                witness.named.push((name, witness.newest.clone()));
            }
        }
    }
    Ok(())
}

fn check_survivor(survivor: &DiskSim, witness: &Witness, context: &str) {
    let store = match open_on(survivor) {
        Ok(store) => store,
        Err(error) if witness.newest.is_empty() && error.to_string().contains("interrupted") => return,
        Err(error) => panic!("{context}: {error}"),
    };
    let found = read_world(&mut store.read().unwrap()).unwrap_or_else(|error| panic!("{context}: {error}"));
    assert!(witness.allowed.contains(&found), "{context}: a state that never was, or is too old");
    check_newest(&store, &found, context);
    for (name, world) in &witness.named {
        let snapshot =
            store.named_snapshot(name.as_bytes()).unwrap_or_else(|error| panic!("{context}: {error}"));
        check_world(&mut snapshot.read().unwrap(), world, &format!("{context}, {name}"));
    }
    check_sound(&store, context);
    // Life goes on: nothing that the crash interrupted is left for ever.
    for (name, _) in &witness.named {
        store.write(|txn| txn.delete_snapshot(name.as_bytes())).unwrap();
    }
    store.maintain().unwrap_or_else(|error| panic!("{context}: {error}"));
    check_newest(&store, &found, context);
    check_sound(&store, &format!("{context}, tidied up"));
}

fn crash_everywhere(seed: u64, survivors: u64, step: usize) {
    for operations in (0..).step_by(step) {
        let disk = DiskSim::new(seed);
        disk.crash_after(operations);
        let mut witness = Witness::default();
        let finished = workload(&disk, seed, &mut witness).is_ok();
        for survivor in 0..survivors {
            let context =
                format!("workload {seed}, power cut after {operations} operations, survivor {survivor}");
            check_survivor(&disk.after_power_loss(survivor), &witness, &context);
        }
        check_survivor(&disk.after_kill(), &witness, &format!("workload {seed}, killed after {operations}"));
        if finished {
            return;
        }
    }
}

#[test]
fn power_loss_keeps_every_acknowledged_transaction_and_leaks_no_page() {
    for seed in 0..6 {
        crash_everywhere(seed, 8, 3);
    }
}

#[test]
#[ignore = "long: every operation of many workloads, some minutes"]
fn power_loss_at_every_operation_of_many_workloads() {
    for seed in 10..20 {
        crash_everywhere(seed, 10, 1);
    }
}
