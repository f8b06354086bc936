//! Inserting many new entries that come in the order of their keys.
//!
//! The way down is gone once for all entries of a leaf. They are put in place as long as they fit; what overflows the leaf
//! then is laid out with it once, however many entries it is, and in one go with the next leaves under the same parent, as long as these
//! have entries to come: they would have to be copied anyhow. Pages come out as full as from single insertions, and at the
//! right edge of the tree they come out full.
//!
//! Entries that need runs, for long keys or values, are inserted one by one.

use dynamite_pager::{Access, PagePtr, WriteBatch};

use crate::edit::Edit;
use crate::error::{Malformed, Result, TreeError};
use crate::insert::{check_sizes, insert_new};
use crate::items::Items;
use crate::node::{CAPACITY, CELL_MAX, KEY_KEPT, LEAF_HEADER, Node, StoredKey};
use crate::node_mut::{NodeMut, Payload};
use crate::overflow::Overflow;
use crate::pages::{Pages, with_node};
use crate::rebalance::{Change, pages_for};
use crate::search::search;
use crate::tree::Tree;
use crate::value::{Body, NewValue};

/// Leaves that are laid out in one go, at the most.
const LEAVES: usize = 4;
/// Bytes of entries that are added to a leaf in one go, about.
const BYTES: usize = 4 * CAPACITY;

/// Inserts entries up to the first that is there already, and says how many; `tree` is as it was if that fails.
pub(crate) fn insert_many(
    tree: &mut Tree,
    batch: &mut WriteBatch<'_>,
    head: &[u8],
    rows: &[(&[u8], &[u8])],
) -> Result<usize> {
    for (position, (key, body)) in rows.iter().enumerate() {
        check_sizes(key, &NewValue { head, body: Body::Bytes(body) })?;
        if position > 0 && rows[position - 1].0 >= *key {
            return Err(TreeError::NotAscending { position: position as u64 });
        }
    }
    let mut new = *tree;
    let mut value = Vec::with_capacity(CELL_MAX);
    let mut done = 0;
    while done < rows.len() {
        let inserted = if is_plain(head, rows[done]) && !new.is_empty() {
            let mut edit = Edit::new(new, batch);
            let inserted = edit.insert_run(head, &rows[done..], &mut value)?;
            new = edit.tree;
            batch.end_operation()?;
            inserted
        } else {
            let (key, body) = rows[done];
            insert_new(&mut new, batch, key, &NewValue { head, body: Body::Bytes(body) })?.into()
        };
        if inserted == 0 {
            break;
        }
        done += inserted;
    }
    *tree = new;
    Ok(done)
}

/// Whether an entry needs no run.
fn is_plain(head: &[u8], (key, body): (&[u8], &[u8])) -> bool {
    key.len() <= KEY_KEPT && LEAF_HEADER + key.len() + head.len() + body.len() <= CELL_MAX
}

/// What all keys of a leaf are below.
struct Bound {
    stored: Vec<u8>,
    /// Whether there is more of it than is stored in its node.
    is_spilled: bool,
}

/// A leaf that entries come to.
struct Target {
    ptr: PagePtr,
    /// The run of the separator before it, if it is not the first.
    run: Option<Overflow>,
    /// None if nothing is behind it.
    bound: Option<Bound>,
}

impl Target {
    /// Whether an entry that needs no run, and belongs to no leaf before this one, belongs here.
    fn takes(&self, key: &[u8]) -> bool {
        self.bound.as_ref().is_none_or(|Bound { stored, is_spilled }| {
            // Such a key is never longer than what is stored of a spilled one.
            *key < **stored || (*is_spilled && *key == **stored)
        })
    }

    /// Where the first of the entries go in the leaf: those that are not there, need no run, and are not too many.
    fn places(&self, node: Node<'_>, head: &[u8], rows: &[(&[u8], &[u8])]) -> Vec<usize> {
        let mut size = 0;
        let fitting = rows.iter().map_while(|&(key, body)| {
            let belongs = size < BYTES && is_plain(head, (key, body)) && self.takes(key);
            size += key.len() + head.len() + body.len();
            if belongs { search(node, key).err() } else { None }
        });
        fitting.collect()
    }
}

impl Edit<'_, '_> {
    /// Inserts some of the entries, of which the first needs no run, into a tree that is not empty. Returns how many; none if the
    /// first is there.
    fn insert_run(&mut self, head: &[u8], rows: &[(&[u8], &[u8])], value: &mut Vec<u8>) -> Result<usize> {
        if self.descend(rows[0].0)?.is_ok() {
            return Ok(0);
        }
        let target = self.target(0)?.expect("there is a leaf");
        let ptr = self.writable(self.leaf_depth())?;
        for (done, &(key, body)) in rows.iter().enumerate() {
            if !is_plain(head, (key, body)) || !target.takes(key) {
                return Ok(done);
            }
            let mut node = NodeMut(self.batch.page_mut(ptr));
            let Err(place) = search(node.node(), key) else { return Ok(done) };
            if !node.insert(place, StoredKey { bytes: key, run: None }, payload(head, body, value)) {
                return Ok(done + self.overflow(head, &rows[done..], value)?);
            }
            self.tree.entries = self.tree.entries.saturating_add(1);
        }
        Ok(rows.len())
    }

    /// Lays the leaf of the path out anew with entries that there is no room for, and the next leaves with theirs.
    fn overflow(&mut self, head: &[u8], rows: &[(&[u8], &[u8])], value: &mut Vec<u8>) -> Result<usize> {
        let depth = self.leaf_depth();
        let (mut items, mut old, mut done) = (Items::new(true), Vec::with_capacity(LEAVES), 0);
        let mut change = Change::Grew;
        while old.len() < LEAVES
            && let Some(target) = self.target(old.len())?
        {
            let (before, left) = (items.len(), &rows[done..]);
            let places = with_node(self.batch, target.ptr, 0, Access::Point, |node| {
                let places = target.places(node, head, left);
                if !places.is_empty() {
                    items.append(node);
                }
                places
            })?;
            if places.is_empty() {
                break;
            }
            if places[0] == items.len() && self.is_rightmost(depth) {
                change = Change::GrewAtRightEdge;
            }
            for (nth, (&place, &(key, body))) in places.iter().zip(left).enumerate() {
                let key = StoredKey { bytes: key, run: None };
                items.insert(before + place + nth, key, payload(head, body, value));
            }
            if before > 0 && !items.in_order(before) {
                let why = Malformed::SiblingOrder { neighbour: target.ptr.id.0 };
                return Err(Pages::malformed(self.batch, self.path[depth].ptr.id, why).into());
            }
            done += places.len();
            old.push(target.ptr);
            if let Some(run) = target.run {
                run.free(self.batch)?;
            }
            // The next may belong here as well.
            if items.whole().size <= CAPACITY || rows.get(done).is_none_or(|(key, _)| target.takes(key)) {
                break;
            }
        }
        self.tree.entries = self.tree.entries.saturating_add(done as u64);
        if let [_] = old[..] {
            self.store(depth, items, change)?;
        } else {
            let pieces = items.cut(pages_for(items.whole().size));
            self.lay_out(depth, &items, &pieces, &old, self.path[depth - 1].slot)?;
        }
        Ok(done)
    }

    /// The leaf of the path, or one of those that follow it under the same parent.
    fn target(&mut self, nth: usize) -> Result<Option<Target>> {
        let depth = self.leaf_depth();
        let (mut ptr, mut run) = (self.path[depth].ptr, None);
        if nth > 0 {
            let Some(parent) = depth.checked_sub(1).map(|parent| self.path[parent]) else { return Ok(None) };
            let slot = parent.slot + nth;
            if slot >= parent.count {
                return Ok(None);
            }
            let look = |node: Node<'_>| (node.child(slot), node.key_run(slot));
            (ptr, run) = with_node(self.batch, parent.ptr, 1, Access::Point, look)?;
        }
        let mut bound = None;
        for above in (0..depth).rev() {
            let step = self.path[above];
            let behind = step.slot + 1 + if above + 1 == depth { nth } else { 0 };
            if behind < step.count {
                bound = Some(with_node(self.batch, step.ptr, self.level(above), Access::Point, |node| {
                    Bound { stored: node.stored_key(behind), is_spilled: node.key_run(behind).is_some() }
                })?);
                break;
            }
        }
        Ok(Some(Target { ptr, run, bound }))
    }
}

/// What stands in the cell of an entry that needs no run.
fn payload<'v>(head: &[u8], body: &[u8], value: &'v mut Vec<u8>) -> Payload<'v> {
    value.clear();
    value.extend_from_slice(head);
    value.extend_from_slice(body);
    Payload { bytes: value, spilled: false }
}
