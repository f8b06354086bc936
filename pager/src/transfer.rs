//! How a batch of pages is cut into requests, and what is done when a request comes back short.
//!
//! Pages that follow one another both in the batch and in the file make up a *run*, which one vectored request
//! transfers. Requests begin and end at page boundaries, and so does what is left of one that came back short: a
//! page of which only a part was transferred is transferred again as a whole. So direct I/O stays aligned whatever
//! the kernel returns, and at the end of the file, where repeating gains nothing, it shows at once.
//!
//! Nothing here does I/O, so every answer of the kernel can be tested.

use std::io;

use crate::page::PAGE_SIZE;
use crate::page_id::PageId;

/// The most pages in one request: 256 KiB, beyond which devices split requests anyway.
pub(crate) const RUN_PAGES_MAX: usize = 64;

/// How often a request that the kernel puts off is offered again before it goes the blocking way.
const RETRIES_MAX: u32 = 64;

/// Whether two neighbours in a batch are neighbours in the file.
fn follows(first: PageId, second: PageId) -> bool {
    first.0.checked_add(1) == Some(second.0)
}

/// Cuts a batch into runs.
pub(crate) fn runs<T>(batch: &[T], id: impl Fn(&T) -> PageId) -> impl Iterator<Item = &[T]> {
    batch.chunk_by(move |a, b| follows(id(a), id(b))).flat_map(|run| run.chunks(RUN_PAGES_MAX))
}

/// Cuts a batch into runs.
pub(crate) fn runs_mut<T>(batch: &mut [T], id: impl Fn(&T) -> PageId) -> impl Iterator<Item = &mut [T]> {
    batch.chunk_by_mut(move |a, b| follows(id(a), id(b))).flat_map(|run| run.chunks_mut(RUN_PAGES_MAX))
}

/// How far the transfer of a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Whole pages that were transferred.
    pub(crate) pages: usize,
    /// Bytes of the page after those, which is transferred again.
    partial_bytes: usize,
}

impl Progress {
    /// Counts the bytes of one answer to a request that began behind the whole pages. `false`: it brought nothing
    /// new, so asking again would not either.
    #[must_use]
    pub(crate) fn advance(&mut self, bytes: usize) -> bool {
        let (pages, partial_bytes) = (bytes / PAGE_SIZE, bytes % PAGE_SIZE);
        if pages == 0 && partial_bytes <= self.partial_bytes {
            return false;
        }
        self.pages += pages;
        self.partial_bytes = partial_bytes;
        true
    }
}

/// One run of a batch.
#[derive(Debug)]
pub(crate) struct Request {
    /// The page that the run begins with.
    first: PageId,
    /// Where the run begins in the batch.
    start: usize,
    pages: usize,
    progress: Progress,
    retries: u32,
    error: Option<io::Error>,
}

impl Request {
    /// The pages that still have to be transferred, as a range of the batch.
    pub(crate) fn rest(&self) -> std::ops::Range<usize> {
        self.start + self.progress.pages..self.start + self.pages
    }

    /// Where in the file they begin, in bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.first.offset() + (self.progress.pages * PAGE_SIZE) as u64
    }

    /// What the kernel said, if it refused.
    pub(crate) fn take_error(&mut self) -> Option<io::Error> {
        self.error.take()
    }
}

/// The requests of one batch: which of them may be submitted, and what became of the others.
#[derive(Debug)]
pub(crate) struct Requests {
    list: Vec<Request>,
    /// Those from here on were never submitted.
    next: usize,
    /// To be submitted again.
    again: Vec<usize>,
}

impl Requests {
    /// One request per run.
    pub(crate) fn new<'a, T: 'a>(runs: impl Iterator<Item = &'a [T]>, id: impl Fn(&T) -> PageId) -> Requests {
        let mut start = 0;
        let list = runs.map(|run| {
            let (first, pages) = (id(&run[0]), run.len());
            start += pages;
            Request {
                first,
                start: start - pages,
                pages,
                progress: Progress::default(),
                retries: 0,
                error: None,
            }
        });
        Requests { list: list.collect(), next: 0, again: Vec::new() }
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    pub(crate) fn get(&self, index: usize) -> &Request {
        &self.list[index]
    }

    /// Whether [`next`](Requests::next) has something to give.
    pub(crate) fn has_next(&self) -> bool {
        !self.again.is_empty() || self.next < self.list.len()
    }

    /// The next request to submit.
    pub(crate) fn next(&mut self) -> Option<usize> {
        if let Some(index) = self.again.pop() {
            return Some(index);
        }
        let index = self.next;
        (index < self.list.len()).then(|| {
            self.next += 1;
            index
        })
    }

    /// Takes the kernel's answer to a request: bytes, or a negated error number.
    ///
    /// A request that gets nowhere is dropped without an error: [`unfinished`](Requests::unfinished) names it, and
    /// the blocking way finishes it or finds the error.
    pub(crate) fn complete(&mut self, index: usize, result: i32) {
        let Some(request) = self.list.get_mut(index) else { return };
        let again = match usize::try_from(result) {
            Ok(bytes) => request.progress.advance(bytes) && request.progress.pages < request.pages,
            Err(_) if matches!(-result, libc::EAGAIN | libc::EINTR) => {
                request.retries += 1;
                request.retries <= RETRIES_MAX
            }
            Err(_) => {
                request.error = Some(io::Error::from_raw_os_error(result.saturating_neg()));
                false
            }
        };
        if again {
            self.again.push(index);
        }
    }

    /// The requests that did not complete, for an error or for want of progress.
    pub(crate) fn unfinished(&mut self) -> impl Iterator<Item = &mut Request> {
        self.list.iter_mut().filter(|request| !request.rest().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: i32 = PAGE_SIZE as i32;

    fn ids(ids: &[u32]) -> Vec<PageId> {
        ids.iter().copied().map(PageId).collect()
    }

    #[track_caller]
    fn check_runs(batch: &[u32], expected: &[usize]) {
        let mut batch = ids(batch);
        assert_eq!(runs(&batch, |id| *id).map(<[PageId]>::len).collect::<Vec<_>>(), expected);
        assert_eq!(runs_mut(&mut batch, |id| *id).map(|run| run.len()).collect::<Vec<_>>(), expected);
    }

    fn requests(batch: &[u32]) -> Requests {
        let batch = ids(batch);
        Requests::new(runs(&batch, |id| *id), |id| *id)
    }

    /// Where the unfinished requests begin and end.
    fn unfinished(requests: &mut Requests) -> Vec<(usize, usize)> {
        requests.unfinished().map(|request| (request.rest().start, request.rest().end)).collect()
    }

    #[test]
    fn neighbours_in_slice_and_file_make_a_run() {
        check_runs(&[], &[]);
        check_runs(&[5], &[1]);
        check_runs(&[5, 6, 7, 9, 10, 3], &[3, 2, 1]);
        check_runs(&[7, 6, 5], &[1, 1, 1]);
        check_runs(&[5, 5, 6], &[1, 2]);
        check_runs(&[u32::MAX - 1, u32::MAX, 0], &[2, 1]);
    }

    #[test]
    fn a_long_run_is_cut_at_the_largest_request() {
        check_runs(&(0..130).collect::<Vec<_>>(), &[64, 64, 2]);
    }

    #[test]
    fn every_request_is_handed_out_once_and_knows_its_place() {
        let mut requests = requests(&[4, 5, 9]);
        assert_eq!((requests.next(), requests.next(), requests.next()), (Some(0), Some(1), None));
        assert_eq!((requests.get(0).rest(), requests.get(0).offset()), (0..2, 4 * 4096));
        assert_eq!((requests.get(1).rest(), requests.get(1).offset()), (2..3, 9 * 4096));
        requests.complete(0, 2 * PAGE);
        requests.complete(1, PAGE);
        assert!(!requests.has_next());
        assert_eq!(unfinished(&mut requests), []);
    }

    #[test]
    fn a_short_answer_is_continued_from_the_last_whole_page() {
        let mut requests = requests(&[4, 5, 6]);
        assert_eq!(requests.next(), Some(0));
        requests.complete(0, PAGE + 512);
        assert_eq!(requests.next(), Some(0));
        assert_eq!((requests.get(0).rest(), requests.get(0).offset()), (1..3, 5 * 4096));
        requests.complete(0, 2 * PAGE);
        assert!(!requests.has_next());
        assert_eq!(unfinished(&mut requests), []);
    }

    #[test]
    fn an_answer_that_brings_nothing_new_ends_the_request() {
        for last in [0, 512, 1024] {
            let mut requests = requests(&[4, 5]);
            assert_eq!(requests.next(), Some(0));
            requests.complete(0, PAGE);
            assert_eq!(requests.next(), Some(0));
            requests.complete(0, 1024);
            assert_eq!(requests.next(), Some(0));
            requests.complete(0, last);
            assert_eq!(requests.next(), None);
            assert_eq!(unfinished(&mut requests), [(1, 2)]);
            assert!(requests.unfinished().all(|request| request.take_error().is_none()));
        }
    }

    #[test]
    fn a_request_that_was_put_off_is_offered_again_but_not_for_ever() {
        for errno in [libc::EAGAIN, libc::EINTR] {
            let mut requests = requests(&[4]);
            let mut offers = 0;
            while let Some(index) = requests.next() {
                offers += 1;
                requests.complete(index, -errno);
            }
            assert_eq!(offers, RETRIES_MAX + 1);
            assert_eq!(unfinished(&mut requests), [(0, 1)]);
        }
    }

    #[test]
    fn an_error_ends_its_request_and_no_other() {
        let mut requests = requests(&[4, 9]);
        assert_eq!((requests.next(), requests.next()), (Some(0), Some(1)));
        requests.complete(0, -libc::EIO);
        requests.complete(1, PAGE);
        assert!(!requests.has_next());
        assert_eq!(unfinished(&mut requests), [(0, 1)]);
        let error = requests.unfinished().next().and_then(Request::take_error);
        assert_eq!(error.and_then(|error| error.raw_os_error()), Some(libc::EIO));
    }
}
