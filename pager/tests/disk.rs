//! Every disk keeps every promise of `trait Disk`: by io_uring, by system calls, in memory, simulated; past the page
//! cache and through it.

mod common;

use std::path::Path;
use std::sync::Arc;

use dynamite_pager::disk::file::{self, IoChoice};
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::disk::{BackendKind, Disk};

fn create(path: &Path, choice: IoChoice) -> Arc<dyn Disk> {
    file::create(path, choice).expect("the file is created")
}

/// `None` where this machine refuses io_uring, which is no fault of ours, or the file would be in memory.
fn create_uring(path: &Path) -> Option<Arc<dyn Disk>> {
    let disk = create(path, IoChoice::Auto);
    let backend = disk.backend();
    match backend.kind {
        BackendKind::Uring => Some(disk),
        _ => {
            let is_told = ["io_uring is refused", "in memory"].iter().any(|why| backend.reason.contains(why));
            assert!(is_told, "{backend:?}");
            None
        }
    }
}

macro_rules! tests {
    ($($promise:ident)*) => {
        mod uring {
            $(#[test]
            fn $promise() {
                let (_directory, path) = super::common::scratch_file();
                if let Some(disk) = super::create_uring(&path) {
                    super::common::$promise(&*disk);
                }
            })*
        }

        mod syscall {
            $(#[test]
            fn $promise() {
                let (_directory, path) = super::common::scratch_file();
                super::common::$promise(&*super::create(&path, super::IoChoice::Syscall));
            })*
        }

        mod memory {
            $(#[test]
            fn $promise() {
                super::common::$promise(&*super::file::memory().expect("memory is to be had"));
            })*
        }

        mod simulated {
            $(#[test]
            fn $promise() {
                super::common::$promise(&super::DiskSim::new(1));
            })*
        }
    };
}

with_all_promises!(tests);

/// tmpfs takes O_DIRECT since Linux 6.6.
#[test]
fn a_file_system_in_memory_keeps_all_promises() {
    let Ok(directory) = tempfile::TempDir::new_in("/dev/shm") else { return };
    for choice in [IoChoice::Auto, IoChoice::Uring, IoChoice::Syscall] {
        if file::create(&directory.path().join(format!("{choice:?}")), choice).is_err() {
            // Only io_uring may be refused.
            assert_eq!(choice, IoChoice::Uring);
            continue;
        }
        let mut files = 0;
        common::check_all_promises(|| {
            files += 1;
            create(&directory.path().join(format!("{choice:?}{files}")), choice)
        });
    }
}

/// There a worker thread of the kernel would do each write of a ring. Who asks for io_uring gets it all the same.
#[test]
fn a_file_in_memory_is_written_by_system_calls() {
    let Ok(directory) = tempfile::TempDir::new_in("/dev/shm") else { return };
    let backend = create(&directory.path().join("auto"), IoChoice::Auto).backend();
    assert_eq!(backend.kind, BackendKind::Syscall);
    let is_told = ["in memory", "is refused"].iter().any(|why| backend.reason.contains(why));
    assert!(is_told, "{backend:?}");
    if let Ok(disk) = file::create(&directory.path().join("uring"), IoChoice::Uring) {
        assert_eq!(disk.backend().kind, BackendKind::Uring);
    }
}

#[test]
fn each_disk_says_what_it_is() {
    let (_directory, path) = common::scratch_file();
    assert_eq!(file::memory().expect("memory is to be had").backend().kind, BackendKind::Memory);
    assert_eq!(DiskSim::new(1).backend().kind, BackendKind::Simulated);
    let backend = create(&path, IoChoice::Syscall).backend();
    assert_eq!(backend.kind, BackendKind::Syscall);
    assert!(backend.reason.starts_with("system calls were asked for"), "{backend:?}");
}
