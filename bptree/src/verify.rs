//! Checking a whole tree, on the medium: its books for the census, and what no page can tell by itself.

use std::sync::Arc;

use dynamite_pager::{
    Birth, Census, Examined, Extent, Malformation, PAYLOAD_SIZE, Page, PageId, PagePtr, Problem, Remarks,
    Scout,
};

use crate::check::check_page;
use crate::error::Malformed;
use crate::node::{LEVEL_MAX, NODE_START, Node, OVERFLOW};
use crate::overflow::Overflow;
use crate::pages::wrong_node;
use crate::tree::Tree;
use crate::value::Value;

/// What a walk over a tree comes to, in the order of the keys.
#[derive(Clone, Copy, Debug)]
pub enum Visit<'a> {
    /// A page of the tree, or of a run, that can be read and was not reached before.
    Page {
        /// The page.
        page: &'a Page,
        /// Bytes of it that are used, its header included.
        used: usize,
    },
    /// An entry.
    Entry {
        /// The leaf that it stands in.
        leaf: PageId,
        /// Its key.
        key: &'a [u8],
        /// Its value.
        value: Value<'a>,
        /// The bytes of the value's run: none of them if it has none. `None` if they cannot be read, which was reported.
        body: Option<&'a [u8]>,
    },
    /// What is from one key up to another cannot be seen, which was reported. `None`: from the beginning, to the end.
    Lost {
        /// The first key that may be among it.
        from: Option<&'a [u8]>,
        /// The first key that is not.
        to: Option<&'a [u8]>,
    },
}

/// Looks at an entry by itself: its key, its value and the bytes of the value's run, none if it has none. What it returns is wrong with the
/// entry.
pub type EntryCheck = Arc<dyn Fn(&[u8], &Value<'_>, &[u8]) -> Option<Malformation> + Send + Sync>;

/// Sees what a walk comes to, and has the census for reports. What it sees has been counted already.
pub type Visitor<'v> = dyn FnMut(&mut Census<'_>, Visit<'_>) + 'v;

/// Walks a tree of the state that the census looks at: counts its pages and those of its runs, and reports what is wrong,
/// as [`Problem::Malformed`] with a [`Malformed`] inside. It sees the form of each page, kinds and levels, the order of
/// keys across pages, keys outside what the separators above them say, and a wrong number of entries. (A page that is nearly empty is none of
/// these.)
///
/// Whatever the file holds, it ends: a page that was counted before is not entered again.
///
/// Pages are checked by [`check_page`], whatever the pager checks.
///
/// Memory: a page and two keys a level, the bytes of a value, and what is [read ahead](Census::read_ahead). Cost: each page of the tree is
/// read once, those above the leaves twice.
pub fn verify(census: &mut Census<'_>, tree: &Tree, visit: &mut Visitor<'_>) {
    verify_entries(census, tree, None, visit);
}

/// As [`verify`], and has each entry that can be read looked at by itself. Entries that a leaf holds whole are looked at by the threads that
/// read ahead, several at a time; what is wrong is reported with the leaf all the same, behind the visit to its entry.
pub fn verify_entries(
    census: &mut Census<'_>,
    tree: &Tree,
    check: Option<EntryCheck>,
    visit: &mut Visitor<'_>,
) {
    // What passes can be looked into, here and by those who read ahead.
    let of_leaf = check.clone();
    census.examine_pages_by(Arc::new(move |page| {
        check_page(page)?;
        Ok(of_leaf.as_ref().map_or(Remarks::new(), |check| check_leaf(page, check)))
    }));
    let mut walk = Walk {
        census,
        visit,
        check,
        entries: 0,
        whole: true,
        last: None,
        spare_key: Vec::new(),
        body: Vec::new(),
    };
    let place = tree.root.map_or(PageId(0), |root| root.id);
    match tree.root {
        Some(root) if tree.level > LEVEL_MAX => {
            walk.report(root.id, Malformed::Depth { levels: tree.level });
            walk.lost(None, None);
        }
        Some(root) => {
            if tree.level > 0 {
                let level = tree.level;
                walk.census.read_ahead(follow_runs, move |scout| scout_leaves(scout, root, level));
            }
            walk.node(root, tree.level, None, None);
            walk.census.stop_reading_ahead();
        }
        None => {}
    }
    // If part of the tree could not be seen, that was reported, and the rest of the entries is there.
    if walk.whole && walk.entries != tree.entries {
        let why = Malformed::EntryCount { found: walk.entries, expected: tree.entries };
        walk.report(place, why);
    }
}

/// Goes before a walk: names each page above the leaves, with its leaves, in the order in which the walk comes to them.
fn scout_leaves(scout: &Scout, root: PagePtr, level: u8) {
    // A page that leads to itself would be named for ever; no tree has more leaves than a file has pages.
    let mut named = 0;
    let mut name = |ptr: PagePtr, page: Option<&Page>| {
        let below = page.map(children).unwrap_or_default();
        named += 1 + below.len() as u64;
        named <= 1 << 32 && scout.expect(ptr, &below)
    };
    if level == 1 {
        let page = node_of(scout.read(&[root]).pop().flatten(), 1);
        name(root, page.as_deref());
        return;
    }
    scout_below(scout, root, level, &mut name);
}

/// Inner pages that a scout reads at once.
const SCOUTED: usize = 8;

/// Goes before a walk of what is below a page of a level above 1. `false` if no more is wanted.
fn scout_below(
    scout: &Scout,
    ptr: PagePtr,
    level: u8,
    name: &mut dyn FnMut(PagePtr, Option<&Page>) -> bool,
) -> bool {
    let Some(page) = node_of(scout.read(&[ptr]).pop().flatten(), level) else { return true };
    let below = children(&page);
    if level > 2 {
        return below.into_iter().all(|child| scout_below(scout, child, level - 1, name));
    }
    below.chunks(SCOUTED).all(|ptrs| {
        let pages = scout.read(ptrs).into_iter().map(|page| node_of(page, 1));
        ptrs.iter().zip(pages).all(|(ptr, page)| name(*ptr, page.as_deref()))
    })
}

/// A page, if it is a node of this level that can be looked into.
fn node_of(page: Option<Box<Page>>, level: u8) -> Option<Box<Page>> {
    page.filter(|page| wrong_node(page, level).is_none())
}

fn children(page: &Page) -> Vec<PagePtr> {
    let node = Node::of(page);
    (0..node.len()).map(|slot| node.child(slot)).collect()
}

/// The extents of a leaf's runs, as far as the leaf itself says where they are, in the order in which a walk reads them.
fn follow_runs(page: &Page, into: &mut Vec<(Extent, Birth)>) {
    if wrong_node(page, 0).is_some() {
        return;
    }
    let leaf = Node::of(page);
    for slot in (0..leaf.len()).filter(|slot| !is_whole(leaf, *slot)) {
        let of_value = match leaf.value(slot) {
            Value::Spilled { run, .. } => Some(run),
            Value::Inline(_) => None,
        };
        for run in of_value.into_iter().chain(leaf.key_run(slot)).filter(|run| run.wrong().is_none()) {
            let count = if run.is_listed() { 1 } else { run.page_count() };
            into.push((Extent { first: run.first().id, count }, run.first().birth));
        }
    }
}

/// Looks at the entries that a leaf holds whole, and numbers what is wrong by their slots.
fn check_leaf(page: &Page, check: &EntryCheck) -> Remarks {
    let mut remarks = Remarks::new();
    if wrong_node(page, 0).is_some() {
        return remarks;
    }
    let leaf = Node::of(page);
    let mut key = Vec::new();
    for slot in (0..leaf.len()).filter(|slot| is_whole(leaf, *slot)) {
        put_stored_key(leaf, slot, &mut key);
        remarks.extend(check(&key, &leaf.value(slot), &[]).map(|wrong| (slot, wrong)));
    }
    remarks
}

/// Whether a leaf holds an entry whole: neither key nor value has a run.
fn is_whole(leaf: Node<'_>, slot: usize) -> bool {
    let header = leaf.leaf_header(leaf.cell_start(slot));
    !header.key_spilled && !header.value_spilled
}

/// Puts the stored key of a slot in the place of what is there.
fn put_stored_key(node: Node<'_>, slot: usize, key: &mut Vec<u8>) {
    key.clear();
    key.extend_from_slice(node.prefix());
    node.append_rest(slot, key);
}

struct Walk<'a, 'c, 'v> {
    census: &'a mut Census<'c>,
    visit: &'a mut Visitor<'v>,
    check: Option<EntryCheck>,
    entries: u64,
    /// Every page so far could be looked at.
    whole: bool,
    /// The last key seen.
    last: Option<Vec<u8>>,
    /// A buffer for the next one.
    spare_key: Vec<u8>,
    /// The bytes of a run.
    body: Vec<u8>,
}

impl Walk<'_, '_, '_> {
    /// Walks what is below a page whose keys are at least `low` and below `high`.
    fn node(&mut self, ptr: PagePtr, level: u8, low: Option<&[u8]>, high: Option<&[u8]>) {
        if level == 1 {
            self.census.begin_group(ptr.id);
        }
        let Some(Examined { page, remarks }) = self.read(ptr) else { return self.lost(low, high) };
        if let Some(why) = wrong_node(&page, level) {
            self.report(ptr.id, why);
            return self.lost(low, high);
        }
        let node = Node::of(&page);
        (self.visit)(self.census, Visit::Page { page: &page, used: NODE_START + node.used() });
        if level == 0 {
            self.leaf(ptr.id, node, remarks, low, high);
            return self.census.give_back(page);
        }
        let mut from = low.map(<[u8]>::to_vec);
        for slot in 0..node.len() {
            let separator = if slot + 1 < node.len() {
                let Some(separator) = self.key(ptr.id, node, slot + 1) else {
                    return self.lost(from.as_deref(), high);
                };
                Some(separator)
            } else {
                None
            };
            if let Some(separator) = &separator {
                let ordered = from.as_ref().is_none_or(|from| from < separator);
                if !ordered || high.is_some_and(|high| **separator >= *high) {
                    self.report(ptr.id, Malformed::SeparatorOrder { slot: slot + 1 });
                    return self.lost(from.as_deref(), high);
                }
            }
            self.node(node.child(slot), level - 1, from.as_deref(), separator.as_deref().or(high));
            from = separator;
        }
    }

    fn leaf(
        &mut self,
        page: PageId,
        leaf: Node<'_>,
        remarks: Remarks,
        low: Option<&[u8]>,
        high: Option<&[u8]>,
    ) {
        let is_in_place = self.is_in_place(leaf, low, high);
        let mut remarks = remarks.into_iter().peekable();
        for slot in 0..leaf.len() {
            self.entries += 1;
            let value = leaf.value(slot);
            let mut body = std::mem::take(&mut self.body);
            body.clear();
            let has_body = match value {
                Value::Spilled { run, .. } => self.run(page, run, &mut body),
                Value::Inline(_) => true,
            };
            let mut key = std::mem::take(&mut self.spare_key);
            if self.put_key(page, leaf, slot, &mut key) {
                if !is_in_place {
                    self.check_place(page, slot, &key, low, high);
                }
                let body = has_body.then_some(&body[..]);
                (self.visit)(self.census, Visit::Entry { leaf: page, key: &key, value, body });
                let wrong = match (&self.check, body) {
                    (Some(check), Some(body)) if !is_whole(leaf, slot) => check(&key, &value, body),
                    _ => remarks.next_if(|(of, _)| *of == slot).map(|(_, wrong)| wrong),
                };
                if let Some(wrong) = wrong {
                    self.census.report(Extent::single(page), Problem::Malformed(wrong));
                }
                self.spare_key = self.last.replace(key).unwrap_or_default();
            } else {
                let from = leaf.stored_key(slot);
                self.lost(Some(&from), high);
            }
            self.body = body;
        }
    }

    /// Whether all keys of a leaf are where the separators say, and behind the last one seen. Keys that the page holds whole ascend, as
    /// its form was checked: then the first and the last tell.
    fn is_in_place(&mut self, leaf: Node<'_>, low: Option<&[u8]>, high: Option<&[u8]>) -> bool {
        if (0..leaf.len()).any(|slot| leaf.leaf_header(leaf.cell_start(slot)).key_spilled) {
            return false;
        }
        let key = &mut self.spare_key;
        put_stored_key(leaf, leaf.len() - 1, key);
        let is_below = high.is_none_or(|high| **key < *high);
        put_stored_key(leaf, 0, key);
        is_below && low.is_none_or(|low| **key >= *low) && self.last.as_ref().is_none_or(|last| *last < *key)
    }

    fn check_place(
        &mut self,
        page: PageId,
        slot: usize,
        key: &[u8],
        low: Option<&[u8]>,
        high: Option<&[u8]>,
    ) {
        if low.is_some_and(|low| *key < *low) || high.is_some_and(|high| *key >= *high) {
            self.report(page, Malformed::Fence { slot });
        } else if self.last.as_ref().is_some_and(|last| **last >= *key) {
            self.report(page, Malformed::KeyOrder { slot });
        }
    }

    /// The whole key of a slot; `None` if its run could not be read, which was reported.
    fn key(&mut self, page: PageId, node: Node<'_>, slot: usize) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        self.put_key(page, node, slot, &mut key).then_some(key)
    }

    /// Puts the whole key of a slot in the place of what is there; `false` if its run could not be read, which was reported.
    fn put_key(&mut self, page: PageId, node: Node<'_>, slot: usize, key: &mut Vec<u8>) -> bool {
        put_stored_key(node, slot, key);
        node.key_run(slot).is_none_or(|run| self.run(page, run, key))
    }

    /// Counts and reads the pages of a run, and appends its bytes. `false` if something is wrong with it, which was reported.
    fn run(&mut self, owner: PageId, run: Overflow, into: &mut Vec<u8>) -> bool {
        if let Some(why) = run.wrong() {
            self.report(owner, why);
            return false;
        }
        let first = run.first();
        let mut extents = vec![Extent { first: first.id, count: run.page_count() }];
        if run.is_listed() {
            let Some(Examined { page: list, .. }) = self.read(first) else { return false };
            match run.listed(&list) {
                Ok(listed) => extents = listed,
                Err(why) => {
                    self.report(first.id, why);
                    return false;
                }
            }
            let used = NODE_START + extents.len() * Overflow::LISTED_SIZE;
            (self.visit)(self.census, Visit::Page { page: &list, used });
        }
        let mut left = run.len();
        for id in extents.iter().flat_map(|extent| extent.pages()) {
            let ptr = PagePtr { id, birth: first.birth };
            let Some(Examined { page, .. }) = self.read(ptr) else { return false };
            if page.kind() != OVERFLOW {
                self.report(id, Malformed::Kind { found: page.kind().0, expected: OVERFLOW.0 });
                return false;
            }
            let part = &page.payload()[..left.min(PAYLOAD_SIZE)];
            into.extend_from_slice(part);
            left -= part.len();
            let used = NODE_START + part.len();
            (self.visit)(self.census, Visit::Page { page: &page, used });
            self.census.give_back(page);
        }
        true
    }

    fn lost(&mut self, from: Option<&[u8]>, to: Option<&[u8]>) {
        (self.visit)(self.census, Visit::Lost { from, to });
    }

    /// Counts and reads a page. `None` if it was counted before or cannot be read, which was reported.
    fn read(&mut self, ptr: PagePtr) -> Option<Examined> {
        let is_new = self.census.mark(Extent::single(ptr.id));
        let read = if is_new { self.census.take(ptr) } else { None };
        self.whole &= read.is_some();
        read
    }

    fn report(&mut self, page: PageId, why: Malformed) {
        self.whole = false;
        self.census.report(Extent::single(page), Problem::Malformed(Arc::new(why)));
    }
}
