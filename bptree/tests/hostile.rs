//! Pages that are whole and hold nonsense. What `check_page` lets through can be searched, walked and changed: the answer may be an
//! error, or wrong, but nothing panics, hangs or leaves the page.

mod common;

use std::collections::BTreeSet;

use common::*;
use dynamite_bptree::{Body, Malformed, NewValue, Overflow, Tree, TreeError, check_page};
use dynamite_pager::{Access, Page, PageId, PageKind, PagePtr, Pager, PagerError, Placement, WriteBatch};

/// A tree of two levels with spilled keys, values and separators, and the keys in it.
fn build(batch: &mut WriteBatch<'_>) -> (Tree, Vec<Vec<u8>>) {
    let mut tree = Tree::EMPTY;
    let mut keys: Vec<Vec<u8>> = (0..40_u32).map(|row| format!("row {row:05}").into_bytes()).collect();
    keys.extend((0..6).map(|last| [&[b's'; 700][..], &[last]].concat()));
    keys.extend((383..=386).map(|len| vec![b's'; len]));
    for (nth, key) in keys.iter().enumerate() {
        put(batch, &mut tree, key, &vec![1; nth * 37 % 500 * (1 + nth % 5)], 9);
    }
    assert_eq!(tree.to_bytes()[12], 1, "a root above leaves");
    (tree, keys)
}

/// The root, and what its cells point to.
fn nodes(batch: &mut WriteBatch<'_>, tree: &Tree) -> Vec<PagePtr> {
    let root = PagePtr::from_bytes(tree.to_bytes().first_chunk().unwrap());
    let children = children(batch.read(root, Access::Point).unwrap());
    std::iter::once(root).chain(children).collect()
}

/// Does all that can be done with a tree, whatever comes of it.
fn exercise(batch: &mut WriteBatch<'_>, tree: Tree, keys: &[Vec<u8>], random: &mut Random) {
    let mut changed = tree;
    {
        let mut cursor = tree.cursor(batch, Access::Scan);
        let mut steps = 0;
        while let Ok(Some(mut rows)) = cursor.next_rows() {
            while let Some(entry) = rows.next() {
                std::hint::black_box((entry.key.len(), entry.value.len()));
            }
            steps += 1;
            assert!(steps < 10_000, "the cursor goes round in circles");
        }
        for _ in 0..5 {
            cursor.seek(&keys[random.below(keys.len())]);
            let _ = cursor.prev().map(|entry| entry.map(|entry| entry.key.len()));
            let _ = cursor.next().map(|entry| entry.map(|entry| entry.key.len()));
        }
    }
    let wanted: Vec<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let _ = tree.get_many(batch, &wanted, &mut |_, _| Ok(()));
    for _ in 0..12 {
        let mut key = keys[random.below(keys.len())].clone();
        if random.below(2) == 0 {
            key.push(random.next() as u8);
        }
        let run = match tree.get(batch, &key) {
            Ok(Some(dynamite_bptree::Value::Spilled { run, .. })) => Some(run),
            _ => None,
        };
        let _ = run.map(|run| run.read(batch, &mut Vec::new()));
        let done = match random.below(6) {
            0 | 1 => changed.remove(batch, &key).map(drop),
            2 => {
                let mut many = vec![key];
                for _ in 0..random.below(60) {
                    let near = &keys[random.below(keys.len())];
                    many.push([&near[..], &[random.next() as u8]].concat());
                }
                insert_many(batch, &mut changed, &many, &vec![2; random.below(300)]).map(drop)
            }
            _ => {
                let body = vec![2; random.below(1100)];
                changed.insert(batch, &key, NewValue { head: b"h", body: Body::Bytes(&body) }).map(drop)
            }
        };
        match done {
            Ok(()) => assert_well_formed(batch, &changed),
            // After an error the batch is of no use, but it is not to panic either.
            Err(_) if random.below(2) == 0 => break,
            Err(_) => {}
        }
    }
    for _ in 0..4 {
        let _ = changed.free_some(batch, 5);
    }
}

fn insert_many(
    batch: &mut WriteBatch<'_>,
    tree: &mut Tree,
    keys: &[Vec<u8>],
    body: &[u8],
) -> Result<usize, TreeError> {
    let keys: BTreeSet<&[u8]> = keys.iter().map(Vec::as_slice).collect();
    let rows: Vec<_> = keys.into_iter().map(|key| (key, body)).collect();
    tree.insert_many(batch, b"h", &rows)
}

/// A change that worked has left nothing behind that the check would refuse.
fn assert_well_formed(batch: &mut WriteBatch<'_>, tree: &Tree) {
    if tree.is_empty() || tree.to_bytes()[12] != 1 {
        return;
    }
    for node in nodes(batch, tree) {
        // A pointer that was damaged may lead nowhere.
        if let Ok(page) = batch.read(node, Access::Point) {
            assert_eq!(check_page(page).map_err(|why| why.to_string()), Ok(()));
        }
    }
}

/// Damages a page of a tree that is being written, and does everything with what passes the check. Returns how many passed.
fn damage_and_exercise(rounds: u64, damage: impl Fn(&mut Page, &mut Random)) -> u64 {
    let pager = in_memory();
    let mut passed = 0;
    for seed in 0..rounds {
        let mut random = Random(seed);
        let mut batch = pager.begin().unwrap();
        let (tree, keys) = build(&mut batch);
        let nodes = nodes(&mut batch, &tree);
        let node = nodes[random.below(nodes.len())];
        let mut page = batch.page_mut(node).clone();
        damage(&mut page, &mut random);
        if check_page(&page).is_err() {
            continue;
        }
        passed += 1;
        batch.page_mut(node).clone_from(&page);
        exercise(&mut batch, tree, &keys, &mut random);
    }
    passed
}

/// Bytes 20 and up: what is before is checked by the pager.
const FIRST: usize = 20;

#[test]
fn a_flipped_byte_that_passes_the_check_does_no_harm() {
    let passed = damage_and_exercise(2500, |page, random| {
        let at = FIRST + random.below(4096 - FIRST);
        page.bytes_mut()[at] ^= 1 << random.below(8);
    });
    assert!(passed > 500, "{passed}");
}

/// The bytes that say where and how long things are.
#[test]
fn damaged_slots_headers_and_descriptors_that_pass_the_check_do_no_harm() {
    let passed = damage_and_exercise(4000, |page, random| {
        let slots = 32 + usize::from(page.prefix_len());
        let count = usize::from(page.slot_count()).max(1);
        for _ in 0..=random.below(2) {
            let slot = slots + 6 * random.below(count);
            let cell = usize::from(u16::from_le_bytes(*page.bytes()[slot + 4..].first_chunk().unwrap()));
            let at = match random.below(4) {
                0 => FIRST + random.below(slots - FIRST),
                1 => slot + random.below(6),
                _ => (cell + random.below(24)).min(4095),
            };
            page.bytes_mut()[at] = random.next() as u8;
        }
    });
    assert!(passed > 200, "{passed}");
}

/// Each cell changes places with another, so that the order is what the check must see.
#[test]
fn swapped_slots_are_refused() {
    let passed = damage_and_exercise(200, |page, random| {
        let slots = 32 + usize::from(page.prefix_len());
        let count = usize::from(page.slot_count());
        let first = random.below(count - 1);
        let (a, b) = (slots + 6 * first, slots + 6 * (first + 1 + random.below(count - first - 1)));
        (0..6).for_each(|byte| page.bytes_mut().swap(a + byte, b + byte));
    });
    // Keys that tie in what is stored of them may stand in either order, as far as one page can tell.
    assert!(passed < 40, "{passed}");
}

#[test]
fn random_bytes_never_panic_the_check() {
    let mut random = Random(1);
    for round in 0..20_000 {
        let mut page = Page::boxed();
        page.format(
            PageId(9),
            dynamite_pager::Birth(1),
            PageKind(16 + random.below(4) as u8),
            random.below(3) as u8,
        );
        let dense = random.below(200);
        page.payload_mut().iter_mut().for_each(|byte| {
            *byte = if dense > 100 { random.next() as u8 } else { (random.next() % 4) as u8 };
        });
        page.set_slot_count(random.below(1 + round % 600) as u16);
        page.set_cell_offset((random.next() % 5000) as u16);
        page.set_prefix_len(random.below(1 + round % 500) as u16);
        let _ = check_page(&page);
    }
}

#[test]
fn pages_of_other_kinds_are_none_of_our_business() {
    for kind in (0..=255).filter(|kind| !(16..=19).contains(kind)) {
        let mut page = Page::boxed();
        page.format(PageId(9), dynamite_pager::Birth(1), PageKind(kind), 7);
        page.payload_mut().fill(0xee);
        assert!(check_page(&page).is_ok(), "kind {kind}");
    }
}

/// What no page can tell by itself is an error of the visit, and a finding of the census, that name the page.
#[track_caller]
fn check_visit(damage: impl FnOnce(&mut WriteBatch<'_>, &mut Tree), expected: Malformed) {
    let pager = in_memory();
    let tree = commit(&pager, |batch, trees| {
        (trees[0], _) = build(batch);
        damage(batch, &mut trees[0]);
        trees[0]
    });
    let findings = audit(&pager);
    assert!(
        findings.iter().any(|finding| finding.to_string().contains(&expected.to_string())),
        "{expected} is not among {findings:?}"
    );
    if !matches!(
        expected,
        Malformed::Fence { .. } | Malformed::EntryCount { .. } | Malformed::KeyOrder { .. }
    ) {
        let error = visit_all(&pager, &tree).expect_err("the damage is met");
        assert!(matches!(&error, TreeError::Pager(PagerError::Malformed { .. })), "{error}");
        assert!(error.to_string().contains(&expected.to_string()), "{error}");
    }
}

fn visit_all(pager: &Pager, tree: &Tree) -> Result<(), TreeError> {
    let (mut operation, _) = pager.enter().unwrap();
    let mut runs: Vec<Overflow> = Vec::new();
    let mut cursor = tree.cursor(&mut operation, Access::Scan);
    while let Some(entry) = cursor.next()? {
        if let dynamite_bptree::Value::Spilled { run, .. } = entry.value {
            runs.push(run);
        }
    }
    runs.iter().try_for_each(|run| run.read(&mut operation, &mut Vec::new()))
}

fn set_child(page: &mut Page, slot: usize, child: PagePtr) {
    let at = 32 + usize::from(page.prefix_len()) + 6 * slot + 4;
    let cell = usize::from(u16::from_le_bytes(*page.bytes()[at..].first_chunk().unwrap()));
    page.bytes_mut()[cell..cell + 12].copy_from_slice(&child.to_bytes());
}

#[test]
fn a_child_of_the_wrong_kind_is_an_error_of_the_visit() {
    let damage = |batch: &mut WriteBatch<'_>, tree: &mut Tree| {
        let nodes = nodes(batch, tree);
        // A cycle: the root is its own child.
        set_child(batch.page_mut(nodes[0]), 1, nodes[0]);
    };
    // The kind says so before the level does.
    let pager = in_memory();
    let tree = commit(&pager, |batch, trees| {
        (trees[0], _) = build(batch);
        damage(batch, &mut trees[0]);
        trees[0]
    });
    let error = visit_all(&pager, &tree).unwrap_err().to_string();
    assert!(error.contains(&Malformed::Kind { found: 17, expected: 16 }.to_string()), "{error}");
    // To the census it is a page that was reached before, and it does not go there again.
    assert!(audit(&pager).iter().any(|finding| finding.to_string().contains("more than once")));
}

#[test]
fn a_tree_of_another_height_is_an_error_of_the_visit() {
    let relabel = |tree: &mut Tree, level: u8| {
        let mut bytes = tree.to_bytes();
        bytes[12] = level;
        *tree = Tree::from_bytes(&bytes);
    };
    check_visit(|_, tree| relabel(tree, 2), Malformed::Level { found: 1, expected: 2 });
    check_visit(|_, tree| relabel(tree, 0), Malformed::Kind { found: 17, expected: 16 });
    check_visit(
        |batch, tree| {
            let node = nodes(batch, tree)[0];
            batch.page_mut(node).bytes_mut()[21] = 2;
        },
        Malformed::Level { found: 2, expected: 1 },
    );
}

#[test]
fn a_wrong_number_of_entries_is_a_finding() {
    let expected = 50;
    check_visit(
        |_, tree| {
            let mut bytes = tree.to_bytes();
            bytes[13] += 1;
            *tree = Tree::from_bytes(&bytes);
        },
        Malformed::EntryCount { found: expected, expected: expected + 1 },
    );
}

#[test]
fn leaves_that_changed_places_are_a_finding() {
    check_visit(
        |batch, tree| {
            let nodes = nodes(batch, tree);
            set_child(batch.page_mut(nodes[0]), 0, nodes[2]);
            set_child(batch.page_mut(nodes[0]), 1, nodes[1]);
        },
        Malformed::Fence { slot: 0 },
    );
}

/// The keys of the leaf before it are too high then, or those of the leaf behind it too low; the other leaf is in place.
#[test]
fn a_separator_that_lies_is_a_finding_of_the_leaf_that_it_excludes() {
    for (change, excluded) in [(-1, 0), (1, 1)] {
        let pager = in_memory();
        let leaves = commit(&pager, |batch, trees| {
            (trees[0], _) = build(batch);
            let nodes = nodes(batch, &trees[0]);
            let page = batch.page_mut(nodes[0]);
            let slot = 32 + usize::from(page.prefix_len()) + 6;
            let cell = usize::from(u16::from_le_bytes(*page.bytes()[slot + 4..].first_chunk().unwrap()));
            // Behind pointer and length stands what is not in the slot: the digits of `row 000..`.
            let digits = page.bytes()[cell + 13..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let last = &mut page.bytes_mut()[cell + 12 + digits.min(5)];
            *last = last.wrapping_add_signed(change);
            [nodes[1].id, nodes[2].id]
        });
        let findings: Vec<String> = audit(&pager).iter().map(ToString::to_string).collect();
        let names =
            |leaf: usize| findings.iter().any(|found| found.starts_with(&format!("page {}:", leaves[leaf])));
        assert!(names(excluded) && !names(1 - excluded), "{change}: {findings:?}");
    }
}

#[test]
fn a_run_that_leads_to_a_page_of_another_kind_is_an_error_of_the_read() {
    check_visit(
        |batch, tree| {
            let nodes = nodes(batch, tree);
            // The first part of some value becomes a page of nobody's kind.
            let mut cursor = tree.cursor(batch, Access::Scan);
            let mut first = None;
            while let Some(entry) = cursor.next().unwrap() {
                if let dynamite_bptree::Value::Spilled { run, .. } = entry.value {
                    first = Some(PagePtr::from_bytes(run.to_bytes()[4..].first_chunk().unwrap()));
                }
            }
            assert!(nodes.len() > 2);
            batch.page_mut(first.unwrap()).bytes_mut()[20] = 77;
        },
        Malformed::Kind { found: 77, expected: 18 },
    );
}

#[test]
fn a_list_of_another_run_is_an_error_of_the_read() {
    for pages in [1, 3] {
        check_visit(
            |batch, tree| {
                let list = batch.allocate(PageKind(19), 0, Placement::Hole).unwrap();
                let run = batch.allocate_run(pages, PageKind(18)).unwrap();
                let page = batch.page_mut(list);
                page.set_slot_count(1);
                page.payload_mut()[..4].copy_from_slice(&run.first.0.to_le_bytes());
                page.payload_mut()[4..8].copy_from_slice(&run.count.to_le_bytes());
                // 5,000 bytes take two pages.
                let mut descriptor = [0; Overflow::SIZE];
                descriptor[..4].copy_from_slice(&5000_u32.to_le_bytes());
                descriptor[4..16].copy_from_slice(&list.to_bytes());
                descriptor[16] = 1;
                let run = Overflow::from_bytes(&descriptor);
                let value = NewValue { head: b"", body: Body::Run(run) };
                assert_eq!(tree.insert(batch, b"listed", value).unwrap(), None);
            },
            Malformed::ExtentList { extents: 1, pages: pages.into() },
        );
    }
}

/// Every error of a damaged page says which page it is.
#[test]
fn errors_name_the_page() {
    let pager = in_memory();
    let (tree, damaged) = commit(&pager, |batch, trees| {
        (trees[0], _) = build(batch);
        let leaf = nodes(batch, &trees[0])[2];
        batch.page_mut(leaf).bytes_mut()[20] = 99;
        (trees[0], leaf)
    });
    let pages: BTreeSet<u32> = match visit_all(&pager, &tree) {
        Err(TreeError::Pager(PagerError::Malformed { page, .. })) => [page.0].into(),
        other => panic!("{other:?}"),
    };
    assert_eq!(pages, [damaged.id.0].into());
}

/// Separators that lie about their neighbours: when a leaf is split, the new one may not fit between them. That is an error
/// before the parent is written, and no parent out of order.
#[test]
fn a_split_under_separators_that_lie_is_an_error_and_not_a_parent_out_of_order() {
    let pager = in_memory();
    let mut errors = 0;
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut batch = pager.begin().unwrap();
        let (mut tree, keys) = build(&mut batch);
        let root = nodes(&mut batch, &tree)[0];
        let page = batch.page_mut(root);
        let slots = 32 + usize::from(page.prefix_len());
        let slot = 1 + random.below(usize::from(page.slot_count()) - 1);
        let cell =
            usize::from(u16::from_le_bytes(*page.bytes()[slots + 6 * slot + 4..].first_chunk().unwrap()));
        // Behind pointer and length, what is not in the slot of `row 000..`.
        let byte = &mut page.bytes_mut()[cell + 13 + random.below(5)];
        *byte = byte.wrapping_add_signed([-2, -1, 1, 2][random.below(4)]);
        if check_page(page).is_err() {
            continue;
        }
        for number in 0..60_u32 {
            let key = [&keys[random.below(keys.len())][..], &number.to_be_bytes()].concat();
            let value = NewValue { head: b"", body: Body::Bytes(&[3; 700]) };
            match tree.insert(&mut batch, &key, value) {
                Ok(_) => assert_well_formed(&mut batch, &tree),
                Err(error) => {
                    let why = error.to_string();
                    assert!(why.contains("out of order") || why.contains("not apart"), "{why}");
                    errors += 1;
                    break;
                }
            }
        }
    }
    assert!(errors > 20, "{errors}");
}
