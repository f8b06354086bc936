//! From the database to the endpoint.
//!
//! A snapshot is read in the order of the keys, and cut into batches, of which several are under way at the endpoint at a time. They are remembered in
//! their order: what is behind the last key that is remembered is copied again, from a snapshot of its own.

use dynamite_core::Item;
use dynamite_core::api::EncodedItem;
use dynamite_core::json::{item_from_json, item_to_json};
use serde_json::{Value, json};

use crate::copy::batch::{self, BATCH_BYTES, BATCH_ITEMS};
use crate::copy::endpoint::Endpoint;
use crate::copy::error::{CopyError, Result};
use crate::copy::progress::Progress;
use crate::copy::table::keys_of;
use crate::copy::{Copied, CopyArguments};
use crate::progress::progress_bar;
use crate::transfer::checksum::Content;
use crate::transfer::error::TransferError;
use crate::transfer::place::{Access, key_of};
use crate::transfer::{interrupt, pipeline};

/// How far a copy is.
#[derive(Default)]
struct State {
    /// The key of the last item of those that were put without a gap.
    after: Option<Item>,
    content: Content,
}

/// Copies.
pub(crate) fn copy(arguments: &CopyArguments) -> Result<Copied> {
    let tables = &arguments.tables;
    let interrupt = interrupt()?;
    let target = tables.place.open(Access::Read, &interrupt)?;
    let here = target.describe_table(&tables.table)?;
    let endpoint = Endpoint::connect(tables, &interrupt)?;
    let (there, is_created, warnings) = match endpoint.find()? {
        Some(_) => (endpoint.settled(false)?, false, Vec::new()),
        None => {
            let (made, warnings) = endpoint.create(&here)?;
            (made, true, warnings)
        }
    };
    let keys = keys_of(&there)?;
    if here.keys != keys {
        return Err(CopyError::other_keys(&here.keys, &keys));
    }
    let between = json!({
        "from": [target.database_id(), tables.table, here.created_ms],
        "to": endpoint.identity(&there),
    });
    let (mut progress, saved) = Progress::open(arguments, between)?;
    let mut state = saved.as_ref().map(State::restored).transpose()?.unwrap_or_default();
    progress.save(&state.remembered())?;
    let bar = progress_bar("items", tables.shows_progress());
    bar.set_length(here.item_count);
    bar.set_position(state.content.item_count);
    let after = state.after.clone();
    let copied = pipeline::run(
        usize::from(tables.threads),
        |batches| {
            let mut batch = Vec::new();
            let mut bytes = 0;
            let mut wanted = true;
            target.visit_items(&tables.table, after.as_ref(), |item| {
                bytes += item.as_bytes().len();
                batch.push(item);
                if batch.len() == BATCH_ITEMS || bytes >= BATCH_BYTES {
                    bytes = 0;
                    wanted = batches.push(std::mem::take(&mut batch));
                }
                wanted
            })?;
            if wanted && !batch.is_empty() {
                // If nobody wants it, whoever did not says why.
                let _ = batches.push(batch);
            }
            Ok(())
        },
        |batch: Vec<EncodedItem<'static>>| -> Result<State> {
            let damaged = |damage: dynamite_core::item_codec::ItemDamage| {
                dynamite_core::Error::Decode(damage.to_string())
            };
            let items = batch.iter().map(|item| item.view().and_then(|view| view.to_item()));
            let items = items.collect::<Result<Vec<Item>, _>>().map_err(damaged)?;
            batch::put(&endpoint, &keys, &items)?;
            let after = batch.last().map(|last| key_of(&keys, last)).transpose()?;
            let mut content = Content::default();
            batch.iter().for_each(|item| content.add(item));
            Ok(State { after, content })
        },
        |put: Result<State>| {
            let State { after, content } = put?;
            state.content.add_all(content);
            state.after = after;
            bar.set_position(state.content.item_count);
            if progress.is_due() {
                progress.save(&state.remembered())?;
            }
            Ok(())
        },
    );
    if let Err(error) = copied {
        progress.save(&state.remembered())?;
        return Err(error);
    }
    bar.finish_and_clear();
    progress.remove()?;
    Ok(Copied { content: state.content, is_created, warnings })
}

impl State {
    fn remembered(&self) -> Value {
        json!({"after": self.after.clone().map(item_to_json), "content": self.content.remembered()})
    }

    fn restored(remembered: &Value) -> Result<State> {
        let key = match &remembered["after"] {
            Value::Null => None,
            key => Some(item_from_json(key.clone()).map_err(|error| {
                let message =
                    format!("what is remembered of the copy makes no sense ({error}); --restart begins anew");
                TransferError::Refused(message)
            })?),
        };
        Ok(State { after: key, content: Content::restored(&remembered["content"]) })
    }
}
