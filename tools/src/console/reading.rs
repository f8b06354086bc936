//! A query or a scan under way: its pages, one after the other.
//!
//! DynamoDB's limit counts the items that are looked at; people count those that they see. So a page here is as many items as were
//! asked for, however many a filter drops, and the place to go on at is that of the last item shown. It is made of the attributes of
//! that item's key; where a projection leaves them out they are asked for besides, and not shown.

use std::sync::atomic::AtomicBool;

use dynamite_core::Item;
use dynamite_core::api::{Consumed, TableDescription};
use dynamite_core::json::item_from_json;
use serde_json::Value;

use crate::console::answer::{Answer, Cursor};
use crate::console::error::{Result, check_interrupt};
use crate::console::statement::{Placeholders, Read};
use crate::console::target::{PageRequest, Target};

/// Items that are looked at in one step behind a filter, at least: most may be dropped.
const MIN_STEP: usize = 1000;

/// A read, and how far it is.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) table: String,
    read: Read,
    /// The paths that are asked for, if not all are.
    projection: Option<String>,
    placeholders: Placeholders,
    /// The attributes of the key, those of an index first: a cursor has all of them, and people see them first.
    keys: Vec<String>,
    /// Those of them that are asked for and not shown.
    hidden: Vec<String>,
    cursor: Option<Item>,
}

/// What was read of it at once.
#[derive(Debug)]
pub(crate) struct Portion {
    pub(crate) count: usize,
    pub(crate) scanned_count: usize,
    pub(crate) items: Vec<Item>,
}

impl Reading {
    pub(crate) fn new(table: &TableDescription, read: Read) -> Reading {
        let keys = keys_of(table, read.index.as_deref());
        let mut reading = Reading {
            table: table.name.clone(),
            projection: None,
            placeholders: read.placeholders.clone(),
            cursor: read.cursor.clone(),
            keys,
            hidden: Vec::new(),
            read,
        };
        reading.ask_for_keys();
        reading
    }

    /// Adds what a cursor needs to the projection.
    fn ask_for_keys(&mut self) {
        let Some(projection) = self.read.projection.as_ref().filter(|_| !self.read.count) else { return };
        let mut text = projection.expression.text.clone();
        self.hidden = self.keys.iter().filter(|key| !projection.attributes.contains(key)).cloned().collect();
        let names = &mut self.placeholders.names;
        for (nth, key) in self.hidden.iter().enumerate() {
            let mut placeholder = format!("#_{}", nth + 1);
            while names.contains_key(&placeholder) {
                placeholder.push('_');
            }
            text += &format!(", {placeholder}");
            names.insert(placeholder, key.clone());
        }
        self.projection = Some(text);
    }

    /// Whether only the number of items is wanted.
    pub(crate) fn counts(&self) -> bool {
        self.read.count
    }

    /// Whether all has been read.
    pub(crate) fn is_done(&self) -> bool {
        self.cursor.is_none()
    }

    /// Reads up to so many items that are to be shown.
    pub(crate) fn page(
        &mut self,
        target: &Target,
        wanted: usize,
        interrupt: &AtomicBool,
        consumed: Option<&Consumed>,
    ) -> Result<Portion> {
        let (mut items, mut scanned_count) = (Vec::new(), 0);
        loop {
            check_interrupt(interrupt)?;
            let left = wanted - items.len();
            let limit = if self.read.filter.is_some() { left.max(MIN_STEP) } else { left };
            let page = target.page(self.request(Some(limit), consumed))?;
            scanned_count += page.scanned_count;
            let is_cut = page.items.len() > left;
            self.cursor = page.last_evaluated_key.map(cursor_of).transpose()?;
            items.extend(page.items.into_iter().take(left));
            if is_cut {
                self.cursor = items.last().map(|last| self.place_of(last));
            }
            if items.len() == wanted || self.is_done() {
                break;
            }
        }
        items.iter_mut().for_each(|item| item.retain(|name, _| !self.hidden.contains(name)));
        Ok(Portion { count: items.len(), scanned_count, items })
    }

    /// Counts the items that the read is for; those of `wanted` that are looked at, if it is limited.
    pub(crate) fn count(
        &mut self,
        target: &Target,
        wanted: Option<usize>,
        interrupt: &AtomicBool,
        consumed: Option<&Consumed>,
    ) -> Result<Portion> {
        let (mut count, mut scanned_count) = (0, 0);
        loop {
            check_interrupt(interrupt)?;
            let page =
                target.count_page(self.request(wanted.map(|wanted| wanted - scanned_count), consumed))?;
            count += page.count;
            scanned_count += page.scanned_count;
            self.cursor = page.last_evaluated_key.map(cursor_of).transpose()?;
            if self.is_done() || wanted == Some(scanned_count) {
                return Ok(Portion { count, scanned_count, items: Vec::new() });
            }
        }
    }

    /// What is said of what was read last; `goes_on` says that the rest follows by itself.
    pub(crate) fn answer(&self, portion: Portion, goes_on: bool) -> Answer {
        let Portion { count, scanned_count, items } = portion;
        let cursor = self.cursor.clone().map(Cursor::Key);
        match self.read.count {
            true => Answer::Count { count, scanned_count, cursor, goes_on },
            false => Answer::Page { items, keys: self.keys.clone(), scanned_count, cursor, goes_on },
        }
    }

    fn request<'r>(&'r self, limit: Option<usize>, consumed: Option<&'r Consumed>) -> PageRequest<'r> {
        PageRequest {
            read: &self.read,
            table: &self.table,
            projection: self.projection.as_deref(),
            placeholders: &self.placeholders,
            cursor: self.cursor.as_ref(),
            limit,
            consumed,
        }
    }

    /// Where to go on behind an item.
    fn place_of(&self, item: &Item) -> Item {
        let attribute = |key: &String| Some((key.clone(), item.get(key)?.clone()));
        self.keys.iter().filter_map(attribute).collect()
    }
}

/// The attributes of the key by which items of a table, or of one of its indexes, are found: those of the index first.
pub(crate) fn keys_of(table: &TableDescription, index: Option<&str>) -> Vec<String> {
    let index = index.and_then(|name| table.indexes.iter().find(|index| index.name == *name));
    let attributes =
        index.into_iter().flat_map(|index| index.keys.attributes()).chain(table.keys.attributes());
    let mut keys: Vec<String> = Vec::new();
    for attribute in attributes {
        if !keys.iter().any(|key| key == attribute.name()) {
            keys.push(attribute.name().to_owned());
        }
    }
    keys
}

fn cursor_of(key: Value) -> Result<Item> {
    Ok(item_from_json(key).map_err(dynamite_core::Error::from)?)
}
