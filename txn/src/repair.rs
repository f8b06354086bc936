//! Repairs in place of what can be made anew from what is whole: free space, counts, trees that the layer above can fill again.
//!
//! Each is a commit like any other: a crash leaves the state before it or the one behind it. What they rely on is a
//! [survey](crate::verify::survey) of everything, made a moment before; a tree that could not be seen to its end leaves pages
//! uncounted, and whoever freed these would destroy what salvage could still read. So free space is repaired when all trees are whole.

use std::path::Path;

use dynamite_pager::{Extent, Options, PageId, PagePtr, PagerError, Problem, Severity};

use crate::catalog::TableRecord;
use crate::error::Result;
use crate::txn_id::{TableId, TxnId};
use crate::verify::{Found, Inconsistency, Scope, Watch, survey};
use crate::write_txn::WriteTxn;

/// Goes back to the older header of a file whose newest one nobody can open it by, if the state that it leads to is whole. Returns the
/// commits gone back from and to; `None` if the file can be opened as it is.
///
/// # Errors
///
/// Those of an open, if going back does not help.
pub fn fall_back(path: &Path) -> Result<Option<(TxnId, TxnId)>> {
    struct Unwatched;
    impl Watch for Unwatched {}
    let options = Options::new().background(false).page_check(dynamite_bptree::check_page);
    let error = match options.open_read_only(path) {
        Ok(_) => return Ok(None),
        Err(error @ (PagerError::Truncated { .. } | PagerError::Corrupt { .. })) => error,
        Err(error) => return Err(error.into()),
    };
    let Some(older) = options.open_older(path)? else { return Err(error.into()) };
    let found = survey(&older, Scope::Everything, &mut Unwatched)?;
    drop(older);
    if found.iter().any(|found| found.finding.severity() == Severity::Damage) {
        return Err(error.into());
    }
    let back = options.fall_back(path)?;
    Ok(back.map(|(from, to)| (from.into(), to.into())))
}

/// What a survey found wrong with the free space.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceFaults {
    /// Pages that are neither in use nor free.
    pub lost: Vec<Extent>,
    /// Pages in use that count as free.
    pub used: Vec<Extent>,
    /// Its own pages are damaged.
    pub is_damaged: bool,
}

impl SpaceFaults {
    /// Those of a survey of everything.
    pub fn of(found: &[Found]) -> SpaceFaults {
        let mut faults = SpaceFaults::default();
        for Found { owner, finding } in found {
            match (&finding.problem, finding.pages) {
                (Problem::Lost, Some(pages)) => faults.lost.push(pages),
                (Problem::ReachedAndFree, Some(pages)) => faults.used.push(pages),
                (Problem::Corrupt(_) | Problem::Unreadable(_), Some(pages)) => {
                    faults.is_damaged |= owner.is_none() && pages.first > PageId(1);
                }
                _ => {}
            }
        }
        faults
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == SpaceFaults::default()
    }

    /// Whether what the file says of its free space must not be believed.
    pub fn is_misleading(&self) -> bool {
        self.is_damaged || !self.used.is_empty()
    }
}

/// Mends the free space of a file of which a survey has found these faults, and all trees whole; `free` is what it found free. Returns how
/// many pages are free then that were not, and how many are not that were.
///
/// # Errors
///
/// Those of opening and of a commit.
pub fn mend_free_space(path: &Path, faults: &SpaceFaults, free: &[Extent]) -> Result<(u64, u64)> {
    let count = |extents: &[Extent]| extents.iter().map(|extent| u64::from(extent.count)).sum::<u64>();
    let options = Options::new().background(false).page_check(dynamite_bptree::check_page);
    let pager = options.forget_free_space(faults.is_misleading()).open(path)?;
    let mut batch = pager.begin()?;
    // Without a list of its own nothing is free but what is said to be here. The births of free pages are nobody's business.
    let birth = dynamite_pager::Birth(0);
    let is_used = |id: PageId| faults.used.iter().any(|extent| extent.contains(id));
    if faults.is_misleading() {
        for id in free.iter().flat_map(|extent| extent.pages()).filter(|id| !is_used(*id)) {
            batch.free(PagePtr { id, birth })?;
        }
    }
    for extent in &faults.lost {
        batch.free_run(*extent, birth)?;
    }
    batch.commit()?;
    pager.close()?;
    Ok((count(&faults.lost), count(&faults.used)))
}

/// The true counts of tables, where a survey has found the catalog's wrong: items and bytes.
pub fn wrong_counts(found: &[Found]) -> Vec<(TableId, Option<u64>, Option<u64>)> {
    let counts = found.iter().filter_map(|found| {
        let Problem::Malformed(why) = &found.finding.problem else { return None };
        match why.downcast_ref::<Inconsistency>()? {
            Inconsistency::ItemCount { table, found, .. } => Some((*table, Some(*found), None)),
            Inconsistency::ByteCount { table, found, .. } => Some((*table, None, Some(*found))),
            _ => None,
        }
    });
    counts.collect()
}

impl WriteTxn<'_> {
    /// Empties a table at once and leaves its pages to whoever mends the free space: for trees that cannot be walked, and whose contents
    /// can be made anew.
    pub fn abandon_contents(&mut self, table: TableId) -> Result<()> {
        self.attempt(|txn| {
            let record = txn.record(table)?;
            let TableRecord { tree, items, bytes, .. } = TableRecord::EMPTY;
            txn.set_table(table, TableRecord { tree, items, bytes, ..record });
            Ok(())
        })
    }

    /// Corrects what the catalog counts in a table.
    pub fn set_counts(&mut self, table: TableId, items: Option<u64>, bytes: Option<u64>) -> Result<()> {
        self.attempt(|txn| {
            let record = txn.record(table)?;
            let (items, bytes) = (items.unwrap_or(record.items), bytes.unwrap_or(record.bytes));
            txn.set_table(table, TableRecord { items, bytes, ..record });
            Ok(())
        })
    }
}
