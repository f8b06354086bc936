//! What the device gives to somebody who only reads a file from beginning to end: large direct reads, a few in flight.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dynamite_benches::peers::Outcome;

/// Bytes of a read.
const PIECE: usize = 1 << 20;

/// Reads in flight: more than this added nothing where it was tried.
const READERS: usize = 4;

/// What direct reads want their buffers to begin at a multiple of.
const ALIGNMENT: usize = 4096;

/// A file of its own, in whole pieces.
pub(crate) struct BareScan {
    file: File,
    pieces: u64,
}

impl BareScan {
    /// Writes a file of at least so many bytes, which is not in the page cache then.
    pub(crate) fn create(path: &Path, bytes: u64) -> Outcome<BareScan> {
        let pieces = bytes.div_ceil(PIECE as u64);
        let mut writer = BufWriter::with_capacity(PIECE, File::create(path)?);
        for piece in 0..pieces {
            // Written, not only allocated: what was never written is not read from the device.
            writer.write_all(&vec![piece as u8 | 1; PIECE])?;
        }
        writer.into_inner()?.sync_all()?;
        let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
        Ok(BareScan { file: OpenOptions::new().read(true).custom_flags(direct).open(path)?, pieces })
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.pieces * PIECE as u64
    }

    /// Reads it all. Returns how long that took.
    pub(crate) fn run(&self) -> Outcome<Duration> {
        let next = AtomicU64::new(0);
        let started = Instant::now();
        thread::scope(|scope| {
            let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(|| self.read_pieces(&next))).collect();
            readers.into_iter().try_for_each(|reader| reader.join().map_err(|_| "a reader has panicked")?)
        })?;
        Ok(started.elapsed())
    }

    fn read_pieces(&self, next: &AtomicU64) -> Outcome<()> {
        let mut buffer = vec![0; PIECE + ALIGNMENT];
        let begin = buffer.as_ptr().align_offset(ALIGNMENT);
        let buffer = &mut buffer[begin..][..PIECE];
        loop {
            let piece = next.fetch_add(1, Ordering::Relaxed);
            if piece >= self.pieces {
                return Ok(());
            }
            self.file.read_exact_at(buffer, piece * PIECE as u64)?;
        }
    }
}
