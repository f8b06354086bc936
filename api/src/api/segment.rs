//! Segments: how workers share a table.

use crate::api::key;
use crate::api::layout::Layout;
use crate::error::{Invalid, Result};
use crate::key_codec;

/// One of several parts of a table or of an index: those partitions whose key's hash falls to it. The hash is DynamoDB's, so that a
/// segment has the items that it has there.
///
/// A pure function of the partition key and the number of segments, so that it holds through all changes of the
/// table, and workers never meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    pub(crate) total: u32,
}

impl Segment {
    /// The whole table.
    pub(crate) const ALL: Segment = Segment { number: 0, total: 1 };
    const MOST: u32 = 1_000_000;

    pub(crate) fn check(self) -> Result<()> {
        if self.total > Segment::MOST {
            return Err(Invalid::TotalSegments { total: self.total }.into());
        }
        match self.number < self.total {
            true => Ok(()),
            false => Err(Invalid::Segment { segment: self.number, total: self.total }.into()),
        }
    }

    /// Whether an item with this key, as it is stored, belongs to the segment.
    pub(crate) fn holds(self, layout: &Layout, key: &[u8]) -> bool {
        if self.total == 1 {
            return true;
        }
        // A damaged key, which decoding its item will report, falls somewhere.
        let hash = key::partition_of(layout, key).and_then(key_codec::hash).unwrap_or_default();
        let falls_to = (u128::from(hash) * u128::from(self.total)) >> 64;
        falls_to == u128::from(self.number)
    }
}
