//! Moving pages down: where the pages of a batch go that exists to make the file shorter.
//!
//! The file can be cut only where nothing is in use any more, and copy-on-write by itself moves pages about, not down. So
//! layers above, which alone know what points to a page, walk through their trees when the database is idle and copy what lies
//! beyond a *ceiling*. Such a batch places whatever it writes below the ceiling: leaves in the lowest free pages that there
//! are, other pages in the hot area, which gives up its granules above.
//!
//! # When, and how far
//!
//! A ceiling is worth having if much of the file could go: more than an eighth of what lives in it, beyond the slack that is left. The
//! slack is what is free of the hot area, which leaves cannot use, and a thirty-second, so that the batches that come afterwards have somewhere to put their pages, and the next
//! ceiling is far away: what is written at random into a file cannot use up an eighth without growing by it.

use crate::error::Result;
use crate::format::page_id::{Extent, PageId};
use crate::space::Space;
use crate::space::free_pages::granule_extent;
use crate::space::map::MapStore;

/// The part of the pages in use that stays free below a ceiling, and how many pages at the least.
const SLACK: u64 = 32;
const SLACK_MIN: u64 = 64;
/// The part of the pages in use that must be gained by moving pages down, and how many pages at the least.
const WORTH: u64 = 8;
const WORTH_MIN: u64 = 128;

impl Space {
    /// The page count that the file could have if pages were moved down, if that is worth it.
    pub(crate) fn ceiling_worth_having(&self) -> Option<u64> {
        let in_use = self.page_count.saturating_sub(self.free_pages());
        let ceiling = in_use + (in_use / SLACK).max(SLACK_MIN) + self.available.hot().pages();
        (self.page_count >= ceiling + (in_use / WORTH).max(WORTH_MIN)).then_some(ceiling)
    }

    /// The open batch places its pages below the ceiling.
    pub(crate) fn set_ceiling(&mut self, ceiling: u64) {
        self.ceiling = Some(ceiling);
        while let Some(last) = self.available.granules().last().copied()
            && granule_extent(last).end() > ceiling
        {
            self.available.cool(last);
        }
    }

    /// The lowest free pages in a row, if there is a ceiling and they are below it.
    pub(crate) fn below_ceiling(&mut self, store: &mut dyn MapStore, count: u32) -> Result<Option<Extent>> {
        let Some(ceiling) = self.ceiling else { return Ok(None) };
        match self.lowest_below(ceiling, count) {
            None if self.claim_some(store, count)? => Ok(self.lowest_below(ceiling, count)),
            found => Ok(found),
        }
    }

    fn lowest_below(&self, ceiling: u64, count: u32) -> Option<Extent> {
        let is_below = |first: PageId| u64::from(first.0) + u64::from(count) <= ceiling;
        let extents = self.available.cold().iter().take_while(|extent| is_below(extent.first));
        extents.into_iter().find(|extent| extent.count >= count)
    }
}
