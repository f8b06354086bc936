//! Databases that are filled before anybody may open them: refused until they are complete, and then complete at once.

mod common;
mod toy;

use std::fs;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use common::scratch_file;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{Birth, Options, PagerError};
use toy::{Cell, Cells, DATABASE_ID};

fn unfinished() -> Options {
    toy::quiet().unfinished(true)
}

fn state() -> Cells {
    (0..8).map(|value| Cell { value, pages: 1 + (value % 3) as u32 }).collect()
}

#[test]
fn an_unfinished_database_is_refused_until_it_is_complete() {
    let (_directory, path) = scratch_file();
    for complete in [false, true] {
        let pager = unfinished().create(&path, DATABASE_ID).unwrap();
        toy::fill(&pager, &state()).unwrap();
        if complete {
            pager.complete().unwrap();
        }
        // Neither closing nor a later commit makes it complete.
        toy::fill(&pager, &state()).unwrap();
        if complete {
            pager.close().unwrap();
            break;
        }
        drop(pager);
        let before = fs::read(&path).unwrap();
        for opened in [
            toy::quiet().open(&path),
            toy::quiet().open_read_only(&path),
            toy::quiet().open_or_create(&path, DATABASE_ID),
        ] {
            let refused = opened.expect_err("it is unfinished");
            assert!(matches!(refused, PagerError::UnfinishedCopy { path: ref named } if **named == *path));
            assert!(refused.to_string().contains("delete it"), "{refused}");
        }
        assert!(fs::read(&path).unwrap() == before, "it is as it was");
    }
    let pager = toy::quiet().open(&path).unwrap();
    assert_eq!(toy::read_all(&pager).unwrap(), state());
}

#[test]
fn either_header_of_a_complete_database_may_rot() {
    for rotten in [0, 1] {
        let (_directory, path) = scratch_file();
        let pager = unfinished().create(&path, DATABASE_ID).unwrap();
        toy::fill(&pager, &state()).unwrap();
        pager.complete().unwrap();
        drop(pager);
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.write_all_at(&[0xaa; 64], rotten * 4096 + 128).unwrap();
        let pager = toy::quiet().open(&path).unwrap_or_else(|error| panic!("page {rotten}: {error}"));
        assert_eq!(toy::read_all(&pager).unwrap(), state(), "page {rotten}");
    }
}

#[test]
fn after_a_power_cut_it_is_complete_or_refused() {
    let (mut complete, mut refused) = (0, 0);
    for operations in 0.. {
        let disk = DiskSim::new(operations);
        disk.crash_after(operations);
        let work = || {
            let pager = unfinished().create_on(Arc::new(disk.clone()), DATABASE_ID)?;
            toy::fill(&pager, &state())?;
            pager.complete()
        };
        let done = work().is_ok();
        for seed in 0..20 {
            match toy::open_on(&disk.after_power_loss(seed)) {
                Ok(pager) => {
                    assert_eq!(
                        toy::read_all(&pager).unwrap(),
                        state(),
                        "{operations} operations, seed {seed}"
                    );
                    complete += 1;
                }
                Err(PagerError::UnfinishedCopy { .. } | PagerError::UnfinishedCreate { .. }) => {
                    assert!(!done, "{operations} operations, seed {seed}: it was complete");
                    refused += 1;
                }
                Err(error) => panic!("{operations} operations, seed {seed}: {error}"),
            }
        }
        if done {
            break;
        }
    }
    assert!(complete > 20 && refused > 20, "{complete} complete, {refused} refused");
}

#[test]
fn only_an_unfinished_database_is_replaced() {
    let (_directory, path) = scratch_file();
    let pager = unfinished().create(&path, DATABASE_ID).unwrap();
    toy::fill(&pager, &state()).unwrap();
    let locked = unfinished().create(&path, DATABASE_ID);
    assert!(matches!(locked, Err(PagerError::FileLocked { .. })));
    drop(pager);
    let exists = toy::quiet().create(&path, DATABASE_ID);
    assert!(matches!(exists, Err(PagerError::AlreadyExists { .. })));
    let pager = unfinished().create(&path, DATABASE_ID).unwrap();
    assert_eq!(pager.published().roots.catalog, None, "it begins from scratch");
    pager.complete().unwrap();
    drop(pager);
    let exists = unfinished().create(&path, DATABASE_ID);
    assert!(matches!(exists, Err(PagerError::AlreadyExists { .. })));
    assert!(toy::quiet().open(&path).is_ok());
}

#[test]
fn births_begin_behind_the_first_one() {
    let first = Birth(1 << 40);
    let disk = DiskSim::new(1);
    let pager = toy::quiet().first_birth(first).create_on(Arc::new(disk.clone()), DATABASE_ID).unwrap();
    let begun = pager.begin().unwrap().birth();
    assert!(begun > first);
    toy::fill(&pager, &state()).unwrap();
    let filled = pager.published().birth;
    pager.close().unwrap();
    let pager = toy::open_on(&disk).unwrap();
    assert_eq!(toy::read_all(&pager).unwrap(), state());
    assert!(pager.begin().unwrap().birth() > filled && filled > begun);
}
