//! The disk by io_uring: batches go through a ring, all their requests under way together.
//!
//! A lone request gains nothing by a ring, so it is a plain system call, and so is all that is no batch. Rings are
//! leased: a batch has one for itself, and a thread that finds all of them leased, or that gets none from the kernel,
//! does its batch by system calls. A request that a ring did not finish, for whatever reason, is finished that way too.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};

use crate::disk::page_file::PageFile;
use crate::disk::ring::Ring;
use crate::disk::syscall::SyscallDisk;
use crate::disk::transfer::{Request, Requests, runs};
use crate::disk::{Backend, BackendKind, Disk, PageRead, PageWrite};
use crate::format::page::Page;
use crate::format::page_id::PageId;
use crate::sync::Mutex;

/// Rings of one disk.
const RINGS_MAX: usize = 8;

/// A file whose batches go through io_uring.
#[derive(Debug)]
pub(crate) struct UringDisk {
    syscalls: SyscallDisk,
    rings: RingPool,
}

impl UringDisk {
    /// `ring` is the one that showed that there can be rings.
    pub(crate) fn new(file: PageFile, ring: Ring, reason: String) -> UringDisk {
        UringDisk { syscalls: SyscallDisk::new(file, reason), rings: RingPool::new(ring) }
    }

    fn file(&self) -> &PageFile {
        self.syscalls.file()
    }

    /// A ring, if the batch has more than one request for it.
    fn ring_for(&self, requests: &Requests) -> Option<Lease<'_>> {
        if requests.len() > 1 { self.rings.lease() } else { None }
    }
}

impl Disk for UringDisk {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        self.file().read_page(id, page)
    }

    fn read_batch(&self, reads: &mut [PageRead<'_>]) {
        let mut requests = Requests::new(runs(reads, |read| read.id), |read| read.id);
        let Some(mut ring) = self.ring_for(&requests) else { return self.syscalls.read_batch(reads) };
        let mut slices: Vec<_> =
            reads.iter_mut().map(|read| IoSliceMut::new(read.page.bytes_mut())).collect();
        ring.get().read(self.file().raw_fd(), &mut slices, &mut requests);
        drop(ring);
        for request in requests.unfinished() {
            // Whatever stopped the request, each of its pages gets a result of its own.
            self.file().read_singly(&mut reads[request.rest()]);
        }
    }

    fn write_batch(&self, writes: &[PageWrite<'_>]) -> io::Result<()> {
        let mut requests = Requests::new(runs(writes, |write| write.id), |write| write.id);
        let Some(mut ring) = self.ring_for(&requests) else { return self.syscalls.write_batch(writes) };
        let slices: Vec<_> = writes.iter().map(|write| IoSlice::new(write.page.bytes())).collect();
        ring.get().write(self.file().raw_fd(), &slices, &mut requests);
        drop(ring);
        if let Some(error) = requests.unfinished().find_map(Request::take_error) {
            return Err(error);
        }
        requests.unfinished().try_for_each(|request| self.file().write_run(&writes[request.rest()]))
    }

    fn flush(&self) -> io::Result<()> {
        self.file().flush()
    }

    fn byte_len(&self) -> io::Result<u64> {
        self.file().byte_len()
    }

    fn grow(&self, page_count: u64) -> io::Result<()> {
        self.file().grow(page_count)
    }

    fn write_zeros(&self, first: PageId, count: u32) -> io::Result<()> {
        self.file().write_zeros(first, count)
    }

    fn truncate(&self, page_count: u64) -> io::Result<()> {
        self.file().truncate(page_count)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.file().drop_cache()
    }

    fn backend(&self) -> Backend {
        Backend { kind: BackendKind::Uring, ..self.syscalls.backend() }
    }
}

/// The rings of a disk.
struct RingPool(Mutex<Rings>);

struct Rings {
    idle: Vec<Ring>,
    /// Idle and leased ones.
    count: usize,
}

impl RingPool {
    fn new(first: Ring) -> RingPool {
        RingPool(Mutex::new(Rings { idle: vec![first], count: 1 }))
    }

    /// An idle ring or a new one.
    fn lease(&self) -> Option<Lease<'_>> {
        {
            let mut rings = self.0.lock();
            if let Some(ring) = rings.idle.pop() {
                return Some(Lease { pool: self, ring: Some(ring) });
            }
            if rings.count == RINGS_MAX {
                return None;
            }
            rings.count += 1;
        }
        // If the kernel refuses, the lease gives the place in the pool back.
        let lease = Lease { pool: self, ring: Ring::new().ok() };
        lease.ring.is_some().then_some(lease)
    }
}

impl fmt::Debug for RingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rings = self.0.lock();
        f.debug_struct("RingPool").field("idle", &rings.idle.len()).field("count", &rings.count).finish()
    }
}

/// A ring, or at least its place in the pool, until dropped.
struct Lease<'a> {
    pool: &'a RingPool,
    ring: Option<Ring>,
}

impl Lease<'_> {
    fn get(&mut self) -> &mut Ring {
        self.ring.as_mut().expect("a lease is handed out with its ring")
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let ring = self.ring.take().filter(Ring::is_sound);
        let mut rings = self.pool.0.lock();
        match ring {
            Some(ring) => rings.idle.push(ring),
            None => rings.count -= 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_end_at_the_limit_and_give_their_rings_back() {
        // Where io_uring is refused there is nothing to see.
        let Ok(first) = Ring::new() else { return };
        let pool = RingPool::new(first);
        let mut leases: Vec<_> = std::iter::from_fn(|| pool.lease()).collect();
        assert_eq!(leases.len(), RINGS_MAX);
        leases.truncate(RINGS_MAX - 2);
        assert_eq!(pool.0.lock().idle.len(), 2);
        assert!(pool.lease().is_some());
        assert_eq!(pool.0.lock().count, RINGS_MAX);
    }
}
