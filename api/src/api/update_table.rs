//! Changing a table while it is in use: what belongs to its items, and for how long. Its items and its keys stay what they are.

use std::time::Duration;

use dynamite_txn::{Retention, TxnError, WriteTxn};

use crate::api::database::DynaMite;
use crate::api::history;
use crate::api::index::GlobalIndex;
use crate::api::schema::Schema;
use crate::api::stream::{self, StreamView};
use crate::api::ttl::{self, Ttl};
use crate::api::{index_build, index_update, tables};
use crate::error::{Error, Invalid, Result};
use crate::value::Item;

/// A table that is about to be changed; [`DynaMite::update_table`] begins, [`execute`](UpdateTable::execute) ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is changed before execute"]
pub struct UpdateTable<'a> {
    db: &'a DynaMite,
    name: &'a str,
    /// The attribute, or none for no TTL any more.
    ttl: Option<Option<String>>,
    added: Vec<GlobalIndex>,
    dropped: Vec<&'a str>,
    /// What the records show, or none for no stream any more.
    stream: Option<Option<StreamView>>,
    history: Option<Duration>,
    metadata: Option<Item>,
}

impl DynaMite {
    /// Begins to change a table. All that is said is done in one commit, while others read and write.
    ///
    /// ```
    /// # use dynamite_core::api::DynaMite;
    /// # use dynamite_core::types::KeyType;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("sessions").partition_key("id", KeyType::String).execute()?;
    /// db.update_table("sessions").ttl("expires_at").execute()?;
    /// assert_eq!(db.describe_table("sessions")?.ttl.as_deref(), Some("expires_at"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn update_table<'a>(&'a self, name: &'a str) -> UpdateTable<'a> {
        UpdateTable {
            db: self,
            name,
            ttl: None,
            added: Vec::new(),
            dropped: Vec::new(),
            stream: None,
            history: None,
            metadata: None,
        }
    }

    /// Waits until an index can be read. This thread helps to build it, so it works without a background too.
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`](crate::Error::TableNotFound); [`Error::IndexNotFound`](crate::Error::IndexNotFound), also when it is
    /// dropped meanwhile; what made the build fail.
    pub fn wait_for_index(&self, table: &str, index: &str) -> Result<()> {
        index_build::run(&self.shared, table, index)
    }
}

impl<'a> UpdateTable<'a> {
    /// Lets items expire by this attribute; see [`CreateTable::ttl`](crate::api::CreateTable::ttl). Holds at once for all
    /// items, also for those that are there; these are gone through in the background before they are deleted.
    pub fn ttl(mut self, attribute: impl Into<String>) -> Self {
        self.ttl = Some(Some(attribute.into()));
        self
    }

    /// Lets items expire no longer. What had expired and was not deleted yet is seen again.
    pub fn no_ttl(mut self) -> Self {
        self.ttl = Some(None);
        self
    }

    /// Adds an index. What the table holds already is taken into it in the background; until that is done the index cannot be read.
    /// Items that do not fit, since an attribute of its key is of the wrong type, empty or too long, are left out.
    ///
    /// ```
    /// use dynamite_core::api::{DynaMite, GlobalIndex, IndexState};
    /// use dynamite_core::types::KeyType;
    /// use serde_json::json;
    ///
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("users").partition_key("user_id", KeyType::String).execute()?;
    /// db.put_item("users", json!({"user_id": "alice", "email": "a@example.org"}))?;
    /// let by_email = GlobalIndex::new("by_email").partition_key("email", KeyType::String);
    /// db.update_table("users").add_index(by_email).execute()?;
    /// // The table is in use meanwhile.
    /// db.wait_for_index("users", "by_email")?;
    ///
    /// assert_eq!(db.describe_table("users")?.indexes[0].state, IndexState::Active);
    /// let found = db.query("users").index("by_email").partition_key("a@example.org").execute()?;
    /// assert_eq!(found.items[0]["user_id"], "alice");
    /// # Ok(())
    /// # }
    /// ```
    pub fn add_index(mut self, index: GlobalIndex) -> Self {
        self.added.push(index);
        self
    }

    /// Drops a global index, built or not. It is gone at once; its pages are freed in the background.
    pub fn drop_index(mut self, index: &'a str) -> Self {
        self.dropped.push(index);
        self
    }

    /// Keeps a change stream from now on; see [`CreateTable::stream`](crate::api::CreateTable::stream). It is another one than any
    /// that the table had before.
    pub fn stream(mut self, view: StreamView) -> Self {
        self.stream = Some(Some(view));
        self
    }

    /// Disables the change stream: it is closed, and can be read until its records have reached their age. To have
    /// other images in it, disable it first and enable it then.
    pub fn no_stream(mut self) -> Self {
        self.stream = Some(None);
        self
    }

    /// Keeps old versions for a duration, from now on, or for another one than so far; see
    /// [`CreateTable::history`](crate::api::CreateTable::history). With a longer one nothing comes back that was forgotten, with a
    /// shorter one old versions go by and by.
    pub fn history(mut self, duration: Duration) -> Self {
        self.history = Some(duration);
        self
    }

    /// What a front end keeps with the table, instead of what it kept before.
    pub fn metadata(mut self, metadata: Item) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Changes the table. It is so when this returns: durably, but with
    /// [`Durability::Eventual`](crate::api::Durability::Eventual).
    ///
    /// # Errors
    ///
    /// [`Error::TableNotFound`]; [`Error::IndexNotFound`] for an index to be dropped; [`Error::Validation`] for what is so already, or
    /// cannot be.
    ///
    /// Cost: a commit, whatever the size of the table. For one that begins to keep a history, a pass over the old versions that
    /// snapshots hold.
    pub fn execute(self) -> Result<()> {
        let UpdateTable { db, name, ttl, added, dropped, stream, history, metadata } = self;
        if let Some(Some(attribute)) = &ttl {
            ttl::check_attribute(attribute)?;
        }
        history.map_or(Ok(()), history::check_duration)?;
        let added = added.into_iter().map(GlobalIndex::define).collect::<Result<Vec<_>>>()?;
        let is_something = ttl.is_some()
            || !added.is_empty()
            || !dropped.is_empty()
            || stream.is_some()
            || history.is_some()
            || metadata.is_some();
        if !is_something {
            return Err(Invalid::NoUpdate.into());
        }
        index_update::check_apart(&added, &dropped)?;
        let built = db.shared.write(|txn| {
            let (info, mut schema) = tables::described(txn, name)?;
            if let Some(attribute) = ttl {
                set_ttl(txn, name, &mut schema, attribute)?;
            }
            index_update::drop_indexes(txn, name, &mut schema, &dropped)?;
            let built = index_update::add_indexes(txn, name, &mut schema, added)?;
            if let Some(view) = stream {
                set_stream(txn, name, &mut schema, view, db.shared.clock.now_ms())?;
            }
            if let Some(duration) = history {
                if txn.retention(info.id)? == Retention::None {
                    schema.history_since = Some(txn.id());
                }
                txn.set_retention(info.id, duration).map_err(|error| match error {
                    TxnError::NoRetention { .. } => Error::NoHistory { table: name.to_owned() },
                    other => other.into(),
                })?;
            }
            if let Some(metadata) = metadata {
                schema.metadata = metadata;
            }
            txn.set_table_meta(name.as_bytes(), &schema.encode()?)?;
            Ok(built)
        })?;
        built.into_iter().for_each(|tree| db.shared.builds.add(name, tree));
        // There may be a queue to fill, an index to build, or a stream to be trimmed later.
        db.shared.bell.expect(0);
        Ok(())
    }
}

fn set_ttl(txn: &mut WriteTxn<'_>, table: &str, schema: &mut Schema, to: Option<String>) -> Result<()> {
    match (&schema.ttl, to) {
        (None, None) => Err(Invalid::TtlDisabled.into()),
        (Some(ttl), Some(attribute)) if ttl.attribute == attribute => Err(Invalid::TtlEnabled.into()),
        (Some(ttl), Some(_)) => Err(Invalid::TtlAttributeDiffers { current: ttl.attribute.clone() }.into()),
        (None, Some(attribute)) => {
            schema.ttl = Some(Ttl { attribute, queue: ttl::create_queue(txn, table, true)? });
            Ok(())
        }
        (Some(_), None) => {
            txn.drop_table(&ttl::queue_name(table))?;
            schema.ttl = None;
            Ok(())
        }
    }
}

fn set_stream(
    txn: &mut WriteTxn<'_>,
    table: &str,
    schema: &mut Schema,
    to: Option<StreamView>,
    now_ms: u64,
) -> Result<()> {
    let id = txn.id();
    let open = schema.streams.last_mut().filter(|stream| stream.closed.is_none());
    match (open, to) {
        (Some(_), Some(_)) => Err(Invalid::StreamEnabled { table: table.to_owned() }.into()),
        (None, None) => Err(Invalid::StreamDisabled { table: table.to_owned() }.into()),
        (None, Some(view)) => stream::open(txn, table, schema, view, now_ms),
        (Some(stream), None) => {
            stream.closed = Some((now_ms, id));
            Ok(())
        }
    }
}
