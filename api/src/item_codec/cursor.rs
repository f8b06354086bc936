//! Steps through encoded entries and values. It checks bounds and forms of what it passes, and never looks inside.

use super::ItemDamage;
use super::layout::{self, LENGTH_1, LENGTH_2, LENGTH_3, MAX_SHORT, tag};
use super::text_window::TextWindow;
use crate::limits::MAX_NAME_LEN;
use crate::number::Number;

/// A place in the body of a map, list or set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
    /// The offset in the item at which `rest` ends.
    end: usize,
}

/// A value that a cursor came by: its type and its body, which nobody has looked at yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoded<'a> {
    pub(super) tag: u8,
    pub(super) body: &'a [u8],
    /// The offset in the item at which the body ends.
    pub(super) end: usize,
}

impl<'a> Cursor<'a> {
    /// The front of `bytes`, which end at offset `end`.
    #[inline]
    pub(super) fn new(bytes: &'a [u8], end: usize) -> Self {
        Cursor { rest: bytes, end }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What is in front of it.
    #[inline]
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Where it is in the item.
    #[inline]
    pub(super) fn offset(&self) -> usize {
        self.end - self.rest.len()
    }

    /// The name of an entry, after the name `before`.
    #[inline]
    pub(super) fn name(&mut self, before: &mut &'a [u8]) -> Result<&'a str, ItemDamage> {
        self.name_within(before, TextWindow::NONE)
    }

    /// The name of an entry, after the name `before`, seen through a window.
    #[inline]
    pub(super) fn name_within(
        &mut self,
        before: &mut &'a [u8],
        window: TextWindow<'a>,
    ) -> Result<&'a str, ItemDamage> {
        match self.ascending_name_bytes(before) {
            Some(name) => window.text(name, self.offset()),
            None => Err(self.ascending_name_damage(before)),
        }
    }

    /// The name of an entry, after the name `before`, as bytes; `None` if there is none, for the reason that
    /// [`ascending_name_damage`](Self::ascending_name_damage) gives.
    #[inline]
    pub(super) fn ascending_name_bytes(&mut self, before: &mut &'a [u8]) -> Option<&'a [u8]> {
        let (name, rest) = self.split_name()?;
        if !ascends(before, name) {
            return None;
        }
        self.rest = rest;
        *before = name;
        Some(name)
    }

    /// The name of an entry, as bytes.
    #[inline]
    pub(super) fn name_bytes(&mut self) -> Result<&'a [u8], ItemDamage> {
        match self.split_name() {
            Some((name, rest)) => {
                self.rest = rest;
                Ok(name)
            }
            None => Err(self.name_damage()),
        }
    }

    /// The name in front, and what follows it.
    #[inline]
    fn split_name(&self) -> Option<(&'a [u8], &'a [u8])> {
        // Only short names are read here; what is called for others gets and gives no more than fits into registers.
        match self.rest {
            [len @ 1..0x80, rest @ ..] => rest.split_at_checked(usize::from(*len)),
            _ => long_name(self.rest),
        }
    }

    /// A value; `None` if there is none, for the reason that [`value_damage`](Self::value_damage) gives.
    ///
    /// (A `Result` is put together in memory and taken apart again, which takes longer than finding the value.)
    #[inline]
    pub(super) fn value(&mut self) -> Option<Encoded<'a>> {
        let header = Header::of(self.rest)?;
        let (_, rest) = self.rest.split_at_checked(header.len)?;
        let (body, rest) = rest.split_at_checked(header.body_len)?;
        self.rest = rest;
        Some(Encoded { tag: header.tag, body, end: self.offset() })
    }

    /// What is wrong with the name in front, where [`ascending_name_bytes`](Self::ascending_name_bytes) found none after
    /// the name `before`.
    #[cold]
    pub(super) fn ascending_name_damage(&self, before: &[u8]) -> ItemDamage {
        match self.split_name() {
            Some((name, rest)) if !ascends(before, name) => {
                ItemDamage::NameOrder { offset: self.end - rest.len() - name.len() }
            }
            _ => self.name_damage(),
        }
    }

    /// What is wrong with the name in front.
    #[cold]
    fn name_damage(&self) -> ItemDamage {
        let offset = self.offset();
        let mut rest = self.rest;
        match layout::take_varint(&mut rest) {
            None => self.varint_damage(),
            Some(len) if (1..=MAX_NAME_LEN).contains(&len) => ItemDamage::Truncated { offset },
            Some(_) => ItemDamage::NameLength { offset },
        }
    }

    /// What is wrong with the value in front, where [`value`](Self::value) found none.
    #[cold]
    pub(super) fn value_damage(&self) -> ItemDamage {
        let offset = self.offset();
        let Some(&first) = self.rest.first() else {
            return ItemDamage::Truncated { offset };
        };
        let (tag, low) = (first & 0xF0, first & 0x0F);
        if tag > tag::BS || low > LENGTH_3 || (tag < tag::S && low > 0) {
            return ItemDamage::UnknownType { offset, found: first };
        }
        let length_len = usize::from(low.saturating_sub(LENGTH_1 - 1));
        match Header::of(self.rest) {
            None if self.rest.len() > length_len => ItemDamage::LongLength { offset },
            _ => ItemDamage::Truncated { offset },
        }
    }

    /// How many entries are in front of it.
    #[inline]
    pub(super) fn count_entries(mut self) -> Result<usize, ItemDamage> {
        let mut count = 0;
        while !self.is_empty() {
            self.name_bytes()?;
            if self.value().is_none() {
                return Err(self.value_damage());
            }
            count += 1;
        }
        Ok(count)
    }

    /// How many values are in front of it.
    #[inline]
    pub(super) fn count_values(mut self) -> Result<usize, ItemDamage> {
        let mut count = 0;
        while !self.is_empty() {
            if self.value().is_none() {
                return Err(self.value_damage());
            }
            count += 1;
        }
        Ok(count)
    }

    /// A member of a set of this tag, as a value of its own.
    #[inline]
    pub(super) fn member(&mut self, set: u8) -> Result<Encoded<'a>, ItemDamage> {
        let tag = match set {
            tag::SS => tag::S,
            tag::NS => tag::N,
            _ => tag::B,
        };
        Ok(Encoded { tag, body: self.length_and_bytes()?, end: self.offset() })
    }

    /// Bytes with a varint in front that says how many.
    #[inline]
    fn length_and_bytes(&mut self) -> Result<&'a [u8], ItemDamage> {
        let mut rest = self.rest;
        let Some(len) = layout::take_varint(&mut rest) else {
            return Err(self.varint_damage());
        };
        let Some((bytes, rest)) = rest.split_at_checked(len) else {
            return Err(ItemDamage::Truncated { offset: self.offset() });
        };
        self.rest = rest;
        Ok(bytes)
    }

    /// Why no varint is in front: either it does not end, or its last byte is one too many.
    #[cold]
    fn varint_damage(&self) -> ItemDamage {
        let offset = self.offset();
        match self.rest {
            [_, second, ..] if self.rest.len() > 2 || *second == 0 => ItemDamage::LongLength { offset },
            _ => ItemDamage::Truncated { offset },
        }
    }
}

/// A name of more than 127 bytes, and what follows it.
fn long_name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes;
    let len = layout::take_varint(&mut rest).filter(|len| (1..=MAX_NAME_LEN).contains(len))?;
    rest.split_at_checked(len)
}

/// What is in front of a body.
struct Header {
    tag: u8,
    len: usize,
    body_len: usize,
}

impl Header {
    /// The header in front, if it is whole and sound.
    #[inline]
    fn of(bytes: &[u8]) -> Option<Self> {
        let first = *bytes.first()?;
        let (tag, low) = (first & 0xF0, first & 0x0F);
        if usize::from(low) <= MAX_SHORT && (tag >= tag::S || low == 0) && tag <= tag::BS {
            return Some(Header { tag, len: 1, body_len: usize::from(low) });
        }
        if !(tag::S..=tag::BS).contains(&tag) {
            return None;
        }
        match (low, bytes) {
            (LENGTH_1, [_, a, ..]) if usize::from(*a) > MAX_SHORT => {
                Some(Header { tag, len: 2, body_len: usize::from(*a) })
            }
            _ => long_length(bytes).map(|(len, body_len)| Header { tag, len, body_len }),
        }
    }
}

/// The length of a header and that of its body, which has more than 255 bytes.
fn long_length(bytes: &[u8]) -> Option<(usize, usize)> {
    let first = *bytes.first()?;
    let (len, body_len, least) = match (first & 0x0F, bytes) {
        (LENGTH_2, [_, a, b, ..]) => (3, u32::from_le_bytes([*a, *b, 0, 0]), 0x100),
        (LENGTH_3, [_, a, b, c, ..]) => (4, u32::from_le_bytes([*a, *b, *c, 0]), 0x1_0000),
        _ => return None,
    };
    (body_len >= least).then_some((len, body_len as usize))
}

impl<'a> Encoded<'a> {
    /// An item as a value.
    #[inline]
    pub(super) fn item(bytes: &'a [u8]) -> Result<Self, ItemDamage> {
        match bytes {
            [layout::VERSION, body @ ..] => Ok(Encoded { tag: tag::M, body, end: bytes.len() }),
            [] => Err(ItemDamage::Truncated { offset: 0 }),
            [found, ..] => Err(ItemDamage::UnknownVersion { found: *found }),
        }
    }

    /// Where the body begins.
    #[inline]
    pub(super) fn offset(&self) -> usize {
        self.end - self.body.len()
    }

    /// A cursor at the front of the body.
    #[inline]
    pub(super) fn contents(&self) -> Cursor<'a> {
        Cursor { rest: self.body, end: self.end }
    }

    /// The body as text.
    #[inline]
    pub(super) fn text(&self) -> Result<&'a str, ItemDamage> {
        text(self.body, self.end)
    }

    /// The body as a number.
    #[inline]
    pub(super) fn number(&self) -> Result<Number, ItemDamage> {
        layout::number(self.body).ok_or(ItemDamage::Number { offset: self.offset() })
    }
}

/// Whether a name is above the one before it. Their first bytes tell it most of the time.
#[inline]
pub(super) fn ascends(before: &[u8], name: &[u8]) -> bool {
    match (before.first(), name.first()) {
        (Some(a), Some(b)) if a == b => before < name,
        (a, b) => a < b,
    }
}

/// Text that ends at offset `end`.
#[inline]
pub(super) fn text(bytes: &[u8], end: usize) -> Result<&str, ItemDamage> {
    std::str::from_utf8(bytes).map_err(|_| ItemDamage::NotUtf8 { offset: end - bytes.len() })
}

/// Refuses bytes that are no text, where nobody needs it: most are ASCII, which is seen at a glance.
#[inline]
pub(super) fn check_text(bytes: &[u8], end: usize) -> Result<(), ItemDamage> {
    if bytes.is_ascii() { Ok(()) } else { text(bytes, end).map(drop) }
}
