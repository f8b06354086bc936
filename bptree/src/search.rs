//! Finding a key in a node: a binary search over heads without branches, then the rest of the keys whose heads are equal.
//!
//! A key of up to 384 bytes never ties with a spilled one, so [`search`] settles it within the page. A longer key may have
//! to look at runs: [`search_long`], which reads the page anew whenever it has read a run.

use std::cmp::Ordering;
use std::hint::select_unpredictable;

use dynamite_pager::{Access, PagePtr};

use crate::error::Result;
use crate::node::{HEAD_SIZE, KEY_KEPT, KeyPart, Node, SLOT_SIZE};
use crate::overflow::Overflow;
use crate::pages::{Pages, with_node};

/// Where a key stands among the slots from the first that has a key: `Ok` with its slot, or `Err` with the first slot whose key is above it.
pub(crate) type Position = std::result::Result<usize, usize>;

/// The child of an inner node that is responsible for a key at this position.
#[inline]
pub(crate) fn child_of(position: Position) -> usize {
    match position {
        Ok(slot) => slot,
        // The first slot has no separator, so the position is at least 1.
        Err(slot) => slot - 1,
    }
}

/// Finds a key of at most [`KEY_KEPT`] bytes.
#[inline]
pub(crate) fn search(node: Node<'_>, key: &[u8]) -> Position {
    match narrow(node, key) {
        Narrowed::Settled(position) => position,
        Narrowed::Equal { mut low, mut high, rest } => {
            while low < high {
                let middle = (low + high) / 2;
                // `None`, a tie with a spilled key, takes a longer key than this one.
                match compare(rest, node.key_part(middle)).unwrap_or(Ordering::Less) {
                    Ordering::Equal => return Ok(middle),
                    Ordering::Greater => low = middle + 1,
                    Ordering::Less => high = middle,
                }
            }
            Err(low)
        }
    }
}

/// Finds a key in the node that `ptr` leads to, reading runs where stored keys tie.
pub(crate) fn search_any<P: Pages + ?Sized>(
    pages: &mut P,
    ptr: PagePtr,
    level: u8,
    access: Access,
    key: &[u8],
) -> Result<Position> {
    if key.len() <= KEY_KEPT {
        return with_node(pages, ptr, level, access, |node| search(node, key));
    }
    search_long(pages, ptr, level, access, key)
}

#[cold]
fn search_long<P: Pages + ?Sized>(
    pages: &mut P,
    ptr: PagePtr,
    level: u8,
    access: Access,
    key: &[u8],
) -> Result<Position> {
    let narrowed = with_node(pages, ptr, level, access, |node| match narrow(node, key) {
        Narrowed::Settled(position) => Err(position),
        Narrowed::Equal { low, high, .. } => Ok((low, high)),
    })?;
    let (mut low, mut high) = match narrowed {
        Ok(range) => range,
        Err(position) => return Ok(position),
    };
    let mut spilled = Vec::new();
    while low < high {
        let middle = (low + high) / 2;
        let compared = with_node(pages, ptr, level, access, |node| {
            let part = node.key_part(middle);
            compare(&key[node.prefix().len()..], part)
                .ok_or_else(|| part.run.map(Overflow::from_bytes).expect("only spilled keys tie"))
        })?;
        let order = match compared {
            Ok(order) => order,
            Err(run) => {
                spilled.clear();
                run.read(pages, &mut spilled)?;
                key[KEY_KEPT..].cmp(&spilled)
            }
        };
        match order {
            Ordering::Equal => return Ok(Ok(middle)),
            Ordering::Greater => low = middle + 1,
            Ordering::Less => high = middle,
        }
    }
    Ok(Err(low))
}

/// How far prefix and heads lead.
enum Narrowed<'k> {
    Settled(Position),
    /// The slots whose heads equal that of the key, and the key behind the prefix.
    Equal {
        low: usize,
        high: usize,
        rest: &'k [u8],
    },
}

#[inline]
fn narrow<'k>(node: Node<'_>, key: &'k [u8]) -> Narrowed<'k> {
    let first = usize::from(!node.is_leaf());
    let prefix = node.prefix();
    let Some(rest) = key.strip_prefix(prefix) else {
        // All keys of the page begin with the prefix, so they are all on one side.
        return Narrowed::Settled(Err(if key < prefix { first } else { node.len() }));
    };
    let head = head_of(rest);
    let slots = node.slots();
    let low = first + lower_bound(&slots[first..], head);
    if slots.get(low).is_none_or(|slot| slot_head(slot) != head) {
        return Narrowed::Settled(Err(low));
    }
    let high = match head.checked_add(1) {
        // Mostly the next slot has another head.
        Some(_) if slots.get(low + 1).is_none_or(|slot| slot_head(slot) != head) => low + 1,
        Some(next) => low + lower_bound(&slots[low..], next),
        None => slots.len(),
    };
    Narrowed::Equal { low, high, rest }
}

/// The first slot whose head is not below `head`.
#[inline]
fn lower_bound(slots: &[[u8; SLOT_SIZE]], head: u32) -> usize {
    let mut low = 0;
    let mut len = slots.len();
    while len > 1 {
        let half = len / 2;
        // A conditional move: which way it goes is a coin toss that no branch predictor wins. Unless told so, the compiler
        // makes a branch of it.
        low = select_unpredictable(slot_head(&slots[low + half - 1]) < head, low + half, low);
        len -= half;
    }
    low + usize::from(slots.get(low).is_some_and(|slot| slot_head(slot) < head))
}

/// How a key compares with one in a slot whose head is the same; both without the prefix. `None` if only the run of the
/// slot's key can tell.
#[inline]
fn compare(key: &[u8], slot: KeyPart<'_>) -> Option<Ordering> {
    let spilled = slot.run.is_some();
    let kept = if spilled { &key[..key.len().min(slot.rest)] } else { key };
    let order = if kept.len() < HEAD_SIZE || slot.rest < HEAD_SIZE {
        // The heads are equal with their padding, so one of them is the other with zeros behind it.
        kept.len().cmp(&slot.rest)
    } else {
        kept[HEAD_SIZE..].cmp(slot.tail)
    };
    match order {
        Ordering::Equal if spilled && key.len() > slot.rest => None,
        // The slot's key goes on where this one ends.
        Ordering::Equal if spilled => Some(Ordering::Less),
        order => Some(order),
    }
}

#[inline]
fn slot_head(slot: &[u8; SLOT_SIZE]) -> u32 {
    let [a, b, c, d, ..] = *slot;
    u32::from_be_bytes([a, b, c, d])
}

/// The first bytes of a key behind the prefix, as a number that orders as they do.
#[inline]
pub(crate) fn head_of(rest: &[u8]) -> u32 {
    match rest.first_chunk() {
        Some(head) => u32::from_be_bytes(*head),
        None => {
            let mut head = [0; HEAD_SIZE];
            head[..rest.len()].copy_from_slice(rest);
            u32::from_be_bytes(head)
        }
    }
}
