//! Files that are no database, or a damaged one, or not to be had: what an open says, and that it leaves them as they are. On
//! real files, with both ways of doing I/O; interrupted creations also on a simulated disk.

mod common;
mod toy;

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use common::{in_child, scratch_file};
use dynamite_pager::disk::BackendKind;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{Corruption, IoChoice, Options, PAGE_SIZE, Pager, PagerError, Result};
use toy::{Cell, Cells, DATABASE_ID, Random};
use xxhash_rust::xxh64::xxh64;

const BOTH_CHOICES: [IoChoice; 2] = [IoChoice::Uring, IoChoice::Syscall];

/// The ways of doing I/O that this machine has.
fn choices() -> Vec<IoChoice> {
    let (_directory, path) = scratch_file();
    let works = |choice: &IoChoice| {
        let created = options(*choice).create(&path, DATABASE_ID);
        let _ = fs::remove_file(&path);
        created.is_ok()
    };
    let choices: Vec<IoChoice> = BOTH_CHOICES.into_iter().filter(works).collect();
    assert!(choices.contains(&IoChoice::Syscall), "system calls work everywhere");
    choices
}

fn options(choice: IoChoice) -> Options {
    toy::quiet().io(choice)
}

fn state() -> Cells {
    (0..8).map(|value| Cell { value, pages: 1 + (value % 3) as u32 }).collect()
}

/// A database file with a state in it, closed.
fn database(path: &Path, choice: IoChoice) {
    let pager = options(choice).create(path, DATABASE_ID).expect("the file is created");
    toy::fill(&pager, &state()).expect("the device has room");
    pager.close().expect("the file is sealed");
}

/// Every way to open it that is not creation, one after the other.
fn opens(path: &Path, choice: IoChoice) -> impl Iterator<Item = (bool, Result<Pager>)> {
    [true, false].into_iter().map(move |writable| {
        let options = options(choice);
        (writable, if writable { options.open(path) } else { options.open_read_only(path) })
    })
}

/// All opens, creating ones too, are refused with this error, which names the file and says `essential`; and the file stays as
/// it is.
#[track_caller]
fn check_refused(path: &Path, choice: IoChoice, expected: fn(&PagerError) -> bool, essential: &str) {
    let before = fs::read(path).ok();
    let creating = options(choice).open_or_create(path, DATABASE_ID);
    for result in opens(path, choice).map(|(_, result)| result).chain([creating]) {
        check_error(result, path, expected, essential);
    }
    assert!(fs::read(path).ok() == before, "{} was written to", path.display());
}

#[track_caller]
fn check_error<T>(result: Result<T>, path: &Path, expected: fn(&PagerError) -> bool, essential: &str) {
    let Err(error) = result else { panic!("{} opened", path.display()) };
    assert!(expected(&error), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&path.display().to_string()) && text.contains(essential), "{text}");
}

fn is_foreign(error: &PagerError) -> bool {
    matches!(error, PagerError::NotADatabase { .. })
}

#[test]
fn a_file_of_somebody_else_is_refused_and_never_touched() {
    let mut random = Random(1);
    let mut noise = |bytes: usize| -> Vec<u8> { (0..bytes).map(|_| random.next() as u8).collect() };
    let page = |count: usize| vec![0_u8; count * PAGE_SIZE];
    let text = b"Dear diary, ".repeat(4000);
    let files: Vec<(&str, Vec<u8>)> = vec![
        ("a short text", b"Dear diary".to_vec()),
        ("100 zeros", vec![0; 100]),
        ("a text of one page", text[..PAGE_SIZE].to_vec()),
        ("a text of a page and a half", text[..PAGE_SIZE * 3 / 2].to_vec()),
        ("a text", text.clone()),
        ("noise", noise(1 << 20)),
        ("zeros", page(256)),
        // Small files that begin like an unfinished creation.
        ("a page of zeros and half a page of text", [page(1), text[..2048].to_vec()].concat()),
        ("two pages of zeros and a page of text", [page(2), text[..PAGE_SIZE].to_vec()].concat()),
        ("zeros and a text in the last of 16 pages", [page(15), text[..PAGE_SIZE].to_vec()].concat()),
        ("zeros and noise where the space root would be", [page(8), noise(PAGE_SIZE), page(7)].concat()),
        ("zeros and a few bytes behind the last page", [page(16), b"end".to_vec()].concat()),
    ];
    for choice in choices() {
        for (name, contents) in &files {
            let (_directory, path) = scratch_file();
            fs::write(&path, contents).expect("the file is written");
            let creating = options(choice).open_or_create(&path, DATABASE_ID);
            assert!(creating.as_ref().is_err_and(is_foreign), "{name}: {creating:?}");
            check_refused(&path, choice, is_foreign, "not a DynaMite database");
        }
    }
}

/// What `create` may leave behind, and nothing else, is finished by `open_or_create`; opening alone changes nothing.
#[test]
fn an_unfinished_creation_is_named_and_finished_anew() {
    // The state after each operation of a creation, in bytes.
    let mut files: Vec<Vec<u8>> = Vec::new();
    for operations in 0.. {
        let disk = DiskSim::new(operations);
        disk.crash_after(operations);
        let created = toy::create_on(&disk);
        for seed in 0..12 {
            let survivor = disk.after_power_loss(seed);
            if let Err(PagerError::UnfinishedCreate { .. }) = toy::open_on(&survivor.after_kill()) {
                files.push(bytes_of(&survivor));
            }
        }
        if created.is_ok() {
            break;
        }
    }
    files.sort();
    files.dedup();
    assert!(files.len() > 5, "{} files", files.len());
    files.push(vec![0; PAGE_SIZE]);
    for (which, contents) in files.iter().enumerate() {
        let choice = choices()[which % choices().len()];
        let (_directory, path) = scratch_file();
        fs::write(&path, contents).expect("the file is written");
        for (_, result) in opens(&path, choice) {
            check_error(
                result,
                &path,
                |error| matches!(error, PagerError::UnfinishedCreate { .. }),
                "creation",
            );
        }
        assert!(fs::read(&path).expect("the file is there") == *contents, "opening has changed the file");
        check_error(
            options(choice).create(&path, DATABASE_ID),
            &path,
            |error| matches!(error, PagerError::AlreadyExists { .. }),
            "exists",
        );
        let pager = options(choice).open_or_create(&path, DATABASE_ID).expect("it is finished");
        toy::fill(&pager, &state()).expect("the device has room");
        toy::assert_sound(&pager, "finished anew");
        drop(pager);
        let pager = options(choice).open_or_create(&path, *b"another database").expect("it is there now");
        assert_eq!(toy::read_all(&pager).expect("the file is whole"), state());
        assert_eq!(pager.database_id(), DATABASE_ID);
    }
}

fn bytes_of(disk: &DiskSim) -> Vec<u8> {
    let pages = dynamite_pager::disk::Disk::page_count(disk).expect("the disk is up") as u32;
    (0..pages).flat_map(|page| disk.page(dynamite_pager::PageId(page)).bytes().to_vec()).collect()
}

#[test]
fn a_creation_that_is_interrupted_anywhere_is_unfinished_or_complete() {
    for operations in 0.. {
        let disk = DiskSim::new(operations);
        disk.crash_after(operations);
        let created = toy::create_on(&disk);
        for seed in 0..100 {
            let survivor = disk.after_power_loss(seed);
            let context = format!("power lost after {operations} operations, seed {seed}");
            match toy::open_on(&survivor) {
                Ok(pager) => {
                    assert_eq!(toy::read_all(&pager).expect("it is empty"), [], "{context}");
                    toy::assert_sound(&pager, &context);
                }
                Err(PagerError::UnfinishedCreate { .. }) => {
                    assert!(created.is_err(), "{context}: the creation was acknowledged");
                    toy::create_on(&survivor).unwrap_or_else(|error| panic!("{context}: {error}"));
                }
                Err(error) => panic!("{context}: {error}"),
            }
        }
        if created.is_ok() {
            return;
        }
    }
}

#[test]
fn an_empty_file_is_an_unfinished_creation() {
    for choice in choices() {
        let (_directory, path) = scratch_file();
        fs::write(&path, "").expect("the file is written");
        for (_, result) in opens(&path, choice) {
            check_error(
                result,
                &path,
                |error| matches!(error, PagerError::UnfinishedCreate { .. }),
                "creation",
            );
        }
        options(choice).open_or_create(&path, DATABASE_ID).expect("nothing is in the way");
        options(choice).open(&path).expect("it is a database now");
    }
}

/// A small database that lost both headers is damaged, however much it looks as if it had never been finished.
#[test]
fn a_database_without_headers_is_never_taken_for_an_unfinished_creation() {
    for choice in choices() {
        let (_directory, path) = scratch_file();
        let pager = options(choice).create(&path, DATABASE_ID).expect("the file is created");
        toy::fill(&pager, &[Cell::of(1), Cell::of(2)]).expect("the device has room");
        pager.close().expect("the file is sealed");
        let whole = fs::read(&path).expect("the file is there");
        for keeps_magic in [false, true] {
            let mut contents = whole.clone();
            contents[..2 * PAGE_SIZE].fill(0);
            if keeps_magic {
                contents[PAGE_SIZE + 32..][..4].copy_from_slice(b"DYNA");
            }
            // The smallest file that can hold it.
            contents.truncate(16 * PAGE_SIZE);
            fs::write(&path, &contents).expect("the file is written");
            check_refused(
                &path,
                choice,
                |error| matches!(error, PagerError::NoValidHeader { .. } | PagerError::NotADatabase { .. }),
                "header",
            );
        }
    }
}

/// Changes a field of both headers, with good checksums.
fn patch_headers(path: &Path, offset: usize, field: &[u8]) {
    let mut contents = fs::read(path).expect("the file is there");
    for (place, header) in contents[..2 * PAGE_SIZE].chunks_exact_mut(PAGE_SIZE).enumerate() {
        header[offset..][..field.len()].copy_from_slice(field);
        let checksum = xxh64(&header[8..], place as u64);
        header[..8].copy_from_slice(&checksum.to_le_bytes());
    }
    fs::write(path, contents).expect("the file is written");
}

/// See the table in `format/header.rs`.
#[test]
fn files_of_other_builds_are_refused_by_name() {
    for choice in choices() {
        let (_directory, path) = scratch_file();
        let fresh = || {
            let _ = fs::remove_file(&path);
            database(&path, choice);
        };
        fresh();
        patch_headers(&path, 36, &7_u32.to_le_bytes());
        let newer = |error: &PagerError| matches!(error, PagerError::NewerVersion { version: 7, .. });
        check_refused(&path, choice, newer, "version 7");

        fresh();
        patch_headers(&path, 40, &8192_u32.to_le_bytes());
        let large = |error: &PagerError| matches!(error, PagerError::PageSize { page_size: 8192, .. });
        check_refused(&path, choice, large, "8192");

        fresh();
        patch_headers(&path, 64, &0x10_u64.to_le_bytes());
        let unknown = |error: &PagerError| {
            matches!(error, PagerError::UnknownFeatures { bits: 0x10, read_only_would_do: false, .. })
        };
        check_refused(&path, choice, unknown, "0x10");

        // Fine for reading.
        fresh();
        patch_headers(&path, 56, &0x20_u64.to_le_bytes());
        let before = fs::read(&path).expect("the file is there");
        for result in [options(choice).open(&path), options(choice).open_or_create(&path, DATABASE_ID)] {
            let unknown = |error: &PagerError| {
                matches!(error, PagerError::UnknownFeatures { bits: 0x20, read_only_would_do: true, .. })
            };
            check_error(result, &path, unknown, "read-only");
        }
        let reader = options(choice).open_read_only(&path).expect("reading is possible");
        assert_eq!(toy::read_all(&reader).expect("the file is whole"), state());
        drop(reader);
        assert!(fs::read(&path).expect("the file is there") == before);

        // Fine for everybody.
        fresh();
        patch_headers(&path, 48, &u64::MAX.to_le_bytes());
        for (_, result) in opens(&path, choice) {
            assert_eq!(toy::read_all(&result.expect("it opens")).expect("the file is whole"), state());
        }
    }
}

#[test]
fn a_file_that_was_cut_behind_its_headers_is_truncated() {
    for choice in choices() {
        let (_directory, path) = scratch_file();
        database(&path, choice);
        let counted = options(choice).open_read_only(&path).expect("it opens").stats().page_count;
        let whole = fs::read(&path).expect("the file is there");
        for pages in [2, 3, counted - 1] {
            for rest in [0, 100] {
                fs::write(&path, &whole[..pages as usize * PAGE_SIZE + rest]).expect("the file is written");
                let truncated = |error: &PagerError| matches!(error, PagerError::Truncated { .. });
                check_refused(&path, choice, truncated, &format!("{pages} pages"));
            }
        }
        // What is behind the last page that counts is not missed.
        fs::write(&path, &whole[..counted as usize * PAGE_SIZE]).expect("the file is written");
        for (_, result) in opens(&path, choice) {
            assert_eq!(toy::read_all(&result.expect("it opens")).expect("the file is whole"), state());
        }
    }
}

#[test]
fn damage_is_named_with_file_page_and_check() {
    for choice in choices() {
        let (_directory, path) = scratch_file();
        database(&path, choice);
        let root = {
            let pager = options(choice).open(&path).expect("it opens");
            toy::pages_of(&pager)[0].0
        };
        let mut contents = fs::read(&path).expect("the file is there");
        contents[root.0 as usize * PAGE_SIZE + 4000] ^= 4;
        fs::write(&path, &contents).expect("the file is written");
        for (_, result) in opens(&path, choice) {
            let pager = result.expect("nobody has looked at the page yet");
            let corrupt = |error: &PagerError| {
                matches!(error, PagerError::Corrupt { source: Corruption::Checksum { .. }, .. })
            };
            let error = toy::read_all(&pager).expect_err("the page is damaged");
            assert!(error.to_string().contains(&format!("page {root} ")), "{error}");
            check_error::<()>(Err(error), &path, corrupt, "checksum");
        }
    }
}

const LOCKED_PATH: &str = "DYNAMITE_TEST_LOCKED_PATH";

/// By another handle, and by another process.
#[test]
fn a_file_in_use_is_locked() {
    let locked = |error: &PagerError| matches!(error, PagerError::FileLocked { .. });
    if let Some(path) = std::env::var_os(LOCKED_PATH) {
        let path = PathBuf::from(path);
        check_error(Options::new().open(&path), &path, locked, "locked");
        check_error(Options::new().open_read_only(&path), &path, locked, "locked");
        return;
    }
    let (_directory, path) = scratch_file();
    let choices = choices();
    database(&path, choices[0]);
    let writer = options(choices[0]).open(&path).expect("nobody else has it");
    for choice in &choices {
        for (_, result) in opens(&path, *choice) {
            check_error(result, &path, locked, "locked");
        }
    }
    let text = path.display().to_string();
    assert!(!in_child("a_file_in_use_is_locked", &[(LOCKED_PATH, &text)]));
    drop(writer);
    let reader = options(choices[0]).open_read_only(&path).expect("nobody else has it");
    check_error(options(choices[0]).open(&path), &path, locked, "locked");
    let other = options(choices[0]).open_read_only(&path).expect("readers share it");
    assert_eq!(toy::read_all(&other).expect("whole"), toy::read_all(&reader).expect("whole"));
}

/// After a clean close, after a kill, and after a power cut that left the newest commit incomplete.
#[test]
fn a_read_only_open_changes_not_one_byte() {
    let disk = DiskSim::new(5);
    let pager = toy::create_on(&disk).expect("nothing fails");
    toy::fill(&pager, &state()).expect("nothing fails");
    let mut newest = state();
    newest[2] = Cell::of(222);
    toy::commit(&pager, &[(2, newest[2])]).expect("nothing fails");
    let unsealed = bytes_of(&disk);
    disk.crash_after(disk.operations() + 3);
    toy::commit(&pager, &[(4, Cell::of(444)), (5, Cell::of(555))]).expect_err("the power goes");
    let mut incomplete: Vec<Vec<u8>> = (0..40).map(|seed| bytes_of(&disk.after_power_loss(seed))).collect();
    incomplete.dedup();
    for (which, contents) in std::iter::once(&unsealed).chain(&incomplete).enumerate() {
        let choice = choices()[which % choices().len()];
        let (_directory, path) = scratch_file();
        fs::write(&path, contents).expect("the file is written");
        for _ in 0..2 {
            let pager = options(choice).open_read_only(&path).expect("it opens");
            let found = toy::read_all(&pager).expect("the file is whole");
            assert!(found == newest || which > 0 && found[4] == Cell::of(444), "{found:?}");
            let refusals =
                [pager.begin().map(drop), pager.commit_group().map(drop), pager.seal(), pager.maintain()];
            for result in refusals {
                check_error(result, &path, |error| matches!(error, PagerError::ReadOnly { .. }), "read-only");
            }
            toy::audit(&pager);
            pager.close().expect("there is nothing to do");
            assert!(fs::read(&path).expect("the file is there") == *contents, "the file has changed");
        }
        drop(options(choice).open(&path).expect("a writer heals it"));
        assert!(fs::read(&path).expect("the file is there") != *contents, "nothing was healed");
    }
}

#[test]
fn what_is_no_regular_file_is_named_at_once() {
    let (directory, fifo) = scratch_file();
    let socket = directory.path().join("socket");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs");
    assert!(made.success());
    let _listener = UnixListener::bind(&socket).expect("the socket is bound");
    let things = [
        (directory.path(), "a directory"),
        (&fifo, "a FIFO"),
        (&socket, "a socket"),
        (Path::new("/dev/null"), "a device"),
        (Path::new("/dev/zero"), "a device"),
    ];
    for choice in choices() {
        for (path, kind) in things {
            let creating = options(choice).open_or_create(path, DATABASE_ID);
            for result in opens(path, choice).map(|(_, result)| result).chain([creating]) {
                check_error(result, path, |error| matches!(error, PagerError::NotAFile { .. }), kind);
            }
        }
    }
}

#[test]
fn what_is_missing_is_not_found() {
    let missing = |error: &PagerError| matches!(error, PagerError::NotFound { .. });
    for choice in choices() {
        let (directory, path) = scratch_file();
        for (_, result) in opens(&path, choice) {
            check_error(result, &path, missing, "does not exist");
        }
        assert!(!path.exists(), "opening has created it");

        let link = directory.path().join("link");
        symlink(&path, &link).expect("the link is made");
        for (_, result) in opens(&link, choice) {
            check_error(result, &link, missing, "does not exist");
        }
        // It says that there is something, and not what is there.
        let creating = options(choice).open_or_create(&link, DATABASE_ID);
        assert!(creating.is_err(), "nobody knows where this would be");
        assert!(!path.exists(), "somebody else's file was created");

        let nowhere = directory.path().join("nowhere").join("db");
        for (_, result) in opens(&nowhere, choice) {
            check_error(result, &nowhere, missing, "does not exist");
        }
        for result in [
            options(choice).create(&nowhere, DATABASE_ID),
            options(choice).open_or_create(&nowhere, DATABASE_ID),
        ] {
            check_error(result, nowhere.parent().expect("it has one"), missing, "does not exist");
        }

        database(&path, choice);
        let reader = options(choice).open_read_only(&link).expect("the link leads somewhere now");
        assert_eq!(toy::read_all(&reader).expect("the file is whole"), state());
    }
}

/// Memory file systems of older kernels refuse O_DIRECT; then the cache of the kernel stands between, and is said to.
#[test]
fn a_file_system_without_direct_io_works_all_the_same() {
    for directory in ["/dev/shm", env!("CARGO_TARGET_TMPDIR")] {
        let Ok(directory) = tempfile::TempDir::new_in(directory) else { continue };
        let path = directory.path().join("db");
        for choice in choices() {
            database(&path, choice);
            for (writable, result) in opens(&path, choice) {
                let pager = result.expect("it opens");
                let backend = pager.stats().backend;
                let kind = if choice == IoChoice::Uring { BackendKind::Uring } else { BackendKind::Syscall };
                assert_eq!(backend.kind, kind, "writable: {writable}");
                assert_eq!(backend.reason.contains("O_DIRECT is refused"), !backend.direct, "{backend:?}");
                assert_eq!(toy::read_all(&pager).expect("the file is whole"), state());
                if writable {
                    toy::commit(&pager, &[(1, state()[1])]).expect("the device has room");
                    toy::assert_sound(&pager, "on another file system");
                }
            }
            fs::remove_file(&path).expect("the file is there");
        }
    }
}

#[test]
fn a_creation_without_space_can_be_repeated() {
    let disk = DiskSim::new(1);
    disk.set_capacity(8);
    let error = toy::create_on(&disk).expect_err("there is no room");
    assert!(error.to_string().contains(":memory:"), "{error}");
    disk.set_capacity(u64::MAX);
    toy::assert_sound(&toy::create_on(&disk).expect("there is room"), "at the second attempt");
}
