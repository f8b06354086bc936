//! From a piece of an input to items, on whichever thread.

use csv::StringRecord;
use dynamite_core::Item;
use dynamite_core::api::EncodedItem;
use dynamite_core::types::KeySchema;
use serde::Deserialize;

use crate::import::input::{At, Piece};
use crate::json_text;
use crate::transfer::chunk;
use crate::transfer::format::Format;
use crate::transfer::place::order_of;

/// The items of a piece, and what in it is none.
pub(crate) struct Parsed {
    pub(crate) entries: Vec<Entry>,
    pub(crate) rejects: Vec<Reject>,
    /// Where the piece ends.
    pub(crate) end: At,
}

/// An item, and where it stands.
pub(crate) struct Entry {
    pub(crate) item: EncodedItem<'static>,
    /// Its place among the items of the table; empty if it has no whole key.
    pub(crate) order: Vec<u8>,
    pub(crate) file: usize,
    /// The line that it begins on.
    pub(crate) line: u64,
}

impl Entry {
    /// Bytes of memory that it takes, about: those that it has, and those of keeping them.
    pub(crate) fn memory(&self) -> usize {
        self.item.as_bytes().len() + self.order.len() + size_of::<Entry>() + 32
    }
}

/// What is no item, or was refused, and why.
pub(crate) struct Reject {
    pub(crate) file: usize,
    pub(crate) line: u64,
    pub(crate) reason: String,
    pub(crate) text: String,
}

/// What DynamoDB writes on a line.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "Item")]
    item: Item,
}

/// Makes items of pieces of this form, for a table with these keys.
pub(crate) fn parse(format: Format, keys: &KeySchema) -> impl Fn(Piece) -> Parsed + Sync {
    move |Piece { file, chunk }| {
        let end = At { file, place: chunk.end };
        let mut parsed = Parsed { entries: Vec::new(), rejects: Vec::new(), end };
        match chunk.content {
            chunk::Content::Lines(text) => {
                for (nth, line) in (chunk.line + 1..).zip(text.split(|&byte| byte == b'\n')) {
                    if !line.trim_ascii().is_empty() {
                        parsed.add(keys, nth, item_of_line(format, line), || {
                            String::from_utf8_lossy(line).into_owned()
                        });
                    }
                }
            }
            chunk::Content::Records { columns, records } => {
                for (line, record) in records {
                    match StringRecord::from_byte_record(record) {
                        Ok(cells) => {
                            let item = columns.item(&cells);
                            let item = item
                                .and_then(|item| EncodedItem::of(item).map_err(|error| error.to_string()));
                            parsed.add(keys, line, item, || cells.iter().collect::<Vec<_>>().join(","));
                        }
                        Err(error) => {
                            let reason = format!("this is no UTF-8: {}", error.utf8_error());
                            let cells = error.into_byte_record();
                            let text =
                                || cells.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
                            parsed.add(keys, line, Err(reason), text);
                        }
                    }
                }
            }
        }
        parsed
    }
}

impl Parsed {
    fn add(
        &mut self,
        keys: &KeySchema,
        line: u64,
        item: Result<EncodedItem<'static>, String>,
        text: impl FnOnce() -> String,
    ) {
        let file = self.end.file;
        match item {
            Ok(item) => {
                let order = order_of(keys, &item);
                self.entries.push(Entry { item, order, file, line });
            }
            Err(reason) => self.rejects.push(Reject { file, line, reason, text: text() }),
        }
    }
}

fn item_of_line(format: Format, line: &[u8]) -> Result<EncodedItem<'static>, String> {
    if format == Format::Dynamodb {
        let line: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        return EncodedItem::of(line.item).map_err(|error| error.to_string());
    }
    let text = std::str::from_utf8(line).map_err(|error| format!("this is no UTF-8: {error}"))?;
    let json = json_text::read(text).map_err(|error| error.to_string())?;
    EncodedItem::of(json).map_err(|error| error.to_string())
}
