//! Reading ahead of whoever walks a tree for a census, so that the device works while pages are looked at.
//!
//! A walk goes in the order of the keys and comes to one page at a time, which is as slow as a device can be read. Who walks a tree
//! knows where it will lead, though: a *scout* goes before it and sees only the pages above the leaves. For each of
//! these it names a *group*: that page, and the pages below it. *Readers* read the pages of a group, portion by portion,
//! check them, and look at them for the extents that they lead to, which they read too. The walker takes the pages from the portions
//! in its own order. What it does not find it reads by itself: so nothing depends on the scout but speed, and of
//! damage the walker sees what it would have seen.
//!
//! # Memory
//!
//! Groups are taken apart into chunks of at most [`CHUNK_PAGES`] pages. There are at most [`CHUNKS`] of them, with at most two portions
//! of [`PORTION_PAGES`] each: 16 MiB, and one portion more in the hands of the walker and of each reader. Pages that were given back are kept to
//! be read into, up to 8 MiB; only if there are none of them, new ones are made.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::census::{Examine, Examined, check_read};
use crate::commit::write_state::Core;
use crate::disk::PageRead;
use crate::error::{IoOperation, Result};
use crate::format::page::Page;
use crate::format::page_id::{Birth, Extent, PageId, PagePtr};
use crate::sync::{Condvar, Mutex};

/// Says which extents a page leads to, in the order in which a walker will read them, and the births of their pages.
pub type Follow = fn(&Page, &mut Vec<(Extent, Birth)>);

/// Pages of a group that are read at once.
const CHUNK_PAGES: usize = 128;
/// Chunks that are read, or wait to be taken. One whose pages lie scattered takes many times as long as others: the walker waits for it, and
/// the readers go on as far as there is room.
const CHUNKS: usize = 16;
/// Pages of a portion.
const PORTION_PAGES: usize = 128;
/// Portions of a chunk that wait to be taken.
const PORTIONS: usize = 2;
/// Pages that are kept to be read into again.
const SPARE: usize = CHUNKS * CHUNK_PAGES;
/// Threads that read.
const READERS: usize = 4;

/// Pages with what reading them came to, in the order in which a walker will want them.
#[derive(Debug, Default)]
struct Portion {
    pages: Vec<Option<(PagePtr, Result<Examined>)>>,
    /// The one behind that which was taken last.
    next: usize,
}

impl Portion {
    fn take(&mut self, id: PageId) -> Option<(PagePtr, Result<Examined>)> {
        let is_it = |at: &usize| self.pages[*at].as_ref().is_some_and(|(ptr, _)| ptr.id == id);
        let at = (self.next..self.pages.len()).chain(0..self.next).find(is_it)?;
        self.next = at + 1;
        self.pages[at].take()
    }

    fn whole_pages(&self) -> impl Iterator<Item = &Page> {
        self.pages.iter().flatten().filter_map(|(_, read)| read.as_ref().ok()).map(|examined| &*examined.page)
    }
}

/// The walker's side.
#[derive(Debug)]
pub(super) struct Ahead {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// The group that the walker is in.
    group: Option<PageId>,
    /// The pages that the scout has named of the chunk at hand, as far as they are not taken yet.
    named: Portion,
    /// Some of those that they lead to.
    led_to: Portion,
}

/// Goes before a walker. See [`Census::read_ahead`](crate::Census::read_ahead).
#[derive(Debug)]
pub struct Scout {
    shared: Arc<Shared>,
}

/// Reads. Should it panic, nobody waits for what it will not bring.
struct Reader(Arc<Shared>);

impl Drop for Reader {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.close();
        }
    }
}

struct Shared {
    core: Arc<Core>,
    examine: Examine,
    page_count: u64,
    follow: Follow,
    /// Pages to read into.
    spare: Mutex<Vec<Box<Page>>>,
    queue: Mutex<Queue>,
    /// There is more for the walker.
    for_walker: Condvar,
    /// There is a chunk for a reader.
    for_reader: Condvar,
    /// There may be room for what a reader has read.
    for_portion: Condvar,
    /// There is room for a chunk of the scout's.
    for_scout: Condvar,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct Queue {
    /// In the order in which the walker will come to them.
    chunks: VecDeque<Chunk>,
    /// The number of the first of these.
    first: u64,
    /// The scout names no more.
    ended: bool,
    /// The walker wants no more, or there is nobody left to read.
    closed: bool,
}

#[derive(Debug)]
struct Chunk {
    group: PageId,
    is_last_of_group: bool,
    ptrs: Vec<PagePtr>,
    /// Where its pages lead to, as soon as they have been read.
    leads_to: Vec<(Extent, Birth)>,
    /// A reader has taken it.
    is_taken: bool,
    /// The walker has taken its first portion.
    is_begun: bool,
    is_read: bool,
    portions: VecDeque<Portion>,
}

impl Chunk {
    fn has(&self, ptr: PagePtr) -> bool {
        self.ptrs.contains(&ptr)
            || self.leads_to.iter().any(|(extent, birth)| *birth == ptr.birth && extent.contains(ptr.id))
    }
}

impl Ahead {
    /// Starts the threads. `None` if the system has none to give.
    pub(super) fn start(
        core: &Arc<Core>,
        examine: Examine,
        page_count: u64,
        follow: Follow,
        scout: impl FnOnce(&Scout) + Send + 'static,
    ) -> Option<Ahead> {
        let shared = Arc::new(Shared {
            core: core.clone(),
            examine,
            page_count,
            follow,
            spare: Mutex::default(),
            queue: Mutex::default(),
            for_walker: Condvar::new(),
            for_reader: Condvar::new(),
            for_portion: Condvar::new(),
            for_scout: Condvar::new(),
        });
        let (named, led_to) = (Portion::default(), Portion::default());
        let mut ahead = Ahead { shared: shared.clone(), threads: Vec::new(), group: None, named, led_to };
        let scouting = Scout { shared: shared.clone() };
        ahead.spawn(move || {
            scout(&scouting);
            drop(scouting);
        })?;
        for _ in 0..READERS {
            let reader = Reader(shared.clone());
            ahead.spawn(move || reader.0.read_chunks())?;
        }
        Some(ahead)
    }

    fn spawn(&mut self, body: impl FnOnce() + Send + 'static) -> Option<()> {
        match std::thread::Builder::new().name("dynamite-census".into()).spawn(body) {
            Ok(thread) => {
                self.threads.push(thread);
                Some(())
            }
            Err(error) => {
                tracing::warn!(%error, "a thread that reads ahead of a check cannot be started");
                None
            }
        }
    }

    /// The walker has done with a page.
    pub(super) fn give_back(&self, page: Box<Page>) {
        let mut spare = self.shared.spare.lock();
        if spare.len() < SPARE {
            spare.push(page);
        }
    }

    /// The walker comes to a group. What was read of those before it is forgotten.
    pub(super) fn begin_group(&mut self, group: PageId) {
        (self.named, self.led_to) = (Portion::default(), Portion::default());
        self.group = None;
        let mut queue = self.shared.queue.lock();
        while !queue.closed {
            match queue.chunks.front() {
                Some(chunk) if chunk.group == group => {
                    self.group = Some(group);
                    return;
                }
                Some(_) => self.shared.pop(&mut queue),
                None if queue.ended => return,
                None => queue = self.shared.for_walker.wait(queue),
            }
        }
    }

    /// A page, if it was read ahead. Waits for it if it is going to be.
    pub(super) fn take(&mut self, ptr: PagePtr) -> Option<Result<Examined>> {
        let group = self.group?;
        loop {
            if let Some((found, page)) = self.led_to.take(ptr.id).or_else(|| self.named.take(ptr.id)) {
                return (found == ptr).then_some(page);
            }
            let mut queue = self.shared.queue.lock();
            loop {
                if queue.closed {
                    return None;
                }
                // The first chunk is the one at hand, until its pages are through and one of the next is asked for.
                let is_next = |at: usize| {
                    queue.chunks.get(at).is_some_and(|chunk| chunk.group == group && chunk.has(ptr))
                };
                let front = queue.chunks.front().filter(|chunk| chunk.group == group);
                match front {
                    Some(chunk) if chunk.has(ptr) => {
                        let chunk = &mut queue.chunks[0];
                        if let Some(portion) = chunk.portions.pop_front() {
                            // The first portion are the pages that were named; what a walker has not taken of the others by the
                            // time that it asks for the next it will not take.
                            if std::mem::replace(&mut chunk.is_begun, true) {
                                self.led_to = portion;
                            } else {
                                (self.named, self.led_to) = (portion, Portion::default());
                            }
                            self.shared.for_portion.notify_all();
                            break;
                        }
                        if queue.chunks[0].is_read {
                            return None;
                        }
                    }
                    // Where its pages lead to is not known yet.
                    Some(chunk) if chunk.leads_to.is_empty() && !chunk.is_read => {}
                    Some(chunk) if chunk.is_last_of_group => return None,
                    Some(_) if is_next(1) => {
                        self.shared.pop(&mut queue);
                        continue;
                    }
                    Some(_) if queue.chunks.len() > 1 || queue.ended => return None,
                    Some(_) => {}
                    None => return None,
                }
                queue = self.shared.for_walker.wait(queue);
            }
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.close();
        for thread in self.threads.drain(..) {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn chunk(&mut self, number: u64) -> Option<&mut Chunk> {
        self.chunks.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

impl Scout {
    /// Reads pages that the scout wants to see. Those that fail a check, or cannot be read, are none: the walker will report them.
    pub fn read(&self, ptrs: &[PagePtr]) -> Vec<Option<Box<Page>>> {
        let mut read = self.shared.read(ptrs);
        let mut page = |ptr: &PagePtr| {
            let (_, examined) = read.take(ptr.id).filter(|(found, _)| found == ptr)?;
            Some(examined.ok()?.page)
        };
        ptrs.iter().map(&mut page).collect()
    }

    /// Says that the walker will come to a page and then to those below it. Waits until there is room for more; `false` if no more are
    /// wanted.
    pub fn expect(&self, page: PagePtr, below: &[PagePtr]) -> bool {
        let mut ptrs = vec![page];
        ptrs.extend_from_slice(below);
        let count = ptrs.len().div_ceil(CHUNK_PAGES);
        for (nth, ptrs) in ptrs.chunks(CHUNK_PAGES).enumerate() {
            let mut queue = self.shared.queue.lock();
            while queue.chunks.len() >= CHUNKS && !queue.closed {
                queue = self.shared.for_scout.wait(queue);
            }
            if queue.closed {
                return false;
            }
            queue.chunks.push_back(Chunk {
                group: page.id,
                is_last_of_group: nth + 1 == count,
                ptrs: ptrs.to_vec(),
                leads_to: Vec::new(),
                is_taken: false,
                is_begun: false,
                is_read: false,
                portions: VecDeque::new(),
            });
            self.shared.for_reader.notify_one();
            self.shared.for_walker.notify_all();
        }
        true
    }
}

impl Drop for Scout {
    fn drop(&mut self) {
        self.shared.queue.lock().ended = true;
        self.shared.for_reader.notify_all();
        self.shared.for_walker.notify_all();
    }
}

impl Shared {
    /// The walker wants no more, or there is nobody left to read.
    fn close(&self) {
        self.queue.lock().closed = true;
        for waiting in [&self.for_walker, &self.for_reader, &self.for_portion, &self.for_scout] {
            waiting.notify_all();
        }
    }

    /// The walker has done with the first chunk.
    fn pop(&self, queue: &mut Queue) {
        queue.chunks.pop_front();
        queue.first += 1;
        self.for_scout.notify_all();
        self.for_portion.notify_all();
    }

    /// What each reader does.
    fn read_chunks(&self) {
        while let Some((number, ptrs)) = self.next() {
            let first = self.read(&ptrs);
            let mut leads_to = Vec::new();
            first.whole_pages().for_each(|page| (self.follow)(page, &mut leads_to));
            // What leads to what it is itself would be read twice.
            let own: HashSet<PageId> = ptrs.iter().map(|ptr| ptr.id).collect();
            leads_to.retain(|(extent, _)| extent.end() <= self.page_count && !own.contains(&extent.first));
            let is_wanted = self.deliver(number, first, |chunk| chunk.leads_to.clone_from(&leads_to));
            if is_wanted && self.read_extents(number, &leads_to) {
                self.with_chunk(number, |chunk| chunk.is_read = true);
            }
        }
    }

    /// The next chunk that nobody reads, and its number. `None` when no more will come.
    fn next(&self) -> Option<(u64, Vec<PagePtr>)> {
        let mut queue = self.queue.lock();
        loop {
            if queue.closed {
                return None;
            }
            let first = queue.first;
            if let Some((nth, chunk)) = queue.chunks.iter_mut().enumerate().find(|(_, chunk)| !chunk.is_taken)
            {
                chunk.is_taken = true;
                return Some((first + nth as u64, chunk.ptrs.clone()));
            }
            if queue.ended {
                return None;
            }
            queue = self.for_reader.wait(queue);
        }
    }

    /// Reads extents, portion by portion. `false` if nobody wants them any more.
    fn read_extents(&self, number: u64, extents: &[(Extent, Birth)]) -> bool {
        let mut ptrs = Vec::with_capacity(PORTION_PAGES);
        for (extent, birth) in extents {
            for id in extent.pages() {
                ptrs.push(PagePtr { id, birth: *birth });
                if ptrs.len() == PORTION_PAGES && !self.deliver(number, self.read(&ptrs), |_| {}) {
                    return false;
                }
                if ptrs.len() == PORTION_PAGES {
                    ptrs.clear();
                }
            }
        }
        ptrs.is_empty() || self.deliver(number, self.read(&ptrs), |_| {})
    }

    /// Hands a portion over, when there is room for it. `false` if the chunk is not wanted any more.
    fn deliver(&self, number: u64, portion: Portion, and: impl FnOnce(&mut Chunk)) -> bool {
        let mut queue = self.queue.lock();
        loop {
            if queue.closed {
                return false;
            }
            match queue.chunk(number) {
                None => return false,
                Some(chunk) if chunk.portions.len() < PORTIONS => {
                    chunk.portions.push_back(portion);
                    and(chunk);
                    self.tell_walker(&queue, number);
                    return true;
                }
                Some(_) => queue = self.for_portion.wait(queue),
            }
        }
    }

    fn with_chunk(&self, number: u64, body: impl FnOnce(&mut Chunk)) {
        let mut queue = self.queue.lock();
        queue.chunk(number).map(body);
        self.tell_walker(&queue, number);
    }

    /// The walker waits for the first chunk only.
    fn tell_walker(&self, queue: &Queue, number: u64) {
        if number == queue.first {
            self.for_walker.notify_all();
        }
    }

    fn check(&self, ptr: PagePtr, page: Box<Page>) -> Result<Examined> {
        let remarks = check_read(&self.core, &*self.examine, self.page_count, ptr, &page)?;
        Ok(Examined { page, remarks })
    }

    /// Reads pages with one batch of reads, neighbours together, and checks them.
    fn read(&self, ptrs: &[PagePtr]) -> Portion {
        // By their places in the file, and where they go in the portion.
        let mut places: Vec<(PagePtr, usize)> = ptrs.iter().copied().zip(0..).collect();
        places.sort_unstable_by_key(|(ptr, nth)| (ptr.id, *nth));
        places.dedup_by_key(|(ptr, _)| ptr.id);
        let mut pages = {
            let mut spare = self.spare.lock();
            let left = spare.len().saturating_sub(places.len());
            spare.split_off(left)
        };
        pages.resize_with(places.len(), Page::boxed);
        let whole = places.partition_point(|(ptr, _)| u64::from(ptr.id.0) < self.page_count);
        let mut reads: Vec<PageRead<'_>> = places[..whole]
            .iter()
            .zip(&mut pages)
            .map(|((ptr, _), page)| PageRead { id: ptr.id, page, result: Ok(()) })
            .collect();
        self.core.disk.read_batch(&mut reads);
        let mut results: Vec<_> = reads.into_iter().map(|read| read.result).collect();
        results.resize_with(places.len(), || Ok(()));
        let mut portion = Portion::default();
        portion.pages.resize_with(ptrs.len(), || None);
        for (((ptr, nth), page), result) in places.into_iter().zip(pages).zip(results) {
            let read = result.map_err(|error| self.core.context.io(IoOperation::Read(ptr.id), error));
            portion.pages[nth] = Some((ptr, read.and_then(|()| self.check(ptr, page))));
        }
        portion
    }
}
