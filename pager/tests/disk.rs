//! Every disk keeps every promise of `trait Disk`: by io_uring, by system calls, in memory, simulated; past the page
//! cache and through it.

mod common;

use std::path::Path;
use std::sync::Arc;

use dynamite_pager::disk::{BackendKind, Disk};
use dynamite_pager::disk_sim::DiskSim;
use dynamite_pager::file::{self, IoChoice};

fn create(path: &Path, choice: IoChoice) -> Arc<dyn Disk> {
    file::create(path, choice).expect("the file is created")
}

/// `None` where this machine refuses io_uring, which is no fault of ours.
fn create_uring(path: &Path) -> Option<Arc<dyn Disk>> {
    let disk = create(path, IoChoice::Auto);
    let backend = disk.backend();
    match backend.kind {
        BackendKind::Uring => Some(disk),
        _ => {
            assert!(backend.reason.contains("io_uring is refused"), "{backend:?}");
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
    for choice in [IoChoice::Auto, IoChoice::Syscall] {
        let mut files = 0;
        common::check_all_promises(|| {
            files += 1;
            create(&directory.path().join(format!("{choice:?}{files}")), choice)
        });
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
