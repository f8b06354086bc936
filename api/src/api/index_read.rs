//! Reads of indexes that ask for what the index does not hold.
//!
//! A global index refuses them; for a local one the items are got from the table, from the same state. And of a table whose items
//! expire, an index that does not hold the attribute that says when, must ask the table's items whether they are there.

use std::ops::{Bound, ControlFlow};

use dynamite_txn::{Access, Portions, Range};

use crate::api::index::{IndexKind, Projection as Held};
use crate::api::key;
use crate::api::layout::Layout;
use crate::api::projection::Projection;
use crate::api::source::Reading;
use crate::api::table::{Place, Table};
use crate::api::walk::Walk;
use crate::error::{Damage, IndexError, Result};
use crate::expression::Condition;

/// Entries whose items are got before the next ones are read.
const PORTION: usize = 64;

/// Where a walk finds its items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Where it goes.
    There,
    /// There too, but only the item in the table says whether it has expired.
    ThereIfAlive,
    /// In the table.
    InTable,
}

impl Look {
    /// Where the items are that are asked for: in the table, if all attributes are asked for, or one that the index does not hold.
    ///
    /// # Errors
    ///
    /// They are in the table, and the index is a global one.
    pub(crate) fn of(
        place: Place<'_>,
        all_attributes: bool,
        projection: &Projection<'_>,
        filter: Option<&Condition>,
    ) -> Result<Look> {
        let Some(index) = place.index.filter(|index| index.projection != Held::All) else {
            return Ok(Look::There);
        };
        let named = projection.attributes();
        let filtered = filter.into_iter().flat_map(Condition::paths).map(|path| path.attribute());
        let mut names = named.chain(filtered).filter(|name| !index.holds(name)).collect::<Vec<_>>();
        if (all_attributes || !names.is_empty()) && index.kind == IndexKind::Local {
            return Ok(Look::InTable);
        }
        if all_attributes {
            return Err(IndexError::AllFromGlobal { index: index.name.clone() }.into());
        }
        if !names.is_empty() {
            names.dedup();
            let names = names.into_iter().map(str::to_owned).collect();
            return Err(IndexError::NotInGlobal { index: index.name.clone(), names }.into());
        }
        let is_told = place.table.ttl.as_ref().is_none_or(|ttl| index.holds(&ttl.attribute));
        Ok(if is_told { Look::There } else { Look::ThereIfAlive })
    }
}

/// Visits the keys that a walk is about, each with the item that is asked for, and with the entry that stands under it.
pub(crate) fn scan(
    reading: &mut Reading<'_, '_>,
    place: Place<'_>,
    walk: &Walk<'_>,
    access: Access,
    mut visit: impl FnMut(&[u8], &[u8], &[u8]) -> ControlFlow<()>,
) -> Result<()> {
    let (layout, table, mut rest) = (place.layout(), place.table, walk.range.clone());
    if walk.look == Look::There {
        let visit = |row: dynamite_txn::Row<'_>| visit(row.key, row.payload, row.payload);
        reading.scan_tree(layout.id, table, &rest.borrow(), access, visit)?;
        return Ok(());
    }
    let portion = walk.limit.unwrap_or(PORTION).min(PORTION);
    loop {
        let mut entries = Vec::with_capacity(portion);
        let broke_off = reading.scan_tree(layout.id, table, &rest.borrow(), Access::Point, |row| {
            if !walk.segment.holds(layout, row.key) {
                return ControlFlow::Continue(());
            }
            let is_needed = walk.look == Look::ThereIfAlive || walk.counts_entries();
            entries.push((row.key.to_vec(), if is_needed { row.payload.to_vec() } else { Vec::new() }));
            if entries.len() < portion { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        for (key, entry) in &entries {
            let table_key = key::table_key_of(layout, key).map_err(|damage| layout.damaged(damage))?;
            let found = reading.get(table, table_key, |_, item| match walk.look {
                Look::InTable => visit(key, item, entry),
                _ => visit(key, entry, entry),
            })?;
            match found {
                Some(went_on) if went_on.is_break() => return Ok(()),
                Some(_) => {}
                None => expired(table, layout)?,
            }
        }
        let Some((last, _)) = entries.pop().filter(|_| broke_off) else { return Ok(()) };
        rest.go_on_behind(&last);
    }
}

/// An entry without an item that is to be seen: that has expired, if items do.
fn expired(table: &Table, index: &Layout) -> Result<()> {
    if table.ttl.is_some() { Ok(()) } else { Err(index.damaged(Damage::LostItem)) }
}

/// Where an iterator gets the items of an index's entries.
pub(crate) struct Items<S> {
    state: S,
    item: Vec<u8>,
}

impl<S: Portions> Items<S> {
    pub(crate) fn of(state: S) -> Items<S> {
        Items { state, item: Vec::new() }
    }

    /// The item of an entry with this key; `None` if it has expired at a second.
    pub(crate) fn get(
        &mut self,
        table: &Table,
        index: &Layout,
        key: &[u8],
        seconds: u64,
    ) -> Result<Option<&[u8]>> {
        let key = key::table_key_of(index, key).map_err(|damage| index.damaged(damage))?;
        let range = Range { from: Bound::Included(key), to: Bound::Included(key), reverse: false };
        self.item.clear();
        let is_found = self.state.portion(table.id, &range, &mut |row| {
            self.item.extend_from_slice(row.payload);
            ControlFlow::Break(())
        })?;
        if !is_found {
            return Err(index.damaged(Damage::LostItem));
        }
        Ok((!table.is_expired_at(&self.item, seconds)?).then_some(&self.item[..]))
    }
}
