//! What savepoints promise: what came after one is undone without a trace, what came before stays, in whatever order pages are changed,
//! freed, written early and allocated again.

mod toy;

use dynamite_pager::{Durability, PageKind, PagePtr, Pager, PagerError, Placement, Roots, WriteBatch};
use toy::*;

fn set(batch: &mut WriteBatch<'_>, cell: usize, value: u64) {
    change(batch, &[(cell, Cell::of(value))]).expect("nothing fails");
}

fn set_savepoint(batch: &mut WriteBatch<'_>) {
    assert!(batch.savepoint().expect("nothing fails"), "there are births left");
}

/// A batch that has set cell 0 to 1, and behind a savepoint to 9.
fn set_twice(pager: &Pager) -> WriteBatch<'_> {
    let mut batch = pager.begin().expect("nothing fails");
    for value in [1, 9] {
        set_savepoint(&mut batch);
        set(&mut batch, 0, value);
    }
    batch
}

/// A page that holds a number, and nothing else of the state leads to it.
fn allocate(batch: &mut WriteBatch<'_>, value: u64) -> PagePtr {
    let ptr = batch.allocate(PageKind::FIRST_FOREIGN, 0, Placement::Hole).expect("nothing fails");
    write(batch, ptr, value);
    ptr
}

fn write(batch: &mut WriteBatch<'_>, ptr: PagePtr, value: u64) {
    batch.page_mut(ptr).payload_mut()[..8].copy_from_slice(&value.to_le_bytes());
}

/// A thousand batches of some transactions each, which change, append and remove cells of up to a third of the pool; half of them are
/// undone. Groups are committed in between, some in the middle of a batch.
#[test]
fn what_is_undone_leaves_nothing_behind_and_what_came_before_stays() {
    for seed in 0..12 {
        let mut random = Random(seed);
        let (disk, pager) = database(12);
        let mut model = vec![Cell::of(0); 12];
        for round in 0..120 {
            let before = model.clone();
            let mut batch = pager.begin().expect("nothing fails");
            let mut births = vec![batch.birth()];
            for _ in 0..=random.below(6) {
                set_savepoint(&mut batch);
                assert!(births.len() == 1 || !births.contains(&batch.birth()), "a birth is given once");
                births.push(batch.birth());
                let mut part = model.clone();
                for _ in 0..=random.below(4) {
                    let pages = if random.below(4) == 0 { 1 + random.below(80) as u32 } else { 1 };
                    let cell = Cell { value: random.next(), pages };
                    match random.below(8) {
                        0 if part.len() < 20 => {
                            append(&mut batch, cell).expect("nothing fails");
                            part.push(cell);
                        }
                        1 if part.len() > 4 => {
                            remove_last(&mut batch).expect("nothing fails");
                            part.pop();
                        }
                        _ => {
                            let index = random.below(part.len() as u64) as usize;
                            change(&mut batch, &[(index, cell)]).expect("nothing fails");
                            part[index] = cell;
                        }
                    }
                }
                if random.below(8) == 0 {
                    std::thread::scope(|scope| {
                        scope.spawn(|| pager.commit_group().expect("nothing fails"));
                    });
                }
                if random.below(2) == 0 {
                    batch.undo();
                } else {
                    model = part;
                }
            }
            match random.below(4) {
                0 => {
                    drop(batch);
                    model = before;
                }
                1 => drop(batch.finish(Durability::Immediate).expect("nothing fails")),
                _ => drop(batch.commit().expect("nothing fails")),
            }
            if round % 10 == 0 {
                pager.commit_group().expect("nothing fails");
                let expected: Vec<u64> = model.iter().map(|cell| cell.value).collect();
                assert_eq!(values(&pager), expected, "seed {seed}, round {round}");
                assert_sound(&pager, &format!("seed {seed}, round {round}"));
            }
        }
        assert!(pager.stats().early_writes > 0, "some of the batches were large");
        check_after_reopening(&disk, pager, &model.iter().map(|cell| cell.value).collect::<Vec<_>>());
    }
}

#[test]
fn transactions_in_one_batch_are_one_commit_and_each_has_a_birth() {
    let (_disk, pager) = database(3);
    let before = pager.stats();
    let mut batch = pager.begin().expect("nothing fails");
    let mut births = Vec::new();
    for cell in 0..3 {
        set_savepoint(&mut batch);
        set(&mut batch, cell, 7);
        births.push(batch.birth());
    }
    assert!(births.is_sorted_by(|a, b| a < b));
    assert_eq!(batch.commit().expect("nothing fails"), births[2]);
    assert_eq!(pager.published().birth, births[2]);
    assert_eq!(values(&pager), [7, 7, 7]);
    let after = pager.stats();
    assert_eq!((after.commits - before.commits, after.flushes - before.flushes), (1, 1));
    // The root, three cells, the space root and the header: the root was copied once.
    assert_eq!(after.pages_written - before.pages_written, 6);
    assert!(pager.begin().expect("nothing fails").birth() > births[2]);
}

/// What was written early and undone needs no flush of its own, and is written again where it still counts.
#[test]
fn an_early_write_that_is_undone_leaves_nothing_behind() {
    let (disk, pager) = database(3);
    let mut batch = set_twice(&pager);
    change(&mut batch, &[(1, Cell { value: 9, pages: 100 })]).expect("nothing fails");
    assert!(pager.stats().early_writes >= 100);
    batch.undo();
    let before = pager.stats();
    batch.commit().expect("nothing fails");
    assert_eq!(pager.stats().flushes - before.flushes, 1);
    assert_eq!(values(&pager), [1, 0, 0]);
    assert_sound(&pager, "after the commit");
    check_after_reopening(&disk, pager, &[1, 0, 0]);
}

#[test]
fn pages_that_are_kept_as_they_were_count_as_pages_of_the_batch() {
    let (_disk, pager) = database(60);
    let mut batch = pager.begin().expect("nothing fails");
    set_savepoint(&mut batch);
    (0..50).for_each(|cell| set(&mut batch, cell, 1));
    set_savepoint(&mut batch);
    (0..30).for_each(|cell| set(&mut batch, cell, 2));
    assert!(pager.stats().early_writes > 0, "a quarter of the pool is in the batch's hands");
    batch.undo();
    batch.commit().expect("nothing fails");
    assert_eq!(values(&pager), [vec![1; 50], vec![0; 10]].concat());
    assert_sound(&pager, "after the commit");
}

/// A power cut during the commit of a batch leaves all that was kept of it, or nothing.
#[test]
fn a_power_cut_leaves_all_or_nothing_of_what_was_kept() {
    for cut in 0..200 {
        let (disk, pager) = database(3);
        let mut batch = set_twice(&pager);
        set(&mut batch, 2, 9);
        batch.undo();
        set_savepoint(&mut batch);
        set(&mut batch, 1, 1);
        disk.crash_after(disk.operations() + cut % 3);
        let acknowledged = batch.commit().is_ok();
        drop(pager);
        let pager = open_on(&disk.after_power_loss(cut)).expect("it opens");
        let found = values(&pager);
        assert!(found == [1, 1, 0] || (!acknowledged && found == [0, 0, 0]), "{found:?}");
        assert_sound(&pager, "after the cut");
    }
}

#[test]
fn a_page_of_before_that_is_freed_twice_is_refused() {
    let (_disk, pager) = database(1);
    let mut batch = pager.begin().expect("nothing fails");
    set_savepoint(&mut batch);
    let ptr = allocate(&mut batch, 1);
    set_savepoint(&mut batch);
    batch.free(ptr).expect("it is in use");
    assert!(matches!(batch.free(ptr), Err(PagerError::Corrupt { .. })));
    let other = allocate(&mut batch, 2);
    assert_ne!(other.id, ptr.id, "what may have to be given back is not given out");
    batch.undo();
    assert_eq!(batch.read(ptr, dynamite_pager::Access::Point).expect("it is there").payload()[0], 1);
    batch.free(ptr).expect("it is in use");
    assert!(matches!(batch.free(ptr), Err(PagerError::Corrupt { .. })));
}

#[test]
#[should_panic(expected = "not writable")]
fn a_page_of_before_has_to_be_made_writable_before_it_is_changed() {
    let (_disk, pager) = database(1);
    let mut batch = pager.begin().expect("nothing fails");
    set_savepoint(&mut batch);
    let ptr = allocate(&mut batch, 1);
    set_savepoint(&mut batch);
    write(&mut batch, ptr, 2);
}

#[test]
fn without_a_savepoint_nothing_is_undone_and_with_one_the_roots_are() {
    let (_disk, pager) = database(1);
    let mut batch = pager.begin().expect("nothing fails");
    set(&mut batch, 0, 1);
    batch.undo();
    set_savepoint(&mut batch);
    let roots = batch.roots();
    batch.set_roots(Roots { commit_time: 5, ..roots });
    batch.undo();
    assert_eq!(batch.roots(), roots);
    batch.commit().expect("nothing fails");
    assert_eq!(values(&pager), [1]);
    assert_sound(&pager, "after the commit");
}
