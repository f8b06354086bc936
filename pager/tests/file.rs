//! Opening and creating the file: locks, what is not a database file, what is said about the I/O in use.

mod common;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dynamite_pager::disk::file::{self, IoChoice};
use dynamite_pager::disk::{BackendKind, Disk};
use dynamite_pager::error::{IoOperation, PagerError};

const READ_ONLY: bool = false;
const WRITABLE: bool = true;

fn open(path: &Path, writable: bool) -> Result<Arc<dyn Disk>, PagerError> {
    file::open(path, writable, IoChoice::Auto)
}

fn create(path: &Path) -> Arc<dyn Disk> {
    file::create(path, IoChoice::Auto).expect("the file is created")
}

/// What opening ends with, in the words of the error.
#[track_caller]
fn check_refused(path: &Path, expected: fn(&PagerError) -> bool, message: &str) {
    for writable in [READ_ONLY, WRITABLE] {
        let error = open(path, writable).expect_err("this is not to be opened");
        assert!(expected(&error), "{error:?}");
        assert_eq!(error.to_string(), message.replace("PATH", &path.display().to_string()));
    }
}

#[test]
fn a_created_file_is_empty_and_opens_again_with_its_contents() {
    let (_directory, path) = common::scratch_file();
    let disk = create(&path);
    assert_eq!(disk.page_count().expect("the file has a length"), 0);
    disk.grow(4).expect("the disk has room");
    common::write(&*disk, &[0, 1, 3], 7);
    disk.flush().expect("the disk flushes");
    file::sync_directory(&path).expect("the directory is flushed");
    drop(disk);
    for writable in [READ_ONLY, WRITABLE] {
        let disk = open(&path, writable).expect("the file opens");
        assert_eq!(disk.page_count().expect("the file has a length"), 4);
        common::check_version(&*disk, &[0, 1, 3], 7);
        common::check_zeros(&*disk, &[2]);
    }
}

#[test]
fn a_file_that_exists_is_not_created() {
    let (_directory, path) = common::scratch_file();
    fs::write(&path, "precious").expect("the file is written");
    let error = file::create(&path, IoChoice::Auto).expect_err("the file exists");
    assert!(matches!(error, PagerError::AlreadyExists { .. }), "{error:?}");
    assert_eq!(fs::read(&path).expect("the file is there"), b"precious");
}

#[test]
fn a_missing_parent_directory_is_named() {
    let (directory, _) = common::scratch_file();
    let parent = directory.path().join("missing");
    let error = file::create(&parent.join("db"), IoChoice::Auto).expect_err("there is no such directory");
    assert!(matches!(&error, PagerError::NotFound { path } if **path == *parent), "{error:?}");
}

/// Whatever mask the process has.
#[test]
fn a_created_file_obeys_the_umask() {
    let (directory, path) = common::scratch_file();
    let other = directory.path().join("other");
    drop(create(&path));
    fs::write(&other, "").expect("the file is written");
    let mode = |path: &Path| fs::metadata(path).expect("the file is there").permissions().mode();
    assert_eq!(mode(&path), mode(&other));
}

#[test]
fn a_missing_file_is_not_found() {
    let (_directory, path) = common::scratch_file();
    check_refused(&path, |error| matches!(error, PagerError::NotFound { .. }), "PATH does not exist");
    assert!(!path.exists());
}

#[test]
fn what_is_not_a_regular_file_is_named_and_nobody_waits_for_it() {
    let (directory, fifo) = common::scratch_file();
    let socket = directory.path().join("socket");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo runs");
    assert!(made.success());
    let _listener = UnixListener::bind(&socket).expect("the socket is bound");
    let things = [
        (directory.path(), "a directory"),
        (&fifo, "a FIFO"),
        (&socket, "a socket"),
        (Path::new("/dev/null"), "a device"),
    ];
    for (path, kind) in things {
        check_refused(
            path,
            |error| matches!(error, PagerError::NotAFile { .. }),
            &format!("PATH is {kind}, not a regular file"),
        );
    }
}

#[test]
fn a_path_through_a_file_is_refused_by_the_system() {
    let (_directory, path) = common::scratch_file();
    drop(create(&path));
    let error = open(&path.join("db"), READ_ONLY).expect_err("a file has no entries");
    assert!(matches!(error, PagerError::Io { operation: IoOperation::Open, .. }), "{error:?}");
}

/// The lock belongs to the handle, so it excludes this process too.
#[test]
fn a_writer_excludes_everybody_for_as_long_as_it_lives() {
    let (_directory, path) = common::scratch_file();
    let check_locked = || {
        check_refused(
            &path,
            |error| matches!(error, PagerError::FileLocked { .. }),
            "PATH is locked by another process or handle; close it there first, or share it through dynamite-server",
        );
    };
    let disk = create(&path);
    check_locked();
    drop(disk);
    let disk = open(&path, WRITABLE).expect("nobody else has the file");
    let same = disk.clone();
    drop(disk);
    check_locked();
    drop(same);
    open(&path, WRITABLE).expect("nobody else has the file");
}

#[test]
fn readers_share_the_file_and_exclude_a_writer() {
    let (_directory, path) = common::scratch_file();
    drop(create(&path));
    let first = open(&path, READ_ONLY).expect("nobody writes");
    let second = open(&path, READ_ONLY).expect("nobody writes");
    drop(first);
    let error = open(&path, WRITABLE).expect_err("there is a reader");
    assert!(matches!(error, PagerError::FileLocked { .. }), "{error:?}");
    drop(second);
    open(&path, WRITABLE).expect("nobody else has the file");
}

/// A process that was killed may hold its lock for a moment.
#[test]
fn a_lock_that_is_given_up_soon_is_waited_for() {
    let (_directory, path) = common::scratch_file();
    let mut disk = create(&path);
    // One round does, unless this machine is so busy that a few milliseconds here are hundreds there.
    for _ in 0..20 {
        let opened = std::thread::scope(|scope| {
            let opener = scope.spawn(|| open(&path, WRITABLE));
            std::thread::sleep(Duration::from_millis(20));
            drop(disk);
            opener.join().expect("opening does not panic")
        });
        match opened {
            Ok(_) => return,
            Err(PagerError::FileLocked { .. }) => {
                disk = open(&path, WRITABLE).expect("the lock was given up")
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("nobody waits for the lock");
}

/// The file that was opened is locked by whoever puts another one in its place: what counts is what the path names
/// after the lock was had.
#[test]
fn a_file_that_was_replaced_under_its_lock_is_opened_anew() {
    let (directory, path) = common::scratch_file();
    let replacement = directory.path().join("replacement");
    for _ in 0..5 {
        let old = create(&path);
        let new = create(&replacement);
        new.grow(9).expect("the disk has room");
        drop(new);
        std::thread::scope(|scope| {
            let opener = scope.spawn(|| open(&path, WRITABLE));
            std::thread::sleep(Duration::from_millis(5));
            fs::rename(&replacement, &path).expect("the file is replaced");
            drop(old);
            match opener.join().expect("opening does not panic") {
                Ok(disk) => assert_eq!(disk.page_count().expect("the file has a length"), 9),
                Err(error) => assert!(matches!(error, PagerError::FileLocked { .. }), "{error:?}"),
            }
        });
        fs::remove_file(&path).expect("the file is removed");
    }
}

#[test]
fn a_read_only_disk_refuses_to_write() {
    let (_directory, path) = common::scratch_file();
    create(&path).grow(3).expect("the disk has room");
    let disk = open(&path, READ_ONLY).expect("the file opens");
    assert!(common::try_write(&*disk, &[0], 1).is_err());
    assert!(common::try_write(&*disk, &[0, 2], 1).is_err());
    assert!(disk.grow(4).is_err());
    common::check_zeros(&*disk, &[0, 1, 2]);
}

/// A torn growth may leave any length behind.
#[test]
fn a_part_of_a_page_at_the_end_does_not_count_and_does_not_show() {
    for choice in [IoChoice::Auto, IoChoice::Syscall] {
        for rest in [1, 511, 512, 4095] {
            let (_directory, path) = common::scratch_file();
            fs::write(&path, vec![0xaa; 2 * 4096 + rest]).expect("the file is written");
            let disk = file::open(&path, WRITABLE, choice).expect("the file opens");
            assert_eq!(disk.page_count().expect("the file has a length"), 2);
            let results = common::read(&*disk, &[0, 1, 2, 3]);
            let kinds: Vec<_> = results.iter().map(|r| r.as_ref().err().map(io::Error::kind)).collect();
            let eof = Some(io::ErrorKind::UnexpectedEof);
            assert_eq!(kinds, [None, None, eof, eof], "{rest} bytes");
            disk.grow(4).expect("the disk has room");
            common::check_zeros(&*disk, &[2, 3]);
        }
    }
}

/// O_NONBLOCK, which keeps the opening from waiting, would make io_uring give up where it should wait.
#[test]
fn the_flags_of_the_open_file_are_those_that_the_disk_claims() {
    let (_directory, path) = common::scratch_file();
    drop(create(&path));
    for writable in [READ_ONLY, WRITABLE] {
        let disk = open(&path, writable).expect("the file opens");
        let flags = common::open_flags(&path);
        assert_eq!(flags & libc::O_DIRECT != 0, disk.backend().direct);
        assert_eq!(flags & libc::O_NONBLOCK, 0);
        assert_ne!(flags & libc::O_CLOEXEC, 0);
    }
}

#[test]
fn the_choice_is_obeyed_and_explained() {
    let (_directory, path) = common::scratch_file();
    let backend = file::create(&path, IoChoice::Syscall).expect("the file is created").backend();
    assert_eq!(backend.kind, BackendKind::Syscall);
    assert_eq!(backend.reason.contains("O_DIRECT is refused"), !backend.direct, "{backend:?}");
    let auto = open(&path, WRITABLE).expect("the file opens").backend();
    match file::open(&path, WRITABLE, IoChoice::Uring) {
        Ok(disk) => {
            assert_eq!((disk.backend().kind, auto.kind), (BackendKind::Uring, BackendKind::Uring));
            assert!(disk.backend().reason.starts_with("io_uring was asked for"), "{:?}", disk.backend());
            assert!(auto.reason.starts_with("io_uring is available"), "{auto:?}");
        }
        Err(_) => assert!(auto.reason.starts_with("io_uring is refused"), "{auto:?}"),
    }
}

fn resolve_in_environment(option: Option<IoChoice>) -> String {
    match IoChoice::resolve(option) {
        Ok(choice) => format!("{choice:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_environment_chooses_where_no_option_does() {
    if common::in_child("the_environment_chooses_where_no_option_does", &[("DYNAMITE_IO", "syscall")]) {
        assert_eq!(resolve_in_environment(None), "Syscall");
        assert_eq!(resolve_in_environment(Some(IoChoice::Auto)), "Auto");
    }
}

#[test]
fn nonsense_in_the_environment_is_an_error_unless_an_option_beats_it() {
    let name = "nonsense_in_the_environment_is_an_error_unless_an_option_beats_it";
    if common::in_child(name, &[("DYNAMITE_IO", "mmap")]) {
        assert_eq!(resolve_in_environment(None), r#"DYNAMITE_IO is "mmap"; use auto, uring or syscall"#);
        assert_eq!(resolve_in_environment(Some(IoChoice::Syscall)), "Syscall");
    }
}
