//! The operations, one a file: what DynamoDB checks, what the database is asked, and how the answer is told.

pub(crate) mod backups;
pub(crate) mod batch_execute_statement;
pub(crate) mod batch_get_item;
pub(crate) mod batch_write_item;
pub(crate) mod continuous_backups;
pub(crate) mod create_table;
pub(crate) mod delete_item;
pub(crate) mod execute_statement;
pub(crate) mod execute_transaction;
pub(crate) mod get_item;
pub(crate) mod index_definitions;
pub(crate) mod put_item;
pub(crate) mod query;
pub(crate) mod resource_policy;
pub(crate) mod restores;
pub(crate) mod scan;
pub(crate) mod service;
pub(crate) mod stream_records;
pub(crate) mod streams;
pub(crate) mod tables;
pub(crate) mod tags;
pub(crate) mod time_to_live;
pub(crate) mod transact_get_items;
pub(crate) mod transact_write_items;
pub(crate) mod update_item;
pub(crate) mod update_table;

mod pages;
mod throughput;
mod writes;

use dynamite_core::api::{Consumed, EncodedItem};
use serde::Serialize;

use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};
use crate::dynamodb::reply::ReplyJson;

/// Tells what a transaction has found, an item or none for each of its parts, and what it consumed if that is wanted. An item of which
/// nothing is wanted that it has counts as none.
fn reply_transacted(found: &[Option<EncodedItem<'_>>], wanted: Wanted, consumed: &Consumed) -> Answer {
    let mut reply = ReplyJson::new();
    reply.begin_array("Responses")?;
    for item in found {
        reply.begin_element();
        item.iter().filter(|item| !writes::is_empty(item)).try_for_each(|item| reply.item("Item", item))?;
        reply.end_object();
    }
    reply.end_array();
    if wanted.is_any() {
        let capacity = capacity::describe(&consumed.take(), wanted, Rate::of_transaction());
        reply.field("ConsumedCapacity", &capacity)?;
    }
    reply.end()
}

/// The body of an answer.
pub(crate) fn reply(answer: &impl Serialize) -> Answer {
    serde_json::to_vec(answer).map_err(|error| Failure::internal(error.to_string()))
}
