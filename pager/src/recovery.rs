//! Opening: which of the two headers is current, and making it the one that stays.
//!
//! An open reads two headers and, after a power cut, the at most 240 pages of one manifest; its cost does not
//! depend on the size of the file (INV-3). The steps, in order:
//!
//! 1. The caller holds the file's lock.
//! 2. Flush, and drop the kernel's cache. A killed process leaves its writes in the cache, where they look durable
//!    without being so: what is read from here on must survive a power cut that follows.
//! 3. Read both headers. A read error is returned. Only what a crash leaves behind, a failed checksum, is
//!    forgiven; a header that is whole but impossible, or of a newer version, is an error, since falling back
//!    there would undo an acknowledged commit.
//! 4. Take the newest header, if it is sealed, or synced, or every page of its manifest is there. Else its commit
//!    never became complete: nobody was told of it, and the other header, which was flushed before this one was
//!    issued, is current on its own checksum alone.
//! 5. [`heal`] (writable opens): write the state found as a sealed commit with a fresh number over the header that
//!    lost, and flush. Without this the loser could win later, when its missing pages happen to be written.
//!
//! A sealed header is never rolled back: it wrote no pages, so it cannot be incomplete. If pages that it reaches
//! turn out bad, that is corruption, and is reported when they are read.

use crate::disk::{Disk, PageWrite};
use crate::error::{Corruption, ErrorContext, IoOperation, PagerError, Result};
use crate::format::checksum::DatabaseSeed;
use crate::format::header::{FORMAT_VERSION, Header, HeaderError, Place, Trust, has_magic};
use crate::format::manifest::Manifest;
use crate::format::page::{PAGE_SIZE, Page};
use crate::format::page_id::{Birth, PageId};
use crate::inspect::HeaderContents;
use crate::space::range::FIRST_USABLE;

/// How far births, and the number of the next commit, may lead the number of the newest flushed header: so many batches
/// may gather in memory, or write pages early, before a commit must go out.
pub(crate) const BIRTHS_AHEAD: u64 = 1 << 16;

/// How far a heal leaps ahead of the highest number seen, so that no birth that a lost commit may have left in some page
/// is ever given out again: twice as far, since the newest flushed header may have rotted, and then it is the one
/// before it, of a number lower by up to `BIRTHS_AHEAD`, that is seen.
pub(crate) const HEAL_LEAP: u64 = 2 * BIRTHS_AHEAD;

/// Pages of a new file: 64 KiB. A file of this size or less without a single header is an unfinished create.
pub(crate) const INITIAL_PAGES: u64 = 16;

/// Bytes of the first space root, at its beginning, that are not zero.
const SPACE_ROOT_HEADER: usize = 24;

/// The state that an open found.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The current header.
    pub(crate) header: Header,
    /// Where it stands.
    pub(crate) place: Place,
    /// Why the other header lost, if it was not simply the older one.
    pub(crate) rejected: Option<Corruption>,
    /// The highest commit number that was seen in any header.
    pub(crate) highest_seen: Birth,
    /// Whole pages in the file.
    pub(crate) file_pages: u64,
}

/// Finds the current state of the file (steps 2 to 4).
pub(crate) fn recover(disk: &dyn Disk, context: &ErrorContext, writable: bool) -> Result<Recovered> {
    disk.flush().map_err(|error| context.io(IoOperation::Flush, error))?;
    disk.drop_cache().map_err(|error| context.io(IoOperation::Open, error))?;
    let file_bytes = disk.byte_len().map_err(|error| context.io(IoOperation::Inspect, error))?;
    let file_pages = file_bytes / PAGE_SIZE as u64;
    if file_pages < 2 {
        return Err(short_file(disk, context, file_bytes));
    }

    let mut headers = [None, None];
    let mut rejections = [None, None];
    let mut magic = false;
    for place in Place::BOTH {
        let mut page = Page::boxed();
        disk.read_page(place.page(), &mut page)
            .map_err(|error| context.io(IoOperation::Read(place.page()), error))?;
        magic |= has_magic(&page);
        match Header::decode(&page, place, writable) {
            Ok(header) => headers[place as usize] = Some((header, place)),
            Err(HeaderError::Rejected(why)) => rejections[place as usize] = Some(why),
            Err(error) => return Err(fatal(error, place, context)),
        }
    }

    let mut candidates: Vec<(Header, Place)> = headers.into_iter().flatten().collect();
    candidates.sort_by_key(|(header, _)| std::cmp::Reverse(header.commit));
    let mut candidates = candidates.into_iter();
    let Some((newest, place)) = candidates.next() else {
        return Err(no_header(rejections, magic, file_bytes, disk, context));
    };
    let highest_seen = newest.commit;
    let other = candidates.next();
    if let Some((other, _)) = &other
        && (other.commit == newest.commit || other.database_id != newest.database_id)
    {
        // No crash makes two headers of one number, or of two databases.
        let source = Corruption::HeaderField { field: "commit number", value: newest.commit.0 };
        return Err(context.corrupt(place.page(), source));
    }

    let mut rejected = rejections.into_iter().flatten().next();
    let (header, place) = match verify(&newest, disk, file_pages, context)? {
        Ok(()) => (newest, place),
        Err(incomplete) => {
            rejections[place as usize] = Some(incomplete);
            rejected = Some(incomplete);
            other.ok_or_else(|| no_header(rejections, magic, file_bytes, disk, context))?
        }
    };
    if header.page_count > file_pages {
        return Err(PagerError::Truncated {
            path: context.0.clone(),
            found: file_pages,
            expected: header.page_count,
        });
    }
    Ok(Recovered { header, place, rejected, highest_seen, file_pages })
}

/// The state of the one header, of two, that can be used and whose pages the file holds; of two such the older one, since the newer was
/// refused. `None` if there is none.
pub(crate) fn recover_older(disk: &dyn Disk, context: &ErrorContext) -> Result<Option<Recovered>> {
    let file_pages = disk.page_count().map_err(|error| context.io(IoOperation::Inspect, error))?;
    let (mut usable, mut highest_seen) = (Vec::new(), Birth(0));
    for place in Place::BOTH {
        let mut page = Page::boxed();
        let read = disk.read_page(place.page(), &mut page);
        read.map_err(|error| context.io(IoOperation::Read(place.page()), error))?;
        match Header::decode(&page, place, true) {
            Ok(header) => {
                highest_seen = highest_seen.max(header.commit);
                if header.page_count <= file_pages {
                    usable.push((header, place));
                }
            }
            // Its number is as good as its checksum, which holds.
            Err(HeaderError::Impossible(_)) => highest_seen = highest_seen.max(page.birth()),
            Err(_) => {}
        }
    }
    let older = usable.into_iter().min_by_key(|(header, _)| header.commit);
    // What is beyond all numbers cannot be leapt over.
    let older = older.filter(|_| highest_seen.0 < u64::MAX / 4);
    Ok(older.map(|(header, place)| Recovered { header, place, rejected: None, highest_seen, file_pages }))
}

/// The state that a damaged file is read in: that of the newest header that can be used, whatever it says of the file's length, else of
/// `guess`. `None` if there is neither.
pub(crate) fn recover_damaged(
    disk: &dyn Disk,
    context: &ErrorContext,
    guess: Option<([u8; 16], HeaderContents)>,
) -> Result<Option<Recovered>> {
    let file_pages = disk.page_count().map_err(|error| context.io(IoOperation::Inspect, error))?;
    let mut best: Option<(Header, Place)> = None;
    for place in Place::BOTH {
        let mut page = Page::boxed();
        // Whatever is wrong with it, the other one may do.
        let read = disk.read_page(place.page(), &mut page);
        if read.is_ok()
            && let Ok(header) = Header::decode(&page, place, false)
            && best.as_ref().is_none_or(|(other, _)| other.commit < header.commit)
        {
            best = Some((header, place));
        }
    }
    let guessed = guess.map(|(database_id, contents)| {
        let HeaderContents { commit, page_count, space_root, roots } = contents;
        let (trust, manifest) = (Trust::Sealed, Manifest::default());
        let header =
            Header { commit, trust, unfinished: false, database_id, page_count, space_root, roots, manifest };
        (header, Place::First)
    });
    Ok(best.or(guessed).map(|(header, place)| {
        let highest_seen = header.commit;
        Recovered { header, place, rejected: None, highest_seen, file_pages }
    }))
}

/// Makes the recovered state durable under a fresh number, in place of the header that lost (step 5).
pub(crate) fn heal(disk: &dyn Disk, context: &ErrorContext, recovered: Recovered) -> Result<(Header, Place)> {
    let header = Header {
        commit: Birth(recovered.highest_seen.0 + HEAL_LEAP),
        trust: Trust::Sealed,
        manifest: Manifest::default(),
        ..recovered.header
    };
    let place = recovered.place.other();
    write_header(disk, context, &header, place)?;
    Ok((header, place))
}

/// Writes one header and flushes it.
pub(crate) fn write_header(
    disk: &dyn Disk,
    context: &ErrorContext,
    header: &Header,
    place: Place,
) -> Result<()> {
    let mut page = Page::boxed();
    header.encode(place, &mut page);
    disk.write_batch(&[PageWrite { id: place.page(), page: &page }])
        .map_err(|error| context.io(IoOperation::Write(place.page()), error))?;
    disk.flush().map_err(|error| context.io(IoOperation::Flush, error))
}

/// Whether the newest header may be believed (step 4). The outer error is one that must not be forgiven.
fn verify(
    header: &Header,
    disk: &dyn Disk,
    file_pages: u64,
    context: &ErrorContext,
) -> Result<Result<(), Corruption>> {
    match header.trust {
        Trust::Sealed | Trust::Synced => Ok(Ok(())),
        Trust::Manifest => header
            .manifest
            .verify(header.commit, DatabaseSeed::new(header.database_id), disk, file_pages)
            .map_err(|(operation, error)| context.io(operation, error)),
    }
}

fn fatal(error: HeaderError, place: Place, context: &ErrorContext) -> PagerError {
    let path = context.0.clone();
    match error {
        HeaderError::Rejected(source) | HeaderError::Impossible(source) => {
            context.corrupt(place.page(), source)
        }
        HeaderError::NewerVersion(version) => {
            PagerError::NewerVersion { path, version, supported: FORMAT_VERSION }
        }
        HeaderError::UnknownFeatures { bits, writing } => {
            PagerError::UnknownFeatures { path, bits, read_only_would_do: writing }
        }
        HeaderError::PageSize(page_size) => PagerError::PageSize { path, page_size },
    }
}

/// A file of less than two pages: empty, the beginning of a create, or not ours.
fn short_file(disk: &dyn Disk, context: &ErrorContext, file_bytes: u64) -> PagerError {
    let path = context.0.clone();
    let mut page = Page::boxed();
    if file_bytes == PAGE_SIZE as u64
        && let Err(error) = disk.read_page(Place::First.page(), &mut page)
    {
        return context.io(IoOperation::Read(Place::First.page()), error);
    }
    if file_bytes.is_multiple_of(PAGE_SIZE as u64) && page.is_blank() {
        PagerError::UnfinishedCreate { path }
    } else {
        PagerError::NotADatabase { path, reason: "it is shorter than two pages" }
    }
}

/// Neither place holds a header that can be used.
fn no_header(
    [first, second]: [Option<Corruption>; 2],
    magic: bool,
    file_bytes: u64,
    disk: &dyn Disk,
    context: &ErrorContext,
) -> PagerError {
    let path = context.0.clone();
    let (first, second) = (first.unwrap_or(Corruption::Blank), second.unwrap_or(Corruption::Blank));
    // A create sees to it that place 0 stays blank until place 1 is complete, and that whatever part of place 1
    // survives a power cut has the magic bytes: see `create`.
    if first == Corruption::Blank && (magic || second == Corruption::Blank) {
        match holds_nothing(disk, file_bytes) {
            Ok(true) => return PagerError::UnfinishedCreate { path },
            Ok(false) => {}
            Err((operation, error)) => return context.io(operation, error),
        }
    }
    if magic {
        PagerError::NoValidHeader { path, first, second }
    } else {
        PagerError::NotADatabase { path, reason: "its first two pages hold no DynaMite header" }
    }
}

/// Whether the file can be what an interrupted create leaves behind the headers: whole pages, no more than it makes, all
/// of them blank but for the first space root. An open for creation overwrites such a file, so nothing that
/// somebody may miss must pass.
fn holds_nothing(disk: &dyn Disk, file_bytes: u64) -> Result<bool, (IoOperation, std::io::Error)> {
    let page_size = PAGE_SIZE as u64;
    if !file_bytes.is_multiple_of(page_size) || file_bytes / page_size > INITIAL_PAGES {
        return Ok(false);
    }
    let mut page = Page::boxed();
    for id in (2..(file_bytes / page_size) as u32).map(PageId) {
        disk.read_page(id, &mut page).map_err(|error| (IoOperation::Read(id), error))?;
        // A space root that says nothing: a page header, and a torn one too, within these bytes.
        let first_free = if u64::from(id.0) == FIRST_USABLE { SPACE_ROOT_HEADER } else { 0 };
        if page.bytes()[first_free..].iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}
