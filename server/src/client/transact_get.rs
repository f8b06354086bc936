//! Transactions that read: up to a hundred items, as they stand at one moment.

use dynamite_core::Item;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::DynaMiteClient;
use crate::client::batch::decode_all;
use crate::client::call::Route;
use crate::client::form::{self, Form};
use crate::client::told::{Faults, awaited, consumes, item_key, names, projects};
use crate::error::Result;
use crate::protocol::operation;
use crate::protocol::terms::{Key, Want};
use crate::protocol::text::Bytes;

/// An item that a [`TransactGet`] asks for.
#[derive(Clone, Debug)]
#[must_use = "it is nothing before it is given to a transaction"]
pub struct Get {
    table: String,
    key: Key<'static>,
    want: Want<'static>,
    faults: Faults,
}

impl Get {
    /// Gets an item of this table.
    pub fn new(table: &str) -> Get {
        let (key, want) = (Key::default(), Want::default());
        Get { table: table.to_owned(), key, want, faults: Faults::default() }
    }

    item_key!(key);

    projects!(want);

    names!(want.terms);
}

/// Gets that are about to be made; [`DynaMiteClient::transact_get`] begins, awaiting it ends.
#[derive(Debug)]
#[must_use = "nothing is read before it is awaited"]
pub struct TransactGet {
    route: Route,
    faults: Faults,
    transact: operation::TransactGet<'static>,
}

impl TransactGet {
    pub(crate) fn new(route: Route) -> TransactGet {
        let transact = operation::TransactGet { at: route.at(), ..Default::default() };
        TransactGet { route, faults: Faults::default(), transact }
    }

    /// Asks for one more item.
    pub fn get(mut self, get: Get) -> Self {
        let Get { table, key, want, faults } = get;
        self.faults.keep_of(self.transact.gets.len(), faults.outcome());
        self.transact.gets.push((table.into(), key, want));
        self
    }

    consumes!(route);

    /// Gets the items as JSON, in the order in which they were asked for; `None` stands for one that is not there.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<Vec<Option<Value>>> {
        self.run(form::value).await
    }

    /// Gets the items with their exact attribute values.
    pub async fn execute_items(self) -> Result<Vec<Option<Item>>> {
        self.run(form::item).await
    }

    /// Gets the items as a type of one's own.
    pub async fn execute_as<T: DeserializeOwned>(self) -> Result<Vec<Option<T>>> {
        self.run(form::of_type).await
    }

    async fn run<T>(self, form: Form<T>) -> Result<Vec<Option<T>>> {
        let TransactGet { route, faults, transact } = self;
        faults.check()?;
        let decode = |found: Vec<Option<Bytes<'_>>>| {
            decode_all(form, transact.gets.iter().map(|(table, ..)| &**table), found)
        };
        route.read(&transact, decode).await
    }
}

awaited!(TransactGet => Vec<Option<Value>>);

impl DynaMiteClient {
    /// Begins to get up to a hundred items as they stand at one moment, each with a projection of its own.
    pub fn transact_get(&self) -> TransactGet {
        TransactGet::new(self.route())
    }
}
