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
mod writes;

use dynamite_core::api::{Consumed, EncodedItem};
use serde::Serialize;
use serde_json::Value;

use crate::dynamodb::capacity::{self, Rate, Wanted};
use crate::dynamodb::errors::{Answer, Failure};

/// The answer of a transaction that reads: an item or none for each of its parts.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Transacted {
    responses: Vec<Response>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumed_capacity: Option<Vec<Value>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<EncodedItem<'static>>,
}

/// Tells what a transaction has found, and what it consumed if that is wanted.
fn reply_transacted(found: Vec<Option<EncodedItem<'static>>>, wanted: Wanted, consumed: &Consumed) -> Answer {
    reply(&Transacted {
        responses: found.into_iter().map(|item| Response { item }).collect(),
        consumed_capacity: wanted
            .is_any()
            .then(|| capacity::describe(&consumed.take(), wanted, Rate::of_transaction())),
    })
}

/// The body of an answer.
pub(crate) fn reply(answer: &impl Serialize) -> Answer {
    serde_json::to_vec(answer).map_err(|error| Failure::internal(error.to_string()))
}
