//! Pages that lie beyond a ceiling move below it, in steps, each of which may be the last one before a crash; and no entry changes.

mod common;

use common::*;
use dynamite_bptree::{MoveDown, TreeError};
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{Pager, PagerError};

/// Two trees with rows of all kinds, long keys that share their first 384 bytes among them. The first is freed again: so the second one
/// stands high up in the file, above free pages.
fn fill(pager: &Pager, rows: usize) -> Model {
    let mut model = Model::default();
    let mut random = Random(6);
    commit(pager, |batch, trees| {
        for row in 0..rows {
            put(batch, &mut trees[0], &(row as u32).to_be_bytes(), &[1; 900], 0);
        }
    });
    for _ in 0..8 {
        commit(pager, |batch, trees| {
            for _ in 0..rows / 16 {
                let mut key = vec![b'k'; [0, 0, 0, 500][random.below(4)]];
                key.extend(format!("{:05}", random.below(50_000)).bytes());
                let value = vec![random.below(256) as u8; [40, 40, 300, 3000, 20_000][random.below(5)]];
                put(batch, &mut trees[1], &key, &value, 5);
                model.insert(key, value);
            }
        });
    }
    commit(pager, |batch, trees| assert!(trees[0].free_some(batch, u32::MAX).unwrap()));
    model
}

/// An error of the disk is passed on; the tree itself is sound.
fn survive<R>(result: Result<R, TreeError>) -> Result<R, PagerError> {
    result.map_err(|error| match error {
        TreeError::Pager(error) => error,
        error => panic!("{error}"),
    })
}

/// Moves the second tree down in steps: at first its own pages, then the runs too. Stops at the first error: the crash.
fn move_in_steps(
    pager: &Pager,
    pages: u32,
    leaves: u32,
    mut after_each: impl FnMut(),
) -> Result<Option<u64>, PagerError> {
    let Some(ceiling) = pager.begin()?.ceiling() else { return Ok(None) };
    for runs in [false, true] {
        let mut place = Some(Vec::new());
        while let Some(from) = place {
            let mut batch = pager.begin()?;
            batch.move_down(ceiling);
            let mut trees = load(&mut batch);
            let mut moving =
                MoveDown { ceiling, runs, pages_left: pages, leaves_left: leaves, runs_stay: false };
            place = survive(trees[1].move_down(&mut batch, &from, &mut moving))?;
            survive(save(&mut batch, &trees))?;
            batch.commit()?;
            after_each();
        }
    }
    // What became free is cut off.
    for _ in 0..3 {
        let mut batch = pager.begin()?;
        batch.move_down(ceiling);
        let trees = load(&mut batch);
        survive(save(&mut batch, &trees))?;
        batch.commit()?;
    }
    Ok(Some(ceiling))
}

#[test]
fn a_tree_is_moved_below_the_ceiling_and_stays_what_it_is() {
    for (pages, leaves) in [(1, 1), (7, 50), (64, 3), (u32::MAX, u32::MAX)] {
        let pager = in_memory();
        let model = fill(&pager, 4_000);
        let before = pager.stats().page_count;
        let mut steps = 0;
        let ceiling = move_in_steps(&pager, pages, leaves, || {
            steps += 1;
            if steps % 17 == 0 {
                assert_sound(&pager, &format!("step {steps} of {pages} pages"));
            }
        });
        let ceiling = ceiling.unwrap().expect("much of the file is free");
        let after = pager.stats().page_count;
        assert!(ceiling < before * 3 / 4, "there is not much to gain: {ceiling} of {before}");
        assert!(after <= ceiling + 64, "{before} pages became {after}, and {ceiling} were possible");
        let (mut operation, _) = pager.enter().unwrap();
        assert_same(&mut operation, &published(&pager)[1], &model);
        drop(operation);
        assert_sound(&pager, "moved");
        assert_eq!(move_in_steps(&pager, pages, leaves, || {}).unwrap(), None, "it is worth it only once");
    }
}

#[test]
fn a_step_moves_no_more_than_it_was_told() {
    let pager = in_memory();
    fill(&pager, 16_000);
    let ceiling = pager.begin().unwrap().ceiling().unwrap();
    let mut from = Vec::new();
    for _ in 0..3 {
        let before = pager.stats().pages_written;
        let mut batch = pager.begin().unwrap();
        batch.move_down(ceiling);
        let mut trees = load(&mut batch);
        let mut moving =
            MoveDown { ceiling, runs: false, pages_left: 20, leaves_left: u32::MAX, runs_stay: false };
        from = trees[1].move_down(&mut batch, &from, &mut moving).unwrap().expect("it has more leaves");
        save(&mut batch, &trees).unwrap();
        batch.commit().unwrap();
        // As many leaves as are moved at once may come on top; the path, catalog, space root, header, and pages of the map.
        let written = pager.stats().pages_written - before;
        assert!(written <= 20 + 16 + 10, "{written} pages");
    }
}

#[test]
fn a_crash_between_or_during_steps_loses_nothing() {
    let first = {
        let disk = DiskSim::new(3);
        let pager = create_on(&disk).unwrap();
        fill(&pager, 1_500);
        disk.operations()
    };
    for after in (1..).map(|nth| first + 41 * nth) {
        let disk = DiskSim::new(3);
        disk.crash_after(after);
        let (model, result) = {
            let pager = create_on(&disk).unwrap();
            (fill(&pager, 1_500), move_in_steps(&pager, 60, 200, || {}))
        };
        for seed in 0..2 {
            let pager = open_on(&disk.after_power_loss(seed)).unwrap();
            let context = format!("crash after {after} operations, seed {seed}");
            assert_sound(&pager, &context);
            move_in_steps(&pager, 100, 200, || {}).unwrap();
            assert_sound(&pager, &context);
            let (mut operation, _) = pager.enter().unwrap();
            assert_same(&mut operation, &published(&pager)[1], &model);
        }
        if !disk.crashed() {
            assert!(result.unwrap().is_some());
            return;
        }
    }
}
