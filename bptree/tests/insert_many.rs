//! Many new entries that come in the order of their keys: whatever they are, the tree is what single insertions make of them.

mod common;

use common::*;
use dynamite_bptree::{Tree, TreeError};
use dynamite_pager::WriteBatch;

const HEAD: &[u8] = b"a head";

/// Inserts them as far as they are new, the others in the place of what is there.
fn put_many(batch: &mut WriteBatch<'_>, tree: &mut Tree, model: &mut Model, rows: &Model) {
    let list: Vec<(&[u8], &[u8])> = rows.iter().map(|(key, body)| (&key[..], &body[..])).collect();
    let mut left = &list[..];
    loop {
        let new = left.iter().take_while(|(key, _)| !model.contains_key(*key)).count();
        assert_eq!(tree.insert_many(batch, HEAD, left).unwrap(), new);
        for (key, body) in &left[..new] {
            model.insert(key.to_vec(), [HEAD, body].concat());
        }
        let Some(((key, body), rest)) = left[new..].split_first() else { break };
        let value = [HEAD, body].concat();
        assert_eq!(put(batch, tree, key, &value, HEAD.len()), model.insert(key.to_vec(), value));
        left = rest;
    }
    assert_eq!(tree.len(), model.len() as u64);
}

#[track_caller]
fn check(pager: &dynamite_pager::Pager, model: &Model, context: &str) {
    let tree = published(pager)[0];
    let (mut operation, _) = pager.enter().unwrap();
    assert_same(&mut operation, &tree, model);
    drop(operation);
    assert_sound(pager, context);
}

/// Keys and values of all sizes, in runs of all lengths, some of them there already; and in between much is deleted.
#[test]
fn runs_of_entries_of_all_sizes_make_the_tree_that_single_inserts_make() {
    for seed in 0..8 {
        let mut random = Random(seed);
        let pager = in_memory();
        let mut model = Model::new();
        for round in 0..40 {
            let most = [3, 30, 300][random.below(3)];
            let count = random.below(most);
            let small = random.below(2) == 0;
            let rows = (0..count).map(|_| {
                let most = random.below(900);
                let value = if small { random.bytes(most) } else { any_value(&mut random) };
                (any_key(&mut random), value)
            });
            let rows = rows.collect();
            commit(&pager, |batch, trees| {
                put_many(batch, &mut trees[0], &mut model, &rows);
                for key in model.keys().cloned().collect::<Vec<_>>() {
                    if random.below(20) < round % 5 {
                        assert_eq!(delete(batch, &mut trees[0], &key), model.remove(&key));
                    }
                }
            });
            check(&pager, &model, &format!("seed {seed}, round {round}"));
        }
    }
}

/// Many to each leaf, a few to each, and all between two that are there.
#[test]
fn entries_go_between_those_that_are_there() {
    for (there, between, len) in [(300, 1, 300), (2000, 3, 60), (50, 400, 40), (2, 5000, 100), (3000, 1, 900)]
    {
        let pager = in_memory();
        let mut model = Model::new();
        let key = |row: u32, nth: u32| [row.to_be_bytes(), nth.to_be_bytes()].concat();
        for part in [0, 1] {
            let nths = [0..1, 1..1 + between][part].clone();
            let rows = (0..there).flat_map(|row| nths.clone().map(move |nth| (key(row, nth), vec![1; len])));
            let rows = rows.collect();
            commit(&pager, |batch, trees| put_many(batch, &mut trees[0], &mut model, &rows));
        }
        check(&pager, &model, &format!("{there} and {between} between each"));
    }
}

/// Leaves that were laid out as one have no separator between them any more, and what was long about it has no pages.
#[test]
fn a_long_separator_between_leaves_that_are_laid_out_together_gives_its_pages_back() {
    for long in 1..20 {
        let pager = in_memory();
        let mut model = Model::new();
        let row = |first: u8, last: u8, len: usize| ([&vec![first; len][..], &[last]].concat(), vec![1; 500]);
        let longs = (0..long).map(|last| row(b's', last, 700)).collect();
        let around = [b'r', b't'].into_iter().flat_map(|first| (0..40).map(move |last| row(first, last, 9)));
        for rows in [longs, around.collect()] {
            commit(&pager, |batch, trees| put_many(batch, &mut trees[0], &mut model, &rows));
            check(&pager, &model, &format!("{long} long keys"));
        }
    }
}

#[test]
fn keys_that_do_not_ascend_are_refused_before_anything_is_changed() {
    let pager = in_memory();
    commit(&pager, |batch, trees| {
        for (second, position) in [(b"b", 1), (b"a", 1)] {
            let rows: [(&[u8], &[u8]); 3] = [(b"b", b""), (second, b""), (b"c", b"")];
            match trees[0].insert_many(batch, HEAD, &rows) {
                Err(TreeError::NotAscending { position: found }) => assert_eq!(found, position),
                other => panic!("{other:?}"),
            }
            assert!(trees[0].is_empty());
        }
        let long = vec![b'd'; 33 << 10];
        let rows: [(&[u8], &[u8]); 2] = [(b"c", b""), (&long, b"")];
        assert!(matches!(trees[0].insert_many(batch, HEAD, &rows), Err(TreeError::KeyTooLong { .. })));
        assert!(trees[0].is_empty());
        assert_eq!(trees[0].insert_many(batch, HEAD, &[]).unwrap(), 0);
    });
}
