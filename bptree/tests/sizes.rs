//! No legal key or record ever fails to fit: overwrites that grow, mixtures of sizes, keys that share more than a page keeps of
//! them; and what is too long is refused before anything is changed.

mod common;

use common::*;
use dynamite_bptree::{Body, MAX_HEAD, MAX_KEY, MAX_VALUE, NewValue, Tree, TreeError};

fn check(pager: &dynamite_pager::Pager, model: &Model) {
    let tree = published(pager)[0];
    let (mut operation, _) = pager.enter().unwrap();
    assert_same(&mut operation, &tree, model);
    drop(operation);
    assert_sound(pager, "after all");
}

#[test]
fn overwriting_thirty_rows_of_40_bytes_with_400_splits_their_leaf() {
    for order in 0..3 {
        let pager = in_memory();
        let mut model = Model::new();
        commit(&pager, |batch, trees| {
            for row in 0..30_u32 {
                let key = format!("row {row:04}").into_bytes();
                put(batch, &mut trees[0], &key, &[1; 40], 0);
                model.insert(key, vec![1; 40]);
            }
        });
        let mut rows: Vec<u32> = (0..30).collect();
        match order {
            0 => {}
            1 => rows.reverse(),
            _ => rows = shuffled(&mut Random(3), 30).into_iter().map(|row| row as u32).collect(),
        }
        commit(&pager, |batch, trees| {
            for row in rows {
                let key = format!("row {row:04}").into_bytes();
                let old = put(batch, &mut trees[0], &key, &[2; 400], 0);
                assert_eq!(old, Some(vec![1; 40]));
                model.insert(key, vec![2; 400]);
            }
        });
        check(&pager, &model);
    }
}

#[test]
fn values_of_30_bytes_to_400_kilobytes_stand_side_by_side() {
    let mut random = Random(11);
    let pager = in_memory();
    let mut model = Model::new();
    let sizes = [30, 100, 500, 1000, 1400, 1990, 2010, 2100, 4000, 4064, 4065, 30_000, 400_000];
    for _ in 0..12 {
        commit(&pager, |batch, trees| {
            for _ in 0..30 {
                let key = format!("{:03}", random.below(150)).into_bytes();
                let size = sizes[random.below(sizes.len()).min(random.below(16))];
                let value = vec![random.next() as u8; size];
                let head = random.below(MAX_HEAD + 1);
                assert_eq!(put(batch, &mut trees[0], &key, &value, head), model.insert(key, value));
            }
        });
    }
    check(&pager, &model);
}

/// The largest cells in a page full of tiny ones, and the other way round: each place of the page, each size around the limits.
#[test]
fn a_cell_of_the_largest_size_fits_anywhere() {
    for tiny in [0, 1, 10] {
        for place in 0..8 {
            let pager = in_memory();
            let mut model = Model::new();
            commit(&pager, |batch, trees| {
                for row in 0..180_u32 {
                    let key = row.to_be_bytes().to_vec();
                    put(batch, &mut trees[0], &key, &vec![0; tiny], 0);
                    model.insert(key, vec![0; tiny]);
                }
                for size in [2017, 2016, 2015, 2018, 2014] {
                    let mut key = (place * 25_u32).to_be_bytes().to_vec();
                    key.push((size % 256) as u8);
                    put(batch, &mut trees[0], &key, &vec![1; size], 0);
                    model.insert(key, vec![1; size]);
                }
            });
            check(&pager, &model);
        }
    }
}

/// Keys of the greatest size that differ in their last byte only, and keys that are each other's prefixes, all NUL.
#[test]
fn keys_of_nul_bytes_only_are_told_apart_whatever_their_length() {
    let pager = in_memory();
    let mut model = Model::new();
    let mut keys: Vec<Vec<u8>> = (0..40).map(|nth| vec![0; MAX_KEY - 40 * nth]).collect();
    keys.extend((378..=406).map(|len| vec![0; len]));
    keys.extend((0..12).map(|len| vec![0; len]));
    keys.extend((0..40).map(|last| {
        let mut key = vec![0; MAX_KEY];
        key[MAX_KEY - 1] = last;
        key
    }));
    let order = shuffled(&mut Random(9), keys.len());
    for part in order.chunks(30) {
        commit(&pager, |batch, trees| {
            for nth in part {
                let key = &keys[*nth];
                let value = vec![*nth as u8; 300];
                assert_eq!(put(batch, &mut trees[0], key, &value, 8), model.insert(key.clone(), value));
            }
        });
    }
    check(&pager, &model);
    let tree = published(&pager)[0];
    let (mut operation, _) = pager.enter().unwrap();
    for key in &keys {
        assert_eq!(get(&mut operation, &tree, key).as_ref(), model.get(key));
        // Its neighbours, which are not there.
        for absent in [[&key[..], b"\x01"].concat(), key[..key.len().saturating_sub(1)].to_vec()] {
            assert_eq!(get(&mut operation, &tree, &absent).as_ref(), model.get(&absent));
        }
    }
    drop(operation);
    for part in order.chunks(30) {
        commit(&pager, |batch, trees| {
            for nth in part {
                assert_eq!(delete(batch, &mut trees[0], &keys[*nth]), model.remove(&keys[*nth]));
            }
        });
    }
    assert_eq!(published(&pager)[0], Tree::EMPTY);
    check(&pager, &model);
}

/// Hundreds of long keys under separators that spill as well, so that inner pages split and merge with them.
#[test]
fn separators_that_spill_are_split_merged_and_freed() {
    let pager = in_memory();
    let mut model = Model::new();
    let mut random = Random(21);
    let key = |number: usize| [&vec![b'p'; 600][..], format!("{number:06}").as_bytes()].concat();
    for _ in 0..25 {
        commit(&pager, |batch, trees| {
            for _ in 0..60 {
                let (key, value) = (key(random.below(100_000)), vec![7; 500]);
                assert_eq!(put(batch, &mut trees[0], &key, &value, 0), model.insert(key, value));
            }
        });
    }
    assert!(published(&pager)[0].to_bytes()[12] >= 2, "the tree has inner pages under the root");
    check(&pager, &model);
    let keys: Vec<_> = model.keys().cloned().collect();
    for part in shuffled(&mut random, keys.len())[..keys.len() * 9 / 10].chunks(60) {
        commit(&pager, |batch, trees| {
            for nth in part {
                assert_eq!(delete(batch, &mut trees[0], &keys[*nth]), model.remove(&keys[*nth]));
            }
        });
    }
    check(&pager, &model);
}

#[test]
fn what_is_too_long_is_refused_and_changes_nothing() {
    let pager = in_memory();
    commit(&pager, |batch, trees| {
        put(batch, &mut trees[0], b"key", b"value", 0);
        let before = trees[0];
        let long_key = vec![0; MAX_KEY + 1];
        let value = NewValue { head: b"", body: Body::Bytes(b"") };
        let error = trees[0].insert(batch, &long_key, value).unwrap_err();
        assert!(matches!(error, TreeError::KeyTooLong { len, .. } if len == MAX_KEY + 1));
        let long = vec![0; MAX_VALUE];
        let error =
            trees[0].insert(batch, b"k", NewValue { head: b"h", body: Body::Bytes(&long) }).unwrap_err();
        assert!(matches!(error, TreeError::ValueTooLong { len, .. } if len == MAX_VALUE + 1));
        let head = [0; MAX_HEAD + 1];
        let error =
            trees[0].insert(batch, b"k", NewValue { head: &head, body: Body::Bytes(b"") }).unwrap_err();
        assert!(matches!(error, TreeError::HeadTooLong { len, .. } if len == MAX_HEAD + 1));
        assert_eq!(trees[0], before);
        // No key of this length is there, which is no error.
        assert_eq!(get(batch, &trees[0], &long_key), None);
        assert_eq!(delete(batch, &mut trees[0], &long_key), None);
        put(batch, &mut trees[0], &long_key[..MAX_KEY], &long, MAX_HEAD);
    });
    let model = Model::from([(b"key".to_vec(), b"value".to_vec()), (vec![0; MAX_KEY], vec![0; MAX_VALUE])]);
    check(&pager, &model);
}

#[test]
fn a_run_is_handed_over_without_a_copy() {
    let pager = in_memory();
    let body = vec![9; 50_000];
    commit(&pager, |batch, trees| {
        put(batch, &mut trees[0], b"item", &[&b"head"[..], &body].concat(), 4);
    });
    let written = pager.stats().pages_written;
    commit(&pager, |batch, trees| {
        let displaced = trees[0].remove(batch, b"item").unwrap().unwrap();
        assert_eq!(displaced.head, b"head");
        let run = displaced.run.expect("50,000 bytes are spilled");
        assert_eq!(run.len(), body.len());
        let value = NewValue { head: b"another head", body: Body::Run(run) };
        assert_eq!(trees[1].insert(batch, b"version", value).unwrap(), None);
    });
    assert!(pager.stats().pages_written - written < 6, "the body was written again");
    let (mut operation, _) = pager.enter().unwrap();
    let found = get(&mut operation, &published(&pager)[1], b"version").unwrap();
    assert!(found == [&b"another head"[..], &body].concat());
    drop(operation);
    assert_sound(&pager, "after a run changed trees");
}

/// In a file whose free pages lie apart, a long value is stored in pieces rather than by growth.
#[test]
fn a_fragmented_file_keeps_a_long_value_in_pieces() {
    let pager = in_memory();
    let page = vec![1; 4000];
    commit(&pager, |batch, trees| {
        for row in 0..200_u32 {
            put(batch, &mut trees[0], &row.to_be_bytes(), &page, 0);
        }
    });
    commit(&pager, |batch, trees| {
        for row in (0..200_u32).step_by(2) {
            assert!(delete(batch, &mut trees[0], &row.to_be_bytes()).is_some());
        }
    });
    // Freed pages can be had once that was published.
    commit(&pager, |_, _| {});
    let before = pager.stats().page_count;
    let value: Vec<u8> = (0..200_000_u32).map(|byte| (byte % 251) as u8).collect();
    commit(&pager, |batch, trees| {
        put(batch, &mut trees[1], b"long", &value, 0);
    });
    let grown = pager.stats().page_count - before;
    assert!(grown < 30, "the file grew by {grown} pages");
    let (mut operation, _) = pager.enter().unwrap();
    assert!(get(&mut operation, &published(&pager)[1], b"long").unwrap() == value);
    drop(operation);
    assert_sound(&pager, "with a value in pieces");
    commit(&pager, |batch, trees| {
        assert!(delete(batch, &mut trees[1], b"long").unwrap() == value);
    });
    assert_sound(&pager, "after the value in pieces was freed");
}

/// The smallest pool there is, with as many unwritten pages in it as the pager allows, has room for the longest record.
#[test]
fn the_longest_record_fits_in_the_smallest_pool_whatever_waits_to_be_written() {
    let pager = in_memory();
    let mut model = Model::new();
    for round in 0..6_u32 {
        let mut batch = pager.begin().unwrap();
        let mut trees = load(&mut batch);
        for row in 0..200_u32 {
            let key = [&b"row "[..], &(row * 6 + round).to_be_bytes()].concat();
            put(&mut batch, &mut trees[0], &key, &[1; 900], 0);
            model.insert(key, vec![1; 900]);
            if row % 40 == round * 7 % 40 {
                let mut key = vec![7; MAX_KEY];
                key[MAX_KEY - 1] = (row / 40 * 6 + round) as u8;
                let value = vec![row as u8; MAX_VALUE];
                put(&mut batch, &mut trees[0], &key, &value, MAX_HEAD);
                model.insert(key, value);
            }
        }
        save(&mut batch, &trees).unwrap();
        // Not flushed: the pages of the group stay in the pool.
        batch.finish(dynamite_pager::Durability::Eventual).unwrap();
    }
    pager.commit_group().unwrap();
    check(&pager, &model);
}

/// Keys that are stored whole share about as much as is kept of a longer one; then longer ones come between them.
#[test]
fn long_keys_join_a_page_of_keys_that_share_about_as_much_as_is_kept_of_them() {
    for shared in 376..=390 {
        let pager = in_memory();
        let mut model = Model::new();
        let mut random = Random(shared as u64);
        commit(&pager, |batch, trees| {
            for len in [10, 10, 30, 10, 30] {
                for _ in 0..8 {
                    let mut key = vec![b'x'; shared];
                    key.extend(random.bytes(len).iter().map(|byte| byte % 4));
                    key.truncate(if len == 10 { 400 } else { 430 });
                    put(batch, &mut trees[0], &key, b"value", 0);
                    model.insert(key.clone(), b"value".to_vec());
                    assert!(get(batch, &trees[0], &key).is_some());
                }
            }
        });
        check(&pager, &model);
    }
}
