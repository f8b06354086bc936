//! Transactions of actions, as DynamoDB's `TransactWriteItems` has them: up to a hundred puts, updates, deletes and checks, all or
//! nothing.
//!
//! No two actions are on one item, so each sees the state before the transaction, although they are done one after the other in
//! one write transaction. All are tried, so that a cancellation says of each action whether it could have been done; if one could
//! not, the write transaction is rolled back.
//!
//! What is wrong whatever the tables hold (expressions that cannot be read, items that are none, two actions on one item) is an
//! error of the whole request, and found first. What depends on an action's table or item is its [`CancellationReason`].

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::change::Wants;
use crate::api::consumed::{self, Consumed, Written, consumes};
use crate::api::database::DynaMite;
use crate::api::source::Target;
use crate::api::table::Table;
use crate::api::token::Token;
use crate::api::transact_action::{Action, Check, Delete, Put, Ready, Update, is_of_one_action};
use crate::api::writing::Writing;
use crate::error::{CancellationReason, Error, Invalid, Result};

/// The most actions that a transaction may have.
const MAX_ACTIONS: usize = 100;

/// Bytes that the items and keys of a transaction may have, as DynamoDB counts them.
const MAX_PAYLOAD: usize = 4 << 20;

/// A transaction of actions that is about to be made; [`DynaMite::transact_write`] begins, [`execute`](TransactWrite::execute)
/// ends.
#[derive(Debug)]
#[must_use = "nothing is written before execute"]
pub struct TransactWrite<'a, T = DynaMite> {
    target: &'a T,
    actions: Vec<Action<'a>>,
    token: Option<&'a str>,
    consumed: Option<&'a Consumed>,
}

impl DynaMite {
    /// Begins a transaction of actions: all of them are done, or none.
    ///
    /// [`transact`](DynaMite::transact) does the same for code that decides by what it reads; this is for what can be said in advance,
    /// and tells all reasons for which it could not be done.
    ///
    /// ```
    /// use dynamite_core::api::{Check, Put, Update};
    /// # use dynamite_core::{Error, api::DynaMite, error::CancellationCode, types::KeyType};
    /// # use serde_json::json;
    /// # fn main() -> Result<(), dynamite_core::Error> {
    /// # let db = DynaMite::in_memory()?;
    /// # db.create_table("accounts").partition_key("name", KeyType::String).execute()?;
    /// # db.create_table("orders").partition_key("id", KeyType::String).execute()?;
    /// # db.put_item("accounts", json!({"name": "alice", "balance": 100}))?;
    /// let order = |price: i64| {
    ///     let pay = Update::new("accounts").partition_key("alice").update("SET balance = balance - :price");
    ///     let pay = pay.condition("balance >= :price").value(":price", price);
    ///     let order = Put::new("orders").item(json!({"id": "order 1"})).condition("attribute_not_exists(id)");
    ///     db.transact_write().update(pay).put(order).execute()
    /// };
    /// let Err(Error::TransactionCanceled { reasons }) = order(170) else { panic!("it is too expensive") };
    /// assert_eq!(reasons[0].code, CancellationCode::ConditionalCheckFailed);
    /// assert_eq!(reasons[1].code, CancellationCode::None);
    /// order(70)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn transact_write(&self) -> TransactWrite<'_> {
        TransactWrite::new(self)
    }
}

impl<'a, T: Target> TransactWrite<'a, T> {
    pub(crate) fn new(target: &'a T) -> Self {
        TransactWrite { target, actions: Vec::new(), token: None, consumed: None }
    }

    /// Puts an item.
    pub fn put(self, put: Put<'a>) -> Self {
        self.action(put.into())
    }

    /// Updates an item.
    pub fn update(self, update: Update<'a>) -> Self {
        self.action(update.into())
    }

    /// Deletes an item.
    pub fn delete(self, delete: Delete<'a>) -> Self {
        self.action(delete.into())
    }

    /// Checks a condition on an item.
    pub fn check(self, check: Check<'a>) -> Self {
        self.action(check.into())
    }

    fn action(mut self, action: Action<'a>) -> Self {
        self.actions.push(action);
        self
    }

    /// Makes it safe to try the same transaction again when it is not known whether it was done: within ten minutes it is done
    /// once, however often it is executed with the same token, and also if the database is closed or crashes in between. A token has 1 to
    /// 36 characters.
    pub fn token(mut self, token: &'a str) -> Self {
        self.token = Some(token);
        self
    }

    consumes!(consumed);

    /// Does all actions. Returns the version of what they wrote.
    ///
    /// # Errors
    ///
    /// [`Error::TransactionCanceled`] if an action's condition does not hold, or it does not fit its table or item.
    /// [`Error::IdempotentParameterMismatch`] if the token was given to another transaction. [`Error::Validation`] for no actions, more
    /// than 100, more than 4 MB of items and keys, or two actions on one item; [`Error::Operation`] says for which action there is no
    /// such table, or which expression cannot be read. [`Error::NestedTransaction`] inside a transaction of this thread. Nothing
    /// is written then.
    ///
    /// Cost: one commit, and for each action what it would cost alone; a token adds a lookup and two puts.
    pub fn execute(self) -> Result<u64> {
        let TransactWrite { target, actions, token, consumed } = self;
        check_count(actions.len())?;
        token.map(Token::check).transpose()?;
        let compiled = actions.into_iter().enumerate();
        let compiled =
            compiled.map(|(nth, action)| action.compile().map_err(|error| error.of_operation(nth)));
        let mut actions = compiled.collect::<Result<Vec<Ready<'_>>>>()?;
        let token = token.map(|token| Token::new(token, &actions)).transpose()?;
        let (version, sizes, repeats) = target.write_few(|writing| {
            let located = locate(writing, &mut actions)?;
            if let Some(token) = &token
                && let Some(version) = token.find(writing)?
            {
                let sizes = consumed.map(|_| sizes(writing, &located)).transpose()?.unwrap_or_default();
                return Ok((version, sizes, true));
            }
            let sizes = perform(writing, &actions, located, consumed.is_some())?;
            let version = writing.version();
            token.map_or(Ok(()), |token| token.keep(writing, version))?;
            Ok((version, sizes, false))
        })?;
        if let Some(consumed) = consumed {
            tell(consumed, &actions, sizes, repeats);
        }
        Ok(version)
    }
}

/// The table of an action, and the stored key, unless that is the reason for which the action cannot be done.
pub(crate) type Located = (Arc<Table>, Result<Vec<u8>>);

/// Refuses transactions of too few or too many actions.
pub(crate) fn check_count(count: usize) -> Result<()> {
    match count {
        0 => Err(Invalid::NoActions.into()),
        1..=MAX_ACTIONS => Ok(()),
        _ => Err(Invalid::TooManyActions.into()),
    }
}

/// Refuses transactions of too many bytes.
pub(crate) fn check_payload(size: usize) -> Result<()> {
    if size <= MAX_PAYLOAD { Ok(()) } else { Err(Invalid::TransactionTooLarge { size }.into()) }
}

/// Finds what the actions are on, and refuses what makes no sense whatever is there.
pub(crate) fn locate(writing: &mut Writing<'_, '_>, actions: &mut [Ready<'_>]) -> Result<Vec<Located>> {
    let mut located = Vec::with_capacity(actions.len());
    for (nth, action) in actions.iter_mut().enumerate() {
        let table = writing.table(action.table()).map_err(|error| error.of_operation(nth))?;
        let key = action.key(&table);
        match key {
            Err(error) if !is_of_one_action(&error) => return Err(error.of_operation(nth)),
            key => located.push((table, key)),
        }
    }
    let (mut items, mut size) = (BTreeSet::new(), 0);
    for (action, (table, key)) in actions.iter().zip(&located) {
        let Ok(key) = key else { continue };
        if !items.insert((table.id, key)) {
            return Err(Invalid::SameItem.into());
        }
        size += action.payload(table, key)?;
    }
    check_payload(size)?;
    Ok(located)
}

/// Tries all actions. Returns how many bytes each has written.
pub(crate) fn perform(
    writing: &mut Writing<'_, '_>,
    actions: &[Ready<'_>],
    located: Vec<Located>,
    bytes: bool,
) -> Result<Vec<Written>> {
    let wants = Wants { bytes, ..Wants::default() };
    let (mut sizes, mut reasons) = (Vec::with_capacity(actions.len()), Vec::with_capacity(actions.len()));
    for (nth, (action, (table, key))) in actions.iter().zip(located).enumerate() {
        match key.and_then(|key| action.perform(writing, &table, &key, wants)) {
            Ok(changed) => {
                sizes.push(changed.written);
                reasons.push(CancellationReason::default());
            }
            Err(error) => reasons.push(action.reason(error).map_err(|error| error.of_operation(nth))?),
        }
    }
    if sizes.len() < actions.len() { Err(Error::TransactionCanceled { reasons }) } else { Ok(sizes) }
}

/// Tells what was written. What was done before is only looked up, which DynamoDB counts as reads.
pub(crate) fn tell(consumed: &Consumed, actions: &[Ready<'_>], sizes: Vec<Written>, repeats: bool) {
    for (action, written) in actions.iter().zip(sizes) {
        match repeats {
            true => consumed.read(action.table(), written.bytes),
            false => consumed.written(action.table(), written),
        }
    }
}

/// Bytes of the items that stand under the keys.
pub(crate) fn sizes(writing: &mut Writing<'_, '_>, located: &[Located]) -> Result<Vec<Written>> {
    let size = |(table, key): &Located| {
        let bytes = match key {
            Err(_) => 0,
            Ok(key) => writing.get(table, key, |_, item| consumed::size(table, item))?.unwrap_or(Ok(0))?,
        };
        Ok(Written { bytes, indexes: Vec::new() })
    };
    located.iter().map(size).collect()
}
