//! Whatever is done to trees, they are what a `BTreeMap` is to which the same was done; and every page of the file is
//! accounted for. Keys and values of all sizes, several trees in one file, aborts, reopening, a small pool.

mod common;

use common::*;
use dynamite_pager::disk::sim::DiskSim;

fn run(seed: u64, batches: usize) {
    let mut random = Random(seed);
    let disk = DiskSim::new(seed);
    let mut pager = create_on(&disk).unwrap();
    let mut models: [Model; TREES] = Default::default();
    for batch_number in 0..batches {
        let mut batch = pager.begin().unwrap();
        let mut trees = load(&mut batch);
        let before = models.clone();
        // Sometimes the trees shrink rather than grow.
        let removals = [2, 2, 7][batch_number / 8 % 3];
        for _ in 0..random.below(60) {
            let nth = random.below(TREES);
            let (tree, model) = (&mut trees[nth], &mut models[nth]);
            let known = !model.is_empty() && random.below(3) == 0;
            let key = if known {
                model.keys().nth(random.below(model.len())).unwrap().clone()
            } else {
                any_key(&mut random)
            };
            if random.below(10) < removals {
                assert_eq!(delete(&mut batch, tree, &key), model.remove(&key));
            } else {
                let value = any_value(&mut random);
                let head = random.below(20) * random.below(26);
                assert_eq!(
                    put(&mut batch, tree, &key, &value, head),
                    model.insert(key.clone(), value.clone())
                );
                assert!(get(&mut batch, tree, &key).as_ref() == Some(&value));
            }
            assert_eq!(tree.len(), model.len() as u64);
        }
        if random.below(5) == 0 {
            drop(batch);
            models = before;
        } else {
            save(&mut batch, &trees).unwrap();
            batch.commit().unwrap();
        }
        let trees = published(&pager);
        let (mut operation, _) = pager.enter().unwrap();
        for (tree, model) in trees.iter().zip(&models) {
            if batch_number % 8 == 7 {
                assert_same(&mut operation, tree, model);
            }
            for _ in 0..20 {
                let key = any_key(&mut random);
                assert!(get(&mut operation, tree, &key) == model.get(&key).cloned());
            }
        }
        drop(operation);
        if batch_number % 8 == 7 {
            assert_sound(&pager, &format!("seed {seed}, batch {batch_number}"));
        }
        if batch_number % 16 == 15 {
            pager.close().unwrap();
            pager = open_on(&disk).unwrap();
        }
    }
}

#[test]
fn trees_do_what_a_btreemap_does() {
    for seed in 0..6 {
        run(seed, 160);
    }
}
