//! What batches and groups promise to those who use them: what is visible when, what a commit costs, what an abort
//! leaves behind (nothing), and what a reader who takes its time still finds (everything).

mod toy;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dynamite_pager::disk::Disk;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{
    Access, Birth, Corruption, Durability, PageId, PageKind, PagePtr, Pager, PagerError, Placement, Stats,
};
use toy::*;

fn set(pager: &Pager, cell: usize, value: u64, durability: Durability) {
    finish(pager, &[(cell, Cell::of(value))], durability).expect("nothing fails");
}

fn set_durably(pager: &Pager, cell: usize, value: u64) {
    commit(pager, &[(cell, Cell::of(value))]).expect("nothing fails");
}

/// Commits without a change: gives the free space the chance to settle.
fn commit_nothing(pager: &Pager) {
    pager.begin().expect("nothing fails").commit().expect("nothing fails");
}

fn pages_in_use(stats: &Stats) -> u64 {
    stats.page_count - stats.free_pages.expect("the handle is writable")
}

#[test]
fn an_open_batch_is_invisible() {
    let (_disk, pager) = database(3);
    let mut batch = pager.begin().expect("nothing fails");
    change(&mut batch, &[(0, Cell::of(1)), (2, Cell { value: 2, pages: 5 })]).expect("nothing fails");
    assert_eq!(values(&pager), [0, 0, 0]);
    pager.commit_group().expect("nothing fails");
    assert_eq!(values(&pager), [0, 0, 0]);
    batch.commit().expect("nothing fails");
    assert_eq!(values(&pager), [1, 0, 2]);
}

/// Two databases live the same life, but for batches that one of them begins and aborts.
#[test]
fn an_aborted_batch_leaves_nothing_behind() {
    let (disk, pager) = database(8);
    let (_, control) = database(8);
    let mut random = Random(3);
    for round in 1..40 {
        let state = pager.published();
        let mut batch = pager.begin().expect("nothing fails");
        let roots = batch.roots();
        let changes: Vec<(usize, Cell)> = (0..1 + random.below(6))
            .map(|_| (random.below(8) as usize, Cell { value: 9999, pages: 1 + random.below(60) as u32 }))
            .collect();
        change(&mut batch, &changes).expect("nothing fails");
        drop(batch);
        assert_eq!(pager.published(), state);
        assert_eq!(pager.begin().expect("nothing fails").roots(), roots);
        for pager in [&pager, &control] {
            set_durably(pager, round % 8, round as u64);
        }
        assert_eq!(values(&pager), values(&control));
        assert_eq!(pages_in_use(&pager.stats()), pages_in_use(&control.stats()), "round {round}");
        // Not the same pages need be free, and a small file may keep up to 16 free pages at its end.
        let (page_count, expected) = (pager.stats().page_count, control.stats().page_count);
        assert!(page_count <= expected + 8 + 16, "round {round}: {page_count} pages instead of {expected}");
        assert_sound(&pager, "after an abort");
    }
    assert!(pager.stats().early_writes > 0, "some of the batches were large");
    let expected = values(&control);
    check_after_reopening(&disk, pager, &expected);
}

/// What an aborted batch wrote early may still be in the pool, and its page ids are free.
#[test]
fn an_abort_after_an_early_write_leaves_nothing_behind() {
    let (disk, pager) = database(4);
    commit_nothing(&pager);
    let before = pager.stats();
    let mut batch = pager.begin().expect("nothing fails");
    for value in 1..=8 {
        change(&mut batch, &[(0, Cell { value, pages: 100 })]).expect("nothing fails");
    }
    drop(batch);
    assert!(pager.stats().early_writes >= 400);
    assert_eq!(pager.stats().page_count, before.page_count);
    assert_eq!(values(&pager), [0; 4]);
    commit_nothing(&pager);
    assert!(pager.stats().page_count <= before.page_count + 16, "all but some slack is cut");
    assert_eq!(pages_in_use(&pager.stats()), pages_in_use(&before));
    // The ids are given out again, to pages of other contents.
    commit(&pager, &[(1, Cell { value: 7, pages: 200 })]).expect("nothing fails");
    assert_eq!(values(&pager), [0, 7, 0, 0]);
    assert_sound(&pager, "after the abort");
    check_after_reopening(&disk, pager, &[0, 7, 0, 0]);
}

#[test]
fn a_batch_begins_with_what_the_one_before_it_finished() {
    let (disk, pager) = database(3);
    set(&pager, 0, 1, Durability::Immediate);
    let finished = pager.begin().expect("nothing fails").roots();
    assert_ne!(finished, pager.published().roots);
    // If it began anywhere else, it would lose the change of cell 0, or free pages twice.
    set(&pager, 1, 2, Durability::Immediate);
    pager.commit_group().expect("nothing fails");
    assert_eq!(values(&pager), [1, 2, 0]);
    assert_sound(&pager, "after the commit");
    check_after_reopening(&disk, pager, &[1, 2, 0]);
}

#[test]
fn finished_batches_become_one_commit_with_one_flush() {
    let (disk, pager) = database(8);
    for batches in [1, 2, 5, 8] {
        let before = pager.stats();
        let mut newest = Birth(0);
        for cell in 0..batches {
            newest = finish(&pager, &[(cell, Cell::of(batches as u64))], Durability::Immediate)
                .expect("nothing fails");
        }
        assert_eq!(pager.stats().flushes, before.flushes);
        assert_eq!(pager.commit_group().expect("nothing fails"), newest);
        let after = pager.stats();
        assert_eq!((after.commits, after.flushes), (before.commits + 1, before.flushes + 1));
        // Nothing gathered since, so there is nothing to do.
        assert_eq!(pager.commit_group().expect("nothing fails"), newest);
        assert_eq!(pager.stats().flushes, after.flushes);
    }
    check_after_reopening(&disk, pager, &[8; 8]);
}

#[test]
fn readers_see_an_immediate_batch_once_it_is_durable() {
    let (_disk, pager) = database(2);
    set(&pager, 0, 1, Durability::Immediate);
    assert_eq!(values(&pager), [0, 0]);
    pager.commit_group().expect("nothing fails");
    assert_eq!(values(&pager), [1, 0]);
}

#[test]
fn readers_see_an_eventual_batch_at_once() {
    let (disk, pager) = database(2);
    set(&pager, 0, 1, Durability::Eventual);
    assert_eq!(values(&pager), [1, 0]);
    set(&pager, 0, 2, Durability::Eventual);
    assert_eq!(values(&pager), [2, 0]);
    // A power cut may take it back; a clean close may not.
    assert_eq!(values(&open_on(&disk.after_power_loss(0)).expect("it opens")), [0, 0]);
    check_after_reopening(&disk, pager, &[2, 0]);
}

/// An `Eventual` batch stands on the `Immediate` one before it, and cannot be seen without it.
#[test]
fn readers_see_an_eventual_batch_no_earlier_than_the_immediate_one_before_it() {
    let (_disk, pager) = database(4);
    set(&pager, 0, 1, Durability::Eventual);
    set(&pager, 1, 2, Durability::Immediate);
    set(&pager, 2, 3, Durability::Eventual);
    assert_eq!(values(&pager), [1, 0, 0, 0]);
    pager.commit_group().expect("nothing fails");
    assert_eq!(values(&pager), [1, 2, 3, 0]);
    set(&pager, 3, 4, Durability::Eventual);
    assert_eq!(values(&pager), [1, 2, 3, 4]);
}

/// An operation is open across many commits. All that it may meet stays as it was, and its page ids stay its own.
#[test]
fn an_operation_reads_its_state_to_the_end_however_many_commits_follow() {
    let (_disk, pager) = database(12);
    let old = values(&pager);
    let (mut operation, state) = pager.enter().expect("not forked");
    let reserved: BTreeSet<PageId> =
        pages_of_state(&mut operation, state).into_iter().map(|(id, _)| id).collect();
    for round in 1..400 {
        set_durably(&pager, round % 12, round as u64);
        // A reader who goes on lets the pool go on: in time it evicts the pages that are not looked at.
        let root = state.roots.catalog.expect("the cells were filled");
        operation.read(root, Access::Point).expect("the root is in place");
        for (id, _) in pages_of(&pager) {
            // The first rounds share the cells that were not changed yet.
            assert!(round < 12 || !reserved.contains(&id), "round {round} was given page {id}");
        }
    }
    let misses = pager.stats().misses;
    let found = read_state(&mut operation, state).expect("its pages are in place");
    assert!(pager.stats().misses > misses, "some of them were read from disk again");
    assert_eq!(found.iter().map(|cell| cell.value).collect::<Vec<_>>(), old);
    drop(operation);

    for round in 0..48 {
        set_durably(&pager, round % 12, 1);
    }
    let page_count = pager.stats().page_count;
    let in_use: BTreeSet<PageId> = pages_of(&pager).into_iter().map(|(id, _)| id).collect();
    assert!(in_use.intersection(&reserved).next().is_some(), "its pages are used again after it has ended");
    assert!(page_count < 56, "the file ends at page {page_count}");
    assert_sound(&pager, "at the end");
}

/// The page that an `Eventual` batch showed and the next one replaced is never written; but a reader who entered in
/// between can still follow the way to it, also after both are durable.
#[test]
fn an_operation_reads_an_eventual_state_to_the_end_even_if_it_never_became_a_commit() {
    let (disk, pager) = database(4);
    set(&pager, 0, 1, Durability::Eventual);
    let (mut operation, state) = pager.enter().expect("not forked");
    for round in 2..300 {
        set(&pager, 0, round, Durability::Eventual);
        if round % 7 == 0 {
            pager.commit_group().expect("nothing fails");
        }
        let found =
            read_state(&mut operation, state).unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert_eq!(found[0].value, 1);
    }
    drop(operation);
    set_durably(&pager, 1, 5);
    set_durably(&pager, 1, 6);
    assert_sound(&pager, "at the end");
    check_after_reopening(&disk, pager, &[299, 6, 0, 0]);
}

#[test]
fn thousands_of_small_commits_use_the_same_pages_again() {
    let (disk, pager) = database(12);
    let mut random = Random(7);
    for round in 0..3000 {
        set_durably(&pager, random.below(12) as usize, round);
        let page_count = pager.stats().page_count;
        assert!(page_count < 40, "commit {round} ends at page {page_count}");
    }
    // What the file has beyond that is ahead of need.
    assert!(disk_pages(&disk) <= 80, "{} pages", disk_pages(&disk));
    assert_sound(&pager, "at the end");
}

fn disk_pages(disk: &DiskSim) -> u64 {
    dynamite_pager::disk::Disk::page_count(disk).expect("the disk is up")
}

/// A group of a hundred batches that change the same cell writes the last one: root, cell, free space, header.
#[test]
fn pages_that_a_later_batch_of_the_group_replaced_are_neither_written_nor_kept() {
    let (disk, pager) = database(4);
    set_durably(&pager, 0, 0);
    set_durably(&pager, 0, 0);
    let before = pager.stats();
    for value in 1..=100 {
        set(&pager, 0, value, Durability::Immediate);
    }
    pager.commit_group().expect("nothing fails");
    let after = pager.stats();
    assert_eq!(after.pages_written - before.pages_written, 4);
    assert!(after.page_count <= before.page_count + 2, "{} pages", after.page_count);
    assert_sound(&pager, "after the group");
    check_after_reopening(&disk, pager, &[100, 0, 0, 0]);
}

/// The group is closed by another thread while a batch has allocated and freed, and is not done yet.
#[test]
fn a_group_may_be_committed_while_a_batch_is_open() {
    for finishes in [true, false] {
        let (disk, pager) = database(6);
        for round in 1..30 {
            set(&pager, 0, round, Durability::Immediate);
            let mut batch = pager.begin().expect("nothing fails");
            change(&mut batch, &[(0, Cell::of(1000 + round)), (1, Cell { value: round, pages: 90 })])
                .expect("nothing fails");
            std::thread::scope(|scope| {
                scope.spawn(|| pager.commit_group().expect("nothing fails"));
            });
            assert_eq!(values(&pager)[0], round);
            // What a power cut would leave now.
            let survivor = open_on(&disk.after_power_loss(round)).expect("it opens");
            assert_eq!(values(&survivor), values(&pager));
            assert_sound(&survivor, "in the middle of the batch");

            change(&mut batch, &[(2, Cell::of(round)), (1, Cell::of(round))]).expect("nothing fails");
            if finishes {
                batch.commit().expect("nothing fails");
                assert_eq!(values(&pager), [1000 + round, round, round, 0, 0, 0]);
            } else {
                drop(batch);
                assert_eq!(values(&pager), [round, 0, 0, 0, 0, 0]);
            }
            assert_sound(&pager, "after the batch");
        }
        let expected = if finishes { [1029, 29, 29, 0, 0, 0] } else { [29, 0, 0, 0, 0, 0] };
        check_after_reopening(&disk, pager, &expected);
    }
}

/// Four writers, each with a cell of its own and all with a common sum; two readers who check it.
#[test]
fn readers_beside_many_writers_see_committed_states_in_order() {
    const WRITERS: usize = 4;
    const ROUNDS: u64 = 150;
    let (disk, pager) = database(WRITERS + 1);
    let sum = AtomicU64::new(0);
    let done = AtomicBool::new(false);
    let check = |previous: &mut Vec<u64>| {
        let found = values(&pager);
        assert_eq!(found[..WRITERS].iter().sum::<u64>(), found[WRITERS], "a state that never was: {found:?}");
        assert!(previous.iter().zip(&found).all(|(old, new)| old <= new), "{previous:?}, then {found:?}");
        *previous = found;
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut previous = vec![0; WRITERS + 1];
                while !done.load(Ordering::Relaxed) {
                    check(&mut previous);
                }
            });
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (pager, sum, check) = (&pager, &sum, &check);
                scope.spawn(move || {
                    let mut previous = vec![0; WRITERS + 1];
                    for round in 1..=ROUNDS {
                        let mut batch = pager.begin().expect("nothing fails");
                        // The turn orders these.
                        let total = sum.fetch_add(1, Ordering::Relaxed) + 1;
                        let changes = [(writer, Cell::of(round)), (WRITERS, Cell::of(total))];
                        change(&mut batch, &changes).expect("nothing fails");
                        let durability =
                            if round % 3 == 0 { Durability::Eventual } else { Durability::Immediate };
                        batch.finish(durability).expect("nothing fails");
                        if round % 5 == 0 {
                            pager.commit_group().expect("nothing fails");
                            check(&mut previous);
                            assert!(previous[writer] >= round, "what is durable is visible");
                        }
                    }
                })
            })
            .collect();
        let finished: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        done.store(true, Ordering::Relaxed);
        finished.into_iter().for_each(|writer| writer.expect("the writer came to its end"));
    });
    assert_sound(&pager, "at the end");
    check_after_reopening(&disk, pager, &[ROUNDS, ROUNDS, ROUNDS, ROUNDS, 4 * ROUNDS]);
}

/// Batches of many threads that together are far larger than the pool: those who are too fast wait for those who write.
#[test]
fn writers_who_together_fill_the_pool_wait_for_one_another() {
    const WRITERS: usize = 6;
    let (disk, pager) = database(WRITERS);
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (pager, failures) = (&pager, &failures);
            scope.spawn(move || {
                for value in 1..=12 {
                    let changes = [(writer, Cell { value, pages: 60 })];
                    if let Err(error) = commit(pager, &changes) {
                        failures.lock().expect("nobody panics").push(error);
                    }
                }
            });
        }
    });
    assert!(failures.into_inner().expect("nobody panics").is_empty());
    check_after_reopening(&disk, pager, &[12; WRITERS]);
}

#[test]
fn sealing_twice_writes_once() {
    let (_disk, pager) = database(2);
    let before = pager.stats();
    pager.seal().expect("nothing fails");
    let sealed = pager.stats();
    assert_eq!(sealed.pages_written, before.pages_written + 1);
    assert_eq!(sealed.flushes, before.flushes + 1);
    pager.seal().expect("nothing fails");
    assert_eq!(pager.stats().pages_written, sealed.pages_written);
    assert_eq!(pager.stats().flushes, sealed.flushes);
    // A commit in between makes the next seal necessary; what was only finished is committed first.
    set(&pager, 0, 1, Durability::Immediate);
    pager.seal().expect("nothing fails");
    assert_eq!(pager.stats().commits, sealed.commits + 2);
    assert_eq!(values(&pager), [1, 0]);
}

#[test]
fn births_ascend_across_aborts_seals_and_reopening() {
    let (mut disk, mut pager) = database(2);
    let mut newest = pager.published().birth;
    for round in 0..30 {
        for step in 0..4 {
            let mut batch = pager.begin().expect("nothing fails");
            assert!(batch.birth() > newest, "round {round}, step {step}");
            newest = batch.birth();
            change(&mut batch, &[(0, Cell::of(round))]).expect("nothing fails");
            // The last one before the end differs from round to round: also a batch that left nothing has used a birth.
            match (step + round / 3) % 4 {
                0 => drop(batch),
                1 => assert_eq!(batch.finish(Durability::Immediate).expect("nothing fails"), newest),
                _ => assert_eq!(batch.commit().expect("nothing fails"), newest),
            }
        }
        match round % 3 {
            0 => pager.seal().expect("nothing fails"),
            1 => {
                pager.close().expect("nothing fails");
                pager = open_on(&disk).expect("it opens");
            }
            _ => {
                disk = disk.after_power_loss(round);
                pager = open_on(&disk).expect("it opens");
            }
        }
    }
}

/// 20 MiB through a pool of 1 MiB.
#[test]
fn a_batch_much_larger_than_the_pool_commits() {
    let disk = DiskSim::new(2);
    let pager = create_on(&disk).expect("nothing fails");
    let cells: Cells = (0..CELLS_MAX as u64).map(|value| Cell { value, pages: 21 }).collect();
    fill(&pager, &cells).expect("nothing fails");
    let stats = pager.stats();
    assert!(stats.page_count * 4096 > 20 << 20, "{} pages", stats.page_count);
    assert!(stats.early_writes > 4800, "{} pages were written early", stats.early_writes);
    assert!(stats.evictions > 4800, "{} pages have left the pool", stats.evictions);
    assert_eq!((stats.frames, stats.large_commits), (256, 1));
    assert_eq!(read_all(&pager).expect("it can be read"), cells);
    assert_sound(&pager, "after the batch");
    let survivor = open_on(&disk.after_power_loss(0)).expect("it opens");
    assert_eq!(read_all(&survivor).expect("it can be read"), cells);
}

#[test]
fn a_page_that_was_written_early_and_is_changed_again_moves() {
    let (_disk, pager) = database(1);
    let mut batch = pager.begin().expect("nothing fails");
    let mut pages = Vec::new();
    for _ in 0..100 {
        let ptr = batch.allocate(PageKind::FIRST_FOREIGN, 0, Placement::Hole).expect("nothing fails");
        batch.page_mut(ptr).payload_mut()[0] = 1;
        pages.push(ptr);
    }
    // As long as it was not written, it stays where it is.
    assert_eq!(batch.writable(pages[0], Placement::Hole).expect("nothing fails"), pages[0]);
    batch.end_operation().expect("nothing fails");
    assert_eq!(pager.stats().early_writes, 100);
    let written: BTreeSet<PageId> = pages.iter().map(|ptr| ptr.id).collect();
    for ptr in pages {
        let moved = batch.writable(ptr, Placement::Hole).expect("nothing fails");
        assert!(!written.contains(&moved.id), "{ptr:?} became {moved:?}");
        assert_eq!(batch.page_mut(moved).payload()[0], 1);
        assert_eq!(batch.writable(moved, Placement::Hole).expect("nothing fails"), moved);
        // The old place is not given out again under the same birth.
        let other = batch.allocate(PageKind::FIRST_FOREIGN, 0, Placement::Hole).expect("nothing fails");
        assert!(!written.contains(&other.id), "{other:?}");
    }
}

#[track_caller]
fn check_not_in_use(freed: dynamite_pager::Result<()>, ptr: PagePtr) {
    match freed {
        Err(PagerError::Corrupt { page, source: Corruption::NotInUse { page: named }, .. }) => {
            assert_eq!((page, named), (ptr.id, ptr.id));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn freeing_a_page_twice_is_refused_and_the_batch_can_be_aborted() {
    let (disk, pager) = database(3);
    let durable = pager.published().roots.catalog.expect("the cells were filled");
    set(&pager, 0, 1, Durability::Immediate);
    let mut batch = pager.begin().expect("nothing fails");
    let unwritten = batch.roots().catalog.expect("the cells were filled");
    // The root of the durable state, which the finished batch has freed.
    check_not_in_use(batch.free(durable), durable);
    // A page that is only in memory yet.
    batch.free(unwritten).expect("it was in use");
    check_not_in_use(batch.free(unwritten), unwritten);
    // A page of the batch's own.
    let own = batch.allocate(PageKind::FIRST_FOREIGN, 0, Placement::Hole).expect("nothing fails");
    batch.free(own).expect("it was in use");
    check_not_in_use(batch.free(own), own);
    // A header, and a page beyond the end.
    for id in [0, 1, 1_000_000] {
        let ptr = PagePtr { id: PageId(id), birth: unwritten.birth };
        check_not_in_use(batch.free(ptr), ptr);
    }
    // Reading still works, and so does everything after the abort.
    batch.read(unwritten, Access::Point).expect("it is still there");
    drop(batch);
    pager.commit_group().expect("nothing fails");
    assert_eq!(values(&pager), [1, 0, 0]);
    set_durably(&pager, 1, 2);
    assert_sound(&pager, "after the abort");
    check_after_reopening(&disk, pager, &[1, 2, 0]);
}

/// A database whose cells are many more than its pool has frames.
fn in_a_small_pool() -> (DiskSim, Pager) {
    let disk = DiskSim::new(1);
    drop(create_on(&disk).expect("nothing fails"));
    let small = quiet().cache_bytes(64 << 12);
    let pager = small.open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, true).expect("nothing fails");
    fill(&pager, &vec![Cell::of(0); CELLS_MAX]).expect("nothing fails");
    (disk, pager)
}

#[test]
fn a_commit_gets_the_frames_of_a_batch_that_waits_for_its_lock() {
    let (_, pager) = in_a_small_pool();
    set(&pager, 0, 1, Durability::Eventual);
    let (mut operation, state) = pager.enter().expect("not forked");
    let ptrs = cell_ptrs(&mut operation, state);
    let mut batch = pager.begin().expect("nothing fails");
    batch.read(ptrs[1], Access::Point).expect("it can be read");
    // Until every frame is in use, or waits for the batch's read to end.
    let exhausted = ptrs[2..].iter().find_map(|ptr| operation.read(*ptr, Access::Point).err());
    drop(operation);
    assert!(matches!(exhausted, Some(PagerError::PoolExhausted { .. })), "{exhausted:?}");
    std::thread::scope(|scope| {
        let commit = scope.spawn(|| pager.commit_group());
        // It holds the lock, and waits for a frame.
        std::thread::sleep(Duration::from_millis(100));
        batch.free(ptrs[1]).expect("it is in use");
        commit.join().expect("no panic").expect("the batch has let go of its frames");
    });
    drop(batch);
    assert_sound(&pager, "after the commit");
}

#[test]
fn a_group_that_finds_no_frame_is_committed_when_there_is_one() {
    let (disk, pager) = in_a_small_pool();
    set(&pager, 0, 1, Durability::Eventual);
    set(&pager, 0, 2, Durability::Immediate);
    let (mut resting, state) = pager.enter().expect("not forked");
    let ptrs = cell_ptrs(&mut resting, state);
    let (mut operation, _) = pager.enter().expect("not forked");
    let exhausted = ptrs.iter().find_map(|ptr| operation.read(*ptr, Access::Point).err());
    drop(operation);
    assert!(matches!(exhausted, Some(PagerError::PoolExhausted { .. })), "{exhausted:?}");
    for _ in 0..2 {
        let refused = pager.commit_group();
        assert!(matches!(refused, Err(PagerError::PoolExhausted { .. })), "{refused:?}");
    }
    drop(resting);
    pager.commit_group().expect("there are frames");
    assert_eq!(values(&pager)[..2], [2, 0]);
    assert_sound(&pager, "after the commit");
    set_durably(&pager, 1, 3);
    assert_eq!(values(&open_on(&disk.after_power_loss(0)).expect("it opens"))[..2], [2, 3]);
}

/// Also if nobody ever asks for it to be made durable.
#[test]
fn a_group_is_committed_before_it_fills_the_pool() {
    let (disk, pager) = in_a_small_pool();
    for value in 1..200 {
        set(&pager, value as usize, value, Durability::Eventual);
    }
    let expected: Vec<u64> = (0..200).collect();
    assert_eq!(values(&pager)[..200], expected);
    let survivor = open_on(&disk.after_power_loss(0)).expect("it opens");
    assert!(values(&survivor)[..150] == expected[..150], "all but the last ones are durable");
}
