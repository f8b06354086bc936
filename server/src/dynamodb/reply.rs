//! The JSON of answers, written from the front to the end: items straight from their stored form, and the rest by serde.

use dynamite_core::api::EncodedItem;
use serde::Serialize;

use crate::dynamodb::errors::{Answer, Failure};

/// Most answers with one item are no longer.
const USUAL_LEN: usize = 1024;

/// An answer that is being written: an object, whose fields come one after the other.
pub(crate) struct ReplyJson(Vec<u8>);

impl ReplyJson {
    pub(crate) fn new() -> ReplyJson {
        let mut json = Vec::with_capacity(USUAL_LEN);
        json.push(b'{');
        ReplyJson(json)
    }

    pub(crate) fn field(&mut self, name: &str, value: &impl Serialize) -> Answer<()> {
        self.name(name)?;
        self.serialize(value)
    }

    /// A field that is left out if there is nothing in it.
    pub(crate) fn optional(&mut self, name: &str, value: Option<&impl Serialize>) -> Answer<()> {
        value.map_or(Ok(()), |value| self.field(name, value))
    }

    pub(crate) fn item(&mut self, name: &str, item: &EncodedItem<'_>) -> Answer<()> {
        self.name(name)?;
        self.write(item)
    }

    pub(crate) fn items(&mut self, name: &str, items: &[EncodedItem<'_>]) -> Answer<()> {
        self.begin_array(name)?;
        for item in items {
            self.comma();
            self.write(item)?;
        }
        self.end_array();
        Ok(())
    }

    /// Begins a field that is an object itself.
    pub(crate) fn begin_object(&mut self, name: &str) -> Answer<()> {
        self.name(name)?;
        self.0.push(b'{');
        Ok(())
    }

    /// Begins an object that is an element of an array.
    pub(crate) fn begin_element(&mut self) {
        self.comma();
        self.0.push(b'{');
    }

    pub(crate) fn end_object(&mut self) {
        self.0.push(b'}');
    }

    pub(crate) fn begin_array(&mut self, name: &str) -> Answer<()> {
        self.name(name)?;
        self.0.push(b'[');
        Ok(())
    }

    pub(crate) fn end_array(&mut self) {
        self.0.push(b']');
    }

    /// The body.
    pub(crate) fn end(mut self) -> Answer {
        self.end_object();
        Ok(self.0)
    }

    fn name(&mut self, name: &str) -> Answer<()> {
        self.comma();
        self.serialize(&name)?;
        self.0.push(b':');
        Ok(())
    }

    /// Something is in front unless an object or an array has just begun.
    fn comma(&mut self) {
        if !matches!(self.0.last(), Some(b'{' | b'[')) {
            self.0.push(b',');
        }
    }

    fn serialize(&mut self, value: &impl Serialize) -> Answer<()> {
        serde_json::to_writer(&mut self.0, value).map_err(|error| Failure::internal(error.to_string()))
    }

    fn write(&mut self, item: &EncodedItem<'_>) -> Answer<()> {
        item.write_dynamodb_json(&mut self.0).map_err(|damage| Failure::internal(damage.to_string()))
    }
}
