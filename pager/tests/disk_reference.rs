//! The bare I/O that benchmarks divide by does what its names say.

mod common;

use std::io;

use dynamite_pager::disk_reference::{
    PreadReads, UringReads, WriteAndFlush, random_reads_pread, random_reads_uring,
};
use dynamite_pager::file::{self, IoChoice};
use dynamite_pager::page_id::PageId;

/// `None` where the file system refuses what the yardstick needs.
fn available<T>(opened: io::Result<T>) -> Option<T> {
    match opened {
        Ok(opened) => Some(opened),
        Err(error) => {
            let refused = [libc::EINVAL, libc::EPERM, libc::ENOSYS].map(Some);
            assert!(refused.contains(&error.raw_os_error()), "{error}");
            None
        }
    }
}

#[test]
fn reads_end_well_within_the_file_and_not_beyond() {
    let (_directory, path) = common::scratch_file();
    let disk = file::create(&path, IoChoice::Syscall).expect("the file is created");
    disk.grow(100).expect("the disk has room");
    common::write(&*disk, &(0..100).collect::<Vec<_>>(), 1);
    let within: Vec<_> = (0..300).map(|i| PageId(i * 37 % 100)).collect();
    let beyond: Vec<_> = within.iter().copied().chain([PageId(100)]).chain(within.iter().copied()).collect();
    if available(PreadReads::open(&path)).is_some() {
        random_reads_pread(&path, &within).expect("the pages are there");
        let error = random_reads_pread(&path, &beyond).expect_err("a page is not there");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
    for depth in [1, 3, 32, 64] {
        if available(UringReads::open(&path, depth)).is_some() {
            random_reads_uring(&path, &within, depth).expect("the pages are there");
            let error = random_reads_uring(&path, &beyond, depth).expect_err("a page is not there");
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}

#[test]
fn a_reader_goes_on_after_an_error() {
    let (_directory, path) = common::scratch_file();
    file::create(&path, IoChoice::Syscall).expect("the file is created").grow(10).expect("the disk has room");
    if let Some(mut reads) = available(UringReads::open(&path, 4)) {
        let ids: Vec<_> = (0..20).map(PageId).collect();
        reads.run(&ids).expect_err("half of the pages are not there");
        for _ in 0..20 {
            if reads.run(&ids[..10]).is_ok() {
                return;
            }
        }
        panic!("the requests of the failed run do not end");
    }
}

#[test]
fn the_unit_writes_its_page_each_time() {
    let (_directory, path) = common::scratch_file();
    if let Some(mut unit) = available(WriteAndFlush::open(&path)) {
        let contents = || std::fs::read(&path).expect("the file is there");
        let before = contents();
        assert_eq!(before.len(), 4096);
        unit.run().expect("the page is written");
        assert_ne!(contents(), before);
        assert_eq!(contents().len(), 4096);
    }
}
