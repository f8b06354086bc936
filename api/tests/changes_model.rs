//! Random operations on a table with TTL, change streams and a history, beside plain models of all three. The clock is moved at
//! random, the file is closed and opened in between. After every step:
//!
//! - no read sees an expired item, and every read sees all others;
//! - the stream's records are those of the model, and replaying them rebuilds the table exactly;
//! - the queue of what expires holds exactly what can expire;
//! - the versions of each item are those of the model, as far back as the history's duration and no further than they went;
//! - the table as of past versions is what it was.

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::directory;
use dynamite_core::Error;
use dynamite_core::api::{Durability, DynaMite, ManualClock, SequenceNumber, Snapshot, StreamView};
use dynamite_core::types::KeyType;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value, json};

const NOW_MS: u64 = 1_700_000_000_000;
const STREAM_MS: u64 = 60_000;
const HISTORY_MS: u64 = 90_000;
const IDS: usize = 12;

#[derive(Clone, Debug)]
enum Write {
    /// With an end so many seconds from now, or none.
    Put(usize, Option<i64>, usize),
    PutNew(usize, Option<i64>),
    Update(usize),
    Postpone(usize, i64),
    Delete(usize),
}

#[derive(Clone, Debug)]
enum Step {
    Write(Write),
    Transact(Vec<Write>, bool),
    Series(Vec<Write>),
    Advance(u64),
    Maintain,
    ToggleTtl,
    ToggleStream(usize),
    /// One of the versions that an item had.
    Restore(usize, usize),
    AskPast(usize),
    TakeSnapshot,
    DropSnapshots,
    Reopen,
}

fn writes() -> impl Strategy<Value = Write> {
    let end = || prop_oneof![1 => Just(None), 3 => (-3_i64..40).prop_map(Some)];
    let size = prop_oneof![8 => 0_usize..80, 1 => 80_usize..20_000, 1 => 130_000_usize..150_000];
    prop_oneof![
        5 => (0..IDS, end(), size).prop_map(|(id, end, size)| Write::Put(id, end, size)),
        2 => (0..IDS, end()).prop_map(|(id, end)| Write::PutNew(id, end)),
        2 => (0..IDS).prop_map(Write::Update),
        1 => (0..IDS, 0_i64..60).prop_map(|(id, end)| Write::Postpone(id, end)),
        2 => (0..IDS).prop_map(Write::Delete),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => writes().prop_map(Step::Write),
        3 => (prop::collection::vec(writes(), 1..8), any::<bool>())
            .prop_map(|(writes, given_up)| Step::Transact(writes, given_up)),
        3 => prop::collection::vec(writes(), 1..8).prop_map(Step::Series),
        5 => prop_oneof![4 => 0_u64..5_000, 1 => 5_000_u64..50_000].prop_map(Step::Advance),
        3 => Just(Step::Maintain),
        1 => Just(Step::ToggleTtl),
        1 => (0_usize..4).prop_map(Step::ToggleStream),
        1 => (0..IDS, 0_usize..6).prop_map(|(id, back)| Step::Restore(id, back)),
        2 => (0_usize..40).prop_map(Step::AskPast),
        1 => Just(Step::TakeSnapshot),
        1 => Just(Step::DropSnapshots),
        1 => Just(Step::Reopen),
    ]
}

type Stored = BTreeMap<String, Value>;

/// What a record should say.
#[derive(Clone, Debug, PartialEq)]
struct Told {
    id: String,
    old: Option<Value>,
    new: Option<Value>,
    by_service: bool,
    time_ms: u64,
}

/// A stream, open or closed.
#[derive(Clone, Debug)]
struct Stream {
    label: String,
    view: StreamView,
    /// What was in the table when it was enabled, or what the trimmed records have made of that.
    base: Stored,
    told: Vec<Told>,
    closed_ms: Option<u64>,
}

/// A version that an item had, from some time on.
#[derive(Clone, Debug)]
struct Past {
    item: Option<Value>,
    since_ms: u64,
}

#[derive(Clone, Debug, Default)]
struct Model {
    now_ms: u64,
    ttl: bool,
    /// What is stored, expired or not.
    stored: Stored,
    streams: Vec<Stream>,
    /// The newest first.
    past: BTreeMap<String, Vec<Past>>,
}

fn id(number: usize) -> String {
    format!("id {number}")
}

impl Model {
    fn end(&self, offset: i64) -> i64 {
        (self.now_ms / 1000) as i64 + offset
    }

    fn item(&self, number: usize, end: Option<i64>, size: usize) -> Value {
        let mut item = json!({"id": id(number), "n": size, "text": "x".repeat(size)});
        if let Some(end) = end {
            item["end_s"] = json!(self.end(end));
        }
        item
    }

    fn is_expired_at(item: &Value, seconds: i64) -> bool {
        item.get("end_s").and_then(Value::as_i64).is_some_and(|end| end < seconds)
    }

    fn is_expired(&self, item: &Value) -> bool {
        self.ttl && Model::is_expired_at(item, self.end(0))
    }

    fn living(&self, id: &str) -> Option<&Value> {
        self.stored.get(id).filter(|item| !self.is_expired(item))
    }

    fn all_living(&self) -> Vec<Value> {
        self.stored.values().filter(|item| !self.is_expired(item)).cloned().collect()
    }

    fn tell(&mut self, id: &str, old: Option<Value>, new: Option<Value>, by_service: bool) {
        let time_ms = self.now_ms;
        if let Some(stream) =
            self.streams.last_mut().filter(|stream| stream.closed_ms.is_none() && old != new)
        {
            stream.told.push(Told { id: id.to_owned(), old, new, by_service, time_ms });
        }
    }

    fn set(&mut self, id: &str, new: Option<Value>) {
        let old = self.stored.get(id).cloned();
        let expired = old.clone().filter(|old| self.is_expired(old));
        if let (Some(_), None) = (&expired, &new) {
            // It is for the database to delete it.
            return;
        }
        let old = if expired.is_some() {
            self.tell(id, expired, None, true);
            None
        } else {
            old
        };
        self.tell(id, old, new.clone(), false);
        match new {
            Some(new) => self.stored.insert(id.to_owned(), new),
            None => self.stored.remove(id),
        };
    }

    /// What the chores do.
    fn maintain(&mut self) {
        if self.ttl {
            let mut due: Vec<(i64, String)> = self
                .stored
                .iter()
                .filter(|(_, item)| self.is_expired(item))
                .map(|(id, item)| (item["end_s"].as_i64().unwrap(), id.clone()))
                .collect();
            due.sort();
            for (_, id) in due {
                let old = self.stored.remove(&id);
                self.tell(&id, old, None, true);
            }
        }
        let now_ms = self.now_ms;
        for stream in &mut self.streams {
            let trimmed = stream.told.iter().take_while(|told| told.time_ms + STREAM_MS <= now_ms).count();
            replay(&mut stream.base, &stream.told[..trimmed]);
            stream.told.drain(..trimmed);
        }
        self.streams.retain(|stream| {
            !stream.told.is_empty() || stream.closed_ms.is_none_or(|closed| closed + STREAM_MS > now_ms)
        });
    }

    /// Enters what a committed transaction has made of the table it found.
    fn remember(&mut self, before: &Stored) {
        for number in 0..IDS {
            let id = id(number);
            let item = self.stored.get(&id).cloned();
            if before.get(&id) != item.as_ref() {
                self.past.entry(id).or_default().insert(0, Past { item, since_ms: self.now_ms });
            }
        }
    }
}

fn replay(copy: &mut Stored, told: &[Told]) {
    for told in told {
        let before = match &told.new {
            Some(new) => copy.insert(told.id.clone(), new.clone()),
            None => copy.remove(&told.id),
        };
        assert_eq!(before, told.old, "{}", told.id);
    }
}

/// The writes of a database and of a transaction, by the same names.
macro_rules! write {
    ($to:expr, $model:expr, $write:expr) => {{
        let model: &mut Model = $model;
        match $write {
            Write::Put(number, end, size) => {
                let item = model.item(*number, *end, *size);
                $to.put("things").item(&item).execute()?;
                model.set(&id(*number), Some(item));
            }
            Write::PutNew(number, end) => {
                let item = model.item(*number, *end, 7);
                let put = $to.put("things").item(&item).condition("attribute_not_exists(id)").execute();
                match (model.living(&id(*number)), put) {
                    (None, put) => {
                        put?;
                        model.set(&id(*number), Some(item));
                    }
                    (Some(_), Err(Error::ConditionFailed { item: Some(_) })) => {}
                    (living, put) => panic!("{put:?}, where there is {living:?}"),
                }
            }
            Write::Update(number) => {
                let update = $to.update_item("things").partition_key(id(*number));
                update.update("ADD n :one").value(":one", 1).execute()?;
                let mut item = model.living(&id(*number)).cloned().unwrap_or(json!({"id": id(*number), "n": 0}));
                item["n"] = json!(item["n"].as_i64().unwrap() + 1);
                model.set(&id(*number), Some(item));
            }
            Write::Postpone(number, end) => {
                let end = model.end(*end);
                let update = $to.update_item("things").partition_key(id(*number)).condition("attribute_exists(id)");
                let update = update.update("SET end_s = :end").value(":end", end).execute();
                match (model.living(&id(*number)).cloned(), update) {
                    (Some(mut item), update) => {
                        update?;
                        item["end_s"] = json!(end);
                        model.set(&id(*number), Some(item));
                    }
                    (None, Err(Error::ConditionFailed { item: None })) => {}
                    (living, update) => panic!("{update:?}, where there is {living:?}"),
                }
            }
            Write::Delete(number) => {
                let was_there = $to.delete_item("things").partition_key(id(*number)).execute()?;
                assert_eq!(was_there, model.living(&id(*number)).is_some());
                if was_there {
                    model.set(&id(*number), None);
                }
            }
        }
    }};
}

fn check(db: &DynaMite, model: &Model) -> Result<(), Error> {
    let living = model.all_living();
    assert_eq!(db.scan("things").execute()?.items.len(), db.scan("things").count()? as usize);
    let mut found = db.scan("things").iter()?.collect::<Result<Vec<_>, _>>()?;
    found.sort_by_key(|item| item["id"].as_str().unwrap().to_owned());
    assert_eq!(found, living);
    for number in 0..IDS {
        let found = db.get_item("things").partition_key(id(number)).execute()?;
        assert_eq!(found.as_ref(), model.living(&id(number)));
    }
    assert_eq!(db.describe_table("things")?.item_count, model.stored.len() as u64);
    assert_eq!(db.check_belongings()?, Vec::<String>::new());
    for stream in &model.streams {
        check_stream(db, stream)?;
    }
    if let Some(open) = model.streams.last().filter(|stream| stream.closed_ms.is_none()) {
        let mut copy = open.base.clone();
        replay(&mut copy, &open.told);
        assert_eq!(copy, model.stored);
    }
    for number in 0..IDS {
        check_history(db, model, &id(number))?;
    }
    Ok(())
}

fn check_stream(db: &DynaMite, stream: &Stream) -> Result<(), Error> {
    let (mut found, mut numbers) = (Vec::new(), Vec::<SequenceNumber>::new());
    let mut page = db.stream("things").label(&stream.label).poll(3)?;
    loop {
        found.extend(page.records.iter().map(|record| Told {
            id: record.keys["id"].as_str().unwrap().to_owned(),
            old: record.old_image.clone(),
            new: record.new_image.clone(),
            by_service: record.user_identity.is_some(),
            time_ms: record.approximate_creation_time * 1000,
        }));
        numbers.extend(page.records.iter().map(|record| record.sequence_number));
        match page.next {
            Some(next) if !page.records.is_empty() => {
                page = db.stream("things").label(&stream.label).after(next).poll(3)?
            }
            _ => break,
        }
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    let shown = |told: &Told| Told {
        old: told
            .old
            .clone()
            .filter(|_| matches!(stream.view, StreamView::OldImage | StreamView::NewAndOldImages)),
        new: told
            .new
            .clone()
            .filter(|_| matches!(stream.view, StreamView::NewImage | StreamView::NewAndOldImages)),
        time_ms: told.time_ms / 1000 * 1000,
        ..told.clone()
    };
    assert_eq!(found, stream.told.iter().map(shown).collect::<Vec<_>>(), "{}", stream.label);
    Ok(())
}

/// The versions found are the newest of those that there were; and none is missing that was current within the duration.
fn check_history(db: &DynaMite, model: &Model, id: &str) -> Result<(), Error> {
    let found = db.item_history("things").partition_key(id).execute()?;
    assert!(found.is_sorted_by(|a, b| a.version > b.version));
    // A write of what was there is a version, and the model knows of changes only. Nobody remembers how often nothing was deleted.
    let mut items: Vec<Option<Value>> = found.into_iter().map(|past| past.item).collect();
    items.dedup();
    let no_past = Vec::new();
    let past = model.past.get(id).unwrap_or(&no_past);
    let mut expected: Vec<Option<Value>> = past.iter().map(|past| past.item.clone()).collect();
    expected.dedup();
    assert!(
        expected.starts_with(&items)
            || (items.last() == Some(&None) && expected.starts_with(&items[..items.len() - 1])),
        "{id}: found {items:?}, expected {expected:?}"
    );
    let needed =
        past.windows(2).take_while(|pair| pair[0].since_ms + HISTORY_MS > model.now_ms + 3_000).count();
    let mut needed: Vec<Option<Value>> =
        past.iter().take(needed + usize::from(!past.is_empty())).map(|past| past.item.clone()).collect();
    needed.dedup();
    while needed.last() == Some(&None) {
        needed.pop();
    }
    assert!(items.starts_with(&needed), "{id}: found {items:?}, needed {needed:?}");
    Ok(())
}

fn check_past(db: &DynaMite, model: &Model, version: u64, stored: &Stored, at_ms: u64) -> Result<(), Error> {
    let past = match db.as_of("things", version) {
        Ok(past) => past,
        Err(Error::BeyondHistory { .. }) => {
            assert!(at_ms + HISTORY_MS < model.now_ms + 3_000, "{at_ms} is not too old at {}", model.now_ms);
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    for number in 0..IDS {
        let found = past.get_item().partition_key(id(number)).execute()?;
        let expected = stored.get(&id(number));
        // Its time is known to a second.
        let is_expired = |ms: u64| {
            expected.is_some_and(|item| model.ttl && Model::is_expired_at(item, (ms / 1000) as i64))
        };
        match (is_expired(at_ms - 1_000), is_expired(at_ms + 1)) {
            (false, false) => assert_eq!(found.as_ref(), expected),
            (true, true) => assert_eq!(found, None),
            _ => assert!(found.is_none() || found.as_ref() == expected),
        }
    }
    Ok(())
}

fn run(steps: &[Step]) -> Result<(), Error> {
    let directory = directory();
    let path = directory.path().join("model.db");
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let builder = DynaMite::builder().cache_size(4 << 20).durability(Durability::Eventual).background(false);
    let builder = builder.clock(clock.clone()).stream_retention(Duration::from_millis(STREAM_MS));
    let mut db = builder.create(&path)?;
    let history = Duration::from_millis(HISTORY_MS);
    let things = db.create_table("things").partition_key("id", KeyType::String);
    things.ttl("end_s").stream(StreamView::NewAndOldImages).history(history).execute()?;
    let mut model = Model { now_ms: NOW_MS, ttl: true, ..Model::default() };
    let open_stream = |db: &DynaMite, model: &mut Model, view: StreamView| {
        let label = db.describe_table("things").unwrap().stream.unwrap().label;
        let base = model.stored.clone();
        model.streams.push(Stream { label, view, base, told: Vec::new(), closed_ms: None });
    };
    open_stream(&db, &mut model, StreamView::NewAndOldImages);
    let mut snapshots: Vec<(Snapshot, Vec<Value>)> = Vec::new();
    let mut states: Vec<(u64, Stored, u64)> = Vec::new();
    for step in steps {
        let mut before = model.stored.clone();
        match step {
            Step::Write(write) => write!(db, &mut model, write),
            Step::Transact(writes, given_up) => {
                let mut after = model.clone();
                let outcome = db.transact(|txn| {
                    for write in writes {
                        write!(txn, &mut after, write);
                        let found = txn.scan("things").iter()?.collect::<Result<Vec<_>, _>>()?;
                        assert_eq!(found.len(), after.all_living().len());
                    }
                    if *given_up { Err(Error::abort("given up")) } else { Ok(()) }
                });
                match outcome {
                    Ok(()) => model = after,
                    Err(Error::Aborted(_)) if *given_up => {}
                    Err(error) => return Err(error),
                }
            }
            Step::Series(writes) => {
                let deferred = db.deferred();
                let shared = RefCell::new(&mut model);
                let (shared, target) = (&shared, &deferred);
                let written = deferred.in_series(writes.iter().map(|write| {
                    move || -> Result<(), Error> {
                        let model: &mut Model = &mut shared.borrow_mut();
                        let before = model.stored.clone();
                        write!(target, model, write);
                        model.remember(&before);
                        Ok(())
                    }
                }));
                written.into_iter().try_for_each(Result::flatten)?;
                db.settle(deferred.pending())?;
                // Each is remembered by itself.
                before = model.stored.clone();
            }
            Step::Advance(ms) => {
                clock.advance(*ms);
                model.now_ms += ms;
            }
            Step::Maintain => {
                db.maintain()?;
                model.maintain();
            }
            Step::ToggleTtl => {
                let update = db.update_table("things");
                if model.ttl { update.no_ttl() } else { update.ttl("end_s") }.execute()?;
                model.ttl = !model.ttl;
            }
            Step::ToggleStream(view) => {
                let open = model.streams.last_mut().filter(|stream| stream.closed_ms.is_none());
                if let Some(open) = open {
                    db.update_table("things").no_stream().execute()?;
                    open.closed_ms = Some(model.now_ms);
                } else {
                    let view = [
                        StreamView::KeysOnly,
                        StreamView::NewImage,
                        StreamView::OldImage,
                        StreamView::NewAndOldImages,
                    ][*view];
                    db.update_table("things").stream(view).execute()?;
                    open_stream(&db, &mut model, view);
                }
            }
            Step::Restore(number, back) => {
                let versions = db.item_history("things").partition_key(id(*number)).execute()?;
                if let Some(version) = versions.get(*back) {
                    db.restore_version("things", version.version).partition_key(id(*number)).execute()?;
                    model.set(&id(*number), version.item.clone());
                }
            }
            Step::AskPast(back) => {
                if let Some((version, stored, at_ms)) = states.iter().rev().nth(*back) {
                    check_past(&db, &model, *version, stored, *at_ms)?;
                }
            }
            Step::TakeSnapshot => snapshots.push((db.snapshot()?, model.all_living())),
            Step::DropSnapshots => snapshots.clear(),
            Step::Reopen => {
                snapshots.clear();
                db.close()?;
                db = builder.open(&path)?;
            }
        }
        model.remember(&before);
        check(&db, &model)?;
        for (snapshot, living) in &snapshots {
            let found = snapshot.scan("things").iter()?.collect::<Result<Vec<_>, _>>()?;
            assert_eq!(found.len(), living.len());
            assert!(living.iter().all(|item| found.contains(item)));
        }
        // Of a version that is older than the step, the time is too.
        let version = db.snapshot()?.version();
        if states.last().is_none_or(|(last, _, _)| *last < version) {
            let at_ms = match step {
                // Closing numbers the state anew, and leaves it the time that it has; under its old number that is forgotten.
                Step::Reopen => states.pop().map_or(NOW_MS, |(_, _, last_ms)| last_ms),
                _ => model.now_ms,
            };
            states.push((version, model.stored.clone(), at_ms));
        }
    }
    Ok(())
}

#[test]
fn ttl_streams_and_history_are_those_of_plain_models() {
    let config = Config { cases: 40, max_shrink_iters: 200, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let workloads = prop::collection::vec(steps(), 1..100);
    runner
        .run(&workloads, |steps| {
            run(&steps).unwrap();
            Ok(())
        })
        .unwrap();
}
