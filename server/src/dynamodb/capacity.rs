//! Consumed capacity: bytes in units, as they are billed.

use std::collections::BTreeMap;

use dynamite_core::api::{ConsumedEntry, ConsumedKind, IndexKind};
use serde_json::{Map, Value, json};

use crate::dynamodb::json::Json;

const READ_UNIT: u64 = 4096;
const WRITE_UNIT: u64 = 1024;

/// What a request wants to be told of the capacity that it consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Nothing,
    Total,
    Indexes,
}

impl Wanted {
    pub(crate) fn of(request: &Json<'_>) -> Wanted {
        match request.str("ReturnConsumedCapacity") {
            Some("TOTAL") => Wanted::Total,
            Some("INDEXES") => Wanted::Indexes,
            _ => Wanted::Nothing,
        }
    }

    pub(crate) fn is_any(self) -> bool {
        self != Wanted::Nothing
    }
}

/// How entries are counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// Units of a read of 4 KB, doubled.
    read_halves: u64,
    /// Units of a write of 1 KB.
    write: u64,
    is_transaction: bool,
}

impl Rate {
    /// Of reads that are consistent or not, and of writes.
    pub(crate) fn of(is_consistent: bool) -> Rate {
        Rate { read_halves: if is_consistent { 2 } else { 1 }, write: 1, is_transaction: false }
    }

    /// Of a transaction, which does everything twice.
    pub(crate) fn of_transaction() -> Rate {
        Rate { read_halves: 4, write: 2, is_transaction: true }
    }

    fn halves(self, entry: &ConsumedEntry) -> u64 {
        match entry.kind {
            ConsumedKind::Read => entry.bytes.div_ceil(READ_UNIT).max(1) * self.read_halves,
            ConsumedKind::Write => entry.bytes.div_ceil(WRITE_UNIT).max(1) * self.write * 2,
        }
    }
}

/// Units of a table, by what of it was read or written.
#[derive(Debug, Default)]
struct Units {
    table: u64,
    has_table: bool,
    local: BTreeMap<String, u64>,
    global: BTreeMap<String, u64>,
    read: u64,
    written: u64,
}

/// Tells of the entries, table by table, in the order in which the tables came.
pub(crate) fn describe(entries: &[ConsumedEntry], wanted: Wanted, rate: Rate) -> Vec<Value> {
    let mut tables: Vec<(&str, Units)> = Vec::new();
    for entry in entries {
        let place = tables.iter().position(|(table, _)| *table == entry.table).unwrap_or_else(|| {
            tables.push((&entry.table, Units::default()));
            tables.len() - 1
        });
        let units = &mut tables[place].1;
        let halves = rate.halves(entry);
        match &entry.index {
            None => {
                units.table += halves;
                units.has_table = true;
            }
            Some((index, kind)) => {
                let indexes = if *kind == IndexKind::Global { &mut units.global } else { &mut units.local };
                *indexes.entry(index.clone()).or_default() += halves;
            }
        }
        *(if entry.kind == ConsumedKind::Read { &mut units.read } else { &mut units.written }) += halves;
    }
    tables.into_iter().map(|(table, units)| tell(table, &units, wanted, rate)).collect()
}

/// The same, of one table.
pub(crate) fn describe_one(entries: &[ConsumedEntry], wanted: Wanted, rate: Rate) -> Option<Value> {
    if wanted.is_any() { describe(entries, wanted, rate).into_iter().next() } else { None }
}

fn tell(table: &str, units: &Units, wanted: Wanted, rate: Rate) -> Value {
    let mut told = Map::new();
    told.insert("TableName".to_owned(), json!(table));
    told.insert("CapacityUnits".to_owned(), number(units.read + units.written));
    if rate.is_transaction {
        for (name, halves) in [("ReadCapacityUnits", units.read), ("WriteCapacityUnits", units.written)] {
            if halves > 0 {
                told.insert(name.to_owned(), number(halves));
            }
        }
    }
    if wanted == Wanted::Indexes {
        let of = |halves: u64| match rate.is_transaction {
            false => json!({"CapacityUnits": number(halves)}),
            true if units.written > 0 => {
                json!({"CapacityUnits": number(halves), "WriteCapacityUnits": number(halves)})
            }
            true => json!({"CapacityUnits": number(halves), "ReadCapacityUnits": number(halves)}),
        };
        told.insert("Table".to_owned(), of(if units.has_table { units.table } else { 0 }));
        for (name, indexes) in
            [("LocalSecondaryIndexes", &units.local), ("GlobalSecondaryIndexes", &units.global)]
        {
            if !indexes.is_empty() {
                let indexes = indexes.iter().map(|(index, halves)| (index.clone(), of(*halves)));
                told.insert(name.to_owned(), Value::Object(indexes.collect()));
            }
        }
    }
    Value::Object(told)
}

/// Half units are told with a point, whole ones as DynamoDB tells them: as decimals too.
fn number(halves: u64) -> Value {
    json!(halves as f64 / 2.0)
}
