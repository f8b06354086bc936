//! Whether the database and the endpoint hold the same items: their counts, and the checksums of their contents.
//!
//! Items that expire go while they are read, here in the second that they name, and there some time later. So those that name a time before
//! tomorrow are left out on both sides.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dynamite_core::Number;
use dynamite_core::api::EncodedItem;

use crate::copy::TableArguments;
use crate::copy::endpoint::Endpoint;
use crate::copy::error::{CopyError, Result};
use crate::copy::scan::{Position, scan};
use crate::copy::table::keys_of;
use crate::progress::progress_bar;
use crate::transfer::checksum::Content;
use crate::transfer::error::TransferError;
use crate::transfer::interrupt;
use crate::transfer::place::Access;

/// What there is on one side.
#[derive(Default)]
pub(crate) struct Side {
    pub(crate) content: Content,
    /// Items that were not looked at, since they expire.
    pub(crate) left_out: u64,
}

/// What there is on both.
pub(crate) struct Compared {
    pub(crate) here: Side,
    pub(crate) there: Side,
}

/// Compares the tables.
pub(crate) fn compare(arguments: &TableArguments) -> Result<Compared> {
    let interrupt = interrupt()?;
    let target = arguments.place.open(Access::Read, &interrupt)?;
    let table = target.describe_table(&arguments.table)?;
    let endpoint = Endpoint::connect(arguments, &interrupt)?;
    let keys = keys_of(&endpoint.settled(false)?)?;
    if table.keys != keys {
        return Err(CopyError::other_keys(&table.keys, &keys));
    }
    let expiry = Expiry::before_tomorrow(table.ttl.into_iter().chain(endpoint.ttl()?));
    let bar = progress_bar("items", arguments.shows_progress());
    bar.set_length(table.item_count * 2);
    let mut here = Side::default();
    let is_interrupted = || interrupt.load(std::sync::atomic::Ordering::Relaxed);
    target.visit_items(&arguments.table, None, |item| {
        here.add(&item, &expiry);
        bar.inc(1);
        !is_interrupted()
    })?;
    if is_interrupted() {
        return Err(TransferError::Interrupted.into());
    }
    let mut there = Side::default();
    let segments = vec![Position::Begin; usize::from(arguments.threads)];
    scan(&endpoint, &keys, &segments, |_, page| {
        page.items.iter().for_each(|item| there.add(item, &expiry));
        bar.inc(page.items.len() as u64);
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(Compared { here, there })
}

impl Side {
    fn add(&mut self, item: &EncodedItem<'_>, expiry: &Expiry) {
        if expiry.concerns(item) { self.left_out += 1 } else { self.content.add(item) }
    }
}

/// Which items go while they are read.
struct Expiry {
    attributes: Vec<String>,
    /// Seconds since 1970.
    horizon: Number,
}

impl Expiry {
    fn before_tomorrow(attributes: impl Iterator<Item = String>) -> Expiry {
        let tomorrow = SystemTime::now() + Duration::from_secs(24 * 60 * 60);
        let seconds = tomorrow.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Expiry { attributes: attributes.collect(), horizon: seconds.into() }
    }

    fn concerns(&self, item: &EncodedItem<'_>) -> bool {
        let number = |name: &String| item.view().ok()?.get(name).ok()??.as_number().ok()?;
        self.attributes.iter().filter_map(number).any(|second| second < self.horizon)
    }
}
