//! The database that statements are for: one that this process has open, or one that a server shares.
//!
//! The server's client has the operations of the embedded database under the same names, so each operation is said once, and done on
//! whichever it is. What is asked of a server can be interrupted while it is waited for; what is done here is done in pages.

mod partiql;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dynamite_core::Item;
use dynamite_core::api::{
    self as local, Consumed, DynaMite, ItemVersion, Page, PageCount, Replaced, TableDescription, Updated,
    VersionedItem,
};
use dynamite_server::ClientError;
use dynamite_server::client::{self as remote, BlockingClient};
use serde_json::Value;

use crate::console::error::{ConsoleError, Result};
use crate::console::statement::{
    AsOf, Delete, Get, ItemKey, Keys, Placeholders, Put, Read, TableChange, TableDefinition, Terms, Update,
    Way,
};
use crate::console::transaction::Action;

/// How often it is looked whether the user has had enough.
const PATIENCE: Duration = Duration::from_millis(50);

/// The database.
pub(crate) enum Target {
    File(DynaMite),
    Server { client: BlockingClient, interrupt: Arc<AtomicBool> },
}

/// A page of a read that is about to be read.
#[derive(Clone, Copy)]
pub(crate) struct PageRequest<'r> {
    pub(crate) read: &'r Read,
    pub(crate) table: &'r str,
    pub(crate) projection: Option<&'r str>,
    pub(crate) placeholders: &'r Placeholders,
    pub(crate) cursor: Option<&'r Item>,
    /// Items to be looked at, at most.
    pub(crate) limit: Option<usize>,
    /// Counts what is read.
    pub(crate) consumed: Option<&'r Consumed>,
}

/// Tells a builder what its placeholders stand for.
macro_rules! stand_for {
    ($builder:ident, $placeholders:expr) => {
        for (placeholder, name) in &$placeholders.names {
            $builder = $builder.name(placeholder, name);
        }
        for (placeholder, value) in &$placeholders.values {
            $builder = $builder.value(placeholder, value);
        }
    };
}

/// Tells a builder whatever writes are told.
macro_rules! on_terms {
    ($builder:expr, $terms:expr) => {{
        let (mut builder, terms): (_, &Terms) = ($builder, $terms);
        if let Some(condition) = &terms.condition {
            builder = builder.condition(&condition.text);
        }
        if let Some(version) = terms.version {
            builder = builder.if_version(version);
        }
        stand_for!(builder, terms.placeholders);
        builder
    }};
}

/// Tells a builder which item it is for.
macro_rules! of_key {
    ($builder:expr, $key:expr) => {{
        let (mut builder, key): (_, &ItemKey) = ($builder, $key);
        builder = builder.partition_key(&key.partition);
        if let Some(sort) = &key.sort {
            builder = builder.sort_key(sort);
        }
        builder
    }};
}

/// Tells a get what is wanted of its item, and who counts what it reads.
macro_rules! wanted {
    ($builder:expr, $get:expr, $consumed:expr) => {{
        let (mut builder, get): (_, &Get) = ($builder, $get);
        if let Some(consumed) = $consumed {
            builder = builder.consumed(consumed);
        }
        if let Some(projection) = &get.projection {
            builder = builder.projection(&projection.text);
        }
        for (placeholder, name) in &get.placeholders.names {
            builder = builder.name(placeholder, name);
        }
        builder
    }};
}

/// Tells a query or a scan what is asked for.
macro_rules! selected {
    ($builder:expr, $request:expr) => {{
        let (mut builder, request): (_, PageRequest<'_>) = ($builder, $request);
        if let Some(index) = &request.read.index {
            builder = builder.index(index);
        }
        if let Some(filter) = &request.read.filter {
            builder = builder.filter(&filter.text);
        }
        if let Some(projection) = request.projection {
            builder = builder.projection(projection);
        }
        if let Some(limit) = request.limit {
            builder = builder.limit(limit);
        }
        if let Some(cursor) = request.cursor {
            builder = builder.exclusive_start_key(cursor);
        }
        if let Some(consumed) = request.consumed {
            builder = builder.consumed(consumed);
        }
        stand_for!(builder, request.placeholders);
        builder
    }};
}

/// The same for a query.
macro_rules! queried {
    ($builder:expr, $request:expr, $keys:expr, $descending:expr) => {{
        let mut builder = selected!($builder, $request).scan_forward(!$descending);
        match $keys {
            Keys::Partition(value) => builder = builder.partition_key(value),
            Keys::Condition(condition) => builder = builder.key_condition(&condition.text),
        }
        builder
    }};
}

/// The same for a scan.
macro_rules! scanned {
    ($builder:expr, $request:expr, $segment:expr) => {{
        let mut builder = selected!($builder, $request);
        if let Some((nth, of)) = $segment {
            builder = builder.segment(*nth, *of);
        }
        builder
    }};
}

/// Ends a builder of a page: with the items of the page, or with their number.
macro_rules! paged {
    ($target:expr, $request:expr, $end:ident) => {{
        let request: PageRequest<'_> = $request;
        let Read { way, as_of, .. } = request.read;
        let table = request.table;
        match $target {
            Target::File(db) => {
                let past = as_of.map(|as_of| past_here(db, table, as_of)).transpose()?;
                match (way, &past) {
                    (Way::Query { keys, descending }, None) => {
                        queried!(db.query(table), request, keys, descending).$end()?
                    }
                    (Way::Query { keys, descending }, Some(past)) => {
                        queried!(past.query(), request, keys, descending).$end()?
                    }
                    (Way::Scan { segment }, None) => scanned!(db.scan(table), request, segment).$end()?,
                    (Way::Scan { segment }, Some(past)) => scanned!(past.scan(), request, segment).$end()?,
                }
            }
            Target::Server { client, .. } => {
                let past = as_of.map(|as_of| $target.past_there(client, table, as_of)).transpose()?;
                match (way, &past) {
                    (Way::Query { keys, descending }, past) => {
                        let query =
                            past.as_ref().map_or_else(|| client.client().query(table), |past| past.query());
                        $target.wait(client, queried!(query, request, keys, descending).$end())?
                    }
                    (Way::Scan { segment }, past) => {
                        let scan =
                            past.as_ref().map_or_else(|| client.client().scan(table), |past| past.scan());
                        $target.wait(client, scanned!(scan, request, segment).$end())?
                    }
                }
            }
        }
    }};
}

impl Target {
    /// Waits for an answer, or until the user has had enough.
    fn wait<R>(
        &self,
        client: &BlockingClient,
        operation: impl IntoFuture<Output = Result<R, ClientError>>,
    ) -> Result<R> {
        let Target::Server { interrupt, .. } = self else { return Ok(client.wait(operation)?) };
        let answer = client.wait(async {
            let mut operation = pin!(operation.into_future());
            loop {
                match tokio::time::timeout(PATIENCE, operation.as_mut()).await {
                    Ok(answer) => return answer.map(Some),
                    Err(_) if interrupt.load(Ordering::Relaxed) => return Ok(None),
                    Err(_) => {}
                }
            }
        })?;
        answer.ok_or(ConsoleError::Interrupted)
    }

    pub(crate) fn list_tables(&self) -> Result<Vec<String>> {
        match self {
            Target::File(db) => Ok(db.list_tables()?),
            Target::Server { client, .. } => self.wait(client, client.client().list_tables()),
        }
    }

    pub(crate) fn describe_table(&self, table: &str) -> Result<TableDescription> {
        match self {
            Target::File(db) => Ok(db.describe_table(table)?),
            Target::Server { client, .. } => self.wait(client, client.client().describe_table(table)),
        }
    }

    pub(crate) fn list_keys(&self, table: &str, prefix: &str, limit: usize) -> Result<Vec<Value>> {
        match self {
            Target::File(db) => Ok(db.list_partition_keys(table, prefix, limit)?),
            Target::Server { client, .. } => {
                self.wait(client, client.client().list_partition_keys(table, prefix, limit))
            }
        }
    }

    pub(crate) fn create_table(&self, table: &TableDefinition) -> Result<()> {
        macro_rules! defined {
            ($builder:expr) => {{
                let (partition_key, key_type) = table.partition_key.clone();
                let mut builder = $builder.partition_key(partition_key, key_type);
                if let Some((sort_key, key_type)) = table.sort_key.clone() {
                    builder = builder.sort_key(sort_key, key_type);
                }
                for index in table.global.clone() {
                    builder = builder.global_index(index);
                }
                for index in table.local.clone() {
                    builder = builder.local_index(index);
                }
                if let Some(attribute) = &table.ttl {
                    builder = builder.ttl(attribute);
                }
                if let Some(view) = table.stream {
                    builder = builder.stream(view);
                }
                if let Some(duration) = table.history {
                    builder = builder.history(duration);
                }
                builder
            }};
        }
        match self {
            Target::File(db) => Ok(defined!(db.create_table(&table.name)).execute()?),
            Target::Server { client, .. } => {
                self.wait(client, defined!(client.client().create_table(&table.name)))
            }
        }
    }

    pub(crate) fn alter_table(&self, change: &TableChange) -> Result<()> {
        macro_rules! changed {
            ($builder:expr) => {{
                let mut builder = $builder;
                for (_, index) in change.added.clone() {
                    builder = builder.add_index(index);
                }
                for index in &change.dropped {
                    builder = builder.drop_index(index);
                }
                match &change.ttl {
                    Some(Some(attribute)) => builder = builder.ttl(attribute),
                    Some(None) => builder = builder.no_ttl(),
                    None => {}
                }
                match change.stream {
                    Some(Some(view)) => builder = builder.stream(view),
                    Some(None) => builder = builder.no_stream(),
                    None => {}
                }
                if let Some(duration) = change.history {
                    builder = builder.history(duration);
                }
                builder
            }};
        }
        match self {
            Target::File(db) => Ok(changed!(db.update_table(&change.name)).execute()?),
            Target::Server { client, .. } => {
                self.wait(client, changed!(client.client().update_table(&change.name)))
            }
        }
    }

    pub(crate) fn drop_table(&self, table: &str) -> Result<()> {
        match self {
            Target::File(db) => Ok(db.drop_table(table)?),
            Target::Server { client, .. } => self.wait(client, client.client().drop_table(table)),
        }
    }

    /// Gets an item and its version.
    pub(crate) fn get(
        &self,
        table: &str,
        get: &Get,
        consumed: Option<&Consumed>,
    ) -> Result<Option<VersionedItem<Item>>> {
        match self {
            Target::File(db) => Ok(match get.as_of {
                None => {
                    let builder = of_key!(db.get_item_versioned(table), &get.key);
                    wanted!(builder, get, consumed).execute_item()?
                }
                Some(as_of) => {
                    let past = past_here(db, table, as_of)?;
                    let builder = of_key!(past.get_item_versioned(), &get.key);
                    wanted!(builder, get, consumed).execute_item()?
                }
            }),
            Target::Server { client, .. } => {
                let ItemKey { partition, sort, .. } = &get.key;
                let sort = sort.clone().map(Value::from);
                let past = get.as_of.map(|as_of| self.past_there(client, table, as_of)).transpose()?;
                let builder = match &past {
                    None => client.client().get_item_versioned(table, partition, sort),
                    Some(past) => past.get_item_versioned(partition, sort),
                };
                self.wait(client, wanted!(builder, get, consumed).execute_item())
            }
        }
    }

    pub(crate) fn put(&self, table: &str, put: &Put) -> Result<Replaced<Item>> {
        macro_rules! told {
            ($builder:expr) => {
                on_terms!($builder.item(&put.item), &put.terms).execute_returning_old_item()
            };
        }
        match self {
            Target::File(db) => Ok(told!(db.put(table))?),
            Target::Server { client, .. } => self.wait(client, told!(client.client().put(table))),
        }
    }

    pub(crate) fn update(&self, table: &str, update: &Update) -> Result<Updated<Item>> {
        macro_rules! told {
            ($builder:expr) => {{
                let mut builder = on_terms!(of_key!($builder, &update.key), &update.terms);
                if let Some(update) = &update.update {
                    builder = builder.update(&update.text);
                }
                builder.return_values(update.return_values).execute_item()
            }};
        }
        match self {
            Target::File(db) => Ok(told!(db.update_item(table))?),
            Target::Server { client, .. } => self.wait(client, told!(client.client().update_item(table))),
        }
    }

    /// Deletes an item. Returns what it was.
    pub(crate) fn delete(&self, table: &str, delete: &Delete) -> Result<Option<Item>> {
        macro_rules! told {
            ($builder:expr) => {
                on_terms!(of_key!($builder, &delete.key), &delete.terms).execute_returning_old_item()
            };
        }
        match self {
            Target::File(db) => Ok(told!(db.delete_item(table))?),
            Target::Server { client, .. } => self.wait(client, told!(client.client().delete_item(table))),
        }
    }

    pub(crate) fn page(&self, request: PageRequest<'_>) -> Result<Page<Item>> {
        Ok(paged!(self, request, execute_items))
    }

    pub(crate) fn count_page(&self, request: PageRequest<'_>) -> Result<PageCount> {
        Ok(paged!(self, request, count_page))
    }

    pub(crate) fn history(
        &self,
        table: &str,
        of: &ItemKey,
        limit: Option<usize>,
    ) -> Result<Vec<ItemVersion<Item>>> {
        macro_rules! told {
            ($builder:expr) => {{
                let mut builder = of_key!($builder, of);
                if let Some(limit) = limit {
                    builder = builder.limit(limit);
                }
                builder.execute_items()
            }};
        }
        match self {
            Target::File(db) => Ok(told!(db.item_history(table))?),
            Target::Server { client, .. } => self.wait(client, told!(client.client().item_history(table))),
        }
    }

    pub(crate) fn restore(&self, table: &str, of: &ItemKey, version: u64) -> Result<u64> {
        match self {
            Target::File(db) => Ok(of_key!(db.restore_version(table, version), of).execute()?),
            Target::Server { client, .. } => {
                self.wait(client, of_key!(client.client().restore_version(table, version), of))
            }
        }
    }

    /// Does all actions, or none. Returns the version of what they wrote.
    pub(crate) fn transact(&self, actions: &[Action]) -> Result<u64> {
        macro_rules! told {
            ($builder:expr, $module:ident) => {{
                let mut builder = $builder;
                for Action { table, write } in actions {
                    builder = match write {
                        crate::console::transaction::Write::Put(put) => {
                            let action = $module::Put::new(table).item(&put.item);
                            builder.put(on_terms!(action, &put.terms))
                        }
                        crate::console::transaction::Write::Update(update) => {
                            let mut action = of_key!($module::Update::new(table), &update.key);
                            if let Some(update) = &update.update {
                                action = action.update(&update.text);
                            }
                            builder.update(on_terms!(action, &update.terms))
                        }
                        crate::console::transaction::Write::Delete(delete) => {
                            let action = of_key!($module::Delete::new(table), &delete.key);
                            builder.delete(on_terms!(action, &delete.terms))
                        }
                        crate::console::transaction::Write::Check(check) => {
                            let action = of_key!($module::Check::new(table), &check.key);
                            builder.check(on_terms!(action, &check.terms))
                        }
                    };
                }
                builder.execute()
            }};
        }
        match self {
            Target::File(db) => Ok(told!(db.transact_write(), local)?),
            Target::Server { client, .. } => {
                self.wait(client, told!(client.client().transact_write(), remote))
            }
        }
    }

    /// What there is to tell of the database, by name.
    pub(crate) fn stats(&self) -> Result<Vec<(&'static str, Value)>> {
        match self {
            Target::File(db) => {
                let stats = db.stats();
                Ok(vec![
                    ("pages", stats.page_count.into()),
                    ("free_pages", stats.free_pages.into()),
                    ("cache_frames", stats.frames.into()),
                    ("hits", stats.hits.into()),
                    ("misses", stats.misses.into()),
                    ("pages_read", stats.pages_read.into()),
                    ("pages_written", stats.pages_written.into()),
                    ("flushes", stats.flushes.into()),
                    ("commits", stats.commits.into()),
                    ("io", stats.backend.kind.to_string().into()),
                ])
            }
            Target::Server { client, .. } => {
                let stats = self.wait(client, client.client().stats())?;
                Ok(vec![
                    ("pages", stats.page_count.into()),
                    ("cache_bytes", stats.cache_bytes.into()),
                    ("hits", stats.hits.into()),
                    ("misses", stats.misses.into()),
                    ("pages_written", stats.pages_written.into()),
                    ("flushes", stats.flushes.into()),
                    ("commits", stats.commits.into()),
                    ("requests", stats.requests.into()),
                    ("connections", stats.connections.into()),
                    ("connections_total", stats.connections_total.into()),
                    ("refused", stats.refused.into()),
                    ("uptime_ms", stats.uptime_ms.into()),
                ])
            }
        }
    }

    /// Pages that were looked at so far, and those of them that had to be read.
    pub(crate) fn pages_touched(&self) -> Result<(u64, u64)> {
        match self {
            Target::File(db) => {
                let stats = db.stats();
                Ok((stats.hits + stats.misses, stats.pages_read))
            }
            Target::Server { client, .. } => {
                let stats = self.wait(client, client.client().stats())?;
                Ok((stats.hits + stats.misses, stats.misses))
            }
        }
    }

    /// Says whether others use the database too, so that what it counts is not ours alone.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self, Target::Server { .. })
    }

    fn past_there(&self, client: &BlockingClient, table: &str, as_of: AsOf) -> Result<remote::PastTable> {
        match as_of {
            AsOf::Version(version) => self.wait(client, client.client().as_of(table, version)),
            AsOf::Time(moment) => self.wait(client, client.client().as_of_time(table, moment.time())),
        }
    }
}

fn past_here(db: &DynaMite, table: &str, as_of: AsOf) -> Result<local::PastTable> {
    Ok(match as_of {
        AsOf::Version(version) => db.as_of(table, version)?,
        AsOf::Time(moment) => db.as_of_time(table, moment.time())?,
    })
}
