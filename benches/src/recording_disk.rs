//! A disk that passes everything on to another one, and notes what commits ask of it and how long that takes.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use dynamite_pager::disk::{Backend, Disk, PageRead, PageWrite};
use dynamite_pager::{Page, PageId};

/// What was asked for since the notes were last taken.
#[derive(Clone, Debug, Default)]
pub struct Notes {
    /// The pages of each batch of writes, in its order.
    pub batches: Vec<Vec<PageId>>,
    /// Time spent in batches of writes.
    pub writing: Duration,
    /// Time spent in flushes.
    pub flushing: Duration,
    /// How many flushes.
    pub flushes: usize,
    /// How often the file's size was changed, or zeros were written.
    pub resizes: usize,
}

impl Notes {
    /// Pages written.
    pub fn pages(&self) -> usize {
        self.batches.iter().map(Vec::len).sum()
    }

    /// Extents written: pages that follow one another in batch and file count as one.
    pub fn extents(&self) -> usize {
        let extents = |batch: &Vec<PageId>| batch.chunk_by(|a, b| a.0.checked_add(1) == Some(b.0)).count();
        self.batches.iter().map(extents).sum()
    }
}

/// See the module documentation.
#[derive(Debug)]
pub struct RecordingDisk {
    inner: Arc<dyn Disk>,
    notes: Mutex<Notes>,
}

impl RecordingDisk {
    /// Records what goes to `inner`.
    pub fn new(inner: Arc<dyn Disk>) -> Arc<RecordingDisk> {
        Arc::new(RecordingDisk { inner, notes: Mutex::default() })
    }

    /// Takes the notes.
    pub fn take(&self) -> Notes {
        std::mem::take(&mut *self.notes())
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().expect("nobody panics with the notes in hand")
    }

    fn resize<T>(&self, resized: T) -> T {
        self.notes().resizes += 1;
        resized
    }
}

impl Disk for RecordingDisk {
    fn read_page(&self, id: PageId, page: &mut Page) -> io::Result<()> {
        self.inner.read_page(id, page)
    }

    fn read_batch(&self, reads: &mut [PageRead<'_>]) {
        self.inner.read_batch(reads);
    }

    fn write_batch(&self, writes: &[PageWrite<'_>]) -> io::Result<()> {
        let started = Instant::now();
        let result = self.inner.write_batch(writes);
        let took = started.elapsed();
        let mut notes = self.notes();
        notes.writing += took;
        notes.batches.push(writes.iter().map(|write| write.id).collect());
        result
    }

    fn flush(&self) -> io::Result<()> {
        let started = Instant::now();
        let result = self.inner.flush();
        let took = started.elapsed();
        let mut notes = self.notes();
        notes.flushing += took;
        notes.flushes += 1;
        result
    }

    fn byte_len(&self) -> io::Result<u64> {
        self.inner.byte_len()
    }

    fn grow(&self, page_count: u64) -> io::Result<()> {
        self.resize(self.inner.grow(page_count))
    }

    fn write_zeros(&self, first: PageId, count: u32) -> io::Result<()> {
        self.resize(self.inner.write_zeros(first, count))
    }

    fn truncate(&self, page_count: u64) -> io::Result<()> {
        self.resize(self.inner.truncate(page_count))
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.inner.drop_cache()
    }

    fn backend(&self) -> Backend {
        self.inner.backend()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_in_batch_and_file_are_one_extent() {
        let batch = |ids: &[u32]| ids.iter().copied().map(PageId).collect();
        let notes = Notes { batches: vec![batch(&[1, 7, 8, 9, 11]), batch(&[12, 2, 1])], ..Notes::default() };
        assert_eq!((notes.pages(), notes.extents()), (8, 6));
    }
}
