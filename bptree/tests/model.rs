//! Whatever is done to trees, they are what a `BTreeMap` is to which the same was done; and every page of the file is
//! accounted for. Keys and values of all sizes, several trees in one file, aborts, reopening, a small pool.

mod common;

use common::*;
use dynamite_pager::disk::sim::DiskSim;

/// Keys that make trouble: of all lengths, with long shared prefixes, all NULs, and equal in all that is stored of them.
fn key(random: &mut Random) -> Vec<u8> {
    let kind = random.below(12);
    match kind {
        0..=3 => format!("user{:06}", random.below(800)).into_bytes(),
        4 | 5 => {
            let len = random.below(24);
            random.bytes(len)
        }
        6 => vec![
            0;
            [0, 1, 2, 3, 4, 5, 379, 380, 381, 383, 384, 385, 399, 400, 401, 32 << 10][random.below(16)]
        ],
        7 => {
            // Shared for longer than is kept in the page.
            let mut key = vec![b'x'; 370 + random.below(40)];
            let len = random.below(3);
            key.extend(random.bytes(len).iter().map(|byte| byte % 3));
            key
        }
        8 => {
            let mut key = vec![0; 32 << 10];
            let place = (32 << 10) - 1 - random.below(3);
            key[place] = random.below(4) as u8;
            key
        }
        9 => {
            let mut key = b"a long prefix that many of the keys have in common: ".repeat(4);
            key.extend(format!("{:05}", random.below(300)).bytes());
            key
        }
        10 => {
            let len = 400 + random.below(2000);
            let fill = random.below(3) as u8;
            let mut key = vec![fill; len];
            key[random.below(len)] = random.below(256) as u8;
            key
        }
        _ => vec![random.below(4) as u8; random.below(450)],
    }
}

fn value(random: &mut Random) -> Vec<u8> {
    let len = match random.below(40) {
        0..=19 => random.below(200),
        20..=29 => random.below(1100),
        30..=34 => 900 + random.below(200),
        35..=38 => random.below(9000),
        _ => random.below(400_000),
    };
    let fill = random.next() as u8;
    let mut value = vec![fill; len];
    for byte in value.iter_mut().step_by(97) {
        *byte = random.next() as u8;
    }
    value
}

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
                key(&mut random)
            };
            if random.below(10) < removals {
                assert_eq!(delete(&mut batch, tree, &key), model.remove(&key));
            } else {
                let value = value(&mut random);
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
                let key = key(&mut random);
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
