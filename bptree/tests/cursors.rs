//! Cursors go both ways, turn round, and find their place among keys of all kinds, in an operation and in a batch that has not
//! been committed.

mod common;

use std::ops::Bound::{Excluded, Unbounded};

use common::*;
use dynamite_bptree::{Cursor, Malformed, Pages, Result, Tree, Value};
use dynamite_pager::{Access, Operation, Page, PageId, PagePtr, Pager, PagerError};

/// A tree of several levels, with keys that are spilled, and some that tie in all that a page keeps of them.
fn mixed() -> (Pager, Tree, Model) {
    let pager = in_memory();
    let mut model = Model::new();
    let mut random = Random(4);
    for part in 0..12 {
        commit(&pager, |batch, trees| {
            for _ in 0..100 {
                let mut key = match random.below(8) {
                    0 => vec![b'm'; 390 + random.below(20)],
                    1 => vec![b't'; 1000],
                    _ => format!("{:02}", random.below(100)).into_bytes(),
                };
                key.extend(format!("{:04}", random.below(2000)).bytes());
                let value = vec![part; random.below(300)];
                put(batch, &mut trees[0], &key, &value, 0);
                model.insert(key, value);
            }
        });
    }
    let tree = published(&pager)[0];
    assert!(tree.to_bytes()[12] >= 1);
    (pager, tree, model)
}

#[track_caller]
fn assert_next<P: Pages>(cursor: &mut Cursor<'_, P>, expected: Option<(&Vec<u8>, &Vec<u8>)>) {
    let found = cursor.next().unwrap();
    assert!(found.map(|entry| entry.key) == expected.map(|(key, _)| &key[..]));
    assert!(found.map(|entry| entry.value.head()) == expected.map(|(_, value)| &value[..]));
}

#[track_caller]
fn assert_prev<P: Pages>(cursor: &mut Cursor<'_, P>, expected: Option<(&Vec<u8>, &Vec<u8>)>) {
    let found = cursor.prev().unwrap();
    assert!(found.map(|entry| entry.key) == expected.map(|(key, _)| &key[..]));
    assert!(found.map(|entry| entry.value.head()) == expected.map(|(_, value)| &value[..]));
}

fn walk_both_ways(pages: &mut impl Pages, tree: &Tree, model: &Model, access: Access) {
    let mut cursor = tree.cursor(pages, access);
    model.iter().for_each(|entry| assert_next(&mut cursor, Some(entry)));
    assert_next(&mut cursor, None);
    assert_next(&mut cursor, None);
    // Turning round gives the same entry again.
    model.iter().rev().for_each(|entry| assert_prev(&mut cursor, Some(entry)));
    assert_prev(&mut cursor, None);
    assert_next(&mut cursor, model.iter().next());
    cursor.seek_last();
    assert_next(&mut cursor, None);
    assert_prev(&mut cursor, model.iter().next_back());
    cursor.seek_first();
    assert_prev(&mut cursor, None);

    // By rows, with rests of leaves left behind.
    let mut forwards = Vec::new();
    for take in (1..).map(|round| round * 7 % 40 + 1) {
        let Some(mut rows) = cursor.next_rows().unwrap() else { break };
        while let Some(entry) = rows.next() {
            forwards.push(entry.key.to_vec());
            if forwards.len() % take == 0 {
                break;
            }
        }
    }
    assert!(forwards.iter().eq(model.keys()));
    let mut backwards = Vec::new();
    while let Some(mut rows) = cursor.prev_rows().unwrap() {
        while let Some(entry) = rows.next() {
            backwards.push(entry.key.to_vec());
        }
    }
    assert!(backwards.iter().eq(model.keys().rev()));
}

fn seek_everywhere(pages: &mut impl Pages, tree: &Tree, model: &Model) {
    let mut cursor = tree.cursor(pages, Access::Point);
    let mut targets: Vec<Vec<u8>> = model.keys().cloned().collect();
    for key in model.keys() {
        targets.push([key, &b"\0"[..]].concat());
        targets.push(key[..key.len() - 1].to_vec());
    }
    targets.extend([vec![], vec![0xff; 500], vec![b'm'; 384], vec![b'm'; 385], vec![b't'; 32 << 10]]);
    for (nth, target) in targets.iter().enumerate() {
        cursor.seek(target);
        let below = || model.range::<Vec<u8>, _>((Unbounded, Excluded(target))).next_back();
        if nth % 2 == 0 {
            assert_next(&mut cursor, model.range(target.clone()..).next());
            cursor.seek(target);
            assert_prev(&mut cursor, below());
        } else {
            assert_prev(&mut cursor, below());
            // Back over the same entry, and on.
            if let Some(entry) = below() {
                assert_next(&mut cursor, Some(entry));
            }
            assert_next(&mut cursor, model.range(target.clone()..).next());
        }
    }
}

#[test]
fn a_cursor_gives_every_entry_once_in_either_direction() {
    let (pager, tree, model) = mixed();
    let (mut operation, _) = pager.enter().unwrap();
    walk_both_ways(&mut operation, &tree, &model, Access::Scan);
    walk_both_ways(&mut operation, &tree, &model, Access::Point);
}

#[test]
fn a_cursor_finds_its_place_between_any_two_keys() {
    let (pager, tree, model) = mixed();
    let (mut operation, _) = pager.enter().unwrap();
    seek_everywhere(&mut operation, &tree, &model);
}

#[test]
fn a_cursor_over_a_batch_sees_what_the_batch_did() {
    let (pager, _, mut model) = mixed();
    let mut batch = pager.begin().unwrap();
    let mut tree = load(&mut batch)[0];
    let keys: Vec<_> = model.keys().cloned().collect();
    for key in keys.iter().step_by(3) {
        assert_eq!(delete(&mut batch, &mut tree, key), model.remove(key));
    }
    for number in 0..300_u32 {
        let key = [&b"new"[..], &number.to_be_bytes()].concat();
        put(&mut batch, &mut tree, &key, b"uncommitted", 0);
        model.insert(key, b"uncommitted".to_vec());
    }
    walk_both_ways(&mut batch, &tree, &model, Access::Scan);
    seek_everywhere(&mut batch, &tree, &model);
}

#[test]
fn a_random_walk_of_a_cursor_agrees_with_the_model() {
    let (pager, tree, model) = mixed();
    let entries: Vec<_> = model.iter().collect();
    let (mut operation, _) = pager.enter().unwrap();
    let mut cursor = tree.cursor(&mut operation, Access::Scan);
    let mut random = Random(8);
    let mut gap = 0;
    for _ in 0..20_000 {
        match random.below(20) {
            0 => {
                gap = random.below(entries.len());
                cursor.seek(entries[gap].0);
            }
            1 => {
                gap = entries.len();
                cursor.seek_last();
            }
            2..=11 => {
                assert_next(&mut cursor, entries.get(gap).copied());
                gap = (gap + 1).min(entries.len());
            }
            _ => {
                assert_prev(&mut cursor, gap.checked_sub(1).map(|before| entries[before]));
                gap = gap.saturating_sub(1);
            }
        }
    }
}

#[test]
fn seeking_costs_nothing_before_the_first_step() {
    let (pager, tree, _) = mixed();
    let touched = || pager.stats().hits + pager.stats().misses;
    let before = touched();
    let (mut operation, _) = pager.enter().unwrap();
    let mut cursor = tree.cursor(&mut operation, Access::Scan);
    cursor.seek(b"m");
    cursor.seek_last();
    cursor.seek_first();
    assert_eq!(touched(), before);
    assert!(cursor.next().unwrap().is_some());
    assert!(touched() > before);
}

#[test]
fn a_cursor_over_an_empty_tree_has_no_entries() {
    let pager = in_memory();
    let (mut operation, _) = pager.enter().unwrap();
    let mut cursor = Tree::EMPTY.cursor(&mut operation, Access::Scan);
    assert!(cursor.next().unwrap().is_none());
    cursor.seek(b"x");
    assert!(cursor.prev().unwrap().is_none());
    cursor.seek_last();
    assert!(cursor.next_rows().unwrap().is_none());
}

/// Writes down what a cursor asks for.
struct Recorder<'p> {
    operation: Operation<'p>,
    read: Vec<PagePtr>,
    asked: Vec<Vec<PagePtr>>,
    /// What is worth asking for ahead.
    most: usize,
}

impl Pages for Recorder<'_> {
    fn read(&mut self, ptr: PagePtr, access: Access) -> Result<&Page> {
        self.read.push(ptr);
        Pages::read(&mut self.operation, ptr, access)
    }

    fn read_many(
        &mut self,
        ptrs: &[PagePtr],
        access: Access,
        visit: &mut dyn FnMut(usize, &Page) -> Result<()>,
    ) -> Result<()> {
        Pages::read_many(&mut self.operation, ptrs, access, visit)
    }

    fn prefetch(&mut self, ptrs: &[PagePtr]) {
        self.asked.push(ptrs.to_vec());
    }

    fn ahead_most(&self) -> usize {
        self.most
    }

    fn malformed(&self, page: PageId, why: Malformed) -> PagerError {
        Pages::malformed(&self.operation, page, why)
    }
}

/// A tree with 37 rows in a leaf.
fn thirty_thousand_rows() -> (Pager, Tree) {
    let pager = in_memory();
    let tree = commit(&pager, |batch, trees| {
        for row in 0..30_000_u32 {
            put(batch, &mut trees[0], &row.to_be_bytes(), &[1; 100], 0);
        }
        trees[0]
    });
    (pager, tree)
}

#[test]
fn a_scan_asks_ahead_for_growing_numbers_of_leaves_and_a_short_look_for_none() {
    let (pager, tree) = thirty_thousand_rows();
    let record = |access, backwards, rows: usize| {
        let operation = pager.enter().unwrap().0;
        let mut recorder = Recorder { operation, read: Vec::new(), asked: Vec::new(), most: usize::MAX };
        let mut cursor = tree.cursor(&mut recorder, access);
        if backwards {
            cursor.seek_last();
        }
        for _ in 0..rows {
            let entry = if backwards { cursor.prev() } else { cursor.next() };
            assert!(entry.unwrap().is_some());
        }
        recorder
    };
    // One leaf has 37 rows.
    assert!(record(Access::Scan, false, 30).asked.is_empty());
    assert!(record(Access::Scan, true, 10).asked.is_empty());
    assert!(record(Access::Point, false, 30_000).asked.is_empty());
    // Three leaves, and nine: nothing more is asked for before half of the first is come to.
    let sizes = |rows| record(Access::Scan, false, rows).asked.iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!((sizes(3 * 37), sizes(9 * 37)), (vec![8], vec![8, 12]));
    for backwards in [false, true] {
        let recorder = record(Access::Scan, backwards, 30_000);
        let sizes: Vec<usize> = recorder.asked.iter().map(Vec::len).collect();
        assert_eq!(sizes[0], 8);
        // Half a window at a time, also over the end of a parent: only the first few and the last are smaller.
        let small = sizes.iter().filter(|size| **size < 32).count();
        assert!(small <= 4 && sizes.len() < 40, "{sizes:?}");
        let mut asked: Vec<PagePtr> = recorder.asked.concat();
        let leaves = 30_000 / 37;
        assert!(asked.len() >= leaves, "asked for {} of {leaves} leaves and their parents", asked.len());
        // Each is read after it was asked for, once.
        assert!(asked.iter().all(|ptr| recorder.read.contains(ptr)));
        asked.sort_by_key(|ptr| ptr.id);
        asked.dedup();
        assert_eq!(asked.len(), recorder.asked.concat().len());
    }
}

#[test]
fn a_scan_is_not_further_ahead_than_is_worth_it() {
    let (pager, tree) = thirty_thousand_rows();
    for most in [0, 20, 100, usize::MAX] {
        let operation = pager.enter().unwrap().0;
        let mut recorder = Recorder { operation, read: Vec::new(), asked: Vec::new(), most };
        let mut cursor = tree.cursor(&mut recorder, Access::Scan);
        while cursor.next().unwrap().is_some() {}
        // Eight are asked for at first, and a parent may come on top.
        let largest = recorder.asked.iter().map(Vec::len).max();
        assert!(largest <= Some(most.clamp(8, 256) + 1), "{largest:?} of {most}");
        assert!(recorder.asked.concat().len() > 800, "with {most}");
    }
}

#[test]
fn a_scan_asks_ahead_for_the_pages_of_long_values() {
    let pager = in_memory();
    let tree = commit(&pager, |batch, trees| {
        for row in 0..300_u32 {
            put(batch, &mut trees[0], &row.to_be_bytes(), &vec![row as u8; 20_000], 0);
        }
        trees[0]
    });
    let record = |access| {
        let operation = pager.enter().unwrap().0;
        let mut recorder = Recorder { operation, read: Vec::new(), asked: Vec::new(), most: usize::MAX };
        let mut cursor = tree.cursor(&mut recorder, access);
        let mut runs = Vec::new();
        while let Some(entry) = cursor.next().unwrap() {
            let Value::Spilled { run, .. } = entry.value else { panic!("it is long") };
            runs.push(PagePtr::from_bytes(run.to_bytes()[4..].first_chunk().unwrap()));
            cursor.prefetch_runs();
        }
        (runs, recorder.asked)
    };
    assert_eq!(record(Access::Point).1, [[]; 0]);
    let (runs, asked) = record(Access::Scan);
    assert_eq!(runs.len(), 300);
    // Each in one piece of five pages, but for the first of each leaf.
    let found = runs.iter().filter(|run| asked.iter().flatten().any(|ptr| ptr == *run)).count();
    assert!(found > 280, "{found} of 300 runs were asked for");
    assert!(asked.iter().skip(4).filter(|pages| pages.len() > 40).count() > 10, "in large requests");
    let mut pages: Vec<PagePtr> = asked.concat();
    let count = pages.len();
    pages.sort_by_key(|ptr| ptr.id);
    pages.dedup();
    assert_eq!(pages.len(), count, "none twice");
    assert!(pages.len() <= 300 * 5 + 20);
}

#[test]
fn many_keys_at_once_get_what_each_gets_alone() {
    let (pager, tree, model) = mixed();
    let mut random = Random(2);
    let mut keys: Vec<Vec<u8>> = model.keys().cloned().collect();
    keys.extend(model.keys().map(|key| [key, &b"?"[..]].concat()));
    keys.extend([vec![], vec![0xff; 3], vec![b't'; 32 << 10]]);
    // In any order, some of them twice.
    let wanted: Vec<&[u8]> = (0..2000).map(|_| &keys[random.below(keys.len())][..]).collect();
    for wanted in [&wanted[..], &wanted[..1], &[]] {
        let mut found = vec![None; wanted.len()];
        let (mut operation, _) = pager.enter().unwrap();
        tree.get_many(&mut operation, wanted, &mut |index, value| {
            assert!(found[index].is_none(), "key {index} was visited twice");
            found[index] = Some(value.map(|value| value.head().to_vec()));
            Ok(())
        })
        .unwrap();
        for (key, found) in wanted.iter().zip(found) {
            assert!(found.expect("every key is visited").as_ref() == model.get(*key));
        }
    }
    let mut visited = 0;
    let (mut operation, _) = pager.enter().unwrap();
    Tree::EMPTY
        .get_many(&mut operation, &wanted, &mut |_, value| {
            visited += 1;
            assert!(value.is_none());
            Ok(())
        })
        .unwrap();
    assert_eq!(visited, wanted.len());
}

/// All leaves that a batch of keys needs and the pool lacks come with few requests.
#[test]
fn what_many_keys_miss_is_read_together() {
    let disk = dynamite_pager::disk::sim::DiskSim::new(1);
    let pager = create_on(&disk).unwrap();
    let tree = commit(&pager, |batch, trees| {
        for row in 0..30_000_u32 {
            put(batch, &mut trees[0], &row.to_be_bytes(), &[1; 100], 0);
        }
        trees[0]
    });
    pager.close().unwrap();
    let pager = open_on(&disk).unwrap();
    let keys: Vec<[u8; 4]> = (0..64_u32).map(|nth| (nth * 400).to_be_bytes()).collect();
    let wanted: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    let requests = || pager.stats().read_batches.iter().sum::<u64>();
    let before = requests();
    let (mut operation, _) = pager.enter().unwrap();
    tree.get_many(&mut operation, &wanted, &mut |_, value| {
        assert!(value.is_some());
        Ok(())
    })
    .unwrap();
    drop(operation);
    assert!(requests() - before <= 6, "{} requests", requests() - before);
}
