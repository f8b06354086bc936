//! Power is cut at every operation of a workload, and many subsets of the unflushed writes survive, torn into pieces of
//! 8 bytes. Whatever is left, opening shows the last acknowledged commit or the one in flight, whole (INV-3), every
//! page of the file is accounted for (INV-7), and life goes on from there, also if power is cut again while it does.

mod toy;

use dynamite_pager::disk::Disk;
use dynamite_pager::disk::sim::{DiskSim, Survival};
use dynamite_pager::{Durability, PageId, Pager, PagerError, Result};
use toy::*;

/// What a client knows when the power goes.
#[derive(Default)]
struct Witness {
    /// States that may be found: the last one that was acknowledged, then those that were under way.
    allowed: Vec<Cells>,
    /// The state after the last batch that was finished.
    newest: Cells,
}

impl Witness {
    fn attempt(&mut self, changes: &[(usize, Cell)]) {
        for (index, cell) in changes {
            self.newest[*index] = *cell;
        }
        self.allowed.push(self.newest.clone());
    }

    fn acknowledged(&mut self) {
        self.allowed.drain(..self.allowed.len() - 1);
    }
}

/// A workload that mixes everything that ends up on disk. Stops at the first error: the crash.
fn mixed_workload(pager: &Pager, seed: u64, witness: &mut Witness) -> Result<()> {
    let mut random = Random(seed);
    let first: Cells = (0..12).map(Cell::of).collect();
    witness.allowed = vec![Vec::new(), first.clone()];
    witness.newest = first.clone();
    fill(pager, &first)?;
    witness.acknowledged();
    for step in 0..14 {
        let changes = |most: u64, random: &mut Random| -> Vec<(usize, Cell)> {
            (0..=random.below(most))
                .map(|_| {
                    let pages = if random.below(4) == 0 { 1 + random.below(6) as u32 } else { 1 };
                    (random.below(12) as usize, Cell { value: random.next(), pages })
                })
                .collect()
        };
        match random.below(8) {
            0..=2 => {
                let changes = changes(4, &mut random);
                witness.attempt(&changes);
                commit(pager, &changes)?;
                witness.acknowledged();
            }
            // A group of several batches in one commit.
            3 | 4 => {
                for _ in 0..3 {
                    let changes = changes(3, &mut random);
                    witness.attempt(&changes);
                    let durability =
                        if random.below(2) == 0 { Durability::Immediate } else { Durability::Eventual };
                    finish(pager, &changes, durability)?;
                }
                pager.commit_group()?;
                witness.acknowledged();
            }
            // Too large for a manifest: two flushes.
            5 => {
                let changes = [(step % 12, Cell { value: random.next(), pages: 245 })];
                witness.attempt(&changes);
                commit(pager, &changes)?;
                witness.acknowledged();
                let changes = [(step % 12, Cell::of(random.next()))];
                witness.attempt(&changes);
                commit(pager, &changes)?;
                witness.acknowledged();
            }
            6 => pager.seal()?,
            _ => {
                // An aborted batch leaves nothing behind.
                let mut batch = pager.begin()?;
                change(&mut batch, &changes(6, &mut random))?;
                drop(batch);
                pager.maintain()?;
            }
        }
    }
    Ok(())
}

/// Opens what a power cut left, and checks it against what the client knows. Returns what was found.
#[track_caller]
fn check_survivor(survivor: &DiskSim, witness: &Witness, context: &str) -> Option<Cells> {
    let pager = match open_on(survivor) {
        Ok(pager) => pager,
        // Nothing was acknowledged yet, not even the creation.
        Err(PagerError::UnfinishedCreate { .. }) if witness.allowed.is_empty() => return None,
        Err(error) => panic!("{context}: {error}"),
    };
    let found = read_all(&pager).unwrap_or_else(|error| panic!("{context}: {error}"));
    let allowed = witness.allowed.contains(&found) || witness.allowed.is_empty() && found.is_empty();
    assert!(allowed, "{context}: found {found:?}, allowed {:?}", witness.allowed);
    assert_sound(&pager, context);
    Some(found)
}

fn crash_everywhere(workload_seed: u64, survivors: u64, step: usize) {
    for operations in (0..).step_by(step) {
        let disk = DiskSim::new(workload_seed);
        disk.crash_after(operations);
        let mut witness = Witness::default();
        let result = create_on(&disk).and_then(|pager| mixed_workload(&pager, workload_seed, &mut witness));
        if let Err(error) = &result {
            assert!(is_crash(error), "{error}");
        }
        for seed in 0..survivors {
            let context =
                format!("workload {workload_seed}, power lost at operation {operations}, seed {seed}");
            let survivor = disk.after_power_loss(seed);
            let found = check_survivor(&survivor, &witness, &context);
            go_on(&survivor, found, operations ^ seed, &context);
        }
        if result.is_ok() && !disk.crashed() {
            return;
        }
    }
}

/// What one open has shown, a power cut during or right after that open must not take back, and the database must be
/// usable, also across a second power cut in the middle of its next commits.
fn go_on(survivor: &DiskSim, found: Option<Cells>, seed: u64, context: &str) {
    let Some(found) = found else { return };
    let context = format!("{context}, then again");
    let again = survivor.after_power_loss(seed);
    let mut witness = Witness { allowed: vec![found.clone()], newest: found.clone() };
    again.crash_after(seed % 40);
    let mut random = Random(seed);
    let _ = open_on(&again).and_then(|pager| {
        if found.is_empty() {
            return Ok(());
        }
        for _ in 0..3 {
            let changes = [(random.below(12) as usize, Cell::of(random.next()))];
            witness.attempt(&changes);
            commit(&pager, &changes)?;
            witness.acknowledged();
        }
        Ok(())
    });
    check_survivor(&again.after_power_loss(seed + 1), &witness, &context);
}

#[test]
fn power_loss_at_any_point_keeps_every_acknowledged_commit() {
    for workload_seed in 1..=2 {
        crash_everywhere(workload_seed, 5, 1);
    }
}

/// Many more workloads and survivors: `cargo test -p dynamite-pager --release --test power_loss -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn power_loss_at_any_point_of_many_workloads_keeps_every_acknowledged_commit() {
    for workload_seed in 100..160 {
        crash_everywhere(workload_seed, 24, 1);
    }
}

fn after_some_commits(commits: usize) -> (DiskSim, Pager, Cells) {
    let disk = DiskSim::new(1);
    let pager = create_on(&disk).expect("nothing fails");
    let mut state: Cells = (0..4).map(Cell::of).collect();
    fill(&pager, &state).expect("nothing fails");
    for round in 0..commits {
        let change = (round % 4, Cell::of(100 + round as u64));
        commit(&pager, &[change]).expect("nothing fails");
        state[change.0] = change.1;
    }
    (disk, pager, state)
}

/// Commits of one to three cells write four to six pages, root, free space and header included. All outcomes of all writes
/// are tried: lost, kept, and torn (in two ways where that is not too many).
#[test]
fn every_outcome_of_every_write_of_a_small_commit_is_survived() {
    for cells_changed in 1..=3 {
        // The places of the headers alternate, and so do the data pages, out of step with each other.
        for commits_before in 0..4 {
            let changes: Vec<(usize, Cell)> = (0..cells_changed).map(|cell| (cell, Cell::of(200))).collect();
            let (disk, pager, _) = after_some_commits(commits_before);
            let before = disk.operations();
            commit(&pager, &changes).expect("nothing fails");
            let operations = disk.operations() - before;

            // The same again, without the flush: it is the last operation of the commit.
            let (disk, pager, state) = after_some_commits(commits_before);
            disk.crash_after(before + operations - 1);
            commit(&pager, &changes).expect_err("the flush fails");
            let mut witness = Witness { allowed: vec![state.clone()], newest: state };
            witness.attempt(&changes);
            let unflushed = disk.unflushed();
            // Root, free space, header, and perhaps a growth of the file come on top of the cells.
            assert!((4..=7).contains(&unflushed), "{unflushed} writes");
            let outcomes = [Survival::Lost, Survival::Kept, Survival::Torn(1), Survival::Torn(2)];
            let outcomes = if unflushed <= 5 { &outcomes[..] } else { &outcomes[..3] };
            for combination in 0..outcomes.len().pow(unflushed as u32) {
                let mut rest = combination;
                let survivals: Vec<Survival> = (0..unflushed)
                    .map(|_| {
                        let outcome = outcomes[rest % outcomes.len()];
                        rest /= outcomes.len();
                        outcome
                    })
                    .collect();
                let survivor = disk.with_survivors(&survivals);
                let context = format!("{cells_changed} cells after {commits_before}: {survivals:?}");
                check_survivor(&survivor, &witness, &context);
            }
        }
    }
}

/// A killed process loses nothing that it had written, but what it had not flushed can still be lost later: after an
/// open has shown it, it must not.
#[test]
fn a_kill_followed_by_a_power_cut_never_takes_back_what_was_seen() {
    for operations in 0.. {
        let disk = DiskSim::new(5);
        disk.crash_after(operations);
        let mut witness = Witness::default();
        let result = create_on(&disk).and_then(|pager| mixed_workload(&pager, 5, &mut witness));
        let killed = disk.after_kill();
        let context = format!("killed at operation {operations}");
        // Opening reads what was never flushed, and writes a header that must not outlive it.
        let rounds = if operations % 3 == 0 { 24 } else { 0 };
        for (round, seed) in (0..rounds).zip((operations..).map(|seed| 2 + seed % 20)) {
            let opening = killed.after_kill();
            opening.crash_after(opening.operations() + round);
            let _ = open_on(&opening);
            let context = format!("{context}, power lost in the next open at {round}, seed {seed}");
            check_survivor(&opening.after_power_loss(seed), &witness, &context);
        }
        let found = check_survivor(&killed, &witness, &context);
        if let Some(found) = found {
            let witness = Witness { allowed: vec![found.clone()], newest: found };
            for seed in 0..3 {
                let context = format!("{context}, power lost after the next open, seed {seed}");
                check_survivor(&killed.after_power_loss(seed), &witness, &context);
            }
        }
        if result.is_ok() && !disk.crashed() {
            return;
        }
    }
}

/// The power goes again and again while the database is being opened.
#[test]
fn crashes_during_recovery_never_change_what_is_found() {
    for operations in (0..200).step_by(3) {
        let disk = DiskSim::new(9);
        disk.crash_after(operations);
        let mut witness = Witness::default();
        let _ = create_on(&disk).and_then(|pager| mixed_workload(&pager, 9, &mut witness));
        let mut survivor = disk.after_power_loss(operations);
        for round in 0..12 {
            let next = survivor.after_kill();
            next.crash_after(round);
            let _ = open_on(&next);
            survivor = next.after_power_loss(operations + round);
            let context = format!("power lost at operation {operations}, then in recovery at {round}");
            // A look at a copy: the original goes on being cut.
            check_survivor(&survivor.after_kill(), &witness, &context);
        }
    }
}

/// Births are given out once: not even in pages of commits that nobody remembers is there one that comes again.
#[test]
fn births_that_a_lost_commit_left_on_disk_never_come_again() {
    for operations in (0..400).step_by(7) {
        let disk = DiskSim::new(4);
        disk.crash_after(operations);
        let mut witness = Witness::default();
        let _ = create_on(&disk).and_then(|pager| mixed_workload(&pager, 4, &mut witness));
        let survivor = disk.after_power_loss(operations);
        let Ok(pager) = open_on(&survivor) else { continue };
        let pages = survivor.page_count().expect("a simulated disk") as u32;
        let batch = pager.begin().expect("a healed database");
        for id in (0..pages).map(PageId).filter(|id| id.0 > 1) {
            let page = survivor.page(id);
            assert!(page.birth() < batch.birth(), "power lost at operation {operations}: {page:?}");
        }
    }
}
