//! Removing what has expired, and what was forgotten long ago. Nobody sees it before either; this gives the room back.

use dynamite_core::api::{Deferred, Transaction};

use crate::error::Result;
use crate::request::Swept;
use crate::store::change;
use crate::store::record::{Due, DueKind, Memory, QUEUE_NAME};
use crate::store::tables::{MEMORIES, QUEUE, Typed, View, transact};

/// What is swept in one transaction.
const PORTION: usize = 100;

/// Sweeps up to `most`, in transactions of bounded size.
pub(super) fn sweep(target: &Deferred<'_>, now: u64, most: usize) -> Result<Swept> {
    let mut total = Swept::default();
    let mut left = most;
    loop {
        let swept = transact(target, |txn| sweep_some(txn, now, left.min(PORTION)))?;
        total.expired += swept.expired;
        total.tombstones += swept.tombstones;
        total.more = swept.more;
        left = left.saturating_sub((swept.expired + swept.tombstones) as usize);
        if !swept.more || left == 0 {
            return Ok(total);
        }
    }
}

/// Sweeps a little, within a transaction.
pub(super) fn sweep_some(txn: &Transaction<'_>, now: u64, most: usize) -> Result<Swept> {
    let mut swept = Swept::default();
    let due = txn.partition(QUEUE, QUEUE_NAME).sort_key_lt(Due::time(now + 1)).limit(most + 1);
    let mut due = due.page::<Due>()?.items;
    swept.more = due.len() > most;
    due.truncate(most);
    for due in due {
        match due.what {
            DueKind::Expiry => {
                let found = txn.get::<Memory>(MEMORIES, &due.partition, Some(due.key.as_str()))?;
                if let Some(memory) = found.filter(|memory| memory.is_expired(now)) {
                    change::remove(txn, now, &memory, true)?;
                    swept.expired += 1;
                }
            }
            DueKind::Tombstone => {
                change::remove_past(txn, &due.partition, &due.key)?;
                swept.tombstones += 1;
            }
        }
        // Whatever it was about, it is done.
        txn.delete_item(QUEUE).partition_key(due.queue).sort_key(due.due).execute()?;
    }
    Ok(swept)
}
