//! Reading the endpoint's table: all segments at once, a thread for each, and one that takes their pages.
//!
//! Reads are consistent, so that whatever was acknowledged before the copy began is in it. Pages come in no order but that of their segment.

use std::sync::mpsc::sync_channel;
use std::thread;

use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use dynamite_core::Item;
use dynamite_core::api::EncodedItem;
use dynamite_core::json::item_to_json;
use dynamite_core::limits::item_size;
use dynamite_core::types::{KeyAttribute, KeySchema};

use crate::copy::endpoint::Endpoint;
use crate::copy::error::{CopyError, Result};
use crate::copy::value::{from_sdk, to_sdk};
use crate::transfer::place::order_of;

/// Bytes that a unit reads.
const UNIT_BYTES: usize = 4096;

/// How far a segment was read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Position {
    #[default]
    Begin,
    /// Up to the item with this key.
    After(Item),
    End,
}

/// Some items of a segment, in the order of their keys here.
pub(crate) struct Page {
    pub(crate) items: Vec<EncodedItem<'static>>,
    /// Where the segment is read further.
    pub(crate) position: Position,
}

/// Reads segments from where they were read before, and hands the pages of each, in turn, to `consume`. The first error ends it all.
pub(crate) fn scan(
    endpoint: &Endpoint,
    keys: &KeySchema,
    segments: &[Position],
    mut consume: impl FnMut(usize, Page) -> Result<()>,
) -> Result<()> {
    thread::scope(|scope| {
        let (sender, pages) = sync_channel(1);
        for (nth, position) in segments.iter().enumerate() {
            let (sender, mut position) = (sender.clone(), position.clone());
            scope.spawn(move || {
                while position != Position::End {
                    let page = read(endpoint, keys, (nth, segments.len()), &position);
                    let is_last = page.is_err();
                    if let Ok(page) = &page {
                        position = page.position.clone();
                    }
                    // Nobody takes it when something has gone wrong.
                    if sender.send((nth, page)).is_err() || is_last {
                        return;
                    }
                }
            });
        }
        drop(sender);
        pages.into_iter().try_for_each(|(nth, page)| consume(nth, page?))
    })
}

fn read(
    endpoint: &Endpoint,
    keys: &KeySchema,
    (nth, of): (usize, usize),
    position: &Position,
) -> Result<Page> {
    let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    endpoint.wait_for_rate()?;
    let request = || {
        let mut scan = endpoint
            .client
            .scan()
            .table_name(&endpoint.table)
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        // DynamoDB refuses to be told of the only segment.
        if of > 1 {
            scan = scan.segment(number(nth)).total_segments(number(of));
        }
        if let Position::After(key) = position {
            scan = scan.set_exclusive_start_key(Some(to_sdk(key)));
        }
        scan.send()
    };
    let answer = endpoint.ask("reading the table", request)?;
    let items: Vec<Item> =
        answer.items.unwrap_or_default().into_iter().map(from_sdk).collect::<Result<_>>()?;
    let bytes: usize = items.iter().map(item_size).sum();
    endpoint
        .charge(answer.consumed_capacity.and_then(|used| used.capacity_units), bytes.div_ceil(UNIT_BYTES));
    let mut encoded = items.into_iter().map(|item| encode(keys, item)).collect::<Result<Vec<_>>>()?;
    encoded.sort_by_cached_key(|item| order_of(keys, item));
    let position = match answer.last_evaluated_key {
        Some(key) => Position::After(from_sdk(key)?),
        None => Position::End,
    };
    Ok(Page { items: encoded, position })
}

fn encode(keys: &KeySchema, item: Item) -> Result<EncodedItem<'static>> {
    EncodedItem::of(&item).map_err(|error| refused(keys, &item, error.to_string()))
}

/// That an item was refused.
pub(crate) fn refused(keys: &KeySchema, item: &Item, reason: String) -> CopyError {
    let of_key = |name: &str| item.get_key_value(name).map(|(name, value)| (name.clone(), value.clone()));
    let key: Item = keys.attributes().map(KeyAttribute::name).filter_map(of_key).collect();
    CopyError::Item { key: item_to_json(key).to_string(), reason }
}
