//! What the system may refuse: io_uring for any reason, at once or later; O_DIRECT; preallocation; threads; memory.
//! Each test cripples a process of its own by a seccomp filter, as a container's profile would, or by a limit.

mod common;
mod toy;

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dynamite_pager::disk::file::{self, IoChoice};
use dynamite_pager::disk::{BackendKind, Disk};
use dynamite_pager::error::{IoOperation, PagerError};
use dynamite_pager::{Access, Options, Pager};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Refuses, for this thread and those that it starts, a system call whose arguments meet all conditions (argument
/// number, comparison, value).
fn refuse(call: libc::c_long, conditions: &[(u8, SeccompCmpOp, u64)], errno: i32) {
    let conditions = conditions.iter().map(|(argument, comparison, value)| {
        SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, comparison.clone(), *value)
            .expect("the condition makes sense")
    });
    let conditions: Vec<_> = conditions.collect();
    let rules = if conditions.is_empty() {
        vec![]
    } else {
        vec![SeccompRule::new(conditions).expect("there are conditions")]
    };
    let arch = TargetArch::try_from(std::env::consts::ARCH).expect("seccompiler knows this architecture");
    let filter = SeccompFilter::new(
        [(call, rules)].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        arch,
    );
    let program: Result<BpfProgram, _> = filter.and_then(BpfProgram::try_from);
    let program = program.expect("the filter compiles");
    seccompiler::apply_filter(&program).expect("the filter is installed");
}

fn os_error(errno: i32) -> String {
    io::Error::from_raw_os_error(errno).to_string()
}

fn create(path: &Path, choice: IoChoice) -> Arc<dyn Disk> {
    file::create(path, choice).expect("the file is created")
}

/// Checks everything with files opened by `choice`, as they are wherever this process runs now.
fn check_all_promises(choice: IoChoice) {
    let (directory, _) = common::scratch_file();
    let mut files = 0;
    common::check_all_promises(|| {
        files += 1;
        create(&directory.path().join(files.to_string()), choice)
    });
}

fn check_fallback(errno: i32) {
    let (_directory, path) = common::scratch_file();
    let error = file::create(&path, IoChoice::Uring).expect_err("io_uring is refused");
    assert!(matches!(error, PagerError::Io { operation: IoOperation::Create, .. }), "{error:?}");
    let message = format!("io_uring was asked for, but is refused: {}", os_error(errno));
    assert!(error.to_string().ends_with(&message), "{error}");
    assert!(!path.exists(), "a refusal leaves no file behind");

    let backend = create(&path, IoChoice::Auto).backend();
    assert_eq!(backend.kind, BackendKind::Syscall);
    assert!(backend.reason.starts_with(&format!("io_uring is refused: {}", os_error(errno))), "{backend:?}");

    let error = file::open(&path, true, IoChoice::Uring).expect_err("io_uring is refused");
    assert!(matches!(error, PagerError::Io { operation: IoOperation::Open, .. }), "{error:?}");
    check_all_promises(IoChoice::Auto);
}

#[test]
fn without_permission_for_io_uring_system_calls_do() {
    if common::in_child("without_permission_for_io_uring_system_calls_do", &[]) {
        refuse(libc::SYS_io_uring_setup, &[], libc::EPERM);
        check_fallback(libc::EPERM);
    }
}

#[test]
fn without_io_uring_in_the_kernel_system_calls_do() {
    if common::in_child("without_io_uring_in_the_kernel_system_calls_do", &[]) {
        refuse(libc::SYS_io_uring_setup, &[], libc::ENOSYS);
        check_fallback(libc::ENOSYS);
    }
}

#[test]
fn a_ring_that_can_be_made_but_not_entered_is_refused_at_the_opening() {
    if common::in_child("a_ring_that_can_be_made_but_not_entered_is_refused_at_the_opening", &[]) {
        let (_directory, path) = common::scratch_file();
        if create(&path, IoChoice::Auto).backend().kind == BackendKind::Uring {
            refuse(libc::SYS_io_uring_enter, &[], libc::EACCES);
            check_fallback(libc::EACCES);
        }
    }
}

/// Checks everything with files that were opened while io_uring was still to be had.
fn check_refused_later(call: libc::c_long, conditions: &[(u8, SeccompCmpOp, u64)], errno: i32) {
    let (directory, _) = common::scratch_file();
    let mut disks: Vec<_> = common::PROMISES
        .iter()
        .map(|(promise, _)| create(&directory.path().join(promise), IoChoice::Auto))
        .collect();
    refuse(call, conditions, errno);
    common::check_all_promises(|| disks.pop().expect("one disk per promise"));
}

#[test]
fn a_batch_that_no_ring_takes_goes_by_system_calls() {
    if common::in_child("a_batch_that_no_ring_takes_goes_by_system_calls", &[]) {
        check_refused_later(libc::SYS_io_uring_enter, &[], libc::EPERM);
    }
}

#[test]
fn a_batch_that_rings_put_off_for_ever_goes_by_system_calls() {
    if common::in_child("a_batch_that_rings_put_off_for_ever_goes_by_system_calls", &[]) {
        check_refused_later(libc::SYS_io_uring_enter, &[], libc::EAGAIN);
    }
}

/// More requests than a ring holds, each so large that they are under way for a while.
fn large_batch() -> Vec<u32> {
    (0..120).flat_map(|run| run * 17..run * 17 + 16).collect()
}

/// How many rings this process has.
fn rings() -> usize {
    let links = fs::read_dir("/proc/self/fd").expect("the process sees its own descriptors");
    let links = links.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.filter(|link| link.as_os_str().to_string_lossy().contains("[io_uring]")).count()
}

/// A full ring is taken and its refill is not.
#[test]
fn a_batch_that_a_ring_takes_in_part_is_completed_by_system_calls() {
    if common::in_child("a_batch_that_a_ring_takes_in_part_is_completed_by_system_calls", &[]) {
        let (_directory, path) = common::scratch_file();
        let disk = create(&path, IoChoice::Auto);
        disk.grow(120 * 17).expect("the disk has room");
        let batch = large_batch();
        common::write(&*disk, &batch, 0);
        let refills = [(1, SeccompCmpOp::Gt, 0), (1, SeccompCmpOp::Lt, 64)];
        refuse(libc::SYS_io_uring_enter, &refills, libc::EPERM);
        common::check_version(&*disk, &batch, 0);
        assert_eq!(rings(), 0, "the ring is not used again");
    }
}

#[test]
fn rings_come_when_descriptors_are_to_be_had_again() {
    if common::in_child("rings_come_when_descriptors_are_to_be_had_again", &[]) {
        let (directory, path) = common::scratch_file();
        let disks = [create(&path, IoChoice::Auto), create(&directory.path().join("other"), IoChoice::Auto)];
        let at_first = rings();
        let allowed = soft_limit(libc::RLIMIT_NOFILE, 3);
        for _ in 0..3 {
            common::threads_do_not_disturb_each_other(&*disks[0]);
            disks[0].truncate(0).expect("the file is cut");
        }
        soft_limit(libc::RLIMIT_NOFILE, allowed);
        assert_eq!(rings(), at_first);
        for _ in 0..10 {
            common::threads_do_not_disturb_each_other(&*disks[0]);
            if rings() > at_first || disks[0].backend().kind != BackendKind::Uring {
                return;
            }
        }
        panic!("the refused rings are missing");
    }
}

#[test]
fn further_rings_that_are_refused_leave_the_first_one() {
    if common::in_child("further_rings_that_are_refused_leave_the_first_one", &[]) {
        check_refused_later(libc::SYS_io_uring_setup, &[], libc::ENOMEM);
    }
}

#[test]
fn without_threads_the_caller_does_its_batches() {
    if common::in_child("without_threads_the_caller_does_its_batches", &[]) {
        let (_directory, path) = common::scratch_file();
        let disk = create(&path, IoChoice::Syscall);
        refuse(libc::SYS_clone, &[], libc::EAGAIN);
        refuse(libc::SYS_clone3, &[], libc::EAGAIN);
        assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "threads are refused");
        common::batches_of_every_shape_come_back(&*disk);
    }
}

#[test]
fn without_preallocation_growth_writes_zeros() {
    if common::in_child("without_preallocation_growth_writes_zeros", &[]) {
        refuse(libc::SYS_fallocate, &[], libc::EOPNOTSUPP);
        check_all_promises(IoChoice::Auto);
        let (_directory, path) = common::scratch_file();
        let disk = create(&path, IoChoice::Auto);
        disk.grow(700).expect("the disk has room");
        let blocks = std::os::unix::fs::MetadataExt::blocks(&path.metadata().expect("the file is there"));
        assert!(blocks >= 700 * 8, "growth reserves its blocks, not {blocks}");
    }
}

/// The error is the system's, and the file is as long as before.
#[test]
fn growth_without_space_is_taken_back() {
    if common::in_child("growth_without_space_is_taken_back", &[]) {
        let (_directory, path) = common::scratch_file();
        let disk = create(&path, IoChoice::Auto);
        disk.grow(5).expect("the disk has room");
        // The first chunk of zeros has room, the second one has not.
        limit(libc::RLIMIT_FSIZE, 300 * 4096);
        refuse(libc::SYS_fallocate, &[], libc::EOPNOTSUPP);
        // SAFETY: ignoring a signal installs no handler.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        let error = disk.grow(600).expect_err("the file may not become so large");
        assert_eq!(error.raw_os_error(), Some(libc::EFBIG));
        assert_eq!(disk.page_count().expect("the file has a length"), 5);
    }
}

/// Checks that files are opened without O_DIRECT for this reason.
fn check_cached(refusal: &str) {
    for choice in [IoChoice::Auto, IoChoice::Syscall] {
        let (_directory, path) = common::scratch_file();
        let disk = create(&path, choice);
        let backend = disk.backend();
        let reason = format!("; reads and writes are cached, since O_DIRECT is refused: {refusal}");
        assert!(!backend.direct && backend.reason.ends_with(&reason), "{backend:?}");
        assert_eq!(common::open_flags(&path) & libc::O_DIRECT, 0);
    }
}

#[test]
fn without_direct_io_the_cache_serves_and_all_promises_hold() {
    if common::in_child("without_direct_io_the_cache_serves_and_all_promises_hold", &[]) {
        let o_direct = libc::O_DIRECT as u64;
        let conditions =
            [(1, SeccompCmpOp::Eq, libc::F_SETFL as u64), (2, SeccompCmpOp::MaskedEq(o_direct), o_direct)];
        refuse(libc::SYS_fcntl, &conditions, libc::EINVAL);
        // Else the file system itself may have told that it has none.
        refuse(libc::SYS_statx, &[], libc::ENOSYS);
        check_cached(&os_error(libc::EINVAL));
        check_all_promises(IoChoice::Auto);
        check_all_promises(IoChoice::Syscall);
    }
}

#[test]
fn where_nobody_tells_the_alignment_a_read_shows_it() {
    if common::in_child("where_nobody_tells_the_alignment_a_read_shows_it", &[]) {
        let (_directory, path) = common::scratch_file();
        let told = create(&path, IoChoice::Auto).backend();
        refuse(libc::SYS_statx, &[], libc::ENOSYS);
        assert_eq!(file::open(&path, true, IoChoice::Auto).expect("the file opens").backend(), told);
        check_all_promises(IoChoice::Auto);
        refuse(libc::SYS_pread64, &[], libc::EINVAL);
        check_cached(&os_error(libc::EINVAL));
    }
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: `limit` is an `rlimit` that outlives the call.
    assert_eq!(unsafe { libc::setrlimit(resource, &limit) }, 0, "{}", io::Error::last_os_error());
}

/// Sets a limit that may be raised again, and returns the one before.
fn soft_limit(resource: libc::__rlimit_resource_t, value: u64) -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is an `rlimit` that outlives the call.
    assert_eq!(unsafe { libc::getrlimit(resource, &mut limit) }, 0, "{}", io::Error::last_os_error());
    let before = std::mem::replace(&mut limit.rlim_cur, value);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setrlimit(resource, &limit) }, 0, "{}", io::Error::last_os_error());
    before
}

/// 8 MiB is what an ordinary user may lock. (For root there is no limit, so this shows less when run by root.)
#[test]
fn eight_mebibytes_of_locked_memory_are_enough_for_io_uring() {
    if common::in_child("eight_mebibytes_of_locked_memory_are_enough_for_io_uring", &[]) {
        let (_directory, path) = common::scratch_file();
        let before = create(&path, IoChoice::Auto).backend();
        limit(libc::RLIMIT_MEMLOCK, 8 << 20);
        assert_eq!(file::open(&path, true, IoChoice::Auto).expect("the file opens").backend(), before);
        check_all_promises(IoChoice::Auto);
    }
}

/// What lies below the limit is written, the rest is refused, and nobody waits for it.
#[test]
fn writes_beyond_what_the_system_allows_end_with_its_error() {
    if common::in_child("writes_beyond_what_the_system_allows_end_with_its_error", &[]) {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        limit(libc::RLIMIT_FSIZE, 10 * 4096);
        for choice in [IoChoice::Auto, IoChoice::Syscall] {
            let (_directory, path) = common::scratch_file();
            let disk = create(&path, choice);
            // A run across the limit is cut short there; a second run makes it a batch for the ring.
            for batch in [&[6, 7, 8, 9, 10, 11][..], &[0, 6, 7, 8, 9, 10, 11], &[11]] {
                let error = common::try_write(&*disk, batch, 1).expect_err("the limit is lower");
                assert_eq!(error.raw_os_error(), Some(libc::EFBIG), "{choice:?} {batch:?}");
            }
            common::check_version(&*disk, &[0, 6, 7, 8, 9], 1);
            let error = disk.grow(11).expect_err("the limit is lower");
            assert_eq!(error.raw_os_error(), Some(libc::EFBIG));
        }
    }
}

/// A wait that a signal interrupts goes on, and the ring is as good as before: no other one can be had here.
#[test]
fn signals_do_not_disturb_the_io() {
    extern "C" fn ignore(_: libc::c_int) {}

    if common::in_child("signals_do_not_disturb_the_io", &[]) {
        // SAFETY: a zeroed `sigaction` is valid: no flags, so that calls are interrupted, and an empty mask.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = ignore as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // SAFETY: the handler touches nothing, so it may run anywhere.
        assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()) }, 0);
        let (_directory, path) = common::scratch_file();
        let disk = create(&path, IoChoice::Auto);
        disk.grow(120 * 17).expect("the disk has room");
        refuse(libc::SYS_io_uring_setup, &[], libc::EPERM);
        let ring_count = rings();
        // SAFETY: this only asks for the name of this thread.
        let this_thread = unsafe { libc::pthread_self() };
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    // SAFETY: the thread that is named waits for this one at the end of the scope, so it lives.
                    unsafe { libc::pthread_kill(this_thread, libc::SIGUSR1) };
                    std::thread::sleep(Duration::from_micros(50));
                }
            });
            let batch = large_batch();
            for version in 0..5 {
                common::write(&*disk, &batch, version);
                disk.flush().expect("the disk flushes");
                common::check_version(&*disk, &batch, version);
            }
            done.store(true, Ordering::Relaxed);
        });
        assert_eq!(rings(), ring_count);
    }
}

/// Fills a database that is larger than its pool, changes and reads it in every way, closes and opens it.
fn check_database(check: impl Fn(&Pager)) {
    use toy::{Cell, DATABASE_ID, Random, assert_sound, cell_ptrs, commit, fill, read_all};

    let (_directory, path) = common::scratch_file();
    // No option chooses the I/O, nor does the environment.
    let options = Options::new().cache_bytes(2 << 20).io(IoChoice::Auto);
    let pager = options.create(&path, DATABASE_ID).expect("the file is created");
    check(&pager);
    let mut cells = vec![Cell { value: 0, pages: 25 }; 60];
    fill(&pager, &cells).expect("nothing fails");
    let mut random = Random(1);
    for value in 1..40 {
        let index = random.below(60) as usize;
        cells[index] = Cell { value, pages: 1 + random.below(50) as u32 };
        commit(&pager, &[(index, cells[index])]).expect("nothing fails");
    }
    let (mut operation, state) = pager.enter().expect("not forked");
    let ptrs = cell_ptrs(&mut operation, state);
    operation.prefetch(&ptrs[..200]);
    operation.read_many(&ptrs, Access::Scan, |_, _| Ok::<(), PagerError>(())).expect("all can be read");
    drop(operation);
    pager.close().expect("nothing fails");

    let pager = options.open(&path).expect("the file opens");
    check(&pager);
    assert_eq!(read_all(&pager).expect("the state can be read"), cells);
    assert_sound(&pager, "after reopening");
}

#[test]
fn a_database_works_without_io_uring_and_says_why() {
    if common::in_child("a_database_works_without_io_uring_and_says_why", &[]) {
        refuse(libc::SYS_io_uring_setup, &[], libc::EPERM);
        check_database(|pager| {
            let backend = pager.stats().backend;
            assert_eq!(backend.kind, BackendKind::Syscall);
            let reason = format!("io_uring is refused: {}", os_error(libc::EPERM));
            assert!(backend.reason.starts_with(&reason), "{backend:?}");
        });
    }
}

#[test]
fn a_database_works_with_eight_mebibytes_of_locked_memory() {
    if common::in_child("a_database_works_with_eight_mebibytes_of_locked_memory", &[]) {
        let (_directory, path) = common::scratch_file();
        let expected = create(&path, IoChoice::Auto).backend();
        limit(libc::RLIMIT_MEMLOCK, 8 << 20);
        check_database(|pager| assert_eq!(pager.stats().backend, expected));
    }
}
