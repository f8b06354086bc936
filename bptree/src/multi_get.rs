//! Many keys at once: sorted, and descending together level by level, so that what misses the pool is read in few batches.

use dynamite_pager::{Access, PagePtr};

use crate::error::{Malformed, Result};
use crate::node::{KEY_KEPT, Node};
use crate::pages::{Pages, wrong_node};
use crate::search::{child_of, search};
use crate::tree::Tree;
use crate::value::Value;

/// Called with the index of each key and its value.
pub(crate) type Visit<'v> = dyn FnMut(usize, Option<Value<'_>>) -> Result<()> + 'v;

/// Keys that go through the same page: a range of the sorted keys.
struct Bundle {
    ptr: PagePtr,
    keys: std::ops::Range<usize>,
}

pub(crate) fn get_many(
    tree: &Tree,
    pages: &mut impl Pages,
    keys: &[&[u8]],
    visit: &mut Visit<'_>,
) -> Result<()> {
    let Some(root) = tree.root else {
        return (0..keys.len()).try_for_each(|index| visit(index, None));
    };
    // Long keys may have to read runs on the way, so they go alone.
    let (mut order, long): (Vec<usize>, Vec<usize>) =
        (0..keys.len()).partition(|index| keys[*index].len() <= KEY_KEPT);
    order.sort_unstable_by_key(|index| keys[*index]);
    let mut bundles = Vec::new();
    if !order.is_empty() {
        bundles.push(Bundle { ptr: root, keys: 0..order.len() });
    }
    for level in (1..=tree.level).rev() {
        let mut below = Vec::with_capacity(bundles.len());
        visit_nodes(pages, &bundles, level, &mut |bundle, node| {
            let mut rest = bundle.keys.clone();
            while let Some(first) = rest.next() {
                let slot = child_of(search(node, keys[order[first]]));
                // The keys are sorted, so those for one child are neighbours.
                while let Some(next) = rest.clone().next()
                    && child_of(search(node, keys[order[next]])) == slot
                {
                    rest.next();
                }
                below.push(Bundle { ptr: node.child(slot), keys: first..rest.start });
            }
            Ok(())
        })?;
        bundles = below;
    }
    visit_nodes(pages, &bundles, 0, &mut |bundle, node| {
        bundle.keys.clone().try_for_each(|nth| {
            let index = order[nth];
            visit(index, search(node, keys[index]).ok().map(|slot| node.value(slot)))
        })
    })?;
    long.into_iter().try_for_each(|index| visit(index, tree.get(pages, keys[index])?))
}

/// Reads the pages of all bundles together, and checks that they are of this level.
fn visit_nodes(
    pages: &mut impl Pages,
    bundles: &[Bundle],
    level: u8,
    look: &mut dyn FnMut(&Bundle, Node<'_>) -> Result<()>,
) -> Result<()> {
    let ptrs: Vec<PagePtr> = bundles.iter().map(|bundle| bundle.ptr).collect();
    let mut wrong: Option<(usize, Malformed)> = None;
    pages.read_many(&ptrs, Access::Point, &mut |nth, page| match wrong_node(page, level) {
        None => look(&bundles[nth], Node::of(page)),
        Some(why) => {
            wrong.get_or_insert((nth, why));
            Ok(())
        }
    })?;
    match wrong {
        None => Ok(()),
        Some((nth, why)) => Err(pages.malformed(ptrs[nth].id, why).into()),
    }
}
