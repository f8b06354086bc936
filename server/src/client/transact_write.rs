//! Transactions of actions that are said in advance: all or nothing, in one message.

use dynamite_core::api::{EncodedItem, IntoItem};
use serde::Serialize;

use crate::client::DynaMiteClient;
use crate::client::call::{Limit, Repeat, Route};
use crate::client::told::{Faults, awaited, consumes, expression, item_key, placeholders};
use crate::error::Result;
use crate::protocol::operation::{self, What};
use crate::protocol::terms::{Key, Terms};

/// What all actions are told alike.
#[derive(Clone, Debug)]
struct Asked {
    table: String,
    expected: Option<u64>,
    terms: Option<Box<Terms<'static>>>,
    return_old: bool,
}

impl Asked {
    fn of(table: &str) -> Asked {
        Asked { table: table.to_owned(), expected: None, terms: None, return_old: false }
    }

    fn action(self, what: What<'static>) -> operation::Action<'static> {
        let Asked { table, expected, terms, return_old } = self;
        operation::Action { table: table.into(), what, expected, terms, return_old }
    }
}

/// The methods of all actions.
macro_rules! asks {
    () => {
        /// Only if the item has this version; 0 stands for no item.
        pub fn if_version(mut self, version: u64) -> Self {
            self.asked.expected = Some(version);
            self
        }

        expression! {
            /// Only if this holds, in DynamoDB's language, for the item, or for an absent one if there is none.
            condition in asked.terms
        }

        placeholders!(asked.terms);

        /// Whether the reason of a cancellation carries the item for which a condition of this action did not hold.
        pub fn return_old_on_failure(mut self, return_old: bool) -> Self {
            self.asked.return_old = return_old;
            self
        }
    };
}

/// Puts an item, as an action of a [`TransactWrite`].
#[derive(Clone, Debug)]
#[must_use = "it is nothing before it is given to a transaction"]
pub struct Put {
    item: Option<EncodedItem<'static>>,
    asked: Asked,
    faults: Faults,
}

impl Put {
    /// Puts into this table.
    pub fn new(table: &str) -> Put {
        Put { item: None, asked: Asked::of(table), faults: Faults::default() }
    }

    /// The item.
    pub fn item(mut self, item: impl IntoItem) -> Self {
        self.item = self.faults.item(item);
        self
    }

    /// The item, a value of a type of one's own.
    pub fn item_from(mut self, item: &(impl Serialize + ?Sized)) -> Self {
        self.item = self.faults.keep(EncodedItem::of_type(item));
        self
    }

    asks!();

    fn what(self) -> (Faults, Asked, What<'static>) {
        (self.faults, self.asked, What::Put(self.item))
    }
}

/// An action with the key of its item.
macro_rules! keyed {
    ($($(#[$doc:meta])* $name:ident $({$($more:tt)*})?)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[must_use = "it is nothing before it is given to a transaction"]
        pub struct $name {
            key: Key<'static>,
            asked: Asked,
            faults: Faults,
        }

        impl $name {
            /// An action on an item of this table.
            pub fn new(table: &str) -> $name {
                $name { key: Key::default(), asked: Asked::of(table), faults: Faults::default() }
            }

            item_key!(key);

            $($($more)*)?

            asks!();

            fn what(self) -> (Faults, Asked, What<'static>) {
                (self.faults, self.asked, What::$name(self.key))
            }
        }
    )*};
}

keyed! {
    /// Updates an item, as an action of a [`TransactWrite`].
    Update {
        expression! {
            /// What to do, in DynamoDB's language. Without it an item is only made if there is none.
            update in asked.terms
        }
    }

    /// Deletes an item, as an action of a [`TransactWrite`].
    Delete

    /// Checks a condition on an item that it leaves as it is, as an action of a [`TransactWrite`].
    Check
}

/// A transaction of actions that is about to be made; [`DynaMiteClient::transact_write`] begins, awaiting it ends.
#[derive(Debug)]
#[must_use = "nothing is written before it is awaited"]
pub struct TransactWrite {
    route: Route,
    faults: Faults,
    transact: operation::TransactWrite<'static>,
}

impl TransactWrite {
    /// Puts an item.
    pub fn put(self, put: Put) -> Self {
        self.action(put.what())
    }

    /// Updates an item.
    pub fn update(self, update: Update) -> Self {
        self.action(update.what())
    }

    /// Deletes an item.
    pub fn delete(self, delete: Delete) -> Self {
        self.action(delete.what())
    }

    /// Checks a condition on an item.
    pub fn check(self, check: Check) -> Self {
        self.action(check.what())
    }

    fn action(mut self, (faults, asked, what): (Faults, Asked, What<'static>)) -> Self {
        self.faults.keep_of(self.transact.actions.len(), faults.outcome());
        self.transact.actions.push(asked.action(what));
        self
    }

    /// Makes it safe to try the same transaction again: within ten minutes it is done once, however often it is executed with the same
    /// token. The client tries again by itself if the connection is lost. A token has 1 to 36 characters.
    pub fn token(mut self, token: &str) -> Self {
        self.transact.token = Some(token.to_owned().into());
        self
    }

    consumes!(route);

    /// Does all actions, or none. Returns the version of what they wrote.
    ///
    /// # Errors
    ///
    /// Those of the embedded database's, and [`ClientError`](crate::ClientError).
    pub async fn execute(self) -> Result<u64> {
        let TransactWrite { route, faults, transact } = self;
        faults.check()?;
        let repeat = if transact.token.is_some() { Repeat::Safe } else { Repeat::Never };
        route.call(&transact, repeat, Limit::Usual, Ok).await
    }
}

awaited!(TransactWrite => u64);

impl DynaMiteClient {
    /// Begins a transaction of actions: all of them are done, or none.
    pub fn transact_write(&self) -> TransactWrite {
        TransactWrite { route: self.route(), faults: Faults::default(), transact: Default::default() }
    }
}
