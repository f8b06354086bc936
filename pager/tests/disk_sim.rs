//! The simulated disk keeps its own promises: what was flushed survives, what was not may survive or not, in pieces,
//! and every mishap that is asked for happens where it was asked for.

mod common;

use std::collections::BTreeSet;
use std::io;

use common::{page_of, read, try_write, write};
use dynamite_pager::disk::Disk;
use dynamite_pager::disk::sim::{DiskSim, Fault, Operation, OperationKind, Survival};
use dynamite_pager::format::page::Page;
use dynamite_pager::format::page_id::PageId;

const SEEDS: std::ops::Range<u64> = 0..100;
const PAGES: u32 = 6;

/// A disk of flushed pages of version 0.
fn flushed() -> DiskSim {
    let disk = DiskSim::new(1);
    disk.grow(u64::from(PAGES)).expect("the disk has room");
    write(&disk, &(0..PAGES).collect::<Vec<_>>(), 0);
    disk.flush().expect("the disk flushes");
    disk
}

fn page_count(disk: &DiskSim) -> u64 {
    disk.page_count().expect("the disk is up")
}

/// Which version each 8 bytes of a page are of, of those given; `None` for other bytes.
fn versions(page: &Page, id: u32, candidates: &[u64]) -> Vec<Option<u64>> {
    let candidates: Vec<_> =
        candidates.iter().map(|version| (*version, page_of(PageId(id), *version))).collect();
    let version_of = |index: usize| {
        let piece = index * 8..index * 8 + 8;
        let same = |(_, other): &&(u64, Page)| other.bytes()[piece.clone()] == page.bytes()[piece.clone()];
        candidates.iter().find(same).map(|(version, _)| *version)
    };
    (0..512).map(version_of).collect()
}

/// The versions that a page is made of.
fn versions_in(disk: &DiskSim, id: u32, candidates: &[u64]) -> BTreeSet<u64> {
    let versions = versions(&disk.page(PageId(id)), id, candidates);
    versions.into_iter().map(|version| version.expect("all bytes were written once")).collect()
}

#[track_caller]
fn check_version(disk: &DiskSim, id: u32, version: u64) {
    assert!(disk.page(PageId(id)).bytes() == page_of(PageId(id), version).bytes(), "page {id}");
}

#[track_caller]
fn check_errno<T>(result: io::Result<T>, errno: i32) {
    assert_eq!(result.map(|_| ()).map_err(|error| error.raw_os_error()), Err(Some(errno)));
}

#[test]
fn what_was_flushed_survives_every_power_loss() {
    for seed in SEEDS {
        let survivor = flushed().after_power_loss(seed);
        assert_eq!((page_count(&survivor), survivor.unflushed()), (u64::from(PAGES), 0));
        (0..PAGES).for_each(|id| check_version(&survivor, id, 0));
    }
}

#[test]
fn what_was_not_flushed_is_lost_or_kept_or_torn() {
    let disk = flushed();
    write(&disk, &[2, 3, 4], 1);
    let mut outcomes = [BTreeSet::new(), BTreeSet::new(), BTreeSet::new()];
    let mut combinations = BTreeSet::new();
    for seed in SEEDS {
        let survivor = disk.after_power_loss(seed);
        [0, 1, 5].into_iter().for_each(|id| check_version(&survivor, id, 0));
        let pages = [2, 3, 4].map(|id| versions_in(&survivor, id, &[0, 1]).into_iter().collect::<Vec<_>>());
        for (outcomes, page) in outcomes.iter_mut().zip(&pages) {
            outcomes.insert(page.clone());
        }
        combinations.insert(pages);
    }
    for outcomes in outcomes {
        assert_eq!(Vec::from_iter(outcomes), [vec![0], vec![0, 1], vec![1]]);
    }
    // None, all, each alone, each missing: what a test of ordering needs.
    for whole in 0..8_u64 {
        let combination = [0, 1, 2].map(|page| vec![whole >> page & 1]);
        assert!(combinations.contains(&combination), "{combination:?} of {combinations:?}");
    }
}

#[test]
fn some_tears_lose_a_few_pieces_only_and_some_keep_a_few_only() {
    let disk = flushed();
    write(&disk, &[2], 1);
    let kept: Vec<_> = (0..64)
        .map(|seed| {
            let survivor = disk.with_survivors(&[Survival::Torn(seed)]);
            versions(&survivor.page(PageId(2)), 2, &[0, 1])
                .iter()
                .filter(|version| **version == Some(1))
                .count()
        })
        .collect();
    for range in [1..20, 200..300, 492..512] {
        assert!(kept.iter().any(|count| range.contains(count)), "{range:?} of {kept:?}");
    }
}

/// Whichever write came last, the pieces on the medium may be those of an earlier one.
#[test]
fn unflushed_writes_of_one_page_mix_piece_by_piece() {
    let disk = flushed();
    write(&disk, &[2], 1);
    write(&disk, &[2], 2);
    assert!(
        SEEDS.map(|seed| versions_in(&disk.after_power_loss(seed), 2, &[0, 1, 2])).any(|mix| mix.len() == 3)
    );
}

#[test]
fn the_length_is_as_volatile_as_the_contents() {
    let grown = flushed();
    grown.grow(9).expect("the disk has room");
    let cut = flushed();
    cut.truncate(3).expect("the file is cut");
    let lengths =
        |disk: &DiskSim| SEEDS.map(|seed| page_count(&disk.after_power_loss(seed))).collect::<BTreeSet<_>>();
    assert_eq!(lengths(&grown), BTreeSet::from([6, 9]));
    assert_eq!(lengths(&cut), BTreeSet::from([3, 6]));
    for disk in [grown, cut] {
        let length = page_count(&disk);
        disk.flush().expect("the disk flushes");
        assert_eq!(lengths(&disk), BTreeSet::from([length]));
    }
}

/// A page that was written behind the old end is gone with the growth, and is not found by a later growth.
#[test]
fn a_page_whose_growth_was_lost_is_zeros_when_the_file_grows_again() {
    let disk = flushed();
    disk.grow(8).expect("the disk has room");
    write(&disk, &[7], 1);
    let survivor = disk.with_survivors(&[Survival::Lost, Survival::Kept]);
    assert_eq!(page_count(&survivor), 6);
    survivor.grow(8).expect("the disk has room");
    common::check_zeros(&survivor, &[7]);
}

#[test]
fn chosen_survivors_survive() {
    let disk = flushed();
    disk.grow(8).expect("the disk has room");
    write(&disk, &[6, 7, 2], 1);
    assert_eq!(disk.unflushed(), 4);
    let survivor = disk.with_survivors(&[Survival::Kept, Survival::Lost, Survival::Kept, Survival::Torn(3)]);
    assert_eq!(page_count(&survivor), 8);
    common::check_zeros(&survivor, &[6]);
    check_version(&survivor, 7, 1);
    assert_eq!(versions_in(&survivor, 2, &[0, 1]), BTreeSet::from([0, 1]));
    (0..2).chain(3..6).for_each(|id| check_version(&survivor, id, 0));
}

#[test]
fn the_same_seed_gives_the_same_outcome() {
    let run = |seed| {
        let disk = DiskSim::new(seed);
        disk.grow(8).expect("the disk has room");
        disk.fail_operation(2, Fault::Eio);
        try_write(&disk, &[0, 1, 2], 1).expect_err("a write fails");
        disk.crash_after(5);
        try_write(&disk, &[3, 4, 5], 1).expect_err("the machine is down");
        let survivor = disk.after_kill().after_power_loss(seed);
        (0..8).map(|id| *survivor.page(PageId(id)).bytes()).collect::<Vec<_>>()
    };
    let mut outcomes = BTreeSet::new();
    for seed in SEEDS {
        assert!(run(seed) == run(seed), "seed {seed}");
        outcomes.insert(run(seed));
    }
    assert!(outcomes.len() > 20, "{} outcomes", outcomes.len());
}

#[test]
fn a_kill_keeps_what_was_written_but_does_not_flush_it() {
    let disk = flushed();
    disk.grow(8).expect("the disk has room");
    write(&disk, &[2, 7], 1);
    let killed = disk.after_kill();
    assert_eq!((page_count(&killed), killed.unflushed()), (8, 3));
    check_version(&killed, 2, 1);
    check_version(&killed, 7, 1);
    let survivor = killed.after_power_loss(0);
    assert_eq!(page_count(&survivor), 6);
    check_version(&survivor, 2, 0);
    killed.flush().expect("the disk flushes");
    check_version(&killed.after_power_loss(0), 2, 1);
}

#[test]
fn from_the_crash_on_everything_fails() {
    let disk = flushed();
    disk.crash_after(disk.operations() + 1);
    assert!(read(&disk, &[0])[0].is_ok() && !disk.crashed());
    assert!(read(&disk, &[0])[0].is_err() && disk.crashed());
    assert!(try_write(&disk, &[0], 1).is_err());
    assert!(disk.flush().is_err() && disk.grow(9).is_err() && disk.truncate(1).is_err());
    assert!(
        disk.write_zeros(PageId(0), 1).is_err() && disk.drop_cache().is_err() && disk.page_count().is_err()
    );
    assert_eq!(disk.unflushed(), 0);
    let survivor = disk.after_power_loss(1);
    assert_eq!(page_count(&survivor), 6);
    check_version(&survivor, 0, 0);
}

#[test]
fn all_writes_of_the_batch_that_a_crash_hits_are_in_flight() {
    let mut after_kill = BTreeSet::new();
    for seed in SEEDS {
        let disk = DiskSim::new(seed);
        disk.grow(3).expect("the disk has room");
        disk.flush().expect("the disk flushes");
        disk.crash_after(disk.operations() + 1);
        try_write(&disk, &[0, 1, 2], 1).expect_err("the machine is down");
        assert_eq!(disk.unflushed(), 3);
        for (id, survivals) in [(0, [1, 0, 0]), (1, [0, 1, 0]), (2, [0, 0, 1])] {
            let survivor = disk.with_survivors(&survivals.map(|kept| [Survival::Lost, Survival::Kept][kept]));
            check_version(&survivor, id, 1);
            common::check_zeros(&survivor, &[(id + 1) % 3, (id + 2) % 3]);
        }
        let killed = disk.after_kill();
        let written: Vec<_> =
            (0..3).filter(|id| killed.page(PageId(*id)).bytes() == page_of(PageId(*id), 1).bytes()).collect();
        assert_eq!(killed.unflushed(), written.len());
        after_kill.insert(written);
    }
    assert_eq!(after_kill.len(), 8, "{after_kill:?}");
}

#[test]
fn a_flush_that_a_crash_hits_flushes_nothing() {
    let disk = flushed();
    write(&disk, &[2], 1);
    disk.crash_after(disk.operations());
    disk.flush().expect_err("the machine is down");
    check_version(&disk.after_power_loss(0), 2, 0);
    check_version(&disk.after_power_loss(1), 2, 1);
}

#[test]
fn growth_and_zeros_that_a_crash_hits_are_in_flight() {
    let grown = flushed();
    grown.crash_after(grown.operations());
    grown.grow(9).expect_err("the machine is down");
    assert_eq!([0, 1].map(|seed| page_count(&grown.after_power_loss(seed))), [6, 9]);
    let zeroed = flushed();
    zeroed.crash_after(zeroed.operations());
    zeroed.write_zeros(PageId(2), 2).expect_err("the machine is down");
    check_version(&zeroed.after_power_loss(0), 2, 0);
    common::check_zeros(&zeroed.after_power_loss(1), &[2, 3]);
}

#[test]
fn operations_are_counted_and_logged() {
    let disk = flushed();
    let begun = disk.operations();
    assert_eq!(disk.take_log().len() as u64, begun);
    write(&disk, &[4, 2], 1);
    read(&disk, &[2]);
    disk.flush().expect("the disk flushes");
    disk.grow(9).expect("the disk has room");
    disk.write_zeros(PageId(6), 3).expect("zeros are written");
    disk.truncate(7).expect("the file is cut");
    let log = disk.take_log();
    let expected = [
        (OperationKind::Write, Some(4)),
        (OperationKind::Write, Some(2)),
        (OperationKind::Read, Some(2)),
        (OperationKind::Flush, None),
        (OperationKind::Grow, Some(9)),
        (OperationKind::WriteZeros, Some(6)),
        (OperationKind::Truncate, Some(7)),
    ];
    let expected = expected.into_iter().zip(begun..).map(|((kind, page), number)| Operation {
        number,
        kind,
        page: page.map(PageId),
    });
    assert_eq!(log, expected.collect::<Vec<_>>());
    assert_eq!(disk.operations(), begun + 7);
    assert!(disk.take_log().is_empty());
}

#[test]
fn a_fault_hits_its_operation_and_no_other() {
    for (fault, errno) in [(Fault::Eio, libc::EIO), (Fault::Enospc, libc::ENOSPC)] {
        let disk = flushed();
        disk.fail_operation(disk.operations() + 1, fault);
        let mut results = read(&disk, &[0, 1, 2]).into_iter();
        assert!(results.next().is_some_and(|result| result.is_ok()));
        check_errno(results.next().expect("three results"), errno);
        assert!(results.next().is_some_and(|result| result.is_ok()));
        assert!(read(&disk, &[1])[0].is_ok());

        disk.fail_operation(disk.operations(), fault);
        check_errno(disk.grow(9), errno);
        assert_eq!(page_count(&disk), 6);
        disk.fail_operation(disk.operations(), fault);
        check_errno(disk.truncate(2), errno);
        assert_eq!(page_count(&disk), 6);
    }
    let disk = flushed();
    disk.fail_operation(disk.operations(), Fault::Short);
    assert_eq!(
        read(&disk, &[0])[0].as_ref().map_err(io::Error::kind).err(),
        Some(io::ErrorKind::UnexpectedEof)
    );
}

#[test]
fn a_write_that_fails_may_have_been_done_in_part_and_the_others_are_done() {
    let mut outcomes = BTreeSet::new();
    for seed in SEEDS {
        let disk = flushed().after_power_loss(seed);
        disk.fail_operation(disk.operations() + 1, Fault::Eio);
        check_errno(try_write(&disk, &[2, 3, 4], 1), libc::EIO);
        check_version(&disk, 2, 1);
        check_version(&disk, 4, 1);
        let outcome = versions_in(&disk, 3, &[0, 1]);
        disk.flush().expect("the disk flushes");
        assert_eq!(versions_in(&disk.after_power_loss(0), 3, &[0, 1]), outcome, "what is visible is flushed");
        outcomes.insert(Vec::from_iter(outcome));
    }
    assert_eq!(Vec::from_iter(outcomes), [vec![0], vec![0, 1], vec![1]]);
}

/// The kernel marks pages clean after a failed flush, so the next one has nothing to do for them.
#[test]
fn no_later_flush_vouches_for_writes_whose_flush_failed() {
    let disk = flushed();
    write(&disk, &[2], 1);
    disk.fail_operation(disk.operations(), Fault::Eio);
    check_errno(disk.flush(), libc::EIO);
    check_version(&disk, 2, 1);
    write(&disk, &[3], 1);
    disk.flush().expect("the disk flushes");
    let survivors = SEEDS.map(|seed| disk.after_power_loss(seed));
    let outcomes: BTreeSet<_> = survivors
        .map(|survivor| {
            check_version(&survivor, 3, 1);
            Vec::from_iter(versions_in(&survivor, 2, &[0, 1]))
        })
        .collect();
    assert_eq!(Vec::from_iter(outcomes), [vec![0], vec![0, 1], vec![1]]);
}

#[test]
fn a_later_write_that_was_flushed_lies_on_top_of_one_whose_flush_failed() {
    let disk = flushed();
    write(&disk, &[2], 1);
    disk.fail_operation(disk.operations(), Fault::Eio);
    check_errno(disk.flush(), libc::EIO);
    write(&disk, &[2], 2);
    disk.flush().expect("the disk flushes");
    assert_eq!(disk.unflushed(), 0);
    SEEDS.for_each(|seed| check_version(&disk.after_power_loss(seed), 2, 2));
}

/// Until then the cache shows the write, which is why an open drops the cache before it believes anything.
#[test]
fn a_dropped_cache_shows_what_became_of_writes_whose_flush_failed() {
    let mut outcomes = BTreeSet::new();
    for seed in SEEDS {
        let disk = flushed().after_power_loss(seed);
        write(&disk, &[2], 1);
        disk.fail_operation(disk.operations(), Fault::Eio);
        check_errno(disk.flush(), libc::EIO);
        write(&disk, &[3], 1);
        let disk = disk.after_kill();
        check_version(&disk, 2, 1);
        disk.drop_cache().expect("the disk is up");
        check_version(&disk, 3, 1);
        assert_eq!(disk.unflushed(), 1);
        let outcome = versions_in(&disk, 2, &[0, 1]);
        assert_eq!(
            versions_in(&disk.after_power_loss(0), 2, &[0, 1]),
            outcome,
            "what is visible is on the medium"
        );
        outcomes.insert(Vec::from_iter(outcome));
    }
    assert_eq!(Vec::from_iter(outcomes), [vec![0], vec![0, 1], vec![1]]);
}

#[test]
fn a_full_disk_refuses_to_grow_and_takes_what_fits() {
    let disk = flushed();
    disk.set_capacity(8);
    check_errno(disk.grow(9), libc::ENOSPC);
    assert_eq!(page_count(&disk), 6);
    disk.grow(8).expect("the disk has room");
    check_errno(try_write(&disk, &[7, 8], 1), libc::ENOSPC);
    check_version(&disk, 7, 1);
    assert_eq!(page_count(&disk), 8);
    check_errno(disk.after_power_loss(1).grow(9), libc::ENOSPC);
    check_errno(disk.after_kill().grow(9), libc::ENOSPC);
}

#[test]
fn a_lost_write_is_acknowledged_and_never_seen() {
    let disk = flushed();
    disk.lose_write(disk.operations() + 1);
    write(&disk, &[2, 3, 4], 1);
    disk.flush().expect("the disk flushes");
    for disk in [disk.after_kill(), disk.after_power_loss(1), disk] {
        check_version(&disk, 2, 1);
        check_version(&disk, 3, 0);
        check_version(&disk, 4, 1);
    }
}

#[test]
fn a_misdirected_write_is_acknowledged_and_found_elsewhere() {
    let disk = flushed();
    disk.misdirect_write(disk.operations() + 1, PageId(5));
    write(&disk, &[2, 3, 4], 1);
    disk.flush().expect("the disk flushes");
    for disk in [disk.after_kill(), disk.after_power_loss(1), disk] {
        check_version(&disk, 3, 0);
        assert!(disk.page(PageId(5)).bytes() == page_of(PageId(3), 1).bytes());
        check_version(&disk, 4, 1);
    }
}

#[test]
fn rot_stays_and_hits_its_bit_only() {
    let disk = flushed();
    write(&disk, &[3], 1);
    disk.flip_bit(PageId(2), 4096 * 8 - 1);
    disk.flip_bit(PageId(3), 9);
    for disk in [disk.after_kill(), disk.after_power_loss(1), disk.clone()] {
        for (id, version, byte, bit) in [(2, 0, 4095, 7), (3, 1, 1, 1)] {
            let mut expected = page_of(PageId(id), version);
            expected.bytes_mut()[byte] ^= 1 << bit;
            assert!(disk.page(PageId(id)).bytes() == expected.bytes(), "page {id}");
        }
    }
    let mut expected = page_of(PageId(3), 0);
    expected.bytes_mut()[1] ^= 2;
    assert!(disk.after_power_loss(0).page(PageId(3)).bytes() == expected.bytes());
}

#[test]
fn what_a_test_puts_on_the_medium_is_durable() {
    let disk = flushed();
    write(&disk, &[3], 1);
    disk.set_page(PageId(3), &page_of(PageId(3), 2));
    disk.set_file_len_bytes(4 * 4096 + 100);
    for disk in [disk.after_power_loss(0), disk.after_power_loss(1), disk.after_kill(), disk] {
        check_version(&disk, 3, 2);
        assert_eq!(page_count(&disk), 4);
        assert!(read(&disk, &[4])[0].is_err());
    }
}

#[test]
fn clones_are_handles_of_one_disk_and_copies_are_not() {
    let disk = flushed();
    let (handle, copy) = (disk.clone(), disk.after_kill());
    write(&disk, &[2], 1);
    check_version(&handle, 2, 1);
    check_version(&copy, 2, 0);
}

#[test]
fn the_styles_of_one_loss_and_of_one_survivor_are_those() {
    let disk = flushed();
    write(&disk, &[2, 3, 4], 1);
    for (first_seed, kept) in [(5, 2), (6, 1)] {
        // Styles come round every 6 seeds from 8 on, without the first two.
        for seed in [first_seed, first_seed + 6, first_seed + 12, first_seed + 18] {
            let survivor = disk.after_power_loss(seed);
            let pages =
                [2, 3, 4].map(|id| versions_in(&survivor, id, &[0, 1]).into_iter().collect::<Vec<_>>());
            assert_eq!(pages.iter().filter(|page| **page == [1]).count(), kept, "{pages:?}");
            assert_eq!(pages.iter().filter(|page| **page == [0]).count(), 3 - kept, "{pages:?}");
        }
    }
}

/// As in a file.
#[test]
fn a_write_beyond_the_end_lengthens_the_file() {
    let disk = flushed();
    write(&disk, &[8], 1);
    assert_eq!((page_count(&disk), disk.unflushed()), (9, 2));
    check_version(&disk, 8, 1);
    common::check_zeros(&disk, &[6, 7]);
    assert_eq!([0, 1].map(|seed| page_count(&disk.after_power_loss(seed))), [6, 9]);
}

/// A growth whose flush failed takes along what was written behind the old end, flushed or not.
#[test]
fn a_growth_whose_flush_failed_may_be_lost_with_what_it_made_room_for() {
    let mut lengths = BTreeSet::new();
    for seed in SEEDS {
        let disk = flushed().after_power_loss(seed);
        disk.grow(8).expect("the disk has room");
        disk.fail_operation(disk.operations(), Fault::Eio);
        check_errno(disk.flush(), libc::EIO);
        write(&disk, &[7], 1);
        disk.flush().expect("the disk flushes");
        disk.drop_cache().expect("the disk is up");
        lengths.insert(page_count(&disk));
        if page_count(&disk) == 6 {
            disk.grow(8).expect("the disk has room");
            disk.flush().expect("the disk flushes");
            common::check_zeros(&disk.after_power_loss(0), &[7]);
        } else {
            check_version(&disk, 7, 1);
        }
    }
    assert_eq!(Vec::from_iter(lengths), [6, 8]);
}
