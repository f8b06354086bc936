//! A limit to all the memory of a process, the kernel's page cache for it included: otherwise an engine that leaves
//! caching to the kernel would have all of the machine's.
//!
//! Memory control groups of version 1. The group is made below that of this process, so what limits this process goes on
//! limiting its children.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the groups are.
const ROOT: &str = "/sys/fs/cgroup/memory";

/// A control group, removed when dropped; by then nobody may be in it any more.
#[derive(Debug)]
pub struct Cgroup(PathBuf);

impl Cgroup {
    /// Makes a group for processes that together may use so much memory.
    pub fn new(name: &str, limit_bytes: usize) -> io::Result<Cgroup> {
        let path = own_group()?.join(format!("dynamite-bench-{}-{name}", std::process::id()));
        fs::create_dir(&path)?;
        let group = Cgroup(path);
        fs::write(group.0.join("memory.limit_in_bytes"), limit_bytes.to_string())?;
        Ok(group)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Moves this process into the group at this path.
    pub fn join(path: &Path) -> io::Result<()> {
        fs::write(path.join("cgroup.procs"), std::process::id().to_string())
    }

    /// The most memory that was in use at any time.
    pub fn peak_bytes(&self) -> io::Result<u64> {
        let peak = fs::read_to_string(self.0.join("memory.max_usage_in_bytes"))?;
        peak.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // The kernel may take a moment to see that the last process has left.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// The group that this process is in.
fn own_group() -> io::Result<PathBuf> {
    // Lines like "4:memory:/user.slice".
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    let own = groups.lines().find_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        controllers.split(',').any(|controller| controller == "memory").then_some(path)
    });
    let own = own.ok_or_else(|| io::Error::other("there is no memory controller of version 1"))?;
    Ok(Path::new(ROOT).join(own.trim_start_matches('/')))
}
