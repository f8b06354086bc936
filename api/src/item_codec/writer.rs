//! Puts an encoded item together, of values and of pieces of other encoded items.

use thiserror::Error;

use super::encoder::{Encoder, OpenList, OpenMap, check_level};
use super::{ItemDamage, ValueView, model};
use crate::limits::{MAX_LEVELS, ValueError};
use crate::value::AttributeValue;

/// Writes an encoded item entry by entry, in any order of the names.
///
/// What an encoded item holds already is copied without being decoded: a projection costs a check and a copy of the
/// bytes that it takes.
///
/// ```
/// use dynamite_core::item_codec::{ItemView, ItemWriter, decode_json, encode_json};
/// use serde_json::json;
///
/// let bytes = encode_json(&json!({"id": "alice", "age": 30, "address": {"city": "Bern", "zip": 3000}}))?;
/// let item = ItemView::new(&bytes)?;
/// let mut writer = ItemWriter::new();
/// writer.copy("id", item.get("id")?.unwrap())?;
/// writer.begin_map("address")?;
/// writer.copy("city", item.get("address")?.unwrap().get("city")?.unwrap())?;
/// writer.end()?;
/// writer.put("seen", &true.into())?;
/// let projected = writer.finish()?;
/// assert_eq!(decode_json(&projected)?, json!({"id": "alice", "address": {"city": "Bern"}, "seen": true}));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// Every call may find that the item cannot be stored ([`ItemError::Value`]); what is copied is checked, and may be damaged
/// ([`ItemError::Damage`]). After an error the writer is of no use: `finish` gives that error again.
///
/// # Panics
///
/// Calls that do not fit to what is open are mistakes of the program: `push` where entries of a map are written,
/// `put` in a list, an `end` too many or too few.
#[derive(Debug)]
pub struct ItemWriter {
    buffer: Vec<u8>,
    size: usize,
    /// Whether entries of the item are held against the limit of its size one by one.
    is_row: bool,
    /// The item itself, and in it what is open.
    open: Vec<Open>,
    failed: Option<ItemError>,
}

/// Why an item could not be put together.
#[derive(Clone, Debug, PartialEq, Error)]
pub enum ItemError {
    /// What would come out cannot be stored.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// What was to be copied is damaged.
    #[error(transparent)]
    Damage(#[from] ItemDamage),
}

#[derive(Debug)]
enum Open {
    Map(OpenMap),
    List(OpenList),
}

impl Default for ItemWriter {
    fn default() -> Self {
        Self::new()
    }
}

impl ItemWriter {
    /// An item without attributes.
    pub fn new() -> Self {
        Self::with_buffer(Vec::new())
    }

    /// What is returned of an item, not to be stored: parts of it under names of their own, which may overlap. So each may be as large
    /// as an item, and all together larger.
    pub(crate) fn row() -> Self {
        ItemWriter { is_row: true, ..Self::new() }
    }

    /// An item that is appended to a buffer.
    pub fn with_buffer(mut buffer: Vec<u8>) -> Self {
        let item = Encoder::resume(&mut buffer, 0).begin_map(0).expect("level 0 is a map");
        ItemWriter { buffer, size: 0, is_row: false, open: vec![Open::Map(item)], failed: None }
    }

    /// Writes an entry of the open map.
    pub fn put(&mut self, name: &str, value: &AttributeValue) -> Result<(), ItemError> {
        self.write(Some(name), |encoder, level| Ok(model::write(encoder, level, value)?))
    }

    /// Writes an element of the open list.
    pub fn push(&mut self, value: &AttributeValue) -> Result<(), ItemError> {
        self.write(None, |encoder, level| Ok(model::write(encoder, level, value)?))
    }

    /// Copies a value of another encoded item as an entry of the open map.
    pub fn copy(&mut self, name: &str, value: ValueView<'_>) -> Result<(), ItemError> {
        self.write(Some(name), |encoder, level| copy(encoder, level, value))
    }

    /// Copies a value of another encoded item as an element of the open list.
    pub fn push_copy(&mut self, value: ValueView<'_>) -> Result<(), ItemError> {
        self.write(None, |encoder, level| copy(encoder, level, value))
    }

    /// Opens a map as an entry of the open map.
    pub fn begin_map(&mut self, name: &str) -> Result<(), ItemError> {
        let map = self.write(Some(name), |encoder, level| Ok(encoder.begin_map(level)?))?;
        self.open.push(Open::Map(map));
        Ok(())
    }

    /// Opens a list as an entry of the open map.
    pub fn begin_list(&mut self, name: &str) -> Result<(), ItemError> {
        let list = self.write(Some(name), |encoder, level| Ok(encoder.begin_list(level)?))?;
        self.open.push(Open::List(list));
        Ok(())
    }

    /// Opens a map as an element of the open list.
    pub fn push_map(&mut self) -> Result<(), ItemError> {
        let map = self.write(None, |encoder, level| Ok(encoder.begin_map(level)?))?;
        self.open.push(Open::Map(map));
        Ok(())
    }

    /// Opens a list as an element of the open list.
    pub fn push_list(&mut self) -> Result<(), ItemError> {
        let list = self.write(None, |encoder, level| Ok(encoder.begin_list(level)?))?;
        self.open.push(Open::List(list));
        Ok(())
    }

    /// Ends what was opened last.
    pub fn end(&mut self) -> Result<(), ItemError> {
        self.check_failed()?;
        assert!(self.open.len() > 1, "nothing is open but the item itself");
        self.close()
    }

    /// The encoded item, after what the buffer held before.
    pub fn finish(mut self) -> Result<Vec<u8>, ItemError> {
        self.check_failed()?;
        assert!(self.open.len() == 1, "a map or list is open still");
        self.close()?;
        Ok(self.buffer)
    }

    /// The size of what was written, as DynamoDB counts it.
    pub fn size(&self) -> usize {
        self.size
    }

    fn write<T>(
        &mut self,
        name: Option<&str>,
        value: impl FnOnce(&mut Encoder<'_>, u32) -> Result<T, ItemError>,
    ) -> Result<T, ItemError> {
        self.check_failed()?;
        if self.is_row && self.open.len() == 1 {
            self.size = 0;
        }
        let mut encoder = Encoder::resume(&mut self.buffer, self.size);
        let open = self.open.last_mut().expect("the item itself is open until it is finished");
        let written = begin(&mut encoder, open, name).and_then(|level| value(&mut encoder, level));
        self.size = encoder.size();
        self.failed = written.as_ref().err().cloned();
        written
    }

    fn close(&mut self) -> Result<(), ItemError> {
        let mut encoder = Encoder::resume(&mut self.buffer, self.size);
        let closed = match self.open.pop() {
            Some(Open::Map(map)) => encoder.end_map(map),
            Some(Open::List(list)) => {
                encoder.end_list(list);
                Ok(())
            }
            None => Ok(()),
        };
        self.failed = closed.as_ref().err().cloned().map(ItemError::Value);
        Ok(closed?)
    }

    fn check_failed(&self) -> Result<(), ItemError> {
        self.failed.clone().map_or(Ok(()), Err)
    }
}

/// Begins an entry or element of what is open, and says on which level its value is.
fn begin(encoder: &mut Encoder<'_>, open: &mut Open, name: Option<&str>) -> Result<u32, ItemError> {
    match (open, name) {
        (Open::Map(map), Some(name)) => {
            encoder.name(map, name)?;
            Ok(map.inner_level())
        }
        (Open::List(list), None) => {
            encoder.element()?;
            Ok(list.inner_level())
        }
        (Open::Map(_), None) => panic!("an entry of a map needs a name"),
        (Open::List(_), Some(_)) => panic!("an element of a list has no name"),
    }
}

fn copy(encoder: &mut Encoder<'_>, level: u32, value: ValueView<'_>) -> Result<(), ItemError> {
    check_level(level, value.attribute_type())?;
    let measure = value.measure()?;
    // The value was measured as if it were on level 1.
    if level - 1 + measure.deepest > MAX_LEVELS {
        return Err(ValueError::NestingTooDeep.into());
    }
    let encoded = value.encoded();
    Ok(encoder.encoded(encoded.tag, encoded.body, measure.size)?)
}
