//! Random transactions of actions beside a plain twin, which judges each action against the state before the transaction; and the same
//! with the power cut at every operation of the disk: all or nothing, and never twice when it is tried again with its token.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::directory;
use dynamite_core::Error;
use dynamite_core::api::{Builder, Check, Delete, DynaMite, Put, TransactWrite, Update};
use dynamite_core::error::Invalid;
use dynamite_core::types::KeyType;
use dynamite_txn::ManualClock;
use dynamite_txn::disk::sim::DiskSim;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::json;

const TABLES: [&str; 2] = ["first", "second"];
const IDS: [&str; 4] = ["a", "b", "c", "d"];
const TOKENS: [&str; 3] = ["t", "u", "v"];

/// A table and an id in it.
type Place = (usize, usize);

/// The numbers of the items.
type World = BTreeMap<Place, i64>;

#[derive(Clone, Copy, Debug, PartialEq)]
enum What {
    Put(i64),
    /// Adds to the number.
    Add(i64),
    /// Adds what fails if there is no number.
    AddToOld(i64),
    Delete,
    Check,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Condition {
    None,
    Exists,
    NotExists,
    Less(i64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Action {
    place: Place,
    what: What,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq)]
struct Transaction {
    actions: Vec<Action>,
    token: Option<usize>,
}

#[derive(Clone, Debug)]
enum Step {
    Transact(Transaction),
    /// The same transaction again, as it was some time ago.
    Again(usize),
    Pass(u64),
    Maintain,
    Reopen,
}

#[derive(Clone, Debug, PartialEq)]
enum Outcome {
    Done,
    SameItem,
    /// By action.
    Canceled(Vec<&'static str>),
}

/// What the twin makes of the actions.
fn judge(world: &mut World, actions: &[Action]) -> Outcome {
    let places = actions.iter().map(|action| action.place).collect::<BTreeSet<_>>();
    if places.len() < actions.len() {
        return Outcome::SameItem;
    }
    let reason = |action: &Action| {
        let old = world.get(&action.place).copied();
        let holds = match action.condition {
            Condition::None => true,
            Condition::Exists => old.is_some(),
            Condition::NotExists => old.is_none(),
            Condition::Less(n) => old.is_some_and(|old| old < n),
        };
        match action.what {
            _ if !holds => "ConditionalCheckFailed",
            What::AddToOld(_) if old.is_none() => "ValidationError",
            _ => "None",
        }
    };
    let reasons = actions.iter().map(reason).collect::<Vec<_>>();
    if reasons.iter().any(|reason| *reason != "None") {
        return Outcome::Canceled(reasons);
    }
    for action in actions {
        let old = world.get(&action.place).copied().unwrap_or(0);
        match action.what {
            What::Put(n) => drop(world.insert(action.place, n)),
            What::Add(n) | What::AddToOld(n) => drop(world.insert(action.place, old + n)),
            What::Delete => drop(world.remove(&action.place)),
            What::Check => {}
        }
    }
    Outcome::Done
}

/// Adds the condition to an action.
macro_rules! under {
    ($action:expr, $condition:expr) => {
        match $condition {
            Condition::None => $action,
            Condition::Exists => $action.condition("attribute_exists(id)"),
            Condition::NotExists => $action.condition("attribute_not_exists(id)"),
            Condition::Less(n) => $action.condition("n < :limit").value(":limit", n),
        }
    };
}

fn add<'a>(
    write: TransactWrite<'a>,
    Action { place: (table, id), what, condition }: Action,
) -> TransactWrite<'a> {
    let (table, id) = (TABLES[table], IDS[id]);
    let update = |text| Update::new(table).partition_key(id).update(text);
    match what {
        What::Put(n) => {
            let item = json!({"id": id, "n": n, "text": "x".repeat((n * 97).unsigned_abs() as usize % 700)});
            write.put(under!(Put::new(table).item(item), condition))
        }
        What::Add(n) => write.update(under!(update("ADD n :n").value(":n", n), condition)),
        What::AddToOld(n) => write.update(under!(update("SET n = n + :n").value(":n", n), condition)),
        What::Delete => write.delete(under!(Delete::new(table).partition_key(id), condition)),
        What::Check => write.check(under!(Check::new(table).partition_key(id), condition)),
    }
}

fn execute(db: &DynaMite, actions: &[Action], token: Option<&str>) -> Result<u64, Error> {
    let write = actions.iter().fold(db.transact_write(), |write, action| add(write, *action));
    match token {
        Some(token) => write.token(token).execute(),
        None => write.execute(),
    }
}

fn outcome(result: Result<u64, Error>) -> Result<Outcome, Error> {
    match result {
        Ok(_) => Ok(Outcome::Done),
        Err(Error::Validation(Invalid::SameItem)) => Ok(Outcome::SameItem),
        Err(Error::TransactionCanceled { reasons }) => {
            Ok(Outcome::Canceled(reasons.iter().map(|reason| reason.code.as_str()).collect()))
        }
        Err(other) => Err(other),
    }
}

fn read(db: &DynaMite) -> Result<World, Error> {
    let mut world = World::new();
    for (nth, table) in TABLES.into_iter().enumerate() {
        for item in db.scan(table).iter()? {
            let item = item?;
            let id = IDS.iter().position(|id| item["id"] == *id).unwrap();
            world.insert((nth, id), item["n"].as_i64().unwrap());
        }
    }
    Ok(world)
}

fn create(db: &DynaMite) -> Result<(), Error> {
    TABLES
        .into_iter()
        .try_for_each(|table| db.create_table(table).partition_key("id", KeyType::String).execute())
}

fn any_action() -> impl Strategy<Value = Action> {
    let what = prop_oneof![
        3 => (-5_i64..10).prop_map(What::Put),
        3 => (-5_i64..10).prop_map(What::Add),
        1 => (-5_i64..10).prop_map(What::AddToOld),
        2 => Just(What::Delete),
        1 => Just(What::Check),
    ];
    let condition = prop_oneof![
        5 => Just(Condition::None),
        2 => Just(Condition::Exists),
        1 => Just(Condition::NotExists),
        2 => (0_i64..20).prop_map(Condition::Less),
    ];
    ((0..TABLES.len(), 0..IDS.len()), what, condition).prop_map(|(place, what, condition)| {
        // A check must have one.
        let nothing = what == What::Check && condition == Condition::None;
        Action { place, what, condition: if nothing { Condition::Exists } else { condition } }
    })
}

/// Mostly of different items.
fn any_actions(at_most: usize) -> impl Strategy<Value = Vec<Action>> {
    (prop::collection::vec(any_action(), 1..=at_most), prop::bool::weighted(0.9)).prop_map(
        |(mut actions, apart)| {
            let mut places = BTreeSet::new();
            actions.retain(|action| !apart || places.insert(action.place));
            actions
        },
    )
}

fn any_step() -> impl Strategy<Value = Step> {
    let token = prop::option::of(0..TOKENS.len());
    prop_oneof![
        12 => (any_actions(7), token).prop_map(|(actions, token)| Step::Transact(Transaction { actions, token })),
        6 => (1_usize..5).prop_map(Step::Again),
        2 => prop_oneof![Just(1), Just(300_000), Just(599_999), Just(600_000)].prop_map(Step::Pass),
        1 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
    ]
}

fn run(steps: &[Step]) -> Result<(), Error> {
    let (directory, clock) = (directory(), Arc::new(ManualClock::at(1_000)));
    let path = directory.path().join("model.db");
    let builder = DynaMite::builder().background(false).cache_size(1 << 20).clock(clock.clone());
    let mut db = builder.create(&path)?;
    create(&db)?;
    let (mut world, mut now) = (World::new(), 0_u64);
    // By token: the transaction, when it was done, and what it answered.
    let mut tokens: BTreeMap<usize, (Vec<Action>, u64, u64)> = BTreeMap::new();
    let mut tried: Vec<Transaction> = Vec::new();
    for step in steps {
        match step {
            Step::Pass(ms) => {
                now += ms;
                clock.advance(*ms);
            }
            Step::Maintain => db.maintain()?,
            Step::Reopen => {
                db.close()?;
                db = builder.open(&path)?;
            }
            Step::Transact(_) | Step::Again(_) => {
                let transaction = match step {
                    Step::Transact(transaction) => transaction.clone(),
                    Step::Again(back) if *back <= tried.len() => tried[tried.len() - back].clone(),
                    _ => continue,
                };
                let Transaction { actions, token } = &transaction;
                let result = execute(&db, actions, token.map(|token| TOKENS[token]));
                let known =
                    token.and_then(|token| tokens.get(&token)).filter(|(_, then, _)| now - then < 600_000);
                let mut after = world.clone();
                match (judge(&mut after, actions), known) {
                    (Outcome::SameItem, _) => assert_eq!(outcome(result)?, Outcome::SameItem),
                    (_, Some((same, _, version))) if same == actions => assert_eq!(result?, *version),
                    (_, Some(_)) => {
                        assert!(matches!(result, Err(Error::IdempotentParameterMismatch)), "{result:?}")
                    }
                    (Outcome::Done, None) => {
                        if let Some(token) = token {
                            tokens.insert(*token, (actions.clone(), now, *result.as_ref().unwrap()));
                        }
                        assert_eq!(outcome(result)?, Outcome::Done);
                        world = after;
                    }
                    (canceled, None) => assert_eq!(outcome(result)?, canceled),
                }
                tried.push(transaction);
            }
        }
        assert_eq!(read(&db)?, world, "after {step:?}");
    }
    Ok(())
}

#[test]
fn transactions_of_actions_do_what_a_plain_twin_does() {
    let mut runner = TestRunner::new(Config { cases: 150, ..Config::default() });
    let steps = prop::collection::vec(any_step(), 1..40);
    runner.run(&steps, |steps| run(&steps).map_err(|error| TestCaseError::fail(error.to_string()))).unwrap();
}

// ---- With the power cut ----

fn builder() -> Builder {
    DynaMite::builder().background(false).cache_size(1 << 20).clock(Arc::new(ManualClock::at(1_000)))
}

/// What a client knows when the power goes.
#[derive(Default)]
struct Witness {
    /// The state that was acknowledged last; `None` before there are tables.
    world: Option<World>,
    /// The transactions that were done, and what they answered.
    done: Vec<(usize, u64)>,
    /// The one that was being tried, and the state after it.
    trying: Option<(usize, World)>,
}

/// Does all transactions, each with the token of its number. Stops at the first error: the crash.
fn workload(disk: &DiskSim, transactions: &[Vec<Action>], witness: &mut Witness) -> Result<(), Error> {
    let db = builder().create_on(Arc::new(disk.clone()))?;
    create(&db)?;
    let mut world = World::new();
    witness.world = Some(world.clone());
    for (nth, actions) in transactions.iter().enumerate() {
        let expected = judge(&mut world, actions);
        witness.trying = (expected == Outcome::Done).then(|| (nth, world.clone()));
        let result = execute(&db, actions, Some(&nth.to_string()));
        if let Ok(version) = result {
            witness.done.push((nth, version));
        }
        assert_eq!(outcome(result)?, expected);
        witness.world = Some(world.clone());
        witness.trying = None;
    }
    db.close()
}

/// What survived is the state before the transaction that was being tried, or after it. Trying everything again with the same tokens
/// does that one if it was not done, and nothing else.
fn check(survivor: DiskSim, transactions: &[Vec<Action>], witness: &Witness) {
    let Some(before) = &witness.world else { return };
    let db = builder().open_on(Arc::new(survivor)).unwrap();
    let found = read(&db).unwrap();
    let after = witness.trying.as_ref().map(|(_, after)| after);
    assert!(found == *before || Some(&found) == after, "found {found:?}, before {before:?}, after {after:?}");
    for (nth, version) in &witness.done {
        assert_eq!(execute(&db, &transactions[*nth], Some(&nth.to_string())).unwrap(), *version);
    }
    assert_eq!(read(&db).unwrap(), found, "what was done was done again");
    let Some((nth, after)) = &witness.trying else { return };
    for _ in 0..2 {
        execute(&db, &transactions[*nth], Some(&nth.to_string())).unwrap();
        assert_eq!(read(&db).unwrap(), *after, "transaction {nth} was tried again");
    }
}

#[test]
fn power_loss_at_any_point_does_a_transaction_whole_or_not_and_once() {
    let mut runner = TestRunner::new(Config { cases: 6, ..Config::default() });
    let transactions = prop::collection::vec(any_actions(7), 5..9);
    let crash_everywhere = |transactions: Vec<Vec<Action>>| {
        for operations in 0.. {
            let (disk, mut witness) = (DiskSim::new(11), Witness::default());
            disk.crash_after(operations);
            let finished = match workload(&disk, &transactions, &mut witness) {
                Ok(()) => true,
                Err(_) if disk.crashed() => false,
                Err(error) => panic!("after {operations} operations: {error}"),
            };
            for seed in 0..3 {
                check(disk.after_power_loss(seed), &transactions, &witness);
            }
            if finished {
                return Ok(());
            }
        }
        unreachable!("a workload ends");
    };
    runner.run(&transactions, crash_everywhere).unwrap();
}
