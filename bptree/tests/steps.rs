//! A tree is taken away in steps, each of which may be the last one before a crash; and a batch that is given up has done nothing.

mod common;

use common::*;
use dynamite_bptree::Tree;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{Pager, PagerError};

/// Fills two trees with rows of all kinds.
fn fill(pager: &Pager) -> [Model; 2] {
    let mut models: [Model; 2] = Default::default();
    let mut random = Random(6);
    for _ in 0..6 {
        commit(pager, |batch, trees| {
            for _ in 0..60 {
                let nth = random.below(2);
                let mut key = vec![b'k'; [0, 0, 500][random.below(3)]];
                key.extend(format!("{:05}", random.below(50_000)).bytes());
                let value = vec![7; [40, 300, 3000, 20_000][random.below(4)]];
                put(batch, &mut trees[nth], &key, &value, 5);
                models[nth].insert(key, value);
            }
        });
    }
    models
}

/// Frees the first tree in steps until it is gone. Stops at the first error: the crash.
fn free_in_steps(pager: &Pager, pages: u32) -> Result<u32, PagerError> {
    let mut steps = 0;
    loop {
        let mut batch = pager.begin()?;
        let mut trees = load(&mut batch);
        let before = trees[0].len();
        let done = trees[0].free_some(&mut batch, pages).unwrap();
        assert_eq!(done, trees[0] == Tree::EMPTY);
        assert!(done || trees[0].len() < before);
        save(&mut batch, &trees).unwrap();
        batch.commit()?;
        steps += 1;
        if done {
            return Ok(steps);
        }
    }
}

#[test]
fn freeing_in_steps_leaves_a_valid_tree_after_each_and_nothing_at_the_end() {
    for pages in [1, 7, 100, u32::MAX] {
        let pager = in_memory();
        let models = fill(&pager);
        loop {
            let done = commit(&pager, |batch, trees| trees[0].free_some(batch, pages).unwrap());
            let trees = published(&pager);
            let (mut operation, _) = pager.enter().unwrap();
            // What is left is the right end of what there was.
            let left = models[0].iter().rev().take(trees[0].len() as usize);
            let left: Model = left.map(|(key, value)| (key.clone(), value.clone())).collect();
            assert_same(&mut operation, &trees[0], &left);
            assert_same(&mut operation, &trees[1], &models[1]);
            drop(operation);
            assert_sound(&pager, &format!("in steps of {pages}"));
            if done {
                break;
            }
        }
        assert_eq!(published(&pager)[0], Tree::EMPTY);
    }
}

#[test]
fn a_step_frees_about_as_many_pages_as_it_was_told() {
    let pager = in_memory();
    commit(&pager, |batch, trees| {
        for row in 0..4000_u32 {
            put(batch, &mut trees[0], &row.to_be_bytes(), &[1; 100], 0);
        }
    });
    let leaves = 4000 * 110 / 4064;
    let steps = free_in_steps(&pager, 10).unwrap();
    assert!((leaves / 12..=leaves / 8).contains(&steps), "{steps} steps for {leaves} leaves");
}

#[test]
fn a_crash_between_or_during_steps_loses_no_page() {
    // Where the steps begin.
    let disk = DiskSim::new(3);
    let first = {
        let pager = create_on(&disk).unwrap();
        fill(&pager);
        disk.operations()
    };
    for after in (1..).map(|nth| first + 23 * nth) {
        let disk = DiskSim::new(3);
        disk.crash_after(after);
        let result = {
            let pager = create_on(&disk).unwrap();
            let models = fill(&pager);
            (free_in_steps(&pager, 40), models)
        };
        for seed in 0..2 {
            let survivor = disk.after_power_loss(seed);
            let pager = open_on(&survivor).unwrap();
            let context = format!("crash after {after} operations, seed {seed}");
            assert_sound(&pager, &context);
            free_in_steps(&pager, 100).unwrap();
            assert_sound(&pager, &context);
            let (mut operation, _) = pager.enter().unwrap();
            assert_same(&mut operation, &published(&pager)[1], &result.1[1]);
        }
        if !disk.crashed() {
            assert!(result.0.is_ok());
            return;
        }
    }
}

#[test]
fn an_aborted_batch_leaves_the_trees_as_they_were() {
    let pager = in_memory();
    let models = fill(&pager);
    let trees = published(&pager);
    for round in 0..4 {
        let mut batch = pager.begin().unwrap();
        let mut changed = load(&mut batch);
        let keys: Vec<_> = models[0].keys().cloned().collect();
        let mut random = Random(round);
        for _ in 0..150 {
            let key = &keys[random.below(keys.len())];
            match random.below(3) {
                0 => drop(delete(&mut batch, &mut changed[0], key)),
                1 => drop(put(&mut batch, &mut changed[0], key, &vec![1; random.below(9000)], 0)),
                _ => drop(put(&mut batch, &mut changed[1], &random.bytes(8), &[2; 90], 0)),
            }
        }
        if round == 3 {
            assert!(changed[1].free_some(&mut batch, u32::MAX).unwrap());
        }
        save(&mut batch, &changed).unwrap();
        drop(batch);
        assert_eq!(published(&pager), trees);
        let (mut operation, _) = pager.enter().unwrap();
        assert_same(&mut operation, &trees[0], &models[0]);
        assert_same(&mut operation, &trees[1], &models[1]);
        drop(operation);
        assert_sound(&pager, "after an abort");
    }
}

/// A reader's copy of a tree stays what it was while batches go on.
#[test]
fn an_operation_reads_the_tree_that_it_entered_with() {
    let pager = quiet().cache_bytes(16 << 20).in_memory(DATABASE_ID).unwrap();
    let models = fill(&pager);
    let (mut operation, _) = pager.enter().unwrap();
    let before = published(&pager)[0];
    commit(&pager, |batch, trees| {
        for key in models[0].keys() {
            assert!(delete(batch, &mut trees[0], key).is_some());
        }
    });
    assert_eq!(published(&pager)[0], Tree::EMPTY);
    assert_same(&mut operation, &before, &models[0]);
}
