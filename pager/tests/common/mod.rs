//! What every disk promises, whatever is below it; and the means to put something below it.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use dynamite_pager::disk::{Disk, PageRead, PageWrite};
use dynamite_pager::format::page::Page;
use dynamite_pager::format::page_id::PageId;

/// Hands the names of all promises to a macro, so that no disk is checked for fewer than another.
#[macro_export]
macro_rules! with_all_promises {
    ($macro:ident) => {
        $macro! {
            a_page_comes_back_as_it_was_written
            batches_of_every_shape_come_back
            a_page_may_be_read_twice_in_one_batch
            an_empty_batch_does_nothing
            a_read_beyond_the_end_fails_alone
            growth_appends_zeros_and_never_shortens
            truncation_cuts_and_never_lengthens
            pages_that_were_cut_off_come_back_as_zeros
            zeros_are_written_over_these_pages_only
            a_write_changes_its_own_pages_only
            contents_outlast_flush_and_dropped_cache
            threads_do_not_disturb_each_other
        }
    };
}

macro_rules! list_promises {
    ($($promise:ident)*) => {
        /// All promises, by name.
        pub(crate) const PROMISES: &[(&str, fn(&dyn Disk))] = &[$((stringify!($promise), $promise)),*];
    };
}

with_all_promises!(list_promises);

/// Checks all promises, each on a new disk.
pub(crate) fn check_all_promises(mut disk: impl FnMut() -> Arc<dyn Disk>) {
    for (_, promise) in PROMISES {
        promise(&*disk());
    }
}

/// A directory of this test's own, removed when dropped, and the path of a file in it.
pub(crate) fn scratch_file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory for files");
    let path = directory.path().join("db");
    (directory, path)
}

/// Says which test a child process is to run.
const CHILD: &str = "DYNAMITE_TEST_CHILD";

/// Runs the rest of the calling test in a process of its own, which it may then cripple: returns in the child only.
/// `name` is the test's name, with its modules.
#[must_use]
pub(crate) fn in_child(name: &str, variables: &[(&str, &str)]) -> bool {
    if is_child(name) {
        return true;
    }
    let output = child_command(name).envs(variables.iter().copied()).output().expect("the test binary runs");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{}\n{out}\n{err}", output.status);
    false
}

/// The flags with which this process has the file open.
pub(crate) fn open_flags(path: &Path) -> i32 {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("the process sees its own descriptors");
    let descriptor = descriptors
        .filter_map(Result::ok)
        .find(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link == path))
        .expect("the file is open");
    let info = std::fs::read_to_string(Path::new("/proc/self/fdinfo").join(descriptor.file_name()));
    let info = info.expect("the process sees its own descriptors");
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).expect("the flags are told");
    i32::from_str_radix(flags.trim(), 8).expect("the flags are octal")
}

/// Whether this process is a child that was started to run this test.
pub(crate) fn is_child(name: &str) -> bool {
    std::env::var_os(CHILD).is_some_and(|child| child == name)
}

/// A process that runs this one test, as a child.
pub(crate) fn child_command(name: &str) -> Command {
    let test = std::env::current_exe().expect("the test knows its binary");
    let mut child = Command::new(test);
    child.args(["--exact", name, "--include-ignored", "--nocapture"]).env(CHILD, name);
    child
}

/// A page full of bytes that no other place or version has.
pub(crate) fn page_of(id: PageId, version: u64) -> Page {
    let mut page = Page::zeroed();
    let mut state = (u64::from(id.0) << 32 | version).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    for word in page.bytes_mut().chunks_exact_mut(8) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        word.copy_from_slice(&state.to_le_bytes());
    }
    page
}

/// Writes that version of each page, in one batch.
#[track_caller]
pub(crate) fn write(disk: &dyn Disk, ids: &[u32], version: u64) {
    try_write(disk, ids, version).expect("the batch is written");
}

pub(crate) fn try_write(disk: &dyn Disk, ids: &[u32], version: u64) -> io::Result<()> {
    let pages: Vec<_> = ids.iter().map(|id| page_of(PageId(*id), version)).collect();
    let writes: Vec<_> =
        ids.iter().zip(&pages).map(|(id, page)| PageWrite { id: PageId(*id), page }).collect();
    disk.write_batch(&writes)
}

/// Reads the pages in one batch.
pub(crate) fn read(disk: &dyn Disk, ids: &[u32]) -> Vec<io::Result<Page>> {
    let mut pages = vec![page_of(PageId(u32::MAX), u64::MAX); ids.len()];
    let mut reads: Vec<_> = ids
        .iter()
        .zip(&mut pages)
        .map(|(id, page)| PageRead { id: PageId(*id), page, result: Ok(()) })
        .collect();
    disk.read_batch(&mut reads);
    let results: Vec<_> = reads.into_iter().map(|read| read.result).collect();
    pages.into_iter().zip(results).map(|(page, result)| result.map(|()| page)).collect()
}

/// Checks that a batch, and lone reads, find that version of each page.
#[track_caller]
pub(crate) fn check_version(disk: &dyn Disk, ids: &[u32], version: u64) {
    check_pages(disk, ids, |id| page_of(id, version));
}

#[track_caller]
pub(crate) fn check_zeros(disk: &dyn Disk, ids: &[u32]) {
    check_pages(disk, ids, |_| Page::zeroed());
}

#[track_caller]
fn check_pages(disk: &dyn Disk, ids: &[u32], expected: impl Fn(PageId) -> Page) {
    for (id, page) in ids.iter().zip(read(disk, ids)) {
        let page = page.unwrap_or_else(|error| panic!("page {id} of a batch of {ids:?}: {error}"));
        assert!(page.bytes() == expected(PageId(*id)).bytes(), "page {id} of a batch of {ids:?}");
        let mut alone = Page::boxed();
        disk.read_page(PageId(*id), &mut alone).expect("the page is read");
        assert!(alone.bytes() == page.bytes(), "page {id} on its own");
    }
}

#[track_caller]
fn check_page_count(disk: &dyn Disk, expected: u64) {
    assert_eq!(disk.page_count().expect("the file has a length"), expected);
}

fn disk_of_pages(disk: &dyn Disk, page_count: u32) {
    disk.grow(u64::from(page_count)).expect("the disk has room");
    write(disk, &(0..page_count).collect::<Vec<_>>(), 0);
}

/// Batches as they come: by number, the distance between pages, the order.
fn shapes() -> Vec<Vec<u32>> {
    let scattered = |count: u32| (0..count).map(|i| i * 37 % 401).collect::<Vec<_>>();
    vec![
        vec![7],
        vec![7, 8],
        vec![8, 7],
        vec![3, 9],
        (10..74).collect(),
        (10..75).collect(),
        (0..200).collect(),
        (0..200).rev().collect(),
        scattered(9),
        scattered(64),
        scattered(65),
        scattered(200),
        (0..100).flat_map(|i| [3 * i, 3 * i + 1]).collect(),
        [40, 2, 3, 4, 300].into_iter().chain(100..190).chain([5]).collect(),
    ]
}

pub(crate) fn a_page_comes_back_as_it_was_written(disk: &dyn Disk) {
    disk.grow(3).expect("the disk has room");
    write(disk, &[1], 1);
    check_version(disk, &[1], 1);
    write(disk, &[1], 2);
    check_version(disk, &[1], 2);
}

pub(crate) fn batches_of_every_shape_come_back(disk: &dyn Disk) {
    disk_of_pages(disk, 401);
    for (shape, version) in shapes().iter().zip(1..) {
        write(disk, shape, version);
        check_version(disk, shape, version);
    }
}

pub(crate) fn a_page_may_be_read_twice_in_one_batch(disk: &dyn Disk) {
    disk_of_pages(disk, 10);
    check_version(disk, &[4, 4, 5, 4, 5, 4, 5, 5], 0);
}

pub(crate) fn an_empty_batch_does_nothing(disk: &dyn Disk) {
    disk_of_pages(disk, 2);
    write(disk, &[], 1);
    assert!(read(disk, &[]).is_empty());
    check_version(disk, &[0, 1], 0);
}

pub(crate) fn a_read_beyond_the_end_fails_alone(disk: &dyn Disk) {
    disk_of_pages(disk, 10);
    let scattered = [10, 2, 4, 700, u32::MAX, 6];
    let across_the_end = [7, 8, 9, 10, 11, 12];
    let beyond = [10, 11];
    for batch in [&scattered[..], &across_the_end, &beyond, &[10], &[u32::MAX]] {
        for (id, page) in batch.iter().zip(read(disk, batch)) {
            if *id < 10 {
                let page = page.unwrap_or_else(|error| panic!("page {id} of {batch:?}: {error}"));
                assert!(page.bytes() == page_of(PageId(*id), 0).bytes(), "page {id} of {batch:?}");
            } else {
                let kind = page.map(|_| ()).map_err(|error| error.kind());
                assert_eq!(kind, Err(io::ErrorKind::UnexpectedEof), "page {id} of {batch:?}");
                let alone = disk.read_page(PageId(*id), &mut Page::zeroed()).map_err(|error| error.kind());
                assert_eq!(alone, Err(io::ErrorKind::UnexpectedEof), "page {id} on its own");
            }
        }
    }
}

pub(crate) fn growth_appends_zeros_and_never_shortens(disk: &dyn Disk) {
    check_page_count(disk, 0);
    disk_of_pages(disk, 3);
    disk.grow(8).expect("the disk has room");
    check_page_count(disk, 8);
    check_version(disk, &[0, 1, 2], 0);
    check_zeros(disk, &[3, 4, 5, 6, 7]);
    disk.grow(2).expect("nothing is to be done");
    disk.grow(8).expect("nothing is to be done");
    check_page_count(disk, 8);
    check_version(disk, &[0, 1, 2], 0);
}

pub(crate) fn truncation_cuts_and_never_lengthens(disk: &dyn Disk) {
    disk_of_pages(disk, 8);
    disk.truncate(9).expect("nothing is to be done");
    check_page_count(disk, 8);
    disk.truncate(5).expect("the file is cut");
    check_page_count(disk, 5);
    check_version(disk, &[0, 1, 2, 3, 4], 0);
    assert!(read(disk, &[5])[0].is_err());
}

pub(crate) fn pages_that_were_cut_off_come_back_as_zeros(disk: &dyn Disk) {
    disk_of_pages(disk, 8);
    disk.truncate(5).expect("the file is cut");
    disk.grow(8).expect("the disk has room");
    check_version(disk, &[0, 1, 2, 3, 4], 0);
    check_zeros(disk, &[5, 6, 7]);
}

/// More pages than one request zeroes.
pub(crate) fn zeros_are_written_over_these_pages_only(disk: &dyn Disk) {
    disk_of_pages(disk, 620);
    disk.write_zeros(PageId(2), 600).expect("zeros are written");
    disk.write_zeros(PageId(610), 0).expect("nothing is to be done");
    check_page_count(disk, 620);
    check_zeros(disk, &(2..602).collect::<Vec<_>>());
    check_version(disk, &[0, 1, 602, 603, 610, 619], 0);
}

pub(crate) fn a_write_changes_its_own_pages_only(disk: &dyn Disk) {
    disk_of_pages(disk, 100);
    write(disk, &[5, 6, 7, 50, 20], 1);
    check_version(disk, &[5, 6, 7, 20, 50], 1);
    check_version(disk, &[4, 8, 19, 21, 49, 51], 0);
}

pub(crate) fn contents_outlast_flush_and_dropped_cache(disk: &dyn Disk) {
    disk_of_pages(disk, 20);
    disk.flush().expect("the disk flushes");
    disk.drop_cache().expect("clean pages are dropped");
    check_page_count(disk, 20);
    check_version(disk, &(0..20).collect::<Vec<_>>(), 0);
}

/// More threads than there are rings.
pub(crate) fn threads_do_not_disturb_each_other(disk: &dyn Disk) {
    const THREADS: u32 = 12;
    const PAGES: u32 = 40;
    disk.grow(u64::from(THREADS * PAGES)).expect("the disk has room");
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let first = thread * PAGES;
                let batch: Vec<_> = (0..PAGES).map(|i| first + i * 7 % PAGES).collect();
                for version in 0..10 {
                    write(disk, &batch, version);
                    check_version(disk, &batch, version);
                    write(disk, &[first + 3], version + 1);
                    check_version(disk, &[first + 3], version + 1);
                }
            });
        }
    });
}
