//! Power is cut at every operation of the disk, in the middle of everything that the API does. Whatever survives, the database opens
//! and shows the state after the last acknowledged write, or after a later one, whole.

use std::collections::BTreeMap;
use std::sync::Arc;

use dynamite_core::Error;
use dynamite_core::api::{Builder, DynaMite};
use dynamite_core::types::KeyType;
use dynamite_txn::ManualClock;
use dynamite_txn::disk::sim::DiskSim;
use serde_json::{Value, json};

/// The items of each table, by their id.
type World = BTreeMap<String, BTreeMap<String, Value>>;

/// What a client knows when the power goes.
#[derive(Default)]
struct Witness {
    /// The state after the last acknowledged write, and after each one that was tried since.
    allowed: Vec<World>,
}

impl Witness {
    /// Tries a write that makes `change` of the newest state.
    fn tries<R>(
        &mut self,
        change: impl FnOnce(&mut World),
        write: impl FnOnce() -> Result<R, Error>,
    ) -> Result<R, Error> {
        let mut world = self.allowed.last().cloned().unwrap_or_default();
        change(&mut world);
        self.allowed.push(world);
        let done = write()?;
        self.allowed.drain(..self.allowed.len() - 1);
        Ok(done)
    }
}

fn builder() -> Builder {
    DynaMite::builder().background(false).cache_size(1 << 20).clock(Arc::new(ManualClock::at(1_000)))
}

fn item(id: usize, round: usize) -> Value {
    // From a few bytes to several pages.
    json!({"id": id.to_string(), "round": round, "text": "z".repeat((id * 131 + round * 977) % 9_000)})
}

/// Stops at the first error: the crash.
fn workload(disk: &DiskSim, witness: &mut Witness) -> Result<(), Error> {
    witness.allowed = vec![World::new()];
    let db = builder().create_on(Arc::new(disk.clone()))?;
    let create = |name: &str| db.create_table(name).partition_key("id", KeyType::String).execute();
    let put = |world: &mut World, table: &str, item: &Value| {
        world.get_mut(table).unwrap().insert(item["id"].as_str().unwrap().to_owned(), item.clone());
    };
    for table in ["one", "two"] {
        witness.tries(|world| drop(world.insert(table.to_owned(), BTreeMap::new())), || create(table))?;
    }
    for round in 0..4 {
        let (first, second) = (item(round, round), item(round + 1, round));
        witness.tries(|world| put(world, "one", &first), || db.put_item("one", &first))?;
        let batch = (0..6).map(|id| item(id, round + 1)).collect::<Vec<_>>();
        witness.tries(
            |world| batch.iter().for_each(|item| put(world, "two", item)),
            || batch.iter().fold(db.batch_write(), |write, item| write.put("two", item)).execute(),
        )?;
        let snapshot = db.snapshot()?;
        witness.tries(
            |world| {
                put(world, "one", &second);
                world.get_mut("two").unwrap().remove("3");
            },
            || {
                db.transact(|txn| {
                    txn.put_item("one", &second)?;
                    txn.delete_item("two").partition_key("3").execute()
                })
            },
        )?;
        let given_up = db.transact(|txn| {
            txn.put_item("one", item(9, 9))?;
            Err::<(), _>(Error::abort("given up"))
        });
        let Err(Error::Aborted(_)) = given_up else { return given_up };
        assert_eq!(snapshot.get_item("two").partition_key("3").execute()?, Some(item(3, round + 1)));
        drop(snapshot);
        let conflict = db.put_item_versioned("one", item(8, 8), Some(77));
        let Err(Error::VersionConflict { .. }) = conflict else { return conflict.map(drop) };
        if round == 2 {
            witness.tries(|world| drop(world.remove("two")), || db.drop_table("two"))?;
            witness.tries(|world| drop(world.insert("two".to_owned(), BTreeMap::new())), || create("two"))?;
            db.maintain()?;
        }
    }
    db.close()
}

fn read(db: &DynaMite) -> Result<World, Error> {
    let mut world = World::new();
    for table in db.list_tables()? {
        let mut items = BTreeMap::new();
        for item in db.scan(&table).iter()? {
            let item = item?;
            items.insert(item["id"].as_str().unwrap().to_owned(), item);
        }
        assert_eq!(db.describe_table(&table)?.item_count, items.len() as u64);
        world.insert(table, items);
    }
    Ok(world)
}

#[test]
fn power_loss_at_any_point_keeps_every_acknowledged_write_whole() {
    for operations in 0.. {
        let (disk, mut witness) = (DiskSim::new(7), Witness::default());
        disk.crash_after(operations);
        let finished = match workload(&disk, &mut witness) {
            Ok(()) => true,
            Err(_) if disk.crashed() => false,
            Err(error) => panic!("after {operations} operations: {error}"),
        };
        for seed in 0..4 {
            let survivor = Arc::new(disk.after_power_loss(seed));
            let db = match builder().open_on(survivor) {
                Ok(db) => db,
                // Nobody was told that there is a database.
                Err(_) if witness.allowed.iter().any(World::is_empty) => continue,
                Err(error) => panic!("power lost after {operations} operations, seed {seed}: {error}"),
            };
            let found = read(&db).unwrap();
            assert!(
                witness.allowed.contains(&found),
                "power lost after {operations} operations, seed {seed}: found {found:?}, allowed {:?}",
                witness.allowed
            );
            // It goes on from there.
            db.create_table("after").partition_key("id", KeyType::String).execute().unwrap();
            db.put_item("after", json!({"id": "a"})).unwrap();
            db.close().unwrap();
        }
        if finished {
            return;
        }
    }
}
