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
//! of [`PORTION_PAGES`] each: 8 MiB, and one portion more in the hands of the walker and of each reader, and one to be read into.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;

use crate::census::check_read;
use crate::commit::write_state::Core;
use crate::disk::PageRead;
use crate::error::{IoOperation, Result};
use crate::format::page::Page;
use crate::format::page_id::{Birth, Extent, PageId, PagePtr};
use crate::pool::buffer_pool::PageCheck;
use crate::sync::{Condvar, Mutex};

/// Says which extents a page leads to, in the order in which a walker will read them, and the births of their pages.
pub type Follow = fn(&Page, &mut Vec<(Extent, Birth)>);

/// Pages of a group that are read at once.
const CHUNK_PAGES: usize = 128;
/// Chunks that are read, or wait to be taken.
const CHUNKS: usize = 4;
/// Pages of a portion.
const PORTION_PAGES: usize = 256;
/// Portions of a chunk that wait to be taken.
const PORTIONS: usize = 2;
/// Pages that are kept to be read into again.
const SPARE: usize = PORTION_PAGES;
/// Threads that read.
const READERS: usize = 3;

/// Pages, by their ids, with what reading them came to.
type Portion = HashMap<PageId, (PagePtr, Result<Box<Page>>)>;

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
            self.0.queue.lock().closed = true;
            self.0.changed.notify_all();
        }
    }
}

#[derive(Debug)]
struct Shared {
    core: Arc<Core>,
    page_check: PageCheck,
    page_count: u64,
    follow: Follow,
    /// Pages to read into.
    spare: Mutex<Vec<Box<Page>>>,
    queue: Mutex<Queue>,
    changed: Condvar,
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
        page_check: PageCheck,
        page_count: u64,
        follow: Follow,
        scout: impl FnOnce(&Scout) + Send + 'static,
    ) -> Option<Ahead> {
        let (core, spare, queue) = (core.clone(), Mutex::default(), Mutex::default());
        let changed = Condvar::new();
        let shared = Arc::new(Shared { core, page_check, page_count, follow, spare, queue, changed });
        let (named, led_to) = (Portion::new(), Portion::new());
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
        self.named.clear();
        self.led_to.clear();
        self.group = None;
        let mut queue = self.shared.queue.lock();
        while !queue.closed {
            match queue.chunks.front() {
                Some(chunk) if chunk.group == group => {
                    self.group = Some(group);
                    return;
                }
                Some(_) => {
                    queue.pop();
                    self.shared.changed.notify_all();
                }
                None if queue.ended => return,
                None => queue = self.shared.changed.wait(queue),
            }
        }
    }

    /// A page, if it was read ahead. Waits for it if it is going to be.
    pub(super) fn take(&mut self, ptr: PagePtr) -> Option<Result<Box<Page>>> {
        let group = self.group?;
        loop {
            if let Some((found, page)) = self.led_to.remove(&ptr.id).or_else(|| self.named.remove(&ptr.id)) {
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
                                (self.named, self.led_to) = (portion, Portion::new());
                            }
                            self.shared.changed.notify_all();
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
                        queue.pop();
                        self.shared.changed.notify_all();
                        continue;
                    }
                    Some(_) if queue.chunks.len() > 1 || queue.ended => return None,
                    Some(_) => {}
                    None => return None,
                }
                queue = self.shared.changed.wait(queue);
            }
        }
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.shared.queue.lock().closed = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Queue {
    fn pop(&mut self) {
        self.chunks.pop_front();
        self.first += 1;
    }

    fn chunk(&mut self, number: u64) -> Option<&mut Chunk> {
        self.chunks.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

impl Scout {
    /// Reads pages that the scout wants to see. Those that fail a check, or cannot be read, are none: the walker will report them.
    pub fn read(&self, ptrs: &[PagePtr]) -> Vec<Option<Box<Page>>> {
        let mut read = self.shared.read(ptrs);
        let page = |ptr: &PagePtr| read.remove(&ptr.id).filter(|(found, _)| found == ptr)?.1.ok();
        ptrs.iter().map(page).collect()
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
                queue = self.shared.changed.wait(queue);
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
            self.shared.changed.notify_all();
        }
        true
    }
}

impl Drop for Scout {
    fn drop(&mut self) {
        self.shared.queue.lock().ended = true;
        self.shared.changed.notify_all();
    }
}

impl Shared {
    /// What each reader does.
    fn read_chunks(&self) {
        while let Some((number, ptrs)) = self.next() {
            let first = self.read(&ptrs);
            let mut leads_to = Vec::new();
            let pages = ptrs.iter().filter_map(|ptr| first.get(&ptr.id)?.1.as_ref().ok());
            pages.for_each(|page| (self.follow)(page, &mut leads_to));
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
            queue = self.changed.wait(queue);
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
                    self.changed.notify_all();
                    return true;
                }
                Some(_) => queue = self.changed.wait(queue),
            }
        }
    }

    fn with_chunk(&self, number: u64, body: impl FnOnce(&mut Chunk)) {
        self.queue.lock().chunk(number).map(body);
        self.changed.notify_all();
    }

    fn check(&self, ptr: PagePtr, page: &Page) -> Result<()> {
        check_read(&self.core, self.page_check, self.page_count, ptr, page)
    }

    /// Reads pages with one batch of reads, neighbours together, and checks them.
    fn read(&self, ptrs: &[PagePtr]) -> Portion {
        let mut ptrs: Vec<PagePtr> = ptrs.to_vec();
        ptrs.sort_unstable_by_key(|ptr| ptr.id);
        ptrs.dedup_by_key(|ptr| ptr.id);
        let mut pages = {
            let mut spare = self.spare.lock();
            let left = spare.len().saturating_sub(ptrs.len());
            spare.split_off(left)
        };
        pages.resize_with(ptrs.len(), Page::boxed);
        let whole = ptrs.partition_point(|ptr| u64::from(ptr.id.0) < self.page_count);
        let mut reads: Vec<PageRead<'_>> = ptrs[..whole]
            .iter()
            .zip(&mut pages)
            .map(|(ptr, page)| PageRead { id: ptr.id, page, result: Ok(()) })
            .collect();
        self.core.disk.read_batch(&mut reads);
        let mut results: Vec<_> = reads.into_iter().map(|read| read.result).collect();
        results.resize_with(ptrs.len(), || Ok(()));
        let checked = ptrs.iter().zip(pages).zip(results).map(|((ptr, page), result)| {
            let read = result.map_err(|error| self.core.context.io(IoOperation::Read(ptr.id), error));
            let checked = read.and_then(|()| self.check(*ptr, &page));
            (ptr.id, (*ptr, checked.map(|()| page)))
        });
        checked.collect()
    }
}
