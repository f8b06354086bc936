//! Looks at every byte of an encoded item.

use std::cmp::Ordering;

use super::cursor::{self, Cursor, Encoded};
use super::layout::tag;
use super::{ItemDamage, ValueView};
use crate::limits::{self, CONTAINER_SIZE, ELEMENT_SIZE, MAX_ITEM_SIZE, MAX_LEVELS};

/// Checks an encoded item from the first byte to the last, and returns its size as DynamoDB counts it.
///
/// What passes is exactly what an encoder writes: decoded and encoded again it gives the same bytes.
///
/// Cost: one pass, without allocation.
///
/// ```
/// use dynamite_core::item_codec::{ItemDamage, check, encode_json};
/// use serde_json::json;
///
/// let mut bytes = encode_json(&json!({"id": "a"}))?;
/// assert_eq!(check(&bytes), Ok(3));
/// bytes.pop();
/// assert_eq!(check(&bytes), Err(ItemDamage::Truncated { offset: 4 }));
/// # Ok::<(), dynamite_core::limits::ValueError>(())
/// ```
///
/// # Errors
///
/// The first damage found.
pub fn check(bytes: &[u8]) -> Result<usize, ItemDamage> {
    check_each(bytes, |_, _| {})
}

/// As [`check`], and shows each attribute that was checked: its name and its value.
pub(crate) fn check_each<'a>(
    bytes: &'a [u8],
    mut show: impl FnMut(&'a [u8], ValueView<'a>),
) -> Result<usize, ItemDamage> {
    let mut measure = Measure::default();
    measure.entries(Encoded::item(bytes)?.contents(), 1, 0, &mut show)?;
    match measure.size {
        size @ ..=MAX_ITEM_SIZE => Ok(size),
        size => Err(ItemDamage::TooLarge { size }),
    }
}

/// What is counted while values are checked.
#[derive(Default)]
pub(super) struct Measure {
    /// Bytes, as DynamoDB counts them.
    pub(super) size: usize,
    /// The lowest level that a value is on.
    pub(super) deepest: u32,
}

impl Measure {
    /// Checks and counts one value, which is on this level.
    pub(super) fn value(&mut self, value: &Encoded<'_>, level: u32) -> Result<(), ItemDamage> {
        check_level(value, level)?;
        self.deepest = self.deepest.max(level);
        match value.tag {
            tag::S => {
                cursor::check_text(value.body, value.end)?;
                self.size += value.body.len();
            }
            tag::N => self.size += limits::number_size(&value.number()?),
            tag::B => self.size += value.body.len(),
            tag::M => {
                self.size += CONTAINER_SIZE;
                self.entries(value.contents(), level + 1, ELEMENT_SIZE, &mut |_, _| {})?;
            }
            tag::L => {
                self.size += CONTAINER_SIZE;
                let mut elements = value.contents();
                while !elements.is_empty() {
                    let Some(element) = elements.value() else {
                        return Err(elements.value_damage());
                    };
                    self.size += ELEMENT_SIZE;
                    self.value(&element, level + 1)?;
                }
            }
            tag::SS | tag::NS | tag::BS => {
                for member in members(value)? {
                    self.value(&member?, level)?;
                }
            }
            _ => self.size += 1,
        }
        Ok(())
    }

    fn entries<'a>(
        &mut self,
        mut entries: Cursor<'a>,
        level: u32,
        overhead: usize,
        show: &mut impl FnMut(&'a [u8], ValueView<'a>),
    ) -> Result<(), ItemDamage> {
        let mut before: &[u8] = &[];
        while !entries.is_empty() {
            let Some(name) = entries.ascending_name_bytes(&mut before) else {
                return Err(entries.ascending_name_damage(before));
            };
            cursor::check_text(name, entries.offset())?;
            self.size += name.len() + overhead;
            let Some(value) = entries.value() else {
                return Err(entries.value_damage());
            };
            self.value(&value, level)?;
            show(name, ValueView::of(value));
        }
        Ok(())
    }
}

/// Refuses a value that is nested too deep.
#[inline]
pub(super) fn check_level(value: &Encoded<'_>, level: u32) -> Result<(), ItemDamage> {
    if level <= MAX_LEVELS { Ok(()) } else { Err(ItemDamage::TooDeep { offset: value.offset() }) }
}

/// The members of a set, which is not empty, checked to be in order.
pub(super) fn members<'a>(
    set: &Encoded<'a>,
) -> Result<impl Iterator<Item = Result<Encoded<'a>, ItemDamage>> + use<'a>, ItemDamage> {
    if set.body.is_empty() {
        return Err(ItemDamage::EmptySet { offset: set.end });
    }
    let (tag, mut cursor) = (set.tag, set.contents());
    let mut before: Option<Encoded<'a>> = None;
    Ok(std::iter::from_fn(move || {
        if cursor.is_empty() {
            return None;
        }
        let member = cursor.member(tag).and_then(|member| {
            if let Some(before) = before.replace(member)
                && order(&before, &member)? != Ordering::Less
            {
                return Err(ItemDamage::SetOrder { offset: member.offset() });
            }
            Ok(member)
        });
        if member.is_err() {
            cursor = Cursor::new(&[], 0);
        }
        Some(member)
    }))
}

/// The order of two members of one set.
fn order(a: &Encoded<'_>, b: &Encoded<'_>) -> Result<Ordering, ItemDamage> {
    match a.tag {
        tag::N => Ok(a.number()?.cmp(&b.number()?)),
        _ => Ok(a.body.cmp(b.body)),
    }
}
