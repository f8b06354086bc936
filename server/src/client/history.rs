//! The past of items: their versions, and putting one back.

use dynamite_core::Item;
use dynamite_core::api::{EncodedItem, ItemVersion};
use serde_json::Value;

use crate::client::DynaMiteClient;
use crate::client::call::Route;
use crate::client::form::{self, Form};
use crate::client::told::{Faults, awaited, item_key};
use crate::error::Result;
use crate::protocol::operation;
use crate::protocol::terms::Key;

/// The versions of an item, about to be listed; [`DynaMiteClient::item_history`] begins, awaiting it ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is read before it is awaited"]
pub struct ItemHistory {
    route: Route,
    faults: Faults,
    history: operation::ItemHistory<'static>,
}

impl ItemHistory {
    item_key!(history.key);

    /// At most so many versions: the newest ones.
    pub fn limit(mut self, limit: usize) -> Self {
        self.history.limit = Some(limit as u64);
        self
    }

    /// Lists the versions, with items as JSON.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<Vec<ItemVersion>> {
        self.run(form::value).await
    }

    /// Lists the versions, with exact attribute values.
    pub async fn execute_items(self) -> Result<Vec<ItemVersion<Item>>> {
        self.run(form::item).await
    }

    async fn run<T>(self, form: Form<T>) -> Result<Vec<ItemVersion<T>>> {
        let ItemHistory { route, faults, history } = self;
        faults.check()?;
        let decode = |versions: Vec<ItemVersion<EncodedItem<'_>>>| {
            let decode = |item: EncodedItem<'_>| form::decode(form, &history.table, item.as_bytes());
            versions.into_iter().map(|version| version.try_map(decode)).collect()
        };
        route.read(&history, decode).await
    }
}

awaited!(ItemHistory => Vec<ItemVersion<Value>>);

/// A version that is about to be put back; [`DynaMiteClient::restore_version`] begins, awaiting it ends.
#[derive(Clone, Debug)]
#[must_use = "nothing is restored before it is awaited"]
pub struct RestoreVersion {
    route: Route,
    faults: Faults,
    restore: operation::RestoreVersion<'static>,
}

impl RestoreVersion {
    item_key!(restore.key);

    /// Puts the version back. Returns the new version.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<u64> {
        let RestoreVersion { route, faults, restore } = self;
        faults.check()?;
        route.write(&restore, Ok).await
    }
}

awaited!(RestoreVersion => u64);

impl DynaMiteClient {
    /// Begins to list the versions of an item of a table with a history, the newest first.
    pub fn item_history(&self, table: &str) -> ItemHistory {
        let history =
            operation::ItemHistory { table: table.to_owned().into(), key: Key::default(), limit: None };
        ItemHistory { route: self.route(), faults: Faults::default(), history }
    }

    /// Begins to put an old version of an item back, as a new one.
    pub fn restore_version(&self, table: &str, version: u64) -> RestoreVersion {
        let restore =
            operation::RestoreVersion { table: table.to_owned().into(), key: Key::default(), version };
        RestoreVersion { route: self.route(), faults: Faults::default(), restore }
    }
}
