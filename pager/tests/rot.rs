//! Bits rot in every byte of every kind of page, padding included; writes are acknowledged and lost, or done elsewhere. All
//! of it is noticed: by the open, by the read, or by the census, which name the page and the check that it failed
//! (INV-1). On a sealed database rot loses nothing silently, and in one header it loses nothing at all.

mod sieve;
mod toy;

use std::sync::Arc;

use dynamite_pager::disk::sim::{DiskSim, OperationKind};
use dynamite_pager::{
    Access, Corruption, Finding, PAGE_SIZE, Page, PageId, PageKind, PagePtr, Pager, PagerError, Placement,
    Problem, Result,
};
use sieve::{Kinds, sieve};
use toy::{Cell, Cells, Random};

const BITS: usize = 8;

/// Calls `check` for bits of every byte of the page, with the bit flipped on the disk.
fn with_flips(disk: &DiskSim, page: PageId, all_bits: bool, mut check: impl FnMut(usize)) {
    let mut random = Random(u64::from(page.0));
    for byte in 0..PAGE_SIZE {
        let chosen = random.below(8) as usize;
        for bit in (0..BITS).filter(|bit| all_bits || *bit == chosen) {
            disk.flip_bit(page, byte * BITS + bit);
            check(byte * BITS + bit);
            disk.flip_bit(page, byte * BITS + bit);
        }
    }
}

/// The page is named, and the check is the checksum.
#[track_caller]
fn check_corrupt<T>(result: Result<T>, page: PageId, context: &str) {
    match result {
        Err(error @ PagerError::Corrupt { page: named, source: Corruption::Checksum { .. }, .. }) => {
            assert_eq!(named, page, "{context}");
            let text = error.to_string();
            let essentials = [":memory:", &format!("page {page} "), "checksum"];
            assert!(essentials.iter().all(|part| text.contains(part)), "{context}: {text}");
        }
        Err(other) => panic!("{context}: {other:?}"),
        Ok(_) => panic!("{context}: not noticed"),
    }
}

#[track_caller]
fn check_found(findings: &[Finding], page: PageId, context: &str) {
    let found = findings.iter().any(|finding| {
        finding.pages.is_some_and(|pages| pages.pages().any(|id| id == page))
            && matches!(
                finding.problem,
                Problem::Corrupt(Corruption::Checksum { .. }) | Problem::Header(Corruption::Checksum { .. })
            )
    });
    assert!(found, "{context}: {findings:?}");
}

fn rot_in_one_header(all_bits: bool) {
    let (disk, values) = sieve();
    for place in 0..2 {
        with_flips(&disk, PageId(place), all_bits, |bit| {
            let context = format!("header {place}, bit {bit}");
            let pager = sieve::open(&disk, false).unwrap_or_else(|error| panic!("{context}: {error}"));
            let rejected = pager.stats().rejected_header;
            assert!(matches!(rejected, Some(Corruption::Checksum { .. })), "{context}: {rejected:?}");
            if bit % 128 < BITS {
                assert_eq!(sieve::read_all(&pager).expect("nothing is lost"), values, "{context}");
                check_found(&sieve::audit(&pager), PageId(place), &context);
                // The next writable open repairs it.
                let healed = disk.after_kill();
                drop(sieve::open(&healed, true).expect("the other header answers for it"));
                let pager = sieve::open(&healed, false).expect("it is repaired");
                assert_eq!(pager.stats().rejected_header, None, "{context}");
                assert_eq!(sieve::read_all(&pager).expect("nothing is lost"), values, "{context}");
            }
        });
    }
}

fn rot_in_free_space(all_bits: bool) {
    let (disk, values) = sieve();
    let kinds = Kinds::of(&disk);
    let pager = sieve::open(&disk, false).expect("the database is whole");
    assert!(sieve::audit(&pager).is_empty(), "the database is sound");
    for page in [kinds.space_root, kinds.directory, kinds.leaf_of_map] {
        with_flips(&disk, page, all_bits, |bit| {
            let context = format!("page {page}, bit {bit}");
            check_found(&pager.census().expect("a census can be begun").finish(), page, &context);
            if bit % 512 < BITS {
                check_writer_notices(&disk.after_kill(), page, page == kinds.space_root, &values, &context);
            }
        });
    }
}

/// A writer meets rot in the free space when it opens or when it needs the page, and what is stored stays readable.
fn check_writer_notices(disk: &DiskSim, page: PageId, at_open: bool, values: &[u64], context: &str) {
    let opened = sieve::open(disk, true);
    if at_open {
        return check_corrupt(opened, page, context);
    }
    let pager = opened.unwrap_or_else(|error| panic!("{context}: {error}"));
    for _ in 0..2 {
        check_corrupt(allocate_many(&pager), page, context);
    }
    assert_eq!(sieve::read_all(&pager).expect("nothing stored is damaged"), values, "{context}");
    pager.begin().expect("nothing was written, so nothing is in doubt");
}

/// More pages than the space root lists.
fn allocate_many(pager: &Pager) -> Result<()> {
    let mut batch = pager.begin()?;
    for _ in 0..600 {
        batch.allocate(PageKind(20), 0, Placement::Hole)?;
        batch.end_operation()?;
    }
    Ok(())
}

fn rot_in_data(all_bits: bool) {
    let (disk, _) = sieve();
    let kinds = Kinds::of(&disk);
    let observer = sieve::open(&disk, false).expect("the database is whole");
    for ptr in [kinds.root, kinds.inner, kinds.leaf] {
        with_flips(&disk, ptr.id, all_bits, |bit| {
            let context = format!("{ptr:?}, bit {bit}");
            let mut census = observer.census().expect("a census can be begun");
            assert!(!census.read(ptr, &mut Page::zeroed()), "{context}: not noticed");
            check_found(&census.finish(), ptr.id, &context);
            if bit % 64 < BITS {
                let pager = sieve::open(&disk, false).expect("it opens");
                let path: Vec<PagePtr> = [kinds.root, kinds.inner, kinds.leaf].into();
                let upto = path.iter().position(|step| *step == ptr).expect("it is one of them");
                let (mut operation, _) = pager.enter().expect("not forked");
                for step in &path[..upto] {
                    operation.read(*step, Access::Point).expect("this page is whole");
                }
                check_corrupt(operation.read(ptr, Access::Point).map(drop), ptr.id, &context);
                // Nothing of it stayed in the pool.
                assert!(operation.read_resident(ptr, Access::Point).is_none(), "{context}");
                check_corrupt(operation.read(ptr, Access::Scan).map(drop), ptr.id, &context);
            }
        });
    }
}

#[test]
fn rot_in_one_header_loses_nothing_and_is_reported() {
    rot_in_one_header(false);
}

#[test]
fn rot_in_the_free_space_is_found_by_census_and_writer() {
    rot_in_free_space(false);
}

#[test]
fn rot_in_a_page_of_the_layer_above_is_found_by_whoever_reads_it() {
    rot_in_data(false);
}

/// `cargo test -p dynamite-pager --release --test rot -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn every_bit_of_every_kind_of_page_is_guarded() {
    rot_in_one_header(true);
    rot_in_free_space(true);
    rot_in_data(true);
}

#[test]
fn rot_in_both_headers_leaves_none() {
    let (disk, _) = sieve();
    for byte in (0..PAGE_SIZE).step_by(7) {
        let other = (byte * 31 + 5) % PAGE_SIZE;
        disk.flip_bit(PageId(0), byte * BITS);
        disk.flip_bit(PageId(1), other * BITS + 3);
        for writable in [false, true] {
            let error = sieve::open(&disk.after_kill(), writable).expect_err("no header is whole");
            let PagerError::NoValidHeader { first, second, .. } = &error else {
                panic!("bytes {byte} and {other}: {error:?}");
            };
            for why in [first, second] {
                assert!(matches!(why, Corruption::Checksum { .. }), "bytes {byte} and {other}: {why}");
            }
            let text = error.to_string();
            let essentials = [":memory:", "page 0", "page 1", "checksum"];
            assert!(essentials.iter().all(|part| text.contains(part)), "{text}");
        }
        disk.flip_bit(PageId(0), byte * BITS);
        disk.flip_bit(PageId(1), other * BITS + 3);
    }
    sieve::open(&disk, true).expect("all is as it was");
}

fn changes() -> Vec<(usize, Cell)> {
    vec![(1, Cell::of(201)), (4, Cell { value: 204, pages: 3 })]
}

/// A disk, an open database on it, and its state; the next commit will write [`changes`].
fn before_commit() -> (DiskSim, Pager, Cells) {
    let disk = DiskSim::new(2);
    let pager = toy::create_on(&disk).expect("nothing fails");
    let mut state: Cells = (0..6).map(Cell::of).collect();
    toy::fill(&pager, &state).expect("nothing fails");
    for (index, cell) in state.iter_mut().enumerate().take(3) {
        *cell = Cell { value: 100 + index as u64, pages: 1 + index as u32 };
        toy::commit(&pager, &[(index, *cell)]).expect("nothing fails");
    }
    disk.take_log();
    (disk, pager, state)
}

fn after(mut state: Cells) -> Cells {
    for (index, cell) in changes() {
        state[index] = cell;
    }
    state
}

/// What a manifest is for, and its price: as long as the newest commit is not sealed, damage in it looks like a commit that
/// was interrupted. The seal ends that.
#[test]
fn rot_in_the_newest_commit_rolls_it_back_before_a_seal_and_is_reported_after_it() {
    let (disk, pager, before) = before_commit();
    toy::commit(&pager, &changes()).expect("nothing fails");
    let unsealed = disk.after_kill();
    pager.seal().expect("nothing fails");
    let sealed = disk.after_kill();
    let written: Vec<PageId> = disk
        .take_log()
        .iter()
        .filter(|operation| operation.kind == OperationKind::Write)
        .filter_map(|operation| operation.page.filter(|page| page.0 >= 2))
        .collect();
    drop(pager);
    assert!(written.len() >= 6, "root, space root, four pages of cells: {written:?}");
    for page in written {
        let space_root = disk.page(page).kind() == PageKind::SPACE_ROOT;
        with_flips(&unsealed, page, false, |bit| {
            if bit % 256 >= BITS {
                return;
            }
            let context = format!("page {page}, bit {bit}");
            let pager = toy::open_on(&unsealed.after_kill()).expect("the older commit is whole");
            let rejected = pager.stats().rejected_header;
            assert!(matches!(rejected, Some(Corruption::Manifest { .. })), "{context}: {rejected:?}");
            assert_eq!(toy::read_all(&pager).expect("the older commit is whole"), before, "{context}");
            toy::assert_sound(&pager, &context);

            let sealed = sealed.after_kill();
            sealed.flip_bit(page, bit);
            match toy::open_on(&sealed) {
                Ok(pager) => {
                    assert!(!space_root, "{context}: not noticed");
                    assert_eq!(pager.stats().rejected_header, None, "{context}");
                    check_corrupt(toy::read_all(&pager), page, &context);
                    check_found(&toy::audit(&pager), page, &context);
                }
                refused if space_root => check_corrupt(refused.map(drop), page, &context),
                Err(error) => panic!("{context}: {error}"),
            }
        });
    }
}

/// What becomes of one write of a commit.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Lost,
    Misdirected(PageId),
}

/// A device that acknowledges what it did not do. The client was told that the commit is durable, so the census must know
/// better at once; once the commit is sealed, nobody may be shown anything else in its place; and before, at
/// least nothing that never was.
#[test]
fn a_write_that_was_lost_or_went_astray_never_changes_an_answer() {
    let (writes, pages) = {
        let (disk, pager, _) = before_commit();
        toy::commit(&pager, &changes()).expect("nothing fails");
        let log = disk.take_log();
        let writes: Vec<_> =
            log.into_iter().filter(|operation| operation.kind == OperationKind::Write).collect();
        (writes, pager.stats().page_count as u32)
    };
    assert!(writes.len() >= 7 && pages >= 16, "{writes:?}, {pages} pages");
    for write in writes {
        let astray = (0..pages).map(|page| Mishap::Misdirected(PageId(page)));
        for mishap in std::iter::once(Mishap::Lost).chain(astray) {
            let (disk, pager, before) = before_commit();
            match mishap {
                Mishap::Misdirected(page) if Some(page) == write.page => continue,
                Mishap::Misdirected(page) => disk.misdirect_write(write.number, page),
                Mishap::Lost => disk.lose_write(write.number),
            }
            toy::commit(&pager, &changes()).expect("nobody notices");
            let after = after(before.clone());
            let context = format!("{write:?}: {mishap:?}");
            assert_eq!(toy::read_all(&pager).expect("from the pool"), after, "{context}");
            // The page that is not what it should be, or the one that was written over: it may hide the other.
            let harmed = match mishap {
                Mishap::Lost => write.page,
                Mishap::Misdirected(page) => Some(page),
            };
            let findings = toy::audit(&pager);
            let named = |page| {
                let names = |finding: &Finding| finding.pages.is_some_and(|pages| Some(pages.first) == page);
                findings.iter().any(names)
            };
            assert!(named(write.page) || named(harmed), "{context}: {findings:?}");

            let is_header = write.page.is_some_and(|page| page.0 < 2);
            check_answer(&disk.after_kill(), &context, |pager, found| {
                // A commit whose header never arrived leaves no trace that an open could see.
                let rolled_back = pager.stats().rejected_header.is_some() || is_header;
                *found == after || *found == before && rolled_back
            });
            pager.seal().expect("nobody notices");
            check_answer(&disk.after_kill(), &format!("{context}, sealed"), |_, found| *found == after);
        }
    }
}

/// Opens and reads. What is refused must be called corrupt; what is answered, `is_right`.
#[track_caller]
fn check_answer(disk: &DiskSim, context: &str, is_right: impl Fn(&Pager, &Cells) -> bool) {
    for writable in [false, true] {
        let pager = match toy::quiet().open_on(Arc::new(disk.after_kill()), writable) {
            Ok(pager) => pager,
            Err(PagerError::Corrupt { .. } | PagerError::NoValidHeader { .. }) => continue,
            Err(error) => panic!("{context}: {error:?}"),
        };
        match toy::read_all(&pager) {
            Ok(found) => assert!(is_right(&pager, &found), "{context}: {found:?}"),
            Err(PagerError::Corrupt { .. }) => {
                assert!(!toy::audit(&pager).is_empty(), "{context}: the census knows of nothing");
            }
            Err(error) => panic!("{context}: {error:?}"),
        }
    }
}
