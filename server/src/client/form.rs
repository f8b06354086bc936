//! As what items are returned: JSON, exact attribute values, or a type of the user's.

use dynamite_core::Item;
use dynamite_core::error::Error;
use dynamite_core::item_codec::{self, DecodeError, ItemView};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{ClientError, Result};

/// Makes of a stored item what was asked for.
pub(crate) type Form<T> = fn(&[u8]) -> Result<T, DecodeError>;

pub(crate) fn value(item: &[u8]) -> Result<Value, DecodeError> {
    Ok(item_codec::decode_json(item)?)
}

pub(crate) fn item(item: &[u8]) -> Result<Item, DecodeError> {
    // Not `decode`, which holds the size against the limit: what a statement selects may be larger than an item.
    Ok(ItemView::new(item)?.to_item()?)
}

pub(crate) fn of_type<T: DeserializeOwned>(item: &[u8]) -> Result<T, DecodeError> {
    item_codec::from_bytes(item)
}

/// Decodes an item of a table; an error is what an embedded database gives.
pub(crate) fn decode<T>(form: Form<T>, table: &str, item: &[u8]) -> Result<T> {
    form(item).map_err(|error| {
        ClientError::Database(match error {
            DecodeError::Damage(damage) => {
                Error::DamagedItem { table: table.to_owned(), source: damage.into() }
            }
            DecodeError::Mismatch(reason) => Error::Decode(reason),
        })
    })
}
