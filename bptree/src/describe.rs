//! The fields of a tree's pages, with their names and values, for those who want to look at the bytes; see
//! [`dynamite_pager::format::describe`].

use dynamite_pager::{Extent, Field, Page, PageId, PageKind, PagePtr};

use crate::check::check;
use crate::error::Malformed;
use crate::node::{
    EXTENT_LIST, HEAD_SIZE, INNER, LEAF, LEAF_HEADER, NODE_START, Node, OVERFLOW, SLOT_SIZE,
    separator_header_len,
};
use crate::overflow::Overflow;
use crate::value::Value;

/// What the bytes of a page say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// What the page is, if it is one of a tree's.
    pub what: Option<&'static str>,
    /// Its fields behind the page header, in the order of their offsets.
    pub fields: Vec<Field>,
    /// The check that it fails; then there are no fields.
    pub wrong: Option<Malformed>,
    /// The entries of a leaf, in the order of their keys.
    pub entries: Vec<EntryPlace>,
    /// The pages that an inner node leads to, in the order of their keys.
    pub children: Vec<PagePtr>,
}

/// An entry, and where its value stands in the leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryPlace {
    /// Its slot.
    pub slot: usize,
    /// Its key; of a key with a run of its own, what stands in the leaf.
    pub key: Vec<u8>,
    /// Where the value begins: all of it, or its head.
    pub value_at: usize,
    /// The bytes of the value in the leaf.
    pub value: Vec<u8>,
    /// Where the rest is, if it has pages of its own.
    pub run: Option<Overflow>,
}

/// What pages of a kind are, if it is one of a tree's: `leaf`, `inner node`, `overflow page` or `extent list`.
pub fn kind_name(kind: PageKind) -> Option<&'static str> {
    match kind {
        LEAF => Some("leaf"),
        INNER => Some("inner node"),
        OVERFLOW => Some("overflow page"),
        EXTENT_LIST => Some("extent list"),
        _ => None,
    }
}

/// Describes a page of a tree. The bytes may be anything.
pub fn describe(page: &Page) -> NodeView {
    let mut view = NodeView {
        what: kind_name(page.kind()),
        fields: Vec::new(),
        wrong: check(page).err(),
        entries: Vec::new(),
        children: Vec::new(),
    };
    if view.wrong.is_some() {
        return view;
    }
    match page.kind() {
        LEAF | INNER => describe_node(page, &mut view),
        EXTENT_LIST => describe_list(page, &mut view.fields),
        OVERFLOW => {
            let len = page.payload().len();
            view.fields.push(Field::new(NODE_START, len, "bytes of a run", shown(page.payload())));
        }
        _ => {}
    }
    view.fields.sort_by_key(|field| field.offset);
    view
}

/// A key by which a search comes by a node, if it has one: an inner node with one child has none. Of a key with a run of its own, what
/// stands in the node.
pub fn some_key(page: &Page) -> Option<Vec<u8>> {
    let slot = match page.kind() {
        LEAF => 0,
        INNER => 1,
        _ => return None,
    };
    check(page).ok()?;
    let node = Node::of(page);
    (slot < node.len()).then(|| node.stored_key(slot))
}

fn describe_node(page: &Page, view: &mut NodeView) {
    let node = Node::of(page);
    let fields = &mut view.fields;
    let prefix = node.prefix();
    if !prefix.is_empty() {
        fields.push(Field::new(NODE_START, prefix.len(), "prefix", shown(prefix)));
    }
    for slot in 0..node.len() {
        let at = NODE_START + prefix.len() + slot * SLOT_SIZE;
        let head = &node.slots()[slot][..HEAD_SIZE];
        let cell = node.cell_start(slot);
        fields.push(Field::new(
            at,
            SLOT_SIZE,
            format!("slot {slot}"),
            format_args!("{}, cell at {cell}", shown(head)),
        ));
        let part = node.key_part(slot);
        let mut next = cell;
        let mut add = |len: usize, what: &str, value: String| {
            if len > 0 {
                fields.push(Field::new(next, len, format!("cell {slot} {what}"), value));
            }
            next += len;
        };
        if node.is_leaf() {
            let header = node.leaf_header(cell);
            let runs = [(header.key_spilled, ", key run"), (header.value_spilled, ", value run")];
            let runs: String = runs.into_iter().filter(|(is, _)| *is).map(|(_, text)| text).collect();
            let text = format!(
                "key {} bytes behind the prefix, value {} bytes{runs}",
                header.rest, header.value_len
            );
            add(LEAF_HEADER, "header", text);
        } else {
            let PagePtr { id, birth } = node.child(slot);
            view.children.push(PagePtr { id, birth });
            add(PagePtr::SIZE, "child", format!("page {id}, birth {birth}"));
            let len = separator_header_len(part.rest, part.run.is_some());
            add(len, "length", part.rest.to_string());
        }
        add(part.tail.len(), "key tail", shown(part.tail));
        if let Some(run) = part.run {
            add(Overflow::SIZE, "key run", run_text(Overflow::from_bytes(run)));
        }
        if node.is_leaf() {
            let value = node.value(slot);
            add(value.head().len(), "value", shown(value.head()));
            let run = match value {
                Value::Spilled { run, .. } => Some(run),
                Value::Inline(_) => None,
            };
            if let Some(run) = run {
                add(Overflow::SIZE, "value run", run_text(run));
            }
            let value_at = next - value.head().len() - if run.is_some() { Overflow::SIZE } else { 0 };
            let (key, value) = (node.stored_key(slot), value.head().to_vec());
            view.entries.push(EntryPlace { slot, key, value_at, value, run });
        }
    }
}

fn describe_list(page: &Page, fields: &mut Vec<Field>) {
    let entries = page.payload().chunks_exact(Overflow::LISTED_SIZE).take(page.slot_count().into());
    for (index, entry) in entries.enumerate() {
        let word = |at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
        let Extent { first, count } = Extent { first: PageId(word(0)), count: word(4) };
        let at = NODE_START + index * Overflow::LISTED_SIZE;
        let value = format!("{count} pages from {first} on");
        fields.push(Field::new(at, Overflow::LISTED_SIZE, format!("extent {index}"), value));
    }
}

fn run_text(run: Overflow) -> String {
    let PagePtr { id, birth } = run.first();
    let listed = if run.is_listed() { ", an extent list" } else { "" };
    format!("{} bytes, page {id}, birth {birth}{listed}", run.len())
}

/// Bytes for people: the beginning, with what is no text escaped.
fn shown(bytes: &[u8]) -> String {
    const SHOWN: usize = 48;
    let text = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    if bytes.len() > SHOWN { format!("{text}… ({} bytes)", bytes.len()) } else { text.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each byte of a cell belongs to one field, and kinds of other layers have none.
    #[test]
    fn pages_of_other_kinds_and_malformed_ones_have_no_fields() {
        let mut page = Page::boxed();
        for kind in [1, 2, 3, 200] {
            page.bytes_mut()[20] = kind;
            let view = describe(&page);
            assert_eq!((view.what, view.fields.len(), view.wrong), (None, 0, None), "kind {kind}");
        }
        page.bytes_mut()[20] = LEAF.0;
        let view = describe(&page);
        assert_eq!((view.what, view.fields.len()), (Some("leaf"), 0));
        assert_eq!(view.wrong, Some(Malformed::SlotCount { count: 0 }));
    }
}
