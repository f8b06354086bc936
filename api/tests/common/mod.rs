//! What the tests of the items share.

#![allow(dead_code, reason = "no test file uses all of it")]

use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use serde_json::Value;
use tempfile::TempDir;

/// A directory on a real file system, gone at the end of the test.
pub(crate) fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory")
}

/// A database in memory with the table `things`: partition key `id`, a string.
pub(crate) fn things() -> DynaMite {
    let db = DynaMite::in_memory().expect("a database in memory");
    create_things(&db);
    db
}

pub(crate) fn create_things(db: &DynaMite) {
    db.create_table("things").partition_key("id", KeyType::String).execute().expect("a table");
}

/// A database in memory with the table `events`: partition key `device`, a string, sort key `at` of this type.
pub(crate) fn events(sort_key: KeyType) -> DynaMite {
    let db = DynaMite::in_memory().expect("a database in memory");
    create_events(&db, sort_key);
    db
}

pub(crate) fn create_events(db: &DynaMite, sort_key: KeyType) {
    let table = db.create_table("events").partition_key("device", KeyType::String);
    table.sort_key("at", sort_key).execute().expect("a table");
}

/// One attribute of each item.
pub(crate) fn pick(items: &[Value], name: &str) -> Vec<Value> {
    items.iter().map(|item| item[name].clone()).collect()
}
