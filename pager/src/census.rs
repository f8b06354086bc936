//! A census: every page of the file is a header, a place of the space map, free, or reached exactly once (INV-7).
//!
//! The pager checks what it owns, the headers and the free space, and keeps the books; the layers above walk their
//! trees from [`Census::roots`], reading each page through [`Census::read`] and counting it with
//! [`Census::mark`]. What is left over at the end is lost; what was counted twice is shared by mistake.
//!
//! The census looks at the newest durable commit, on the medium rather than in the pool. On a live database commits
//! wait while the free space is read, and go on while the trees are walked: the census is an operation, so the
//! pages that it may meet stay as they are.
//!
//! Memory: about two bits for each page of the file, beyond the cache's budget. Cost: a read of every map page (one
//! in 32,512 pages), and whatever the walkers read.

mod ahead;

use std::fmt;
use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::census::ahead::Ahead;
use crate::commit::write_state::Core;
use crate::error::{Corruption, IoOperation, Malformation, PagerError, Result};
use crate::format::header::{Header, HeaderError, Place, Roots};
use crate::format::page::{PAGE_SIZE, Page};
use crate::format::page_id::{Birth, Extent, PageId, PagePtr};
use crate::inspect::scan;
use crate::pager::Pager;
use crate::pool::buffer_pool::PageCheck;
use crate::pool::operation::RestingOperation;
use crate::space::check::free_extents;
use crate::space::map::MapStore;
use crate::space::range::reserved_extents;

pub use crate::census::ahead::{Follow, Scout};

/// A check that found something.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The pages concerned, where it is about pages.
    pub pages: Option<Extent>,
    /// What is wrong with them.
    pub problem: Problem,
}

/// What a check found.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Problem {
    /// A header cannot be used, while the other one can. The next commit or open repairs it.
    Header(Corruption),
    /// The pages hold something else than they should.
    Corrupt(Corruption),
    /// The pages are whole, but hold what the layer that owns them never writes.
    Malformed(Malformation),
    /// The pages could not be read.
    Unreadable(PagerError),
    /// Two pointers lead to the pages, or one pointer twice.
    ReachedTwice,
    /// The pages are in use and count as free: they would be overwritten.
    ReachedAndFree,
    /// The pages are neither in use nor free: the space is lost.
    Lost,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing stored is affected.
    Warning,
    /// Data is damaged or about to be.
    Damage,
}

impl Finding {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self.problem {
            Problem::Header(_) | Problem::Lost => Severity::Warning,
            _ => Severity::Damage,
        }
    }
}

impl Finding {
    /// Whether it is about a header that cannot be used while the other one can.
    pub fn is_about_headers(&self) -> bool {
        matches!(self.problem, Problem::Header(_))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pages {
            Some(Extent { first, count: 1 }) => write!(f, "page {first}: ")?,
            Some(Extent { first, count }) => write!(f, "pages {first} to {}: ", first.0 + (count - 1))?,
            None => {}
        }
        match &self.problem {
            Problem::Header(why) => write!(f, "this header cannot be used, the other one can: {why}"),
            Problem::Corrupt(why) => write!(f, "{why}"),
            Problem::Malformed(why) => write!(f, "{why}"),
            Problem::Unreadable(why) => write!(f, "{why}"),
            Problem::ReachedTwice => f.write_str("reached more than once"),
            Problem::ReachedAndFree => f.write_str("in use, but counted as free"),
            Problem::Lost => f.write_str("neither in use nor free"),
        }
    }
}

/// What is wrong with parts of a page that can be looked into all the same. The layer above numbers the parts.
pub type Remarks = Vec<(usize, Malformation)>;

/// Looks at a page that a census has read and found whole, by itself: on whichever thread has read it. It refuses the page, or has remarks
/// on it for whoever takes it.
pub type Examine = Arc<dyn Fn(&Page) -> std::result::Result<Remarks, Malformation> + Send + Sync>;

/// A page that passed all checks, with the remarks on it.
#[derive(Debug)]
pub struct Examined {
    /// The page.
    pub page: Box<Page>,
    /// What was remarked on it.
    pub remarks: Remarks,
}

/// The books of one census. See the [module](self).
pub struct Census<'p> {
    /// Ends before the operation does.
    ahead: Option<Ahead>,
    core: &'p Arc<Core>,
    examine: Examine,
    header: Header,
    free: RoaringBitmap,
    used: RoaringBitmap,
    /// Free pages are not entered.
    shuns_free: bool,
    findings: Vec<Finding>,
    /// Keeps the pages of the state in place.
    _operation: RestingOperation<'p>,
}

impl fmt::Debug for Census<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Census { header, free, used, findings, .. } = self;
        let books = (free.len(), used.len());
        f.debug_struct("Census")
            .field("header", header)
            .field("free, used", &books)
            .field("findings", findings)
            .finish()
    }
}

impl Pager {
    /// Checks headers and free space, and opens the books for the pages that the layers above own.
    ///
    /// # Errors
    ///
    /// Only if the file cannot be looked at at all; whatever is wrong in it becomes a [`Finding`].
    pub fn census(&self) -> Result<Census<'_>> {
        let _no_commits = self.writer.as_ref().map(|writer| writer.flush_turn.lock());
        let operation = self.core.pool.enter()?;
        let (header, place) = match &self.writer {
            Some(writer) => {
                let write = writer.write.lock();
                (write.durable.clone(), Some(write.place))
            }
            None => (self.opened.clone(), None),
        };
        let mut census = Census {
            ahead: None,
            core: &self.core,
            examine: examine_by(self.core.page_check),
            header,
            free: RoaringBitmap::new(),
            used: RoaringBitmap::new(),
            shuns_free: false,
            findings: Vec::new(),
            _operation: operation.rest(),
        };
        census.check_headers(place);
        census.count_free_space();
        Ok(census)
    }
}

impl Census<'_> {
    /// The roots from which the layers above walk.
    pub fn roots(&self) -> Roots {
        self.header.roots
    }

    /// The commit that is looked at.
    pub fn commit(&self) -> Birth {
        self.header.commit
    }

    /// Pages counted so far.
    pub fn pages_marked(&self) -> u64 {
        self.used.len()
    }

    /// Pages of the file.
    pub fn page_count(&self) -> u64 {
        self.header.page_count
    }

    /// Reads a page from the medium and checks that it is whole, in its place, of the right birth and well-formed. A page that
    /// fails becomes a finding, and `false` comes back.
    pub fn read(&mut self, ptr: PagePtr, into: &mut Page) -> bool {
        let Some(Examined { page, .. }) = self.take(ptr) else { return false };
        into.clone_from(&page);
        self.give_back(page);
        true
    }

    /// As [`read`](Census::read), without copying the page, and with the remarks on it. Whoever [gives it back](Census::give_back) spares
    /// the next one an allocation.
    pub fn take(&mut self, ptr: PagePtr) -> Option<Examined> {
        let page_count = self.header.page_count;
        let read = self.ahead.as_mut().and_then(|ahead| ahead.take(ptr)).unwrap_or_else(|| {
            let mut page = Page::boxed();
            let remarks = read_checked(self.core, &*self.examine, page_count, ptr, &mut page)?;
            Ok(Examined { page, remarks })
        });
        match read {
            Ok(examined) => Some(examined),
            Err(error) => {
                self.report_error(ptr.id, error);
                None
            }
        }
    }

    /// Takes a page back that is not looked at any more.
    pub fn give_back(&mut self, page: Box<Page>) {
        if let Some(ahead) = &self.ahead {
            ahead.give_back(page);
        }
    }

    /// From now on this looks at each page that is read, in place of the pager's own [`page_check`](crate::Options::page_check).
    pub fn examine_pages_by(&mut self, examine: Examine) {
        self.examine = examine;
    }

    /// Has pages read ahead of a walk that is about to begin: `scout` says what it will come to ([`Scout::expect`]), and `follow` where
    /// the pages lead to that it names. The walker says when it comes to each of the groups, see [`begin_group`](Census::begin_group).
    pub fn read_ahead(&mut self, follow: Follow, scout: impl FnOnce(&Scout) + Send + 'static) {
        self.stop_reading_ahead();
        self.ahead = Ahead::start(self.core, self.examine.clone(), self.header.page_count, follow, scout);
    }

    /// The walker comes to a page that the scout has named, with those below it.
    pub fn begin_group(&mut self, page: PageId) {
        if let Some(ahead) = &mut self.ahead {
            ahead.begin_group(page);
        }
    }

    /// The walk has ended.
    pub fn stop_reading_ahead(&mut self) {
        self.ahead = None;
    }

    /// Visits the whole pages that nobody has counted and that are not free, in the order of the file: what has become unreachable. Call
    /// it when everything else has been walked.
    pub fn each_stray(&self, visit: &mut dyn FnMut(&Page)) {
        let mut strays = self.pages_of_file();
        strays -= &self.used;
        strays -= &self.free;
        self.visit_whole(&strays, visit);
    }

    /// Visits all whole pages, in the order of the file: those that are in use, and what is left of older states.
    pub fn each_whole_page(&self, visit: &mut dyn FnMut(&Page)) {
        self.visit_whole(&self.pages_of_file(), visit);
    }

    fn pages_of_file(&self) -> RoaringBitmap {
        let count = self.header.page_count.min(self.core.disk.page_count().unwrap_or(0));
        let mut pages = RoaringBitmap::new();
        if count > 2 {
            pages.insert_range(2..=(count - 1) as u32);
        }
        pages
    }

    fn visit_whole(&self, pages: &RoaringBitmap, visit: &mut dyn FnMut(&Page)) {
        scan(&*self.core.disk, pages.iter().map(PageId), &mut |id, page| {
            let is_whole = self.core.seed.check_place(page, id).is_ok();
            if is_whole && page.birth() <= self.header.commit && (self.core.page_check)(page).is_ok() {
                visit(page);
            }
        });
    }

    /// The findings so far.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many findings there are so far.
    pub fn finding_count(&self) -> usize {
        self.findings.len()
    }

    /// The extents that are free, ascending.
    pub fn free_extents(&self) -> Vec<Extent> {
        let mut extents = Vec::new();
        let mut pages = self.free.iter();
        while let Some(run) = pages.next_range() {
            extents.push(Extent { first: PageId(*run.start()), count: run.end() - run.start() + 1 });
        }
        extents
    }

    /// Whether a page is free.
    pub fn is_free(&self, page: PageId) -> bool {
        self.free.contains(page.0)
    }

    /// Whether a page was counted as used.
    pub fn is_marked(&self, page: PageId) -> bool {
        self.used.contains(page.0)
    }

    /// Counts pages as used. `false` if some of them were counted before: a walker must not descend there again, or
    /// a cycle would keep it forever.
    pub fn mark(&mut self, extent: Extent) -> bool {
        let mut first_time = true;
        for id in extent.pages() {
            if id.0 < 2 || u64::from(id.0) >= self.header.page_count {
                let page_count = self.header.page_count;
                self.report(Extent::single(id), Problem::Corrupt(Corruption::OutOfBounds { page_count }));
                first_time = false;
            } else if self.shuns_free && self.free.contains(id.0) {
                self.report(Extent::single(id), Problem::ReachedAndFree);
                first_time = false;
            } else if !self.used.insert(id.0) {
                self.report(Extent::single(id), Problem::ReachedTwice);
                first_time = false;
            } else if self.free.contains(id.0) {
                self.report(Extent::single(id), Problem::ReachedAndFree);
            }
        }
        first_time
    }

    /// From now on nothing that is free counts as reached, whatever leads to it: for walks from a state that is older than the free space.
    pub fn shun_free_pages(&mut self) {
        self.shuns_free = true;
    }

    /// Adds what a layer above found wrong in a page of its own.
    pub fn report(&mut self, pages: Extent, problem: Problem) {
        self.findings.push(Finding { pages: Some(pages), problem });
    }

    /// Closes the books: pages that nobody counted are lost. Returns all findings, in the order in which they were made.
    pub fn finish(mut self) -> Vec<Finding> {
        let mut lost = RoaringBitmap::new();
        lost.insert_range(0..=(self.header.page_count - 1) as u32);
        lost -= &self.used;
        lost -= &self.free;
        let mut pages = lost.iter();
        while let Some(run) = pages.next_range() {
            let extent = Extent { first: PageId(*run.start()), count: run.end() - run.start() + 1 };
            self.findings.push(Finding { pages: Some(extent), problem: Problem::Lost });
        }
        self.findings
    }

    /// All findings so far, for whoever has not walked everything.
    pub fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    /// Both headers must be usable. The newest one, where a writer knows its place, must be on the medium as it is in memory:
    /// if its write was lost, the next open would go back to an older commit, and nothing else would tell.
    fn check_headers(&mut self, newest: Option<Place>) {
        for place in Place::BOTH {
            let mut page = Page::boxed();
            self.used.insert(place.page().0);
            let problem = match self.core.disk.read_page(place.page(), &mut page) {
                Err(error) => {
                    Problem::Unreadable(self.core.context.io(IoOperation::Read(place.page()), error))
                }
                Ok(()) => match Header::decode(&page, place, true) {
                    Ok(found) if newest == Some(place) && found != self.header => {
                        let source = Corruption::Birth { found: found.commit, expected: self.header.commit };
                        Problem::Corrupt(source)
                    }
                    Ok(_) => continue,
                    Err(HeaderError::Rejected(why) | HeaderError::Impossible(why)) => Problem::Header(why),
                    // Neither is possible in a file that could be opened, unless it was tampered with since.
                    Err(_) => Problem::Header(Corruption::Magic),
                },
            };
            self.report(Extent::single(place.page()), problem);
        }
    }

    /// Reads the free space as the newest commit left it.
    fn count_free_space(&mut self) {
        let Header { space_root, page_count, .. } = self.header;
        self.mark(Extent::single(space_root.id));
        for extent in reserved_extents(page_count) {
            self.used.insert_range(extent.first.0..=(extent.end() - 1) as u32);
        }
        match self.core.disk.byte_len() {
            Ok(bytes) if bytes / (PAGE_SIZE as u64) < page_count => {
                let missing = Extent { first: PageId((bytes / PAGE_SIZE as u64) as u32), count: 1 };
                self.report(missing, Problem::Corrupt(Corruption::OutOfBounds { page_count }));
            }
            _ => {}
        }
        let mut store = Medium { core: self.core, page_count };
        let free = &mut self.free;
        let mut visit = |extent: Extent| {
            free.insert_range(extent.first.0..=(extent.end() - 1) as u32);
        };
        let mut wrong = Vec::new();
        let walked =
            free_extents(&mut store, space_root, page_count, &mut visit, &mut |error| wrong.push(error));
        wrong.extend(walked.err());
        for error in wrong {
            self.report_error(space_root.id, error);
        }
    }

    fn report_error(&mut self, page: PageId, error: PagerError) {
        let (page, problem) = match error {
            PagerError::Corrupt { page, source, .. } => (page, Problem::Corrupt(source)),
            PagerError::Malformed { page, source, .. } => (page, Problem::Malformed(source)),
            other => (page, Problem::Unreadable(other)),
        };
        self.report(Extent::single(page), problem);
    }
}

/// Reads past the pool, from the medium.
pub(crate) struct Medium<'p> {
    pub(crate) core: &'p Core,
    pub(crate) page_count: u64,
}

impl MapStore for Medium<'_> {
    fn read(&mut self, ptr: PagePtr, into: &mut Page) -> Result<()> {
        read_checked(self.core, self.core.page_check, self.page_count, ptr, into)
    }

    fn corrupt(&self, page: PageId, source: Corruption) -> PagerError {
        self.core.context.corrupt(page, source)
    }
}

fn examine_by(check: PageCheck) -> Examine {
    Arc::new(move |page| check(page).map(|()| Remarks::new()))
}

fn read_checked<T>(
    core: &Core,
    examine: impl Fn(&Page) -> std::result::Result<T, Malformation>,
    page_count: u64,
    ptr: PagePtr,
    into: &mut Page,
) -> Result<T> {
    if u64::from(ptr.id.0) < page_count {
        let read = core.disk.read_page(ptr.id, into);
        read.map_err(|error| core.context.io(IoOperation::Read(ptr.id), error))?;
    }
    check_read(core, examine, page_count, ptr, into)
}

/// Checks what a pointer has led to. Of one that leads beyond the end nothing was read.
fn check_read<T>(
    core: &Core,
    examine: impl Fn(&Page) -> std::result::Result<T, Malformation>,
    page_count: u64,
    ptr: PagePtr,
    page: &Page,
) -> Result<T> {
    if u64::from(ptr.id.0) >= page_count {
        return Err(core.context.corrupt(ptr.id, Corruption::OutOfBounds { page_count }));
    }
    core.seed.check(page, ptr).map_err(|source| core.context.corrupt(ptr.id, source))?;
    examine(page).map_err(|source| core.context.malformed(ptr.id, source))
}
