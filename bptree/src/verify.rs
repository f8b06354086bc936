//! Checking a whole tree, on the medium: its books for the census, and what no page can tell by itself.

use dynamite_pager::{Census, Extent, Page, PageId, PagePtr, Problem};

use crate::check::check;
use crate::error::Malformed;
use crate::node::{LEVEL_MAX, Node, OVERFLOW};
use crate::overflow::Overflow;
use crate::pages::wrong_node;
use crate::tree::Tree;
use crate::value::Value;

/// Sees each entry that a check comes to: the census, for reports and for pages that the value leads to; the leaf; key and value.
/// Value runs have been counted and read already.
pub type VisitEntry<'v> = dyn FnMut(&mut Census<'_>, PageId, &[u8], &Value<'_>) + 'v;

/// Walks a tree of the state that the census looks at: counts its pages and those of its runs, and reports what is wrong,
/// as [`Problem::Malformed`] with a [`Malformed`] inside. It sees the form of each page, kinds and levels, the order of
/// keys across pages, keys outside what the separators above them say, and a wrong number of entries. (A page that is nearly empty is none of
/// these.)
///
/// Whatever the file holds, it ends: a page that was counted before is not entered again.
///
/// Memory: a page and two keys a level. Cost: each page of the tree is read once.
pub fn verify(census: &mut Census<'_>, tree: &Tree, visit: &mut VisitEntry<'_>) {
    let mut walk = Walk { census, visit, entries: 0, whole: true, last: None };
    let place = tree.root.map_or(PageId(0), |root| root.id);
    match tree.root {
        Some(root) if tree.level > LEVEL_MAX => {
            walk.report(root.id, Malformed::Depth { levels: tree.level });
        }
        Some(root) => walk.node(root, tree.level, None, None),
        None => {}
    }
    // If part of the tree could not be seen, that was reported, and the rest of the entries is there.
    if walk.whole && walk.entries != tree.entries {
        let why = Malformed::EntryCount { found: walk.entries, expected: tree.entries };
        walk.report(place, why);
    }
}

struct Walk<'a, 'c, 'v> {
    census: &'a mut Census<'c>,
    visit: &'a mut VisitEntry<'v>,
    entries: u64,
    /// Every page so far could be looked at.
    whole: bool,
    /// The last key seen.
    last: Option<Vec<u8>>,
}

impl Walk<'_, '_, '_> {
    /// Walks what is below a page whose keys are at least `low` and below `high`.
    fn node(&mut self, ptr: PagePtr, level: u8, low: Option<&[u8]>, high: Option<&[u8]>) {
        let Some(page) = self.read(ptr) else { return };
        if let Some(why) = wrong_node(&page, level).or_else(|| check(&page).err()) {
            return self.report(ptr.id, why);
        }
        let node = Node::of(&page);
        if level == 0 {
            (0..node.len()).for_each(|slot| self.entry(ptr.id, node, slot, low, high));
            return;
        }
        let mut from = low.map(<[u8]>::to_vec);
        for slot in 0..node.len() {
            let separator = if slot + 1 < node.len() {
                let Some(separator) = self.key(ptr.id, node, slot + 1) else { return };
                Some(separator)
            } else {
                None
            };
            if let Some(separator) = &separator {
                let ordered = from.as_ref().is_none_or(|from| from < separator);
                if !ordered || high.is_some_and(|high| **separator >= *high) {
                    return self.report(ptr.id, Malformed::SeparatorOrder { slot: slot + 1 });
                }
            }
            self.node(node.child(slot), level - 1, from.as_deref(), separator.as_deref().or(high));
            from = separator;
        }
    }

    fn entry(&mut self, page: PageId, leaf: Node<'_>, slot: usize, low: Option<&[u8]>, high: Option<&[u8]>) {
        self.entries += 1;
        let value = leaf.value(slot);
        if let Value::Spilled { run, .. } = value {
            self.run(page, run, None);
        }
        let Some(key) = self.key(page, leaf, slot) else { return };
        if low.is_some_and(|low| *key < *low) || high.is_some_and(|high| *key >= *high) {
            self.report(page, Malformed::Fence { slot });
        } else if self.last.as_ref().is_some_and(|last| *last >= key) {
            self.report(page, Malformed::KeyOrder { slot });
        }
        (self.visit)(self.census, page, &key, &value);
        self.last = Some(key);
    }

    /// The whole key of a slot; `None` if its run could not be read, which was reported.
    fn key(&mut self, page: PageId, node: Node<'_>, slot: usize) -> Option<Vec<u8>> {
        let mut key = node.stored_key(slot);
        match node.key_run(slot) {
            None => Some(key),
            Some(run) => self.run(page, run, Some(&mut key)).then_some(key),
        }
    }

    /// Counts and reads the pages of a run. `false` if something is wrong with it, which was reported.
    fn run(&mut self, owner: PageId, run: Overflow, into: Option<&mut Vec<u8>>) -> bool {
        if let Some(why) = run.wrong() {
            self.report(owner, why);
            return false;
        }
        let first = run.first();
        let mut extents = vec![Extent { first: first.id, count: run.page_count() }];
        if run.is_listed() {
            let Some(list) = self.read(first) else { return false };
            match check(&list).and_then(|()| run.listed(&list)) {
                Ok(listed) => extents = listed,
                Err(why) => {
                    self.report(first.id, why);
                    return false;
                }
            }
        }
        let mut bytes = Vec::new();
        for id in extents.iter().flat_map(|extent| extent.pages()) {
            let Some(page) = self.read(PagePtr { id, birth: first.birth }) else { return false };
            if page.kind() != OVERFLOW {
                self.report(id, Malformed::Kind { found: page.kind().0, expected: OVERFLOW.0 });
                return false;
            }
            if into.is_some() {
                bytes.extend_from_slice(page.payload());
            }
        }
        if let Some(into) = into {
            into.extend_from_slice(&bytes[..run.len()]);
        }
        true
    }

    /// Counts and reads a page. `None` if it was counted before or cannot be read, which was reported.
    fn read(&mut self, ptr: PagePtr) -> Option<Box<Page>> {
        let mut page = Page::boxed();
        let read = self.census.mark(Extent::single(ptr.id)) && self.census.read(ptr, &mut page);
        self.whole &= read;
        read.then_some(page)
    }

    fn report(&mut self, page: PageId, why: Malformed) {
        self.whole = false;
        self.census.report(Extent::single(page), Problem::Malformed(std::sync::Arc::new(why)));
    }
}
