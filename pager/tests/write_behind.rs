//! What a large batch that has pages written behind it promises: it is whole or not at all, whatever the device does meanwhile, and
//! what it has left behind is on the device before anything relies on it.

mod toy;

use std::sync::Arc;
use std::time::Duration;

use dynamite_pager::disk::Disk;
use dynamite_pager::disk::gated::GatedDisk;
use dynamite_pager::disk::sim::{DiskSim, Fault};
use dynamite_pager::{Access, IoOperation, Options, PageKind, Pager, PagerError, Placement, Result};
use toy::*;

/// As many as one root takes, of three pages each: more than a manifest names.
fn large(value: u64) -> Cells {
    vec![Cell { value, pages: 3 }; CELLS_MAX]
}

/// A pool in which all of them have room, and a thread or none.
fn options(background: bool) -> Options {
    Options::new().cache_bytes(16 << 20).background(background)
}

fn create(disk: Arc<dyn Disk>, background: bool) -> Result<Pager> {
    options(background).create_on(disk, DATABASE_ID)
}

/// Whether it is pages that could not be written, or flushed. After other failures the handle can go on.
fn is_write(error: &PagerError) -> bool {
    matches!(error, PagerError::Io { operation: IoOperation::WriteBatch | IoOperation::Flush, .. })
}

#[test]
fn what_a_large_batch_is_done_with_is_written_before_its_end() {
    for background in [false, true] {
        let disk = DiskSim::new(3);
        let pager = create(Arc::new(disk.clone()), background).expect("nothing fails");
        fill(&pager, &large(1)[..70]).expect("nothing fails");
        assert_eq!(
            pager.stats().early_writes,
            0,
            "a manifest names 240 pages, for which one flush is enough"
        );
        fill(&pager, &large(2)).expect("nothing fails");
        let stats = pager.stats();
        assert!((512..762).contains(&stats.early_writes), "{} pages", stats.early_writes);
        assert_eq!((stats.large_commits, stats.evictions), (1, 0));
        assert_eq!(read_all(&pager).expect("it can be read"), large(2));
        let survivor = open_on(&disk.after_power_loss(4)).expect("it opens");
        assert_eq!(read_all(&survivor).expect("it can be read"), large(2));
    }
}

/// At one operation of the device after the other the power is cut, or the operation fails.
#[test]
fn a_large_batch_is_whole_or_not_at_all_whenever_the_device_fails() {
    for background in [false, true] {
        for fails in [false, true] {
            let mut survived = [0, 0];
            for number in (0..).step_by(9) {
                let disk = DiskSim::new(number);
                let pager = create(Arc::new(disk.clone()), background).expect("nothing fails");
                if fails {
                    disk.fail_operation(disk.operations() + number, Fault::Eio);
                } else {
                    disk.crash_after(disk.operations() + number);
                }
                let filled = fill(&pager, &large(1));
                if let Err(error) = &filled {
                    assert!(is_crash(error), "{error}");
                    let again = pager.begin().map(drop);
                    let is_poisoned = matches!(again, Err(PagerError::Poisoned { .. }));
                    assert!(is_poisoned || !is_write(error), "{error}, then {again:?}");
                    assert_eq!(read_all(&pager).expect("it can be read"), [], "before the batch");
                }
                drop(pager);
                let survivor = open_on(&disk.after_power_loss(number)).expect("it opens");
                let cells = read_all(&survivor).expect("it can be read");
                let is_new = cells == large(1);
                assert!(is_new || (cells.is_empty() && filled.is_err()), "number {number}: {filled:?}");
                assert_sound(&survivor, "after the power loss");
                survived[usize::from(is_new)] += 1;
                if filled.is_ok() {
                    break;
                }
            }
            assert!(survived[0] > 5 && survived[1] > 0, "{survived:?}");
        }
    }
}

#[test]
fn a_batch_is_not_durable_before_what_was_written_behind_is() {
    let sim = DiskSim::new(5);
    let disk = GatedDisk::new(sim.clone());
    let pager = create(disk.clone(), true).expect("nothing fails");
    disk.hold_next_write();
    std::thread::scope(|scope| {
        let filling = scope.spawn(|| fill(&pager, &large(1)));
        disk.wait_for_the_write();
        std::thread::sleep(Duration::from_millis(50));
        let is_finished = filling.is_finished();
        let survivor = open_on(&sim.after_power_loss(6)).expect("it opens");
        disk.open();
        assert!(!is_finished, "some of its pages are not even written");
        assert_eq!(read_all(&survivor).expect("it can be read"), []);
        filling.join().expect("no panic").expect("nothing fails");
    });
    let survivor = open_on(&sim.after_power_loss(7)).expect("it opens");
    assert_eq!(read_all(&survivor).expect("it can be read"), large(1));
}

/// Were its pages given out again while a write to them is under way, that one could come last.
#[test]
fn an_aborted_batch_waits_for_what_it_has_left_behind() {
    let sim = DiskSim::new(8);
    let disk = GatedDisk::new(sim.clone());
    let pager = create(disk.clone(), true).expect("nothing fails");
    disk.hold_next_write();
    std::thread::scope(|scope| {
        let aborting = scope.spawn(|| {
            let mut batch = pager.begin()?;
            // So many that it need not wait before its end.
            write_all(&mut batch, &large(1)[..130])
        });
        disk.wait_for_the_write();
        std::thread::sleep(Duration::from_millis(50));
        let is_finished = aborting.is_finished();
        disk.open();
        assert!(!is_finished, "a write is under way");
        aborting.join().expect("no panic").expect("nothing fails");
    });
    assert_eq!(read_all(&pager).expect("it can be read"), []);
    fill(&pager, &large(2)).expect("nothing fails");
    pager.close().expect("nothing fails");
    let reopened = open_on(&sim).expect("it opens");
    assert_eq!(read_all(&reopened).expect("it can be read"), large(2));
    assert_sound(&reopened, "after the abort");
}

#[test]
fn pages_that_are_changed_again_and_again_are_not_written_each_time() {
    let pager = create(Arc::new(DiskSim::new(9)), true).expect("nothing fails");
    let mut batch = pager.begin().expect("nothing fails");
    let mut pages = Vec::new();
    for round in 0..20_u8 {
        for nth in 0..600 {
            match pages.get_mut(nth) {
                None => pages.push(
                    batch.allocate(PageKind::FIRST_FOREIGN, 0, Placement::Hole).expect("nothing fails"),
                ),
                Some(page) => *page = batch.writable(*page, Placement::Hole).expect("nothing fails"),
            }
            batch.page_mut(pages[nth]).payload_mut()[0] = round;
            batch.end_operation().expect("nothing fails");
        }
    }
    let written = pager.stats().early_writes;
    assert!((128..1_200).contains(&written), "{written} pages for 600");
    for page in pages {
        assert_eq!(batch.read(page, Access::Point).expect("it is there").payload()[0], 19);
    }
}

/// As a leaf is that takes pointers to one long value after the other.
#[test]
fn a_leaf_that_changes_all_the_time_is_not_written_behind() {
    let pager = create(Arc::new(DiskSim::new(10)), false).expect("nothing fails");
    let mut batch = pager.begin().expect("nothing fails");
    let hot = batch.allocate(PageKind::FIRST_FOREIGN, 0, Placement::Hole).expect("nothing fails");
    for _ in 0..1_000 {
        batch.allocate(PageKind::FIRST_FOREIGN, 0, Placement::Hole).expect("nothing fails");
        assert_eq!(batch.writable(hot, Placement::Hole).expect("nothing fails"), hot);
        batch.end_operation().expect("nothing fails");
    }
    assert!(pager.stats().early_writes >= 800, "the others are");
}
