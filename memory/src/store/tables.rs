//! The tables: how they are made, and the few ways in which they are read and written.

use dynamite_core::Error;
use dynamite_core::api::{
    Deferred, DynaMite, EncodedItem, GlobalIndex, IntoAttribute, Page, Projection, Query, Scan, Snapshot,
    Source, Transaction,
};
use dynamite_core::item_codec;
use dynamite_core::types::KeyType;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(super) const MEMORIES: &str = "memories";
pub(super) const VERSIONS: &str = "versions";
pub(super) const TOMBSTONES: &str = "tombstones";
pub(super) const POSTINGS: &str = "postings";
pub(super) const DOCUMENTS: &str = "documents";
pub(super) const VECTORS: &str = "vectors";
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
        (VECTORS, "scope", Some(("document", Number))),
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
                let get = match sort {
                    Some(sort) => get.sort_key(sort),
                    None => get,
                };
                get.execute_encoded()?.as_ref().map(decoded).transpose()
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

/// Reading many items as a type.
///
/// The engine gives them as they are stored, and they are decoded here: what it decodes itself it is compiled for again with each type, and there are
/// more than a dozen, in a program that is to be small.
pub(super) trait Typed: Sized {
    /// A page.
    fn page<T: DeserializeOwned>(self) -> Result<Page<T>>;

    /// All, from one snapshot.
    fn items<T: DeserializeOwned>(self) -> Result<impl Iterator<Item = Result<T>>>;
}

macro_rules! typed {
    ($read:ident) => {
        impl<S: Source> Typed for $read<'_, S> {
            fn page<T: DeserializeOwned>(self) -> Result<Page<T>> {
                let Page { items, scanned_count, last_evaluated_key } = self.execute_encoded()?;
                let items = items.iter().map(decoded).collect::<Result<_>>()?;
                Ok(Page { items, scanned_count, last_evaluated_key })
            }

            fn items<T: DeserializeOwned>(self) -> Result<impl Iterator<Item = Result<T>>> {
                Ok(self.iter_encoded()?.map(|item| decoded(&item?)))
            }
        }
    };
}

typed!(Query);
typed!(Scan);

fn decoded<T: DeserializeOwned>(item: &EncodedItem<'_>) -> Result<T> {
    item_codec::from_bytes(item.as_bytes()).map_err(|error| Error::Decode(error.to_string()))
}

/// Does something in one transaction. Like [`Typed`] it is not compiled anew for everything that can be done.
pub(super) fn transact<R>(
    target: &Deferred<'_>,
    body: impl FnOnce(&Transaction<'_>) -> crate::error::Result<R>,
) -> crate::error::Result<R> {
    let (mut body, mut done) = (Some(body), None);
    let mut once = |txn: &Transaction<'_>| -> Result<()> {
        done = body.take().map(|body| body(txn)).transpose()?;
        Ok(())
    };
    let once: &mut dyn FnMut(&Transaction<'_>) -> Result<()> = &mut once;
    target.transact(once)?;
    Ok(done.expect("a transaction that is committed has run"))
}

/// Puts an item in the place of the one that has its key.
pub(super) fn put(txn: &Transaction<'_>, table: &str, item: &impl Serialize) -> Result<()> {
    txn.put_item(table, EncodedItem::of_type(item)?)?;
    Ok(())
}

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
        let page = query.page::<T>()?;
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
