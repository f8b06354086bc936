//! Texts that are checked together: one pass over a small map or list, instead of one over each text in it.
//!
//! Stored text is checked each time it is read, since bytes from disk are trusted by nobody. For a short text the call costs
//! more than the pass, most of all because no branch predictor knows how long the next text is. But the headers and names
//! between the texts of a small map or list are UTF-8 as well, by the look of their bytes, unless there is a number, a
//! binary or a text of more than 127 bytes among them. So the whole body is checked at once, and what was found to be
//! UTF-8 is cut up, which takes a look at two bytes a text.
//!
//! # Invariants
//!
//! 1. A window never changes what is accepted: a text that it does not hold, or that begins or ends within one of its
//!    characters, is checked by itself, and refused as it would be without a window.
//! 2. What is checked in vain is little: at most [`WINDOW_MAX`] bytes for each map or list.

use super::ItemDamage;
use super::cursor::{self, Encoded};
use super::layout::tag;

/// The longest body that is checked at once. That of a larger one nearly always has something in it that is not UTF-8.
const WINDOW_MAX: usize = 512;

/// The body of a map or list, if it is UTF-8 from the first byte to the last; or nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct TextWindow<'a> {
    text: &'a str,
    /// The offset in the item at which `text` ends.
    end: usize,
}

impl<'a> TextWindow<'a> {
    /// Holds nothing.
    pub(super) const NONE: TextWindow<'static> = TextWindow { text: "", end: 0 };

    /// The window for what is in a map, list or set on this level, itself seen through the window `outer`.
    #[inline]
    pub(super) fn within(container: &Encoded<'a>, level: u32, outer: TextWindow<'a>) -> TextWindow<'a> {
        if !outer.text.is_empty() {
            return outer;
        }
        // An item seldom is without numbers, and a number seldom looks like text.
        let hopeless = level == 0 || matches!(container.tag, tag::NS | tag::BS);
        if hopeless || container.body.len() > WINDOW_MAX {
            return TextWindow::NONE;
        }
        match std::str::from_utf8(container.body) {
            Ok(text) => TextWindow { text, end: container.end },
            Err(_) => TextWindow::NONE,
        }
    }

    /// Bytes that end at offset `end` as text.
    #[inline]
    pub(super) fn text(self, bytes: &'a [u8], end: usize) -> Result<&'a str, ItemDamage> {
        match self.part(bytes.len(), end) {
            Some(text) => Ok(text),
            None => cursor::text(bytes, end),
        }
    }

    #[inline]
    fn part(self, len: usize, end: usize) -> Option<&'a str> {
        let behind = self.end.checked_sub(end)?;
        let to = self.text.len().checked_sub(behind)?;
        self.text.get(to.checked_sub(len)?..to)
    }
}
