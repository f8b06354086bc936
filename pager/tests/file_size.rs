//! The size of the file: small when empty, in steps on the way up, ahead of need, and back down once nobody can miss
//! what is cut off: no header, no operation, no crash.

mod common;
mod toy;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dynamite_pager::disk::Disk;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{Options, PageId, Pager, PagerError, Result};
use toy::*;

const PAGE: u64 = 4096;

fn pages_on_disk(path: &Path) -> u64 {
    let bytes = path.metadata().expect("the file is there").len();
    assert_eq!(bytes % PAGE, 0, "the file ends at a page");
    bytes / PAGE
}

fn create(path: &Path, background: bool) -> Pager {
    let options = Options::new().cache_bytes(4 << 20).background(background);
    options.create(path, DATABASE_ID).expect("the file is created")
}

fn open(path: &Path) -> Pager {
    Options::new().cache_bytes(4 << 20).background(false).open(path).expect("the file opens")
}

#[test]
fn an_empty_database_is_64_kib() {
    let (_directory, path) = common::scratch_file();
    let pager = create(&path, true);
    assert_eq!(pages_on_disk(&path), 16);
    pager.close().expect("nothing fails");
    assert_eq!(pages_on_disk(&path), 16);
    let pager = open(&path);
    assert_sound(&pager, "an empty database");
    drop(pager);
    assert_eq!(pages_on_disk(&path), 16);
}

/// 16 MiB in 256 commits: the file grows by a sixteenth at a time, and at least by 64 KiB.
fn check_growth(maintained: bool) {
    let (_directory, path) = common::scratch_file();
    let pager = create(&path, false);
    fill(&pager, &vec![Cell::of(0); 250]).expect("nothing fails");
    let mut sizes = BTreeSet::from([pages_on_disk(&path)]);
    for cell in 0..250 {
        commit(&pager, &[(cell, Cell { value: 1, pages: 17 })]).expect("nothing fails");
        if maintained {
            pager.maintain().expect("not read-only");
        }
        sizes.insert(pages_on_disk(&path));
        let (size, used) = (pages_on_disk(&path), pager.stats().page_count);
        assert!(size >= used && size <= used + 17 + 16 + (used / 16).max(16) * 2, "{size} pages for {used}");
    }
    let steps: Vec<u64> =
        sizes.iter().zip(sizes.iter().skip(1)).map(|(before, after)| after - before).collect();
    assert!((20..80).contains(&steps.len()), "{steps:?}");
    assert!(steps.iter().all(|step| *step >= 16), "{steps:?}");
    assert_eq!(pager.stats().zeroed_pages > 1000, maintained);
    assert_sound(&pager, "after growth");
    pager.close().expect("nothing fails");
    assert_sound(&open(&path), "after growth and reopening");
}

#[test]
fn the_file_grows_in_steps_when_it_is_needed() {
    check_growth(false);
}

#[test]
fn the_file_grows_in_steps_ahead_of_need() {
    check_growth(true);
}

/// One thread extends the file with zeros, and cuts it, as fast as it can; another one uses it.
#[test]
fn growth_ahead_of_need_never_touches_a_page_in_use() {
    let (_directory, path) = common::scratch_file();
    let pager = create(&path, false);
    let mut cells = vec![Cell::of(0); 40];
    fill(&pager, &cells).expect("nothing fails");
    let done = AtomicBool::new(false);
    let mut random = Random(11);
    std::thread::scope(|scope| {
        let maintainer = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                pager.maintain().expect("not read-only");
                std::thread::yield_now();
            }
        });
        for round in 1..250 {
            let index = random.below(40) as usize;
            // It breathes: up to 4 MiB, and down to nothing.
            let pages = if round / 50 % 2 == 0 { 1 + random.below(50) as u32 } else { 1 };
            cells[index] = Cell { value: round, pages };
            commit(&pager, &[(index, cells[index])]).expect("nothing fails");
            if round % 10 == 0 {
                assert_eq!(read_all(&pager).expect("the state can be read"), cells);
            }
        }
        done.store(true, Ordering::Relaxed);
        maintainer.join().expect("maintenance came to its end");
    });
    assert!(pager.stats().zeroed_pages > 0);
    assert_sound(&pager, "afterwards");
    pager.close().expect("nothing fails");
    let pager = open(&path);
    assert_eq!(read_all(&pager).expect("the state can be read"), cells);
    assert_sound(&pager, "after reopening");
}

#[test]
fn the_file_shrinks_once_nobody_can_miss_what_is_cut_off() {
    let (_directory, path) = common::scratch_file();
    // An operation that rests holds the frames that leave the pool; here none has to.
    let options = Options::new().cache_bytes(32 << 20).background(false);
    let pager = options.create(&path, DATABASE_ID).expect("the file is created");
    let large = vec![Cell { value: 1, pages: 60 }; 60];
    fill(&pager, &large).expect("nothing fails");
    let full = pager.stats().page_count;
    let small: Cells = vec![Cell::of(2); 60];

    let (mut operation, state) = pager.enter().expect("not forked");
    let changes: Vec<_> = small.iter().copied().enumerate().collect();
    for _ in 0..4 {
        commit(&pager, &changes).expect("nothing fails");
        pager.maintain().expect("not read-only");
        assert!(pages_on_disk(&path) >= full, "an operation needs {full} pages");
    }
    assert_eq!(read_state(&mut operation, state).expect("its pages are in place"), large);
    drop(operation);

    for _ in 0..4 {
        commit(&pager, &changes).expect("nothing fails");
        pager.maintain().expect("not read-only");
    }
    let (size, used) = (pages_on_disk(&path), pager.stats().page_count);
    assert!(size < 400 && size >= used, "{size} pages for {used}, of {full}");
    assert_sound(&pager, "after the cut");
    pager.close().expect("nothing fails");
    let pager = open(&path);
    assert_eq!(read_all(&pager).expect("the state can be read"), small);
    assert_sound(&pager, "after the cut and reopening");
}

/// Pages that are rewritten move to lower places, also where the free ones are few long extents: with each history of
/// small commits before, which leaves other holes.
#[test]
fn rewritten_pages_leave_the_end_of_a_nearly_empty_file() {
    for small_commits in 0..12 {
        let options = Options::new().cache_bytes(4 << 20).background(false);
        let pager = options.create_on(Arc::new(DiskSim::new(1)), DATABASE_ID).expect("nothing fails");
        fill(&pager, &vec![Cell { value: 1, pages: 60 }; 60]).expect("nothing fails");
        for value in 0..small_commits {
            commit(&pager, &[(0, Cell::of(value))]).expect("nothing fails");
        }
        let changes: Vec<_> = (0..60).map(|index| (index, Cell::of(2))).collect();
        for _ in 0..3 {
            commit(&pager, &changes).expect("nothing fails");
        }
        for value in 0..20 {
            commit(&pager, &[(0, Cell::of(value))]).expect("nothing fails");
        }
        let page_count = pager.stats().page_count;
        assert!(page_count < 1000, "{page_count} pages after {small_commits} small commits");
    }
}

/// Nobody calls for maintenance; the commits do.
#[test]
fn the_background_extends_and_cuts_the_file() {
    let (_directory, path) = common::scratch_file();
    let pager = create(&path, true);
    fill(&pager, &vec![Cell { value: 1, pages: 60 }; 60]).expect("nothing fails");
    let full = pages_on_disk(&path);
    // There is no telling when the thread gets its turn; but it must get one.
    let commit_until = |what: &str, holds: &dyn Fn() -> bool| {
        for value in 0..5_000 {
            if holds() {
                return;
            }
            commit(&pager, &[(0, Cell::of(value))]).expect("nothing fails");
        }
        panic!("{what}: {:?}", pager.stats());
    };
    commit_until("zeros", &|| pager.stats().zeroed_pages > 0);
    let changes: Vec<_> = (0..60).map(|index| (index, Cell::of(2))).collect();
    // At first there is room behind the old cells only; then they move down.
    for _ in 0..3 {
        commit(&pager, &changes).expect("nothing fails");
    }
    commit_until("cut", &|| pages_on_disk(&path) < full / 4);
    assert_sound(&pager, "after the cut");
    pager.close().expect("nothing fails");
    assert_sound(&open(&path), "after the cut and reopening");
}

/// What the seal at the end makes possible is nothing to begin a thread for: the file is free for the next one.
#[test]
fn a_closed_file_is_touched_by_nobody() {
    for round in 0..20 {
        let disk: Arc<dyn Disk> = Arc::new(DiskSim::new(round));
        let options = Options::new().cache_bytes(4 << 20);
        let pager = options.create_on(disk.clone(), DATABASE_ID).expect("nothing fails");
        fill(&pager, &vec![Cell { value: 1, pages: 60 }; 60]).expect("nothing fails");
        let changes: Vec<_> = (0..60).map(|index| (index, Cell::of(2))).collect();
        for _ in 0..3 {
            commit(&pager, &changes).expect("nothing fails");
        }
        drop(pager);
        assert_eq!(Arc::strong_count(&disk), 1, "round {round}");
    }
}

/// Grows and shrinks by turns. Tells what was acknowledged last, and what was attempted since.
fn breathe(pager: &Pager, allowed: &mut Vec<Cells>) -> Result<()> {
    let mut cells: Cells = vec![Cell::of(0); 6];
    allowed.push(cells.clone());
    fill(pager, &cells)?;
    allowed.drain(..allowed.len() - 1);
    for (value, pages) in [40, 40, 1, 1, 1, 1, 60, 1, 1, 1, 1].into_iter().enumerate() {
        let changes: Vec<_> =
            (0..3).map(|step| ((value + step) % 6, Cell { value: value as u64, pages })).collect();
        changes.iter().for_each(|(index, cell)| cells[*index] = *cell);
        if pages == 1 {
            cells.fill(Cell::of(value as u64));
        }
        let changes: Vec<_> = cells.iter().copied().enumerate().collect();
        allowed.push(cells.clone());
        commit(pager, &changes)?;
        allowed.drain(..allowed.len() - 1);
        pager.maintain()?;
        pager.maintain()?;
    }
    Ok(())
}

#[test]
fn a_crash_around_growth_and_truncation_loses_nothing() {
    let (mut grown, mut cut) = (0, 0);
    for operations in (0..).step_by(3) {
        let disk = DiskSim::new(4);
        disk.crash_after(operations);
        let mut allowed = vec![Vec::new()];
        let result = create_on(&disk).and_then(|pager| breathe(&pager, &mut allowed));
        for seed in [0, 1, 3, operations + 2] {
            let context = format!("power lost at operation {operations}, seed {seed}");
            let pager = match open_on(&disk.after_power_loss(seed)) {
                Err(PagerError::UnfinishedCreate { .. }) if allowed == [Vec::new()] => continue,
                opened => opened.unwrap_or_else(|error| panic!("{context}: {error}")),
            };
            let found = read_all(&pager).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert!(allowed.contains(&found), "{context}: found {found:?}, allowed {allowed:?}");
            assert_sound(&pager, &context);
        }
        if result.is_ok() && !disk.crashed() {
            use dynamite_pager::disk::sim::OperationKind;
            for operation in disk.take_log() {
                grown += u32::from(operation.kind == OperationKind::WriteZeros);
                cut += u32::from(operation.kind == OperationKind::Truncate);
            }
            break;
        }
    }
    // A creation cuts the file, too.
    assert!(grown >= 2 && cut >= 3, "{grown} growths, {cut} cuts");
}

/// Whichever header rots, the file is long enough for the other one, and what that reaches is still there.
#[test]
fn the_file_is_never_cut_below_what_either_header_counts() {
    let disk = DiskSim::new(6);
    let pager = create_on(&disk).expect("nothing fails");
    let mut cells: Cells = vec![Cell { value: 0, pages: 40 }; 12];
    fill(&pager, &cells).expect("nothing fails");
    let mut cuts = 0;
    for round in 1..30 {
        let before = cells.clone();
        let pages = if round % 10 < 3 { 40 } else { 1 };
        cells.fill(Cell { value: round, pages });
        let changes: Vec<_> = cells.iter().copied().enumerate().collect();
        commit(&pager, &changes).expect("nothing fails");
        let length = disk.page_count().expect("the disk is up");
        pager.maintain().expect("not read-only");
        cuts += u32::from(disk.page_count().expect("the disk is up") < length);
        for header in [0, 1] {
            let rotten = disk.after_power_loss(1);
            rotten.flip_bit(PageId(header), 777);
            let context = format!("round {round}, header {header}");
            let survivor = open_on(&rotten).unwrap_or_else(|error| panic!("{context}: {error}"));
            let found = read_all(&survivor).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert!(found == cells || found == before, "{context}");
        }
    }
    assert!(cuts >= 2, "{cuts} cuts");
}
