//! Writing to the endpoint's table, in batches.
//!
//! A batch may be taken in part. What was not taken is tried again, later and later, as long as `Patience` lasts, which begins anew with each
//! item that is. When a batch is refused because of one of its items, they are put one by one, so that it can be said which.

use aws_sdk_dynamodb::types::{PutRequest, ReturnConsumedCapacity, WriteRequest};
use dynamite_core::Item;
use dynamite_core::limits::item_size;
use dynamite_core::types::KeySchema;

use crate::copy::endpoint::{Endpoint, Patience};
use crate::copy::error::{CopyError, Result};
use crate::copy::scan::refused;
use crate::copy::value::to_sdk;

/// Items of a batch, and bytes of their stored form, about. DynamoDB takes 16 MB of JSON, which has six bytes for a byte at the worst.
pub(crate) const BATCH_ITEMS: usize = 25;
pub(crate) const BATCH_BYTES: usize = 1 << 20;

/// Bytes that a unit writes.
const UNIT_BYTES: usize = 1024;

/// Puts items with different keys.
pub(crate) fn put(endpoint: &Endpoint, keys: &KeySchema, items: &[Item]) -> Result<()> {
    let mut left = items.iter().map(request_of).collect::<Result<Vec<_>>>()?;
    let mut patience = Patience::default();
    while !left.is_empty() {
        endpoint.wait_for_rate()?;
        let request = || {
            endpoint
                .client
                .batch_write_item()
                .request_items(&endpoint.table, left.clone())
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
        };
        let answer = match endpoint.ask("putting items", request) {
            Err(error) if error.code() == Some("ValidationException") => {
                return put_each(endpoint, keys, items);
            }
            answer => answer?,
        };
        let not_taken: Vec<WriteRequest> =
            answer.unprocessed_items.into_iter().flatten().flat_map(|(_, requests)| requests).collect();
        let is_progress = not_taken.len() < left.len();
        let told =
            answer.consumed_capacity.map(|used| used.iter().filter_map(|used| used.capacity_units).sum());
        endpoint.charge(told, units(items) * (left.len() - not_taken.len()) / items.len());
        left = not_taken;
        if is_progress {
            patience = Patience::default();
        }
        if !left.is_empty() {
            endpoint.pause(patience.next()?)?;
        }
    }
    Ok(())
}

fn request_of(item: &Item) -> Result<WriteRequest> {
    let put = PutRequest::builder().set_item(Some(to_sdk(item))).build();
    let put = put.map_err(|error| CopyError::Answer(error.to_string()))?;
    Ok(WriteRequest::builder().put_request(put).build())
}

fn put_each(endpoint: &Endpoint, keys: &KeySchema, items: &[Item]) -> Result<()> {
    for item in items {
        endpoint.wait_for_rate()?;
        let request = || {
            let put = endpoint.client.put_item().table_name(&endpoint.table);
            put.set_item(Some(to_sdk(item))).send()
        };
        endpoint.ask("putting an item", request).map_err(|error| match error {
            CopyError::Refused { reason, code, .. } if code == "ValidationException" => {
                refused(keys, item, reason)
            }
            error => error,
        })?;
        endpoint.charge(None, units(std::slice::from_ref(item)));
    }
    Ok(())
}

/// Units that it takes to write items, without what indexes cost.
fn units(items: &[Item]) -> usize {
    items.iter().map(|item| item_size(item).div_ceil(UNIT_BYTES).max(1)).sum()
}
