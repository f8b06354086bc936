//! Names: which table a name stands for, and what the layer above keeps with it (its schema, as bytes).
//!
//! Names are items of the table [`NAMES`], versioned like any others, so a snapshot sees the tables of its time.
//!
//! ```text
//! offset  size  field  meaning
//! ------  ----  -----  ------------------------------------------------
//!      0     4  table  the table's id, little-endian
//!      4     .  meta   whatever the layer above keeps
//! ```

use std::ops::ControlFlow;

use dynamite_bptree::Pages;
use dynamite_pager::Access;

use crate::catalog::{FIRST_TABLE, NAMES};
use crate::error::{Damage, Result, TxnError};
use crate::scan::Range;
use crate::txn_id::{TableId, TxnId};
use crate::visibility::View;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// The table.
    pub id: TableId,
    /// The transaction that created it, or changed what is kept with it.
    pub version: TxnId,
    /// What the layer above keeps with it.
    pub meta: Vec<u8>,
}

/// The payload of a name.
pub(crate) fn encode(id: TableId, meta: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(4 + meta.len());
    payload.extend(id.0.to_le_bytes());
    payload.extend(meta);
    payload
}

pub(crate) fn find(view: &View, pages: &mut impl Pages, name: &[u8]) -> Result<Option<TableInfo>> {
    view.get(pages, name, decode)?.transpose()
}

pub(crate) fn list(view: &View, pages: &mut impl Pages) -> Result<Vec<(Vec<u8>, TableInfo)>> {
    let mut tables = Vec::new();
    view.scan(pages, &Range::all().borrow(), Access::Point, |row| {
        tables.push((row.key.to_vec(), decode(row.version, row.payload)));
        ControlFlow::Continue(())
    })?;
    tables.into_iter().map(|(name, info)| Ok((name, info?))).collect()
}

pub(crate) fn decode(version: TxnId, payload: &[u8]) -> Result<TableInfo> {
    let damaged = TxnError::Damaged { table: NAMES, source: Damage::Name };
    let Some((id, meta)) = payload.split_first_chunk::<4>() else { return Err(damaged) };
    let id = TableId(u32::from_le_bytes(*id));
    // System tables have no names: whoever dropped or wrote one by its name would ruin the database.
    if id < FIRST_TABLE {
        return Err(damaged);
    }
    Ok(TableInfo { id, version, meta: meta.to_vec() })
}
