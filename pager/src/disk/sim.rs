//! A disk for tests that loses power, tears and loses writes, and fails on request, the same way for the same seed.
//!
//! It implements what [`crate::disk`] assumes of files, and is a bit meaner: a write that failed may have been done in
//! part, a length that was changed twice may come back as any of three, and [`drop_cache`](Disk::drop_cache) shows
//! what became of writes whose flush failed.
//!
//! Every page of a batch, and every other call that does I/O, is one *operation*. Operations are numbered from 0, and
//! crashes and faults are asked for by number: a first run counts them, or logs what each did, and further runs are
//! disturbed at every one in turn.
//!
//! A handle is a reference: clones see the same disk, so that a test can keep one while the pager has another.
//! [`after_power_loss`](DiskSim::after_power_loss) and its kin leave the disk as it is and return a new one.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::disk::sim_medium::{Change, Medium};
use crate::disk::{Backend, BackendKind, Disk, PageRead, PageWrite};
use crate::format::page::{PAGE_SIZE, Page};
use crate::format::page_id::PageId;
use crate::sync::{Mutex, MutexGuard};

pub use crate::disk::sim_medium::Survival;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OperationKind {
    /// Reads a page.
    Read,
    /// Writes a page.
    Write,
    /// Makes writes durable.
    Flush,
    /// Lengthens the file.
    Grow,
    /// Shortens the file.
    Truncate,
    /// Writes zeros over pages.
    WriteZeros,
}

/// One operation that the disk was asked for, whatever came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number.
    pub number: u64,
    /// What it does.
    pub kind: OperationKind,
    /// The page, or the first of several. The new page count of a growth or truncation, as far as it is a page id.
    pub page: Option<PageId>,
}

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The device reports an error. Of a write, any part may have been done.
    Eio,
    /// There is no space. Nothing was done.
    Enospc,
    /// A transfer ends early, and repeating it brings nothing more. Of a write, any part may have been done.
    Short,
    /// It panics. Of a write, any part may have been done.
    Panic,
}

impl Fault {
    fn error(self, kind: OperationKind) -> io::Error {
        match (self, kind) {
            (Fault::Panic, _) => panic!("the simulated disk panics in a {kind:?}"),
            (Fault::Eio, _) => io::Error::from_raw_os_error(libc::EIO),
            (Fault::Enospc, _) => io::Error::from_raw_os_error(libc::ENOSPC),
            (Fault::Short, OperationKind::Read) => io::ErrorKind::UnexpectedEof.into(),
            (Fault::Short, _) => io::ErrorKind::WriteZero.into(),
        }
    }
}

/// What happens to an operation instead of what was asked for.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    Fails(Fault),
    /// A write is acknowledged and never done.
    Lost,
    /// A write is acknowledged and done elsewhere.
    Misdirected(PageId),
}

/// The simulated disk.
#[derive(Clone)]
pub struct DiskSim(Arc<Mutex<State>>);

struct State {
    seed: u64,
    medium: Medium,
    /// The number of the next operation.
    operations: u64,
    crash_at: u64,
    crashed: bool,
    capacity: u64,
    mishaps: BTreeMap<u64, Mishap>,
    log: Vec<Operation>,
}

impl DiskSim {
    /// An empty disk. The seed decides what becomes of failed writes and of those that a kill interrupts.
    pub fn new(seed: u64) -> DiskSim {
        DiskSim::of(seed, u64::MAX, Medium::default())
    }

    fn of(seed: u64, capacity: u64, medium: Medium) -> DiskSim {
        DiskSim(Arc::new(Mutex::new(State {
            seed,
            medium,
            operations: 0,
            crash_at: u64::MAX,
            crashed: false,
            capacity,
            mishaps: BTreeMap::new(),
            log: Vec::new(),
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock()
    }

    /// How many operations were begun: the number of the next one.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Lets the first `operations` operations of the disk's life succeed; from then on everything fails. If the crash
    /// hits a batch of writes, all of them are in flight: each may survive or not.
    pub fn crash_after(&self, operations: u64) {
        self.state().crash_at = operations;
    }

    /// Whether the crash has happened.
    pub fn crashed(&self) -> bool {
        self.state().crashed
    }

    /// The operations since the last call.
    pub fn take_log(&self) -> Vec<Operation> {
        std::mem::take(&mut self.state().log)
    }

    /// How many changes a power cut may undo now: writes, one per page, and changes of the length.
    pub fn unflushed(&self) -> usize {
        self.state().medium.unflushed()
    }

    /// The disk after a power cut. The seed chooses style and outcome: nothing unflushed survives (0), all of it (1),
    /// each change or not (2), each write torn in pieces of 8 bytes (3), each as a prefix or suffix of its pieces (4),
    /// all changes but one (5), only one (6), any mixture (7), and on from 2 for the seeds above.
    pub fn after_power_loss(&self, seed: u64) -> DiskSim {
        let state = self.state();
        DiskSim::of(seed, state.capacity, state.medium.after_power_loss(seed))
    }

    /// The disk after a power cut with this outcome, one per [`unflushed`](DiskSim::unflushed) change in order.
    pub fn with_survivors(&self, survivals: &[Survival]) -> DiskSim {
        let state = self.state();
        DiskSim::of(state.seed, state.capacity, state.medium.after(survivals))
    }

    /// The disk after the process died and the machine did not: all that was written is there, still unflushed. What
    /// was in flight completes or not.
    pub fn after_kill(&self) -> DiskSim {
        let state = self.state();
        DiskSim::of(state.seed, state.capacity, state.medium.after_kill(state.seed))
    }

    /// Makes one operation fail. A flush that fails leaves it unknown which of its writes are durable, for good: a
    /// later flush does not vouch for them.
    pub fn fail_operation(&self, number: u64, fault: Fault) {
        self.state().mishaps.insert(number, Mishap::Fails(fault));
    }

    /// Acknowledges one write without doing it.
    pub fn lose_write(&self, number: u64) {
        self.state().mishaps.insert(number, Mishap::Lost);
    }

    /// Acknowledges one write and does it elsewhere.
    pub fn misdirect_write(&self, number: u64, elsewhere: PageId) {
        self.state().mishaps.insert(number, Mishap::Misdirected(elsewhere));
    }

    /// The device has room for so many pages; what the file has already stays.
    pub fn set_capacity(&self, pages: u64) {
        self.state().capacity = pages;
    }

    /// Flips a bit on the medium and in whatever is on its way there.
    pub fn flip_bit(&self, id: PageId, bit: usize) {
        self.state().medium.flip_bit(id, bit);
    }

    /// What a read would return now, were the disk in order; zeros beyond the end.
    pub fn page(&self, id: PageId) -> Page {
        self.state().medium.page(id).unwrap_or_else(Page::zeroed)
    }

    /// Puts other bytes on the medium, behind the back of whoever uses the disk.
    pub fn set_page(&self, id: PageId, page: &Page) {
        self.state().medium.set_page(id, page);
    }

    /// Cuts or lengthens the file on the medium, behind the back of whoever uses the disk.
    pub fn set_file_len_bytes(&self, bytes: u64) {
        self.state().medium.set_len_bytes(bytes);
    }
}

impl State {
    fn check_up(&self) -> io::Result<()> {
        if self.crashed { Err(io::Error::other("the simulated machine is down")) } else { Ok(()) }
    }

    /// Counts an operation and says whether it goes as asked.
    fn begin(&mut self, kind: OperationKind, page: Option<PageId>) -> io::Result<Option<Mishap>> {
        self.crashed |= self.operations >= self.crash_at;
        self.check_up()?;
        let number = self.operations;
        self.operations += 1;
        self.log.push(Operation { number, kind, page });
        Ok(self.mishaps.remove(&number))
    }

    /// Does a change of several parts as one operation.
    fn change(
        &mut self,
        kind: OperationKind,
        page: Option<PageId>,
        pages_needed: u64,
        changes: impl IntoIterator<Item = Change>,
    ) -> io::Result<()> {
        self.check_up()?;
        match self.begin(kind, page) {
            Ok(Some(Mishap::Fails(fault))) => Err(fault.error(kind)),
            Ok(_) if !self.has_room(pages_needed) => Err(Fault::Enospc.error(kind)),
            Ok(_) => {
                changes.into_iter().for_each(|change| self.medium.make(change));
                Ok(())
            }
            Err(error) => {
                changes.into_iter().for_each(|change| self.medium.begin(change));
                Err(error)
            }
        }
    }

    fn has_room(&self, pages: u64) -> bool {
        pages <= self.capacity.max(self.medium.len_bytes() / PAGE_SIZE as u64)
    }

    fn read(&mut self, id: PageId, page: &mut Page) -> io::Result<()> {
        if let Some(Mishap::Fails(fault)) = self.begin(OperationKind::Read, Some(id))? {
            return Err(fault.error(OperationKind::Read));
        }
        *page = self.medium.page(id).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(())
    }

    fn write(&mut self, write: &PageWrite<'_>, mishap: Option<Mishap>) -> io::Result<()> {
        let id = match mishap {
            None => write.id,
            Some(Mishap::Lost) => return Ok(()),
            Some(Mishap::Misdirected(elsewhere)) => elsewhere,
            Some(Mishap::Fails(fault)) => {
                if fault != Fault::Enospc {
                    self.medium.make_partly(write.id, write.page, self.seed ^ self.operations);
                }
                return Err(fault.error(OperationKind::Write));
            }
        };
        if !self.has_room(u64::from(id.0) + 1) {
            return Err(Fault::Enospc.error(OperationKind::Write));
        }
        self.medium.make(Change::Write(id, Arc::new(write.page.clone())));
        Ok(())
    }
}

impl Disk for DiskSim {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        self.state().read(id, page)
    }

    fn read_batch(&self, reads: &mut [PageRead<'_>]) {
        let mut state = self.state();
        for read in reads {
            read.result = state.read(read.id, read.page);
        }
    }

    fn write_batch(&self, writes: &[PageWrite<'_>]) -> io::Result<()> {
        let mut state = self.state();
        state.check_up()?;
        let begun: io::Result<Vec<_>> =
            writes.iter().map(|write| state.begin(OperationKind::Write, Some(write.id))).collect();
        match begun {
            // All writes are done, even after one that failed: they were under way together.
            Ok(mishaps) => {
                let mut outcome = Ok(());
                for (write, mishap) in writes.iter().zip(mishaps) {
                    outcome = outcome.and(state.write(write, mishap));
                }
                outcome
            }
            Err(error) => {
                for write in writes {
                    state.medium.begin(Change::Write(write.id, Arc::new(write.page.clone())));
                }
                Err(error)
            }
        }
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.state();
        match state.begin(OperationKind::Flush, None)? {
            Some(Mishap::Fails(fault)) => {
                state.medium.fail_flush();
                Err(fault.error(OperationKind::Flush))
            }
            _ => {
                state.medium.flush();
                Ok(())
            }
        }
    }

    fn byte_len(&self) -> io::Result<u64> {
        let state = self.state();
        state.check_up()?;
        Ok(state.medium.len_bytes())
    }

    fn grow(&self, page_count: u64) -> io::Result<()> {
        let mut state = self.state();
        let bytes = page_count.saturating_mul(PAGE_SIZE as u64);
        let change = (bytes > state.medium.len_bytes()).then_some(Change::Grow(bytes));
        state.change(OperationKind::Grow, page_id(page_count), page_count, change)
    }

    fn write_zeros(&self, first: PageId, count: u32) -> io::Result<()> {
        let zeros = Arc::new(Page::zeroed());
        let end = u64::from(first.0) + u64::from(count);
        let pages = (u64::from(first.0)..end).filter_map(page_id);
        let changes = pages.map(|id| Change::Write(id, zeros.clone()));
        self.state().change(OperationKind::WriteZeros, Some(first), end, changes)
    }

    fn truncate(&self, page_count: u64) -> io::Result<()> {
        let mut state = self.state();
        let bytes = page_count.saturating_mul(PAGE_SIZE as u64);
        let change = (bytes < state.medium.len_bytes()).then_some(Change::Cut(bytes));
        state.change(OperationKind::Truncate, page_id(page_count), 0, change)
    }

    fn drop_cache(&self) -> io::Result<()> {
        let mut state = self.state();
        state.check_up()?;
        let seed = state.seed ^ state.operations;
        state.medium.drop_cache(seed);
        Ok(())
    }

    fn backend(&self) -> Backend {
        Backend { kind: BackendKind::Simulated, direct: false, reason: format!("seed {}", self.state().seed) }
    }
}

impl fmt::Debug for DiskSim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("DiskSim")
            .field("seed", &state.seed)
            .field("operations", &state.operations)
            .field("crashed", &state.crashed)
            .field("unflushed", &state.medium.unflushed())
            .finish_non_exhaustive()
    }
}

fn page_id(number: u64) -> Option<PageId> {
    u32::try_from(number).ok().map(PageId)
}
