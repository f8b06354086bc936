//! The time that a thread, or the process, has spent on a processor. For work that never waits, that leaves out what other processes
//! on the machine take.

use std::io;
use std::time::Duration;

/// The processor time of the calling thread so far. Asking takes some microseconds.
pub fn cpu_time() -> io::Result<Duration> {
    // The kernel brings its books up to date when the thread gives way, else at the next tick only.
    std::thread::yield_now();
    // "time on the processor, time waiting for one, slices", the times in nanoseconds.
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = stat.split_whitespace().next().and_then(|field| field.parse().ok());
    nanoseconds.map(Duration::from_nanos).ok_or_else(|| io::Error::other("schedstat has another format"))
}

/// The processor time of all threads of this process so far, those that have ended included.
#[cfg(feature = "peers")]
pub fn process_cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    // Neither part is ever negative.
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_goes_on_while_the_thread_works() {
        let before = cpu_time().expect("the kernel keeps it");
        while cpu_time().expect("the kernel keeps it") == before {
            std::hint::black_box((0..1000_u64).sum::<u64>());
        }
    }
}
