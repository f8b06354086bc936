//! Items as text, on whichever thread.

use std::io::Write;

use csv::WriterBuilder;
use dynamite_core::Item;
use dynamite_core::api::EncodedItem;
use dynamite_core::types::KeySchema;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::transfer::checksum::Content;
use crate::transfer::columns::{Columns, Unfit};
use crate::transfer::error::{Result, TransferError};
use crate::transfer::place::key_of;

/// How items are written.
pub(crate) enum Renderer {
    Jsonl,
    Dynamodb,
    Csv(Columns),
}

/// Items as text.
pub(crate) struct Rendered {
    pub(crate) text: Vec<u8>,
    pub(crate) content: Content,
    /// The key of the last one.
    pub(crate) last: Item,
}

impl Renderer {
    /// Some items, of which there is one at least. Compressed, they are a member of a gzip file, which has any number of them.
    pub(crate) fn render(
        &self,
        items: &[EncodedItem<'static>],
        keys: &KeySchema,
        is_compressed: bool,
    ) -> Result<Rendered> {
        let mut text = Vec::new();
        let mut content = Content::default();
        for item in items {
            content.add(item);
            match self {
                Renderer::Jsonl => {
                    let json = item.view().and_then(|view| view.to_json()).map_err(damaged)?;
                    write_json(&mut text, &json);
                }
                Renderer::Dynamodb => {
                    text.extend_from_slice(b"{\"Item\":");
                    write_json(&mut text, item);
                    text.push(b'}');
                }
                Renderer::Csv(columns) => {
                    text.extend(csv_line(&columns.record(item).map_err(unfit)?));
                    continue;
                }
            }
            text.push(b'\n');
        }
        let last = items.last().map_or_else(|| Ok(Item::new()), |last| key_of(keys, last))?;
        if is_compressed {
            text = compressed(&text);
        }
        Ok(Rendered { text, content, last })
    }
}

/// A record as a line of CSV.
pub(crate) fn csv_line(record: &csv::StringRecord) -> Vec<u8> {
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    writer.write_record(record).expect("a vector takes everything");
    writer.into_inner().expect("a vector takes everything")
}

/// A text as a member of a gzip file.
pub(crate) fn compressed(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("a vector takes everything")
}

fn write_json(text: &mut Vec<u8>, value: &impl serde::Serialize) {
    serde_json::to_writer(text, value).expect("a vector takes everything, and keys are texts");
}

fn unfit(unfit: Unfit) -> TransferError {
    match unfit {
        Unfit::Damaged(damage) => damaged(damage).into(),
        changed => {
            TransferError::Refused(format!("{changed}: --restart begins anew, with the columns of now"))
        }
    }
}

fn damaged(damage: dynamite_core::item_codec::ItemDamage) -> dynamite_core::Error {
    dynamite_core::Error::Decode(damage.to_string())
}
