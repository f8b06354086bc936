//! From the endpoint into the database.
//!
//! Each page of a segment is put before it is remembered that the segment was read so far. What is put is durable before it is remembered.

use dynamite_core::api::EncodedItem;
use dynamite_core::json::{item_from_json, item_to_json};
use dynamite_core::types::KeySchema;
use serde_json::{Value, json};

use crate::console::error::ConsoleError;
use crate::console::target::Target;
use crate::copy::endpoint::Endpoint;
use crate::copy::error::{CopyError, Result};
use crate::copy::progress::Progress;
use crate::copy::scan::{Page, Position, refused, scan};
use crate::copy::table::{definition_of, keys_of};
use crate::copy::{Copied, CopyArguments};
use crate::progress::progress_bar;
use crate::transfer::checksum::Content;
use crate::transfer::error::TransferError;
use crate::transfer::interrupt;
use crate::transfer::place::{Access, BatchError};

/// Items of a batch. Larger ones are no faster.
const BATCH_ITEMS: usize = 2000;

/// How far a copy is.
struct State {
    segments: Vec<Position>,
    content: Content,
}

/// Copies.
pub(crate) fn copy(arguments: &CopyArguments) -> Result<Copied> {
    let tables = &arguments.tables;
    let interrupt = interrupt()?;
    let endpoint = Endpoint::connect(tables, &interrupt)?;
    let there = endpoint.settled(false)?;
    let definition = definition_of(&tables.table, &there, endpoint.ttl()?)?;
    let target = tables.place.open(Access::Create, &interrupt)?;
    let is_created = match target.create_table(&definition) {
        Ok(()) => true,
        Err(ConsoleError::Database(error)) if matches!(*error, dynamite_core::Error::TableExists { .. }) => {
            false
        }
        Err(error) => return Err(error.into()),
    };
    let here = target.describe_table(&tables.table)?;
    let keys = keys_of(&there)?;
    if here.keys != keys {
        return Err(CopyError::other_keys(&here.keys, &keys));
    }
    let between = json!({
        "from": endpoint.identity(&there),
        "to": [target.database_id(), tables.table, here.created_ms],
    });
    let (mut progress, saved) = Progress::open(arguments, between)?;
    let mut state = match &saved {
        Some(saved) => State::restored(saved)?,
        None => State {
            segments: vec![Position::Begin; usize::from(tables.threads)],
            content: Content::default(),
        },
    };
    progress.save(&state.remembered())?;
    let bar = progress_bar("items", tables.shows_progress());
    bar.set_length(there.item_count().and_then(|count| u64::try_from(count).ok()).unwrap_or(0));
    let segments = state.segments.clone();
    let copied = scan(&endpoint, &keys, &segments, |nth, page| {
        let Page { items, position } = page;
        items.chunks(BATCH_ITEMS).try_for_each(|batch| put(&target, &tables.table, &keys, batch))?;
        items.iter().for_each(|item| state.content.add(item));
        state.segments[nth] = position;
        bar.set_position(state.content.item_count);
        if progress.is_due() {
            target.flush()?;
            progress.save(&state.remembered())?;
        }
        Ok(())
    });
    target.flush()?;
    if let Err(error) = copied {
        progress.save(&state.remembered())?;
        return Err(error);
    }
    bar.finish_and_clear();
    progress.remove()?;
    Ok(Copied { content: state.content, is_created, warnings: Vec::new() })
}

fn put(target: &Target, table: &str, keys: &KeySchema, batch: &[EncodedItem<'static>]) -> Result<()> {
    target.put_all(table, batch.iter()).map_err(|error| match error {
        BatchError::Item(nth, error) => {
            let item = batch[nth].view().and_then(|view| view.to_item()).unwrap_or_default();
            refused(keys, &item, error.to_string())
        }
        BatchError::Other(error) => error.into(),
    })
}

impl State {
    fn remembered(&self) -> Value {
        let position = |position: &Position| match position {
            Position::Begin => json!("begin"),
            Position::After(key) => json!({"after": item_to_json(key.clone())}),
            Position::End => json!("end"),
        };
        json!({
            "segments": self.segments.iter().map(position).collect::<Vec<_>>(),
            "content": self.content.remembered(),
        })
    }

    /// Segments are those of the copy that goes on, whatever the arguments say: others have other items.
    fn restored(remembered: &Value) -> Result<State> {
        let position = |value: &Value| match value.as_str() {
            Some("begin") => Some(Position::Begin),
            Some("end") => Some(Position::End),
            _ => item_from_json(value["after"].clone()).ok().map(Position::After),
        };
        let segments = remembered["segments"].as_array().into_iter().flatten().map(position).collect();
        let damaged = || {
            let message = "what is remembered of the copy makes no sense; --restart begins anew".to_owned();
            TransferError::Refused(message)
        };
        let segments: Option<Vec<Position>> = segments;
        let segments = segments.filter(|segments| !segments.is_empty()).ok_or_else(damaged)?;
        Ok(State { segments, content: Content::restored(&remembered["content"]) })
    }
}
