//! The files of a database that is nobody's but one engine's: how large they are, copies of them, and what the kernel
//! has of them in memory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, fadvise};

/// The size of all the files in a directory: data, logs, journals, indexes of logs, locks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskUse {
    /// What the files say of themselves.
    pub length_bytes: u64,
    /// What the file system has given to them.
    pub allocated_bytes: u64,
}

impl DiskUse {
    /// Of the files in this directory as they are now.
    pub fn of(directory: &Path) -> io::Result<DiskUse> {
        let mut total = DiskUse::default();
        for file in files(directory)? {
            let metadata = fs::metadata(file)?;
            total.length_bytes += metadata.len();
            // In units of 512 bytes, whatever the size of the file system's own blocks.
            total.allocated_bytes += metadata.blocks() * 512;
        }
        Ok(total)
    }
}

/// Copies the files of a database that nobody has open, and waits until the copies are on the device, so that they are
/// not written while something is measured.
pub fn copy_database(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for file in files(from)? {
        let copy = to.join(file.file_name().expect("it was found in the directory by its name"));
        fs::copy(&file, &copy)?;
        File::open(copy)?.sync_all()?;
    }
    Ok(())
}

/// Asks the kernel to forget what it has of these files. It keeps what somebody has mapped.
pub fn drop_page_cache(directory: &Path) -> io::Result<()> {
    for path in files(directory)? {
        let file = File::open(path)?;
        // What is not on the device yet stays in memory.
        file.sync_all()?;
        fadvise(&file, 0, None, Advice::DontNeed)?;
    }
    Ok(())
}

fn files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect()
}
