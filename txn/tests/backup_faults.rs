//! Backups that do not come to an end: nothing is left, the original is none the worse, and what a crash leaves is never taken
//! for a copy.

mod common;
mod copies;

use std::fs;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use common::*;
use copies::{COPY_ID, go_on};
use dynamite_pager::disk::sim::{DiskSim, Fault};
use dynamite_txn::backup::{Progress, Tell};
use dynamite_txn::{PagerError, Result, Retention, Store, TableId, TreeError, TxnError};
use tempfile::TempDir;

fn scratch() -> TempDir {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// The names in a directory.
fn names(directory: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(directory.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Fills a database with some MiB, more than is read or written in one go.
fn fill_large(store: &Store) -> TableId {
    store
        .write(|txn| {
            let table = txn.create_table(b"t", b"", Retention::None)?;
            (0..3_000_u32).try_for_each(|number| txn.put(table, &number.to_be_bytes(), &[1; 2_048]))?;
            Ok::<_, TxnError>(table)
        })
        .unwrap()
}

/// A small database with something of everything.
fn small() -> (Store, World) {
    let store = options().in_memory(DATABASE_ID).unwrap();
    let (mut client, mut world) = (Client::new(5), World::new());
    for _ in 0..30 {
        store.write(|txn| client.changes(txn, &mut world)).unwrap();
    }
    (store, world)
}

/// The kinds of backups. They end badly in the same way.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Pages,
    Records,
}

impl Kind {
    const BOTH: [Kind; 2] = [Kind::Pages, Kind::Records];

    fn backup(self, store: &Store, path: &Path, tell: Tell<'_>) -> Result<Progress> {
        match self {
            Kind::Pages => store.backup(path, COPY_ID, tell),
            Kind::Records => store.snapshot()?.backup(path, COPY_ID, tell),
        }
    }

    fn backup_on(self, store: &Store, disk: &DiskSim) -> Result<Progress> {
        let disk = Arc::new(disk.clone());
        match self {
            Kind::Pages => store.backup_on(disk, COPY_ID, &mut go_on),
            Kind::Records => store.snapshot()?.backup_on(disk, COPY_ID, &mut go_on),
        }
    }
}

fn pager_error(error: TxnError) -> PagerError {
    match error {
        TxnError::Tree(TreeError::Pager(error)) => error,
        other => panic!("{other}"),
    }
}

#[test]
fn a_damaged_page_of_the_original_ends_it_and_nothing_is_left() {
    let directory = scratch();
    let original = directory.path().join("original");
    let store = options().create(&original, DATABASE_ID).unwrap();
    fill_large(&store);
    let pages = store.stats().page_count;
    store.close().unwrap();
    let file = fs::OpenOptions::new().read(true).write(true).open(&original).unwrap();
    let mut refused = 0;
    let places = (16..pages).step_by(pages as usize / 12);
    for (page, kind) in places.flat_map(|page| Kind::BOTH.map(|kind| (page, kind))) {
        let mut kept = [0; 8];
        file.read_exact_at(&mut kept, page * 4096 + 2_000).unwrap();
        file.write_all_at(&kept.map(|byte| !byte), page * 4096 + 2_000).unwrap();
        let store = options().open_read_only(&original).unwrap();
        match kind.backup(&store, &directory.path().join("copy"), &mut go_on) {
            // A page that holds nothing.
            Ok(_) => fs::remove_file(directory.path().join("copy")).unwrap(),
            Err(error) => match pager_error(error) {
                PagerError::Corrupt { page: named, path, .. } => {
                    assert_eq!((u64::from(named.0), &*path), (page, &*original));
                    refused += 1;
                }
                other => panic!("{kind:?}, page {page}: {other}"),
            },
        }
        assert_eq!(names(&directory), ["original"]);
        file.write_all_at(&kept, page * 4096 + 2_000).unwrap();
    }
    assert!(refused >= 16, "{refused} pages were found to be damaged");
}

#[test]
fn a_backup_can_be_cancelled_at_any_time_and_nothing_is_left() {
    let directory = scratch();
    let store = options().in_memory(DATABASE_ID).unwrap();
    fill_large(&store);
    for kind in Kind::BOTH {
        cancel(&directory, &store, kind);
    }
    assert_eq!(store.snapshots_held(), 0);
}

fn cancel(directory: &TempDir, store: &Store, kind: Kind) {
    let path = directory.path().join("copy");
    for portions in 0.. {
        let (mut told, mut last) = (0, Progress::default());
        let outcome = kind.backup(store, &path, &mut |progress| {
            assert_eq!(names(directory), ["copy.partial"]);
            assert!(progress.items >= last.items && progress.bytes >= last.bytes);
            assert_eq!(progress.of_items, 3_000);
            match kind {
                // Each payload has a page of its own.
                Kind::Pages => assert!((3_000..3_100).contains(&(progress.of_bytes / 4_096))),
                Kind::Records => assert_eq!(progress.of_bytes, 3_000 * 2_052),
            }
            (told, last) = (told + 1, progress);
            if told > portions { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match outcome {
            Ok(copied) => {
                let least = if matches!(kind, Kind::Pages) { 3 } else { 8 };
                assert!(portions > least, "{kind:?}: only {portions} portions");
                assert_eq!((copied, copied.items, copied.bytes), (last, last.of_items, last.of_bytes));
                assert_eq!(names(directory), ["copy"]);
                fs::remove_file(path).unwrap();
                break;
            }
            Err(TxnError::Cancelled) => assert_eq!(names(directory), [""; 0]),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_panic_of_whoever_is_told_leaves_nothing_either() {
    let directory = scratch();
    let store = options().in_memory(DATABASE_ID).unwrap();
    fill_large(&store);
    for (kind, calls) in [(Kind::Pages, 1), (Kind::Pages, 2), (Kind::Records, 1), (Kind::Records, 2)] {
        let mut told = 0;
        let backup = || {
            kind.backup(&store, &directory.path().join("copy"), &mut |_| {
                told += 1;
                if told == calls { panic!("told") } else { ControlFlow::Continue(()) }
            })
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(backup)).is_err());
        assert_eq!(names(&directory), [""; 0]);
    }
}

#[test]
fn whatever_stands_at_the_path_is_left_alone_and_named() {
    Kind::BOTH.into_iter().for_each(meet_another_file);
}

fn meet_another_file(kind: Kind) {
    let directory = scratch();
    let (store, _) = small();
    let path = directory.path().join("copy");
    let refused = |store: &Store| match pager_error(kind.backup(store, &path, &mut go_on).unwrap_err()) {
        PagerError::AlreadyExists { path: named } => assert_eq!(&*named, &*path),
        other => panic!("{other}"),
    };
    fs::write(&path, b"something else").unwrap();
    refused(&store);
    assert_eq!(fs::read(&path).unwrap(), b"something else");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("nowhere", &path).unwrap();
    refused(&store);
    fs::remove_file(&path).unwrap();
    // Somebody comes first although there was nothing at the beginning.
    let late = kind.backup(&store, &path, &mut |_| {
        fs::write(&path, b"somebody else's").unwrap();
        ControlFlow::Continue(())
    });
    assert!(
        matches!(pager_error(late.unwrap_err()), PagerError::AlreadyExists { path: named } if *named == *path)
    );
    assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
    assert_eq!(names(&directory), ["copy"]);

    let nowhere = directory.path().join("no such directory/copy");
    let error = pager_error(kind.backup(&store, &nowhere, &mut go_on).unwrap_err());
    assert!(matches!(error, PagerError::NotFound { path } if *path == *nowhere.parent().unwrap()));
}

#[test]
fn what_a_crash_left_is_refused_by_an_open_and_replaced_by_the_next_backup() {
    Kind::BOTH.into_iter().for_each(crash_in_the_midst);
}

fn crash_in_the_midst(kind: Kind) {
    let directory = scratch();
    let (store, world) = small();
    let path = directory.path().join("copy");
    let partial = directory.path().join("copy.partial");
    // A crash keeps what is there in the midst of it.
    kind.backup(&store, &path, &mut |_| {
        fs::copy(&partial, directory.path().join("kept")).unwrap();
        ControlFlow::Continue(())
    })
    .unwrap();
    fs::remove_file(&path).unwrap();
    fs::rename(directory.path().join("kept"), &partial).unwrap();
    for writable in [true, false] {
        let opened = if writable { options().open(&partial) } else { options().open_read_only(&partial) };
        assert!(matches!(pager_error(opened.unwrap_err()), PagerError::UnfinishedCopy { .. }));
    }
    kind.backup(&store, &path, &mut go_on).unwrap();
    assert_eq!(names(&directory), ["copy"]);
    check_newest(&options().open(&path).unwrap(), &world, "the second attempt");
}

#[test]
fn a_partial_file_that_is_not_one_or_belongs_to_somebody_is_left_alone() {
    Kind::BOTH.into_iter().for_each(meet_another_partial_file);
}

fn meet_another_partial_file(kind: Kind) {
    let directory = scratch();
    let (store, _) = small();
    let path = directory.path().join("copy");
    let partial = directory.path().join("copy.partial");
    let attempt = || pager_error(kind.backup(&store, &path, &mut go_on).unwrap_err());
    fs::write(&partial, [7; 20_000]).unwrap();
    assert!(matches!(attempt(), PagerError::NotADatabase { .. }));
    assert_eq!(fs::read(&partial).unwrap(), [7; 20_000]);
    fs::remove_file(&partial).unwrap();

    let complete = options().create(&partial, DATABASE_ID).unwrap();
    assert!(matches!(attempt(), PagerError::FileLocked { path } if *path == *partial));
    complete.close().unwrap();
    assert!(matches!(attempt(), PagerError::AlreadyExists { path } if *path == *partial));
    assert!(options().open(&partial).is_ok());
    fs::remove_file(&partial).unwrap();

    // Two at a time.
    let mut second = None;
    kind.backup(&store, &path, &mut |_| {
        second = Some(attempt());
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(matches!(second, Some(PagerError::FileLocked { path }) if *path == *partial));
    assert_eq!(names(&directory), ["copy"]);
}

/// What is on a disk: nothing that opens, or the whole copy.
#[track_caller]
fn check_all_or_nothing(disk: &DiskSim, expected: &World, context: &str) -> bool {
    match open_on(disk) {
        Ok(copy) => {
            check_newest(&copy, expected, context);
            check_sound(&copy, context);
            true
        }
        Err(error) => match pager_error(error) {
            PagerError::UnfinishedCopy { .. } | PagerError::UnfinishedCreate { .. } => false,
            other => panic!("{context}: {other}"),
        },
    }
}

#[test]
fn after_a_power_cut_there_is_the_whole_copy_or_none() {
    // The second one is more than is written in one go.
    let large = options().in_memory(DATABASE_ID).unwrap();
    fill_large(&large);
    let large_world = read_world(&mut large.read().unwrap()).unwrap();
    let (small, small_world) = small();
    for (kind, step) in [(Kind::Pages, 13), (Kind::Records, 43)] {
        cut_power(kind, &small, &small_world, 1);
        cut_power(kind, &large, &large_world, step);
    }
}

fn cut_power(kind: Kind, store: &Store, world: &World, step: usize) {
    let (mut whole, mut none) = (0, 0);
    for operations in (0..).step_by(step) {
        let disk = DiskSim::new(operations);
        disk.crash_after(operations);
        let done = kind.backup_on(store, &disk).is_ok();
        for survivor in 0..6 {
            let context = format!("{kind:?}: power cut after {operations} operations, survivor {survivor}");
            let found = check_all_or_nothing(&disk.after_power_loss(survivor), world, &context);
            assert!(found || !done, "{context}: it was complete");
            if found { whole += 1 } else { none += 1 }
        }
        check_all_or_nothing(&disk.after_kill(), world, &format!("killed after {operations} operations"));
        if done {
            break;
        }
    }
    assert!(whole >= 6 && none > 50, "{kind:?}: {whole} whole, {none} none");
}

#[test]
fn a_failing_disk_ends_it_and_the_original_goes_on() {
    let (store, mut world) = small();
    let mut client = Client::new(6);
    let faults = [Fault::Eio, Fault::Enospc, Fault::Short];
    for (kind, fault) in Kind::BOTH.into_iter().flat_map(|kind| faults.map(|fault| (kind, fault))) {
        // The original is another one each time.
        let whole = DiskSim::new(1);
        kind.backup_on(&store, &whole).unwrap();
        let count = whole.operations();
        for operation in 0..count {
            let disk = DiskSim::new(operation);
            disk.fail_operation(operation, fault);
            let outcome = kind.backup_on(&store, &disk);
            let context = format!("{kind:?}, {fault:?} at operation {operation} of {count}");
            // Growth that fails for want of space is tried again with less.
            assert!(outcome.is_err() || fault == Fault::Enospc, "{context}: not noticed");
            let survivor = disk.after_power_loss(operation);
            let found = check_all_or_nothing(&survivor, &world, &context);
            assert!(found || outcome.is_err(), "{context}");
        }
        store.write(|txn| client.changes(txn, &mut world)).unwrap();
        check_newest(&store, &world, "the original");
    }
    check_sound(&store, "the original");
}

#[test]
fn a_full_device_is_named_and_the_original_goes_on() {
    let store = options().in_memory(DATABASE_ID).unwrap();
    let table = fill_large(&store);
    let capacities = [4, 16, 20, 100, 700];
    for (kind, capacity) in Kind::BOTH.into_iter().flat_map(|kind| capacities.map(|pages| (kind, pages))) {
        let disk = DiskSim::new(capacity);
        disk.set_capacity(capacity);
        let error = kind.backup_on(&store, &disk).unwrap_err();
        assert!(error.to_string().contains("grow"), "{kind:?}, {capacity} pages: {error}");
    }
    store.write(|txn| txn.put(table, b"later", b"")).unwrap();
    check_sound(&store, "the original");
}

#[test]
fn a_database_is_not_backed_up_onto_itself() {
    let directory = scratch();
    let original = directory.path().join("original");
    let store = options().create(&original, DATABASE_ID).unwrap();
    for kind in Kind::BOTH {
        let error = pager_error(kind.backup(&store, &original, &mut go_on).unwrap_err());
        assert!(matches!(error, PagerError::AlreadyExists { path } if *path == *original));
    }
    assert!(store.write(|txn| txn.create_table(b"t", b"", Retention::None)).is_ok());
}
