//! A child made by `fork` inherits a handle that it must not use: the frames are not there, nor the threads, and the file
//! is the parent's. It is told so, and can let go of the handle without harm.

mod common;
mod toy;

use std::path::Path;

use dynamite_pager::disk::gated::GatedDisk;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{Access, IoChoice, Options, PageKind, Pager, PagerError, Placement, Result};
use toy::*;

/// Forks, runs the function in the child, and returns whether it came to its end and said yes.
fn in_forked_child(look: impl FnOnce() -> std::result::Result<(), String>) {
    // SAFETY: the C library makes memory allocation work in the child of a process with threads. What else the child
    // touches is what the test is about.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        // SAFETY: ends a child that hangs; it has no handler.
        unsafe { libc::alarm(60) };
        let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(look));
        let message = match looked {
            Ok(Ok(())) => String::new(),
            Ok(Err(message)) => format!("{message}\n"),
            Err(_) => "a panic\n".into(),
        };
        // SAFETY: writes bytes that live on; then ends the child at once, without the parent's destructors and buffers.
        unsafe { libc::write(2, message.as_ptr().cast(), message.len()) };
        // SAFETY: as above.
        unsafe { libc::_exit(i32::from(!message.is_empty())) }
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    assert!(libc::WIFEXITED(status), "the child was ended by signal {}", libc::WTERMSIG(status));
    assert_eq!(libc::WEXITSTATUS(status), 0, "see the child's message");
}

fn expect_forked<T>(what: &str, result: Result<T>) -> std::result::Result<(), String> {
    match result {
        Err(PagerError::Forked { .. }) => Ok(()),
        Err(other) => Err(format!("{what} gave {other}")),
        Ok(_) => Err(format!("{what} worked")),
    }
}

fn options(choice: IoChoice) -> Options {
    Options::new().cache_bytes(2 << 20).io(choice)
}

/// A database with all its threads: one for the file's size, one for read-ahead, and those of the disk.
fn busy_database(path: &Path, choice: IoChoice) -> Pager {
    let pager = options(choice).create(path, DATABASE_ID).expect("the file is created");
    fill(&pager, &vec![Cell { value: 1, pages: 10 }; 60]).expect("nothing fails");
    pager.close().expect("nothing fails");
    let pager = options(choice).open(path).expect("the file opens");
    let (mut operation, state) = pager.enter().expect("not forked");
    let ptrs = cell_ptrs(&mut operation, state);
    operation.prefetch(&ptrs);
    // Waits for the read-ahead where it has not come by.
    operation.read_many(&ptrs, Access::Scan, |_, _| Ok::<(), PagerError>(())).expect("all can be read");
    drop(operation);
    for value in 2..20 {
        commit(&pager, &[(0, Cell { value, pages: 20 })]).expect("nothing fails");
    }
    pager
}

fn check_fork(choice: IoChoice) {
    let (_directory, path) = common::scratch_file();
    let mut pager = Some(busy_database(&path, choice));
    // The background may still be at work; a second look shows the same.
    let settled = || {
        let mut before = std::fs::read(&path).expect("the file can be read");
        loop {
            std::thread::sleep(std::time::Duration::from_millis(20));
            let now = std::fs::read(&path).expect("the file can be read");
            if now == before {
                return now;
            }
            before = now;
        }
    };
    let before = settled();

    in_forked_child(|| {
        let inherited = pager.take().expect("the parent has it open");
        expect_forked("enter", inherited.enter())?;
        expect_forked("begin", inherited.begin())?;
        expect_forked("commit_group", inherited.commit_group())?;
        expect_forked("seal", inherited.seal())?;
        expect_forked("maintain", inherited.maintain())?;
        expect_forked("census", inherited.census())?;
        drop(inherited);
        match options(choice).open(&path) {
            Err(PagerError::FileLocked { .. }) => Ok(()),
            Err(other) => Err(format!("open gave {other}")),
            Ok(_) => Err("the lock is gone".into()),
        }
    });
    in_forked_child(|| expect_forked("close", pager.take().expect("the parent has it open").close()));
    assert!(before == std::fs::read(&path).expect("the file can be read"), "a child has touched the file");

    let parent = pager.take().expect("only the children took it");
    commit(&parent, &[(1, Cell::of(77))]).expect("the parent goes on");
    assert_eq!(read_all(&parent).expect("the state can be read")[1], Cell::of(77));
    assert_sound(&parent, "in the parent");
    let refused = options(choice).open(&path).expect_err("the parent still has it open");
    assert!(matches!(refused, PagerError::FileLocked { .. }), "{refused}");
    parent.close().expect("the parent closes");
    let pager = options(choice).open(&path).expect("the file is free now");
    assert_eq!(read_all(&pager).expect("the state can be read")[1], Cell::of(77));
}

#[test]
fn a_forked_child_is_told_and_does_no_harm_with_io_uring() {
    if common::in_child("a_forked_child_is_told_and_does_no_harm_with_io_uring", &[]) {
        check_fork(IoChoice::Auto);
    }
}

#[test]
fn a_forked_child_is_told_and_does_no_harm_with_system_calls() {
    if common::in_child("a_forked_child_is_told_and_does_no_harm_with_system_calls", &[]) {
        check_fork(IoChoice::Syscall);
    }
}

/// The fork comes in the middle of a batch with a savepoint, which the child drops, undoes, or tries to finish.
#[test]
fn a_forked_child_cannot_finish_the_batch_that_it_inherited() {
    if !common::in_child("a_forked_child_cannot_finish_the_batch_that_it_inherited", &[]) {
        return;
    }
    let (_directory, path) = common::scratch_file();
    let pager = busy_database(&path, IoChoice::Auto);
    let mut batch = Some(pager.begin().expect("nothing fails"));
    change(batch.as_mut().expect("just begun"), &[(1, Cell::of(4))]).expect("nothing fails");
    assert!(batch.as_mut().expect("just begun").savepoint().expect("nothing fails"));
    change(batch.as_mut().expect("just begun"), &[(1, Cell::of(5))]).expect("nothing fails");
    in_forked_child(|| {
        let mut inherited = batch.take().expect("the parent has it open");
        let allocated = inherited.allocate(PageKind::FIRST_FOREIGN, 0, Placement::Hole);
        expect_forked("allocate", allocated)?;
        let root = inherited.roots().catalog.expect("the cells were filled");
        expect_forked(
            "free and read",
            inherited.free(root).and_then(|()| inherited.read(root, Access::Point).map(|_| ())),
        )?;
        expect_forked("savepoint", inherited.savepoint())?;
        expect_forked("finish", inherited.commit())
    });
    in_forked_child(|| {
        drop(batch.take());
        Ok(())
    });
    in_forked_child(|| {
        batch.as_mut().expect("the parent has it open").undo();
        drop(batch.take());
        Ok(())
    });
    batch.take().expect("only the children took it").commit().expect("the parent goes on");
    assert_eq!(read_all(&pager).expect("the state can be read")[1], Cell::of(5));
    assert_sound(&pager, "in the parent");
}

/// The thread that writes behind a large batch is the parent's: the child does not wait for it.
#[test]
fn a_forked_child_drops_a_batch_that_is_being_written_behind() {
    if !common::in_child("a_forked_child_drops_a_batch_that_is_being_written_behind", &[]) {
        return;
    }
    let disk = GatedDisk::new(DiskSim::new(4));
    let options = Options::new().cache_bytes(16 << 20);
    let pager = options.create_on(disk.clone(), DATABASE_ID).expect("nothing fails");
    let cells = vec![Cell { value: 1, pages: 3 }; 130];
    let mut batch = Some(pager.begin().expect("nothing fails"));
    disk.hold_next_write();
    write_all(batch.as_mut().expect("just begun"), &cells).expect("nothing fails");
    disk.wait_for_the_write();
    in_forked_child(|| {
        drop(batch.take());
        Ok(())
    });
    disk.open();
    batch.take().expect("only the child took it").commit().expect("the parent goes on");
    assert_eq!(read_all(&pager).expect("the state can be read"), cells);
}
