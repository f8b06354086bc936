//! How full pages are, what a change gives back, and how few pages a short look at a large tree costs.

mod common;

use common::*;
use dynamite_bptree::{Body, BulkLoad, NewValue, Tree, TreeError};
use dynamite_pager::{Access, PagePtr, Pager, WriteBatch};

const KEY_LEN: usize = 24;
const VALUE_LEN: usize = 150;
/// What the layer above adds to each row.
const RECORD_HEAD: usize = 8;

/// A row's key: random, and the same for the same number.
fn key(number: usize) -> Vec<u8> {
    Random(number as u64).bytes(KEY_LEN)
}

fn pages_in_use(pager: &Pager) -> u64 {
    let stats = pager.stats();
    stats.page_count - stats.free_pages.unwrap()
}

/// Inserts rows in this order, a hundred a commit.
fn load(pager: &Pager, keys: &[Vec<u8>]) -> Tree {
    load_values(pager, keys, VALUE_LEN)
}

fn load_values(pager: &Pager, keys: &[Vec<u8>], value_len: usize) -> Tree {
    let value = vec![7; RECORD_HEAD + value_len];
    for keys in keys.chunks(100) {
        commit(pager, |batch, trees| {
            for key in keys {
                assert_eq!(put(batch, &mut trees[0], key, &value, RECORD_HEAD), None);
            }
        });
    }
    published(pager)[0]
}

/// Bytes of pages that the database came to use, for each byte of keys and values.
fn ratio(pages: u64, rows: usize) -> f64 {
    pages as f64 * 4096.0 / (rows * (KEY_LEN + VALUE_LEN)) as f64
}

#[test]
fn a_random_load_takes_at_most_1_41_of_the_raw_data() {
    let pager = in_memory();
    let rows = 60_000;
    let keys: Vec<_> = (0..rows).map(key).collect();
    load(&pager, &keys);
    // The file, with whatever is free in it.
    let file = ratio(pager.stats().page_count, rows);
    assert!(file <= 1.41, "the file has {file:.3} of the raw data");
    assert_sound(&pager, "after a random load");
}

/// As an index is built: the rows of a step in their order, the steps in none.
#[test]
fn a_load_in_sorted_steps_takes_at_most_1_41_of_the_raw_data() {
    for (rows, step) in [(60_000, 8000), (60_000, 1000), (8000, 8000)] {
        let pager = quiet().cache_bytes(64 << 20).in_memory(DATABASE_ID).unwrap();
        let before = pages_in_use(&pager);
        for first in (0..rows).step_by(step) {
            let mut keys: Vec<_> = (first..(first + step).min(rows)).map(key).collect();
            keys.sort_unstable();
            commit(&pager, |batch, trees| insert_many(batch, &mut trees[0], &keys));
        }
        let used = ratio(pages_in_use(&pager) - before, rows);
        // What comes in order into an empty tree fills its pages.
        let most = if rows == step { 1.14 } else { 1.41 };
        assert!(used <= most, "{used:.3} of the raw data with steps of {step}");
        assert_sound(&pager, "after a load in steps");
    }
}

fn insert_many(batch: &mut WriteBatch<'_>, tree: &mut Tree, keys: &[Vec<u8>]) {
    let rows: Vec<(&[u8], &[u8])> = keys.iter().map(|key| (&key[..], &[7; VALUE_LEN][..])).collect();
    assert_eq!(tree.insert_many(batch, &[7; RECORD_HEAD], &rows).unwrap(), keys.len());
}

#[test]
fn overwriting_with_shorter_values_gives_the_space_back() {
    let pager = in_memory();
    let mut used = Vec::new();
    for len in [900, 30] {
        for part in (0..3000_u32).collect::<Vec<_>>().chunks(100) {
            commit(&pager, |batch, trees| {
                for row in part {
                    put(batch, &mut trees[0], &row.to_be_bytes(), &vec![1; len], 0);
                }
            });
        }
        used.push(pages_in_use(&pager));
    }
    assert!(used[1] * 6 < used[0], "{used:?} pages in use");
    assert_sound(&pager, "after overwriting");
}

/// Inner nodes below the root have 170 children or more on average, so that a million rows need three levels of them.
#[test]
fn inner_nodes_of_a_random_load_have_170_children() {
    let pager = quiet().cache_bytes(64 << 20).in_memory(DATABASE_ID).unwrap();
    let keys: Vec<_> = (0..40_000).map(key).collect();
    // Small rows of which few fit in a leaf would do as well; what counts are the separators.
    let tree = load(&pager, &keys);
    assert_eq!(tree.to_bytes()[12], 2);
    let (mut operation, _) = pager.enter().unwrap();
    let root = PagePtr::from_bytes(tree.to_bytes().first_chunk().unwrap());
    let parents = children(&operation.read(root, Access::Point).unwrap());
    let leaves: usize =
        parents.iter().map(|parent| children(&operation.read(*parent, Access::Point).unwrap()).len()).sum();
    let average = leaves as f64 / parents.len() as f64;
    assert!(average >= 170.0, "{average:.1} children, {leaves} leaves");
}

#[test]
fn an_ascending_load_fills_pages_to_97_percent() {
    let pager = in_memory();
    let before = pages_in_use(&pager);
    let (rows, value_len) = (40_000, 60);
    let mut keys: Vec<_> = (0..rows).map(key).collect();
    keys.sort_unstable();
    load_values(&pager, &keys, value_len);
    // A row has about 24 - 2 bytes of key behind the prefix, of which 4 are in the slot, and 3 of header.
    let row = 6 + 3 + (KEY_LEN - 2 - 4) + RECORD_HEAD + value_len;
    let leaves = (rows * row) as f64 / (0.97 * 4064.0);
    // An inner page holds 200 children, some separators being a byte longer.
    let most = leaves * (1.0 + 1.0 / 190.0) + 12.0;
    let used = pages_in_use(&pager) - before;
    assert!((used as f64) < most, "{used} pages in use, {most:.0} at 97 percent");
}

#[test]
fn a_descending_load_fills_pages_too_and_gives_each_row_once() {
    let pager = in_memory();
    let rows = 20_000;
    let mut keys: Vec<_> = (0..rows).map(key).collect();
    keys.sort_unstable_by(|a, b| b.cmp(a));
    let tree = load(&pager, &keys);
    assert!(ratio(pages_in_use(&pager), rows) < 1.15, "{}", ratio(pages_in_use(&pager), rows));
    let (mut operation, _) = pager.enter().unwrap();
    let mut cursor = tree.cursor(&mut operation, Access::Scan);
    cursor.seek_last();
    for key in &keys {
        assert_eq!(cursor.prev().unwrap().unwrap().key, key);
    }
    assert!(cursor.prev().unwrap().is_none());
}

/// A scan reads the more pages for a row, the emptier they are.
#[test]
fn pages_stay_full_while_nine_tenths_are_deleted() {
    let pager = in_memory();
    let rows = 40_000;
    let keys: Vec<_> = (0..rows).map(key).collect();
    let before = pages_in_use(&pager);
    load(&pager, &keys);
    let mut order = shuffled(&mut Random(1), rows);
    while order.len() > rows / 10 {
        let most = order.len() * 5 / 6;
        commit(&pager, |batch, trees| {
            for index in order.drain(most..) {
                assert!(delete(batch, &mut trees[0], &keys[index]).is_some());
            }
        });
        let used = ratio(pages_in_use(&pager) - before, order.len());
        assert!(used <= 1.6, "{used:.3} of the raw data when {} rows are left", order.len());
    }
    assert_sound(&pager, "after nine tenths were deleted");
}

#[test]
fn pages_stay_full_while_rows_come_and_go() {
    let pager = in_memory();
    let rows = 20_000;
    let mut keys: Vec<_> = (0..rows).map(key).collect();
    let before = pages_in_use(&pager);
    load(&pager, &keys);
    let mut random = Random(3);
    for first in (rows..4 * rows).step_by(100) {
        commit(&pager, |batch, trees| {
            for new in first..first + 100 {
                let old = std::mem::replace(&mut keys[random.below(rows)], key(new));
                assert!(delete(batch, &mut trees[0], &old).is_some());
                put(batch, &mut trees[0], &key(new), &[7; RECORD_HEAD + VALUE_LEN], RECORD_HEAD);
            }
        });
    }
    let used = ratio(pages_in_use(&pager) - before, rows);
    assert!(used <= 1.44, "{used:.3} of the raw data");
    assert_sound(&pager, "after rows came and went");
}

#[test]
fn deleting_nine_tenths_gives_the_space_back() {
    let pager = in_memory();
    let rows = 20_000;
    let keys: Vec<_> = (0..rows).map(key).collect();
    load(&pager, &keys);
    let full = pages_in_use(&pager);
    let mut random = Random(1);
    let order = shuffled(&mut random, rows);
    for part in order[..rows * 9 / 10].chunks(100) {
        commit(&pager, |batch, trees| {
            for index in part {
                assert!(delete(batch, &mut trees[0], &keys[*index]).is_some());
            }
        });
    }
    let left = pages_in_use(&pager);
    assert!(left * 5 <= full, "{left} of {full} pages left");
    assert_sound(&pager, "after nine tenths were deleted");
    for part in order[rows * 9 / 10..].chunks(100) {
        commit(&pager, |batch, trees| {
            for index in part {
                // As many levels as the rows that are left need.
                if trees[0].len() == 12 {
                    assert_eq!(trees[0].to_bytes()[12], 0);
                }
                assert!(delete(batch, &mut trees[0], &keys[*index]).is_some());
            }
        });
    }
    assert_eq!(published(&pager)[0], Tree::EMPTY);
    assert_sound(&pager, "after all was deleted");
}

#[test]
fn the_first_entry_of_a_large_tree_costs_one_path() {
    let pager = quiet().cache_bytes(64 << 20).in_memory(DATABASE_ID).unwrap();
    let rows = 100_000_u32;
    let tree = commit(&pager, |batch, trees| {
        trees[0] = bulk_load(batch, (0..rows).map(|row| row.to_be_bytes().to_vec()), &[1; VALUE_LEN]);
        trees[0]
    });
    let touches = |look: &mut dyn FnMut()| {
        let count = || pager.stats().hits + pager.stats().misses + pager.stats().prefetched;
        let before = count();
        look();
        count() - before
    };
    for (seek, expected) in [(None, 0), (Some(77_777_u32), 77_777)] {
        let touched = touches(&mut || {
            let (mut operation, _) = pager.enter().unwrap();
            let mut cursor = tree.cursor(&mut operation, Access::Scan);
            if let Some(row) = seek {
                cursor.seek(&row.to_be_bytes());
            }
            assert_eq!(cursor.next().unwrap().unwrap().key, u32::to_be_bytes(expected));
        });
        assert!(touched <= 10, "{touched} page touches for one entry");
    }
    // A look by rows at all of it: one path, then two touches a leaf and a few for its parent.
    let touched = touches(&mut || {
        let (mut operation, _) = pager.enter().unwrap();
        assert_eq!(entries(&mut operation, &tree).len(), rows as usize);
    });
    let leaves = u64::from(rows) * 170 / 4064;
    assert!(touched <= 5 * leaves, "{touched} page touches for {leaves} leaves");
}

fn bulk_load(batch: &mut WriteBatch<'_>, keys: impl Iterator<Item = Vec<u8>>, value: &[u8]) -> Tree {
    let mut load = BulkLoad::new();
    for key in keys {
        load.push(batch, &key, NewValue { head: &[], body: Body::Bytes(value) }).unwrap();
    }
    load.finish(batch).unwrap()
}

#[test]
fn a_bulk_load_is_the_tree_that_inserts_make_and_full() {
    for rows in [0, 1, 2, 22, 23, 24, 5000, 20_000] {
        let pager = in_memory();
        let before = pages_in_use(&pager);
        let mut keys: Vec<_> = (0..rows).map(key).collect();
        keys.sort_unstable();
        commit(&pager, |batch, trees| {
            trees[0] = bulk_load(batch, keys.iter().cloned(), &[3; VALUE_LEN]);
        });
        let model = keys.iter().map(|key| (key.clone(), vec![3; VALUE_LEN])).collect();
        let tree = published(&pager)[0];
        let (mut operation, _) = pager.enter().unwrap();
        assert_same(&mut operation, &tree, &model);
        drop(operation);
        assert_sound(&pager, &format!("{rows} rows"));
        if rows == 20_000 {
            let used = ratio(pages_in_use(&pager) - before, rows);
            // 22 rows of 177 bytes in 4,064, and 8 bytes of each key are not stored twice.
            assert!(used <= 1.08, "{used:.3}");
        }
    }
}

#[test]
fn a_bulk_load_takes_keys_and_values_of_all_sizes() {
    let mut model = Model::new();
    let mut random = Random(5);
    for _ in 0..400 {
        let len = [random.below(30), 370 + random.below(50), random.below(32 << 10)][random.below(3)];
        let mut key = vec![b'k'; len];
        key.extend(random.bytes(2));
        key.truncate(32 << 10);
        let most = [50, 1200, 20_000][random.below(3)];
        let value = vec![random.next() as u8; random.below(most)];
        model.insert(key, value);
    }
    let pager = in_memory();
    let tree = commit(&pager, |batch, trees| {
        let mut load = BulkLoad::new();
        for (key, value) in &model {
            load.push(batch, key, NewValue { head: &[], body: Body::Bytes(value) }).unwrap();
            let again = load.push(batch, key, NewValue { head: &[], body: Body::Bytes(b"") });
            assert!(matches!(again, Err(TreeError::NotAscending { .. })));
        }
        trees[0] = load.finish(batch).unwrap();
        trees[0]
    });
    let (mut operation, _) = pager.enter().unwrap();
    assert_same(&mut operation, &tree, &model);
    drop(operation);
    assert_sound(&pager, "after a bulk load of all sizes");
}
