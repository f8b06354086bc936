//! The tables: how they are made, and the few ways in which they are read and written.

use dynamite_core::Error;
use dynamite_core::api::{
    DynaMite, GlobalIndex, IntoAttribute, Projection, Query, Snapshot, Source, Transaction,
};
use dynamite_core::types::KeyType;
use serde::de::DeserializeOwned;

pub(super) const MEMORIES: &str = "memories";
pub(super) const VERSIONS: &str = "versions";
pub(super) const TOMBSTONES: &str = "tombstones";
pub(super) const POSTINGS: &str = "postings";
pub(super) const DOCUMENTS: &str = "documents";
pub(super) const CATEGORIES: &str = "categories";
pub(super) const SCOPES: &str = "scopes";
pub(super) const QUEUE: &str = "queue";
pub(super) const SESSIONS: &str = "sessions";
pub(super) const META: &str = "meta";

/// Memories by the time of their last change.
pub(super) const RECENT: &str = "recent";

/// Those of the highest importance, likewise.
pub(super) const PINNED: &str = "pinned";

type Result<T, E = Error> = std::result::Result<T, E>;

/// Makes the tables that are not there.
pub(super) fn create(db: &DynaMite) -> Result<()> {
    use KeyType::{Number, String};
    let there = db.list_tables()?;
    let of_keys = |name: &str, partition: &str| {
        GlobalIndex::new(name)
            .partition_key(partition, String)
            .sort_key("updated", Number)
            .projection(Projection::KeysOnly)
    };
    let tables = [
        (MEMORIES, "partition", Some(("key", String))),
        (VERSIONS, "memory", Some(("version", Number))),
        (TOMBSTONES, "partition", Some(("key", String))),
        (POSTINGS, "term", Some(("start", Number))),
        (DOCUMENTS, "scope", Some(("document", Number))),
        (CATEGORIES, "scope", Some(("category", String))),
        (SCOPES, "scope", None),
        (QUEUE, "queue", Some(("due", String))),
        (SESSIONS, "session", Some(("memory", String))),
        (META, "name", None),
    ];
    for (name, partition, sort) in tables {
        if there.iter().any(|table| table == name) {
            continue;
        }
        let mut table = db.create_table(name).partition_key(partition, String);
        if let Some((attribute, key_type)) = sort {
            table = table.sort_key(attribute, key_type);
        }
        if name == MEMORIES {
            table = table.global_index(of_keys(RECENT, "scope")).global_index(of_keys(PINNED, "pinned"));
        }
        if name == SESSIONS {
            table = table.ttl("expires");
        }
        table.execute()?;
    }
    Ok(())
}

/// What can be read: the newest state, or what a transaction has made of it.
pub(super) trait View {
    type Source: Source;

    /// Gets an item by its keys.
    fn get<T: DeserializeOwned>(
        &self,
        table: &str,
        partition: &str,
        sort: Option<impl IntoAttribute>,
    ) -> Result<Option<T>>;

    /// Begins to read a partition.
    fn partition<'a>(&'a self, table: &'a str, partition: &str) -> Query<'a, Self::Source>;
}

macro_rules! view {
    ($view:ty) => {
        impl View for $view {
            type Source = Self;

            fn get<T: DeserializeOwned>(
                &self,
                table: &str,
                partition: &str,
                sort: Option<impl IntoAttribute>,
            ) -> Result<Option<T>> {
                let get = self.get_item(table).partition_key(partition);
                match sort {
                    Some(sort) => get.sort_key(sort).execute_as(),
                    None => get.execute_as(),
                }
            }

            fn partition<'a>(&'a self, table: &'a str, partition: &str) -> Query<'a, Self> {
                self.query(table).partition_key(partition)
            }
        }
    };
}

view!(DynaMite);
view!(Snapshot);
view!(Transaction<'_>);

/// No sort key.
pub(super) const NO_SORT: Option<&str> = None;

/// Reads the items of a partition that a query has begun with, page by page, until `visit` has enough.
pub(super) fn each<'a, T: DeserializeOwned, S: Source + 'a>(
    begin: impl Fn() -> Query<'a, S>,
    mut visit: impl FnMut(T) -> crate::error::Result<bool>,
) -> crate::error::Result<()> {
    let mut start = None;
    loop {
        let mut query = begin();
        if let Some(start) = start.take() {
            query = query.exclusive_start_key(start);
        }
        let page = query.execute_as::<T>()?;
        for item in page.items {
            if !visit(item)? {
                return Ok(());
            }
        }
        match page.last_evaluated_key {
            Some(key) => start = Some(key),
            None => return Ok(()),
        }
    }
}
