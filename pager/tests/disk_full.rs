//! A device without a page left. Want of space fails the batch that needs it and nothing else; deleting works to the
//! end; what cannot be committed for want of one page is committed when there is one; and with space everything goes on.

mod toy;

use dynamite_pager::disk::Disk;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{Access, Durability, Pager, PagerError, Result, Roots};
use toy::*;

/// A database on a device that has not a page left, of cells of one to four pages. The file is full but for its reserve.
fn on_full_device() -> (DiskSim, Pager, Cells) {
    let disk = DiskSim::new(8);
    let pager = create_on(&disk).expect("nothing fails");
    let mut state: Cells = (0..60).map(|value| Cell { value, pages: 1 + (value % 4) as u32 }).collect();
    fill(&pager, &state).expect("nothing fails");
    disk.set_capacity(disk.page_count().expect("the file has a length"));
    loop {
        let cell = Cell::of(5000 + state.len() as u64);
        let mut batch = pager.begin().expect("the handle is not poisoned");
        match append(&mut batch, cell) {
            Ok(()) => drop(batch.commit().expect("the last pages are for this")),
            Err(error @ PagerError::DiskFull { .. }) => {
                assert!(error.to_string().contains(":memory:"), "{error}");
                break;
            }
            Err(error) => panic!("{error}"),
        }
        state.push(cell);
    }
    (disk, pager, state)
}

/// Deletes a cell, with the reserve's help.
#[track_caller]
fn delete_last(pager: &Pager, state: &mut Cells) {
    let mut batch = pager.begin().expect("the handle is not poisoned");
    batch.use_reserve(true);
    remove_last(&mut batch).unwrap_or_else(|error| panic!("{} cells left: {error}", state.len()));
    batch.commit().unwrap_or_else(|error| panic!("{} cells left: {error}", state.len()));
    state.pop();
    assert_eq!(read_all(pager).expect("nothing fails"), *state);
}

#[test]
fn want_of_space_fails_one_batch_and_poisons_nothing() {
    let (disk, pager, mut state) = on_full_device();
    assert_eq!(read_all(&pager).expect("nothing fails"), state);
    assert_sound(&pager, "full");
    let before = pager.stats();
    for attempt in 0..5 {
        let error = commit(&pager, &[(attempt, Cell { value: 1, pages: 40 })]).expect_err("there is no room");
        assert!(matches!(error, PagerError::DiskFull { .. }), "{error:?}");
        assert_eq!(read_all(&pager).expect("nothing fails"), state);
    }
    let now = pager.stats();
    assert_eq!((now.free_pages, now.page_count), (before.free_pages, before.page_count));
    // What needs no more room than there is goes on.
    for _ in 0..4 {
        delete_last(&pager, &mut state);
    }
    for round in 0..10 {
        let index = state.len() - 1 - round % 3;
        state[index] = Cell::of(9000 + round as u64);
        commit(&pager, &[(index, state[index])]).expect("there is room for that");
        assert_eq!(read_all(&pager).expect("nothing fails"), state);
    }
    assert_sound(&pager, "full, and in use");
    for seed in 0..6 {
        let survivor = open_on(&disk.after_power_loss(seed)).expect("a full device opens");
        assert_eq!(read_all(&survivor).expect("nothing fails"), state);
        assert_sound(&survivor, "full, after a power loss");
    }
    // Space is back, and everything works.
    disk.set_capacity(u64::MAX);
    state[1] = Cell { value: 77, pages: 100 };
    commit(&pager, &[(1, state[1])]).expect("there is room");
    assert_eq!(read_all(&pager).expect("nothing fails"), state);
    assert_sound(&pager, "with room again");
    pager.close().expect("nothing fails");
}

#[test]
fn everything_can_be_deleted_page_by_page_on_a_full_device() {
    let (disk, pager, mut state) = on_full_device();
    // While an operation holds back what is freed, each deletion takes a root and a space root from the reserve, which
    // is not there for everybody.
    let (operation, _) = pager.enter().expect("not forked");
    for _ in 0..6 {
        delete_last(&pager, &mut state);
        let error = commit(&pager, &[(0, state[0])]).expect_err("this is no deletion");
        assert!(matches!(error, PagerError::DiskFull { .. }), "{error:?}");
    }
    drop(operation);
    while !state.is_empty() {
        delete_last(&pager, &mut state);
    }
    assert_sound(&pager, "emptied");
    // The freed space serves what comes next, on the same device.
    let cells: Cells = (0..40).map(Cell::of).collect();
    let mut batch = pager.begin().expect("the handle is not poisoned");
    write_all(&mut batch, &cells).expect("there is room");
    batch.commit().expect("there is room");
    assert_eq!(read_all(&pager).expect("nothing fails"), cells);
    drop(pager);
    assert_eq!(read_all(&open_on(&disk).expect("it opens")).expect("nothing fails"), cells);
}

/// Changes nothing but a number in the header, so that its commit needs no page but the space root.
fn set_commit_time(pager: &Pager, commit_time: u64) -> Result<()> {
    let mut batch = pager.begin()?;
    batch.set_roots(Roots { commit_time, ..batch.roots() });
    batch.finish(Durability::Immediate).map(drop)
}

/// Fills the file to its last page, and leaves a group that finds no place for its space root.
fn with_stuck_group(pager: &Pager) -> u64 {
    for commit_time in 1..100 {
        set_commit_time(pager, commit_time).expect("finishing a batch takes no space");
        match pager.commit_group() {
            Ok(_) => assert_eq!(pager.published().roots.commit_time, commit_time),
            Err(PagerError::DiskFull { .. }) => {
                assert_eq!(pager.published().roots.commit_time, commit_time - 1);
                return commit_time;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the reserve has no end");
}

#[test]
fn a_group_without_a_page_for_its_space_root_waits_for_space() {
    let (disk, pager, state) = on_full_device();
    // What is freed while this is open cannot be used again.
    let (operation, _) = pager.enter().expect("not forked");
    let commit_time = with_stuck_group(&pager);
    assert!(matches!(pager.commit_group(), Err(PagerError::DiskFull { .. })), "it is full still");
    disk.set_capacity(u64::MAX);
    pager.commit_group().expect("there is room");
    assert_eq!(pager.published().roots.commit_time, commit_time);
    drop(operation);
    drop(pager);
    let pager = open_on(&disk).expect("nothing fails");
    assert_eq!(pager.published().roots.commit_time, commit_time);
    assert_eq!(read_all(&pager).expect("nothing fails"), state);
    assert_sound(&pager, "after a wait for space");
}

/// What the group waits for may be an operation, and nobody begins a batch for it: closing must do.
#[test]
fn a_group_without_a_page_for_its_space_root_waits_for_operations_to_end() {
    for closes in [false, true] {
        let (disk, pager, state) = on_full_device();
        let (mut operation, seen) = pager.enter().expect("not forked");
        let commit_time = with_stuck_group(&pager);
        operation.read(seen.roots.catalog.expect("filled"), Access::Point).expect("it is still there");
        drop(operation);
        if closes {
            pager.close().expect("the freed pages suffice");
        } else {
            pager.commit_group().expect("the freed pages suffice");
            assert_eq!(pager.published().roots.commit_time, commit_time);
            drop(pager);
        }
        let pager = open_on(&disk).expect("nothing fails");
        assert_eq!(pager.published().roots.commit_time, commit_time, "closes: {closes}");
        assert_eq!(read_all(&pager).expect("nothing fails"), state);
        assert_sound(&pager, "after a wait for operations");
    }
}
