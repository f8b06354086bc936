//! A SELECT under way: its pages, one after the other.
//!
//! The database's limit counts the items that are looked at, and its tokens lead behind the last of them; people count the items that
//! they see. So a page is read in steps: of as many items as are still to be shown, of more as long as most are dropped, and, when
//! a step has found more than there is room for, of half as many from the same place.

use std::sync::atomic::AtomicBool;

use dynamite_core::api::Consumed;
use dynamite_core::partiql;

use crate::console::answer::{Answer, Cursor};
use crate::console::error::{Result, check_interrupt};
use crate::console::reading::{Portion, keys_of};
use crate::console::target::Target;

/// Items that are looked at in one step, at most.
const MAX_STEP: usize = 1000;

/// A SELECT, and how far it is.
#[derive(Debug)]
pub(crate) struct Selecting {
    text: String,
    /// The table's key, whose attributes people see first.
    keys: Vec<String>,
    /// Where to go on. At the end, and at the beginning, there is none.
    token: Option<String>,
    has_ended: bool,
}

impl Selecting {
    /// A SELECT from its beginning on, or from where a token leads.
    pub(crate) fn new(target: &Target, text: String, token: Option<String>) -> Selecting {
        let table = partiql::table_of(&text).unwrap_or_default();
        // If there is no such table, the statement itself says so.
        let keys = target.describe_table(&table).map_or_else(|_| Vec::new(), |table| keys_of(&table, None));
        Selecting { text, keys, token, has_ended: false }
    }

    /// Whether all has been read.
    pub(crate) fn is_done(&self) -> bool {
        self.has_ended
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
        let (mut step, mut may_grow) = (wanted, true);
        while items.len() < wanted && !self.has_ended {
            check_interrupt(interrupt)?;
            let left = wanted - items.len();
            let limit = step.max(left);
            let counted = consumed.map(|_| Consumed::default());
            let page = target.statement(&self.text, Some(limit), self.token.as_deref(), counted.as_ref())?;
            if page.items.len() > left {
                (step, may_grow) = (limit / 2, false);
                continue;
            }
            if may_grow && page.items.len() < page.scanned_count {
                step = (2 * limit).min(MAX_STEP);
            }
            if let (Some(consumed), Some(counted)) = (consumed, counted) {
                consumed.extend(counted.take());
            }
            scanned_count += page.scanned_count;
            items.extend(page.items);
            self.has_ended = page.next_token.is_none();
            self.token = page.next_token;
        }
        Ok(Portion { count: items.len(), scanned_count, items })
    }

    /// What is said of what was read last.
    pub(crate) fn answer(&self, portion: Portion) -> Answer {
        let Portion { scanned_count, items, .. } = portion;
        let cursor = self.token.clone().map(Cursor::Token);
        Answer::Page { items, keys: self.keys.clone(), scanned_count, cursor, goes_on: false }
    }
}
