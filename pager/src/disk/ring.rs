//! One io_uring, which runs one batch of requests at a time.
//!
//! The ring has up to [`DEPTH`] requests in flight and is refilled as completions arrive. No request waits for
//! another one: there are no links, no drains, and no flush goes through the ring.
//!
//! # Why no buffer is freed while the kernel may use it
//!
//! 1. Buffers are borrowed by [`Ring::read`] and [`Ring::write`] until these return.
//! 2. They return, or unwind, only after `Flight` has counted as many completions as the kernel took entries.
//!    How many it took is read from the ring itself, so no return value of a system call can mislead the count.
//! 3. `Flight` waits without limit. Should even waiting be refused, it sleeps and looks: completions are
//!    posted whenever the thread returns from the kernel, asked for or not.
//! 4. Entries that the kernel did not take still point to the buffers, so a ring that has such is never used again
//!    ([`Ring::is_sound`]). Nobody else can submit them: there is no polling thread, and the mapping is not
//!    inherited by children.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::RawFd;
use std::time::Duration;

use io_uring::{EnterFlags, IoUring, opcode, squeue, types};

use crate::disk::transfer::{Request, Requests};
use crate::sync::yield_now;

/// Requests in flight.
pub(crate) const DEPTH: usize = 64;

/// Entries that one system call hands to the kernel. From three on it holds back the requests until it has prepared all of them
/// (`IO_PLUG_THRESHOLD`): that serves devices which gain by merging neighbours, and here neighbours are one request already. With two the
/// device is at work while the next are prepared, which takes a fifth off the time of a batch.
const TOGETHER: usize = 2;

/// How often the kernel may refuse to take entries, with nothing in flight whose end could change that, before the
/// batch goes another way.
const REFUSALS_MAX: u32 = 1000;

/// Between two looks at a ring that cannot be waited for.
const PAUSE: Duration = Duration::from_millis(1);

/// An io_uring that is used by one thread at a time, though not always by the same one.
pub(crate) struct Ring {
    ring: IoUring,
    sound: bool,
}

impl Ring {
    /// Sets up a ring and sends a request through it, since either may be refused.
    pub(crate) fn new() -> io::Result<Ring> {
        // Completions need not interrupt the thread, as it waits for them in the kernel. Flags that save more
        // (SINGLE_ISSUER, DEFER_TASKRUN) would bind the ring to one thread. Kernels before 5.19 know none of them.
        let ring = match IoUring::builder().dontfork().setup_coop_taskrun().build(DEPTH as u32) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                IoUring::builder().dontfork().build(DEPTH as u32)?
            }
            other => other?,
        };
        let mut ring = Ring { ring, sound: true };
        ring.send_nop()?;
        Ok(ring)
    }

    fn send_nop(&mut self) -> io::Result<()> {
        let mut flight = Flight::new(&mut self.ring);
        // SAFETY: this request has no buffers.
        unsafe { flight.push(&opcode::Nop::new().build()) };
        let mut answer = None;
        while answer.is_none() {
            match flight.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => flight.reap(|_, result| answer = Some(result)),
            }
        }
        match answer {
            Some(error @ ..0) => Err(io::Error::from_raw_os_error(-error)),
            _ => Ok(()),
        }
    }

    /// Whether the ring may be used for another batch.
    pub(crate) fn is_sound(&self) -> bool {
        self.sound
    }

    /// Reads the slices, one page each, as far as the ring gets with them.
    pub(crate) fn read(&mut self, fd: RawFd, slices: &mut [IoSliceMut<'_>], requests: &mut Requests) {
        let base: *mut IoSliceMut<'_> = slices.as_mut_ptr();
        let pages = slices.len();
        let entry = |request: &Request| {
            let rest = request.rest();
            assert!(rest.end <= pages, "a request lies within its batch");
            // `IoSliceMut` is documented to have the layout of `iovec`.
            let iovec = base.wrapping_add(rest.start).cast_const().cast::<libc::iovec>();
            opcode::Readv::new(types::Fd(fd), iovec, rest.len() as u32).offset(request.offset()).build()
        };
        // SAFETY: every entry names slices of this batch (asserted), which are borrowed exclusively, and so are the
        // bytes that they name, until `run` returns. Nothing looks at either before that.
        unsafe { self.run(requests, entry) }
    }

    /// Writes the slices, one page each, as far as the ring gets with them.
    pub(crate) fn write(&mut self, fd: RawFd, slices: &[IoSlice<'_>], requests: &mut Requests) {
        let entry = |request: &Request| {
            let iovecs = &slices[request.rest()];
            // `IoSlice` is documented to have the layout of `iovec`.
            let iovec = iovecs.as_ptr().cast::<libc::iovec>();
            opcode::Writev::new(types::Fd(fd), iovec, iovecs.len() as u32).offset(request.offset()).build()
        };
        // SAFETY: every entry names slices of this batch, which are borrowed, and so are the bytes that they name,
        // until `run` returns. The kernel only reads them.
        unsafe { self.run(requests, entry) }
    }

    /// Submits all requests and waits for them. After a failure of the ring itself some may remain unfinished.
    ///
    /// # Safety
    ///
    /// The memory that `entry` names must be valid, and untouched by others, until this returns or unwinds.
    unsafe fn run(&mut self, requests: &mut Requests, entry: impl Fn(&Request) -> squeue::Entry) {
        assert!(self.sound, "a ring with stale entries is not used again");
        // Until the end is reached, so that unwinding leaves it so.
        self.sound = false;
        let mut flight = Flight::new(&mut self.ring);
        let mut refusals = 0;
        loop {
            while flight.outstanding() < DEPTH
                && let Some(index) = requests.next()
            {
                let entry = entry(requests.get(index)).user_data(index as u64);
                // SAFETY: the caller vouches for the memory until `run` returns or unwinds, which it does only after
                // `flight` was drained, by the loop's end or by `Flight::drop`.
                unsafe { flight.push(&entry) };
                if flight.waiting() >= TOGETHER && requests.has_next() {
                    flight.submit();
                }
            }
            if flight.outstanding() == 0 {
                self.sound = true;
                return;
            }
            // With nothing left to add, one wait for all saves system calls.
            let want = if requests.has_next() { 1 } else { flight.outstanding() };
            let submitted = flight.submit_and_wait(want);
            flight.reap(|index, result| requests.complete(index, result));
            match submitted.map_err(|error| error.raw_os_error()) {
                Ok(_) => refusals = 0,
                Err(Some(libc::EINTR)) => {}
                // The kernel is short of memory. Completions give back some, and so do other threads.
                Err(Some(libc::EAGAIN | libc::EBUSY)) if refusals < REFUSALS_MAX => {
                    refusals += 1;
                    if flight.in_flight() > 0 {
                        flight.wait_for_one();
                        flight.reap(|index, result| requests.complete(index, result));
                    } else {
                        yield_now();
                    }
                }
                Err(errno) => {
                    tracing::warn!(
                        errno,
                        "io_uring takes no more requests, the batch goes on by system calls"
                    );
                    flight.drain(|index, result| requests.complete(index, result));
                    return;
                }
            }
        }
    }
}

/// What a batch has in the ring. Dropped only when the kernel is done with all that it took.
struct Flight<'a> {
    ring: &'a mut IoUring,
    /// Entries put into the submission queue.
    pushed: usize,
    /// Completions taken out.
    completed: usize,
}

impl<'a> Flight<'a> {
    fn new(ring: &'a mut IoUring) -> Flight<'a> {
        Flight { ring, pushed: 0, completed: 0 }
    }

    /// Pushed and not yet completed: at most [`DEPTH`].
    fn outstanding(&self) -> usize {
        self.pushed - self.completed
    }

    /// Pushed and not yet taken by the kernel: what stands in the queue, whose head only the kernel moves.
    fn waiting(&mut self) -> usize {
        self.ring.submission().len()
    }

    /// Taken by the kernel and not yet completed.
    fn in_flight(&mut self) -> usize {
        self.outstanding() - self.waiting()
    }

    /// # Safety
    ///
    /// The memory that the entry names must be valid until this flight is drained.
    unsafe fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: passed on to the caller.
        let pushed = unsafe { self.ring.submission().push(entry) };
        pushed.expect("the queue has room for DEPTH entries");
        self.pushed += 1;
    }

    /// Offers the kernel what is waiting. Should it refuse, whoever waits for completions will be told.
    fn submit(&mut self) {
        let _ = self.ring.submit();
    }

    fn submit_and_wait(&mut self, want: usize) -> io::Result<usize> {
        self.ring.submit_and_wait(want)
    }

    /// Waits for a completion without submitting anything.
    fn wait_for_one(&mut self) {
        let flags = EnterFlags::GETEVENTS.bits();
        // SAFETY: without entries to submit and without an argument the call touches no memory but the ring's own.
        let waited = unsafe { self.ring.submitter().enter::<libc::sigset_t>(0, 1, flags, None) };
        match waited {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => std::thread::sleep(PAUSE),
            _ => {}
        }
    }

    fn reap(&mut self, mut complete: impl FnMut(usize, i32)) {
        while let Some(completion) = self.ring.completion().next() {
            self.completed += 1;
            complete(completion.user_data() as usize, completion.result());
        }
    }

    /// Waits until the kernel has completed all that it took.
    fn drain(&mut self, mut complete: impl FnMut(usize, i32)) {
        self.reap(&mut complete);
        while self.in_flight() > 0 {
            self.wait_for_one();
            self.reap(&mut complete);
        }
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.drain(|_, _| {});
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::fd::AsRawFd;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::thread;

    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

    use super::*;

    /// Has a read in flight that ends only some time after `end` has begun to end the flight, and checks that the
    /// flight lasted until then.
    fn check_waits_for_its_read(end: impl FnOnce(Flight<'_>)) {
        // Where io_uring is refused there is nothing to see.
        let Ok(mut ring) = Ring::new() else { return };
        let (reader, mut writer) = io::pipe().expect("a pipe is to be had");
        // Never freed, so that the test may fail without harm.
        let buffer: *mut [u8; 4] = Box::leak(Box::new([0; 4]));
        let mut flight = Flight::new(&mut ring.ring);
        let entry = opcode::Read::new(types::Fd(reader.as_raw_fd()), buffer.cast(), 4).build();
        // SAFETY: the buffer is never freed, and nobody looks at it while the read is in flight.
        unsafe { flight.push(&entry) };
        while flight.in_flight() == 0 {
            let _ = flight.submit_and_wait(0);
        }
        let writer = thread::spawn(move || {
            thread::sleep(20 * PAUSE);
            writer.write_all(b"done").expect("the pipe is open");
        });
        end(flight);
        // SAFETY: this is where the read must have ended.
        assert_eq!(unsafe { &*buffer }, b"done");
        writer.join().expect("the writer ends");
    }

    #[test]
    fn a_flight_ends_only_when_the_kernel_is_done_with_its_buffers() {
        check_waits_for_its_read(|flight| drop(flight));
    }

    #[test]
    fn a_flight_that_is_unwound_ends_only_when_the_kernel_is_done_with_its_buffers() {
        check_waits_for_its_read(|flight| {
            let unwound = catch_unwind(AssertUnwindSafe(|| {
                let _flight = flight;
                std::panic::resume_unwind(Box::new("as planned"));
            }));
            assert!(unwound.is_err());
        });
    }

    #[test]
    fn a_flight_that_cannot_wait_ends_only_when_the_kernel_is_done_with_its_buffers() {
        // The filter ends with its thread.
        let ended = thread::spawn(|| {
            check_waits_for_its_read(|flight| {
                refuse_to_enter();
                drop(flight);
            });
        });
        ended.join().expect("the flight ends");
    }

    fn refuse_to_enter() {
        let arch = TargetArch::try_from(std::env::consts::ARCH).expect("seccompiler knows this architecture");
        let rules = [(libc::SYS_io_uring_enter, vec![])].into();
        let refusal = SeccompAction::Errno(libc::EPERM as u32);
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, arch);
        let program: Result<BpfProgram, _> = filter.and_then(BpfProgram::try_from);
        seccompiler::apply_filter(&program.expect("the filter compiles")).expect("the filter is installed");
    }

    #[test]
    fn what_the_kernel_did_not_take_is_not_waited_for() {
        let Ok(mut ring) = Ring::new() else { return };
        let mut flight = Flight::new(&mut ring.ring);
        // SAFETY: this request has no buffers.
        unsafe { flight.push(&opcode::Nop::new().build()) };
        assert_eq!((flight.outstanding(), flight.in_flight()), (1, 0));
        drop(flight);
    }

    #[test]
    fn a_batch_that_unwinds_leaves_an_unsound_ring() {
        let Ok(mut ring) = Ring::new() else { return };
        let ids = [crate::format::page_id::PageId(1)];
        let mut requests = Requests::new(crate::disk::transfer::runs(&ids, |id| *id), |id| *id);
        // No slice for the one request, as no caller of ours would do it.
        let unwound = catch_unwind(AssertUnwindSafe(|| ring.write(-1, &[], &mut requests)));
        assert!(unwound.is_err() && !ring.is_sound());
    }
}
