//! A file to be looked at in whatever state it is: headers that cannot be believed, pages that hold something else than they
//! should, an end that is missing.
//!
//! [`Pager`](crate::Pager) refuses such files, and has to; whoever wants to see what is left of one comes here. Nothing is
//! written, and nothing that is read is vouched for: each page comes with what the checks say to it. The file is locked
//! as by any reader.

use std::path::Path;
use std::sync::Arc;

use crate::disk::file::{self, IoChoice};
use crate::disk::{Disk, PageRead};
use crate::error::{Corruption, ErrorContext, IoOperation, PagerError, Result};
use crate::format::checksum::DatabaseSeed;
use crate::format::header::{DATABASE_ID, Header, HeaderError, Place, Roots, has_magic};
use crate::format::page::Page;
use crate::format::page_id::{Birth, PageId, PagePtr};
use crate::recovery::recover;

/// A file, to be looked at.
#[derive(Debug)]
pub struct Inspection {
    disk: Arc<dyn Disk>,
    context: ErrorContext,
    headers: [HeaderView; 2],
    /// Of the database that the headers belong to, as far as they say.
    seed: Option<DatabaseSeed>,
    database_id: Option<[u8; 16]>,
}

/// Sees a page, and what [`check`](Inspection::check) says to it.
pub type VisitPage<'v> = dyn FnMut(PageId, &Page, Result<(), Corruption>) + 'v;

/// What one of the two header pages says.
#[derive(Clone, Debug)]
pub struct HeaderView {
    /// Whether it is the one that an open goes by.
    pub is_current: bool,
    /// Why it cannot be used, if it cannot.
    pub refused: Option<String>,
    /// What it holds, if it can be used.
    pub contents: Option<HeaderContents>,
}

/// What a header that passed its checks holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderContents {
    /// The commit's number.
    pub commit: Birth,
    /// Pages of the database.
    pub page_count: u64,
    /// Where its free space is described.
    pub space_root: PagePtr,
    /// What the layers above keep there.
    pub roots: Roots,
}

impl Inspection {
    /// Opens a file.
    ///
    /// # Errors
    ///
    /// [`PagerError::NotFound`], [`PagerError::FileLocked`] and the like; [`PagerError::NotADatabase`] for a file without a trace of a
    /// header.
    pub fn open(path: impl AsRef<Path>) -> Result<Inspection> {
        let path = path.as_ref();
        let disk = file::open(path, false, IoChoice::resolve(None)?)?;
        Inspection::of(disk, ErrorContext(path.into()))
    }

    fn of(disk: Arc<dyn Disk>, context: ErrorContext) -> Result<Inspection> {
        let current = recover(&*disk, &context, false);
        if let Err(error @ (PagerError::NotADatabase { .. } | PagerError::UnfinishedCreate { .. })) = current
        {
            return Err(error);
        }
        let mut ids = [None, None];
        let headers = Place::BOTH.map(|place| {
            let mut page = Page::boxed();
            let read = disk.read_page(place.page(), &mut page);
            let decoded = match read {
                Err(error) => Err(context.io(IoOperation::Read(place.page()), error).to_string()),
                Ok(()) => Header::decode(&page, place, false).map_err(refusal),
            };
            if has_magic(&page) {
                ids[place as usize] = Some(page.get(DATABASE_ID));
            }
            let is_current = current.as_ref().is_ok_and(|current| current.place == place);
            match decoded {
                Err(why) => HeaderView { is_current, refused: Some(why), contents: None },
                Ok(header) => {
                    ids[place as usize] = Some(header.database_id);
                    let Header { commit, page_count, space_root, roots, .. } = header;
                    let contents = Some(HeaderContents { commit, page_count, space_root, roots });
                    HeaderView { is_current, refused: None, contents }
                }
            }
        });
        // A header that passed its checks is right about it; of those that did not, any may be.
        let sound = headers.iter().position(|header| header.contents.is_some());
        let database_id = sound.map_or(ids[0].or(ids[1]), |place| ids[place]);
        let seed = database_id.map(DatabaseSeed::new);
        Ok(Inspection { disk, context, headers, seed, database_id })
    }

    /// The two headers.
    pub fn headers(&self) -> &[HeaderView; 2] {
        &self.headers
    }

    /// The header that an open goes by, if there is one; else the newest that can be used.
    pub fn best_header(&self) -> Option<HeaderContents> {
        let current = self.headers.iter().find(|header| header.is_current);
        let usable = self.headers.iter().filter_map(|header| header.contents);
        current.and_then(|header| header.contents).or_else(|| usable.max_by_key(|header| header.commit))
    }

    /// The id of the database, as far as any header says.
    pub fn database_id(&self) -> Option<[u8; 16]> {
        self.database_id
    }

    /// Whole pages in the file.
    pub fn page_count(&self) -> Result<u64> {
        self.disk.page_count().map_err(|error| self.context.io(IoOperation::Inspect, error))
    }

    /// Reads a page, whatever it is.
    ///
    /// # Errors
    ///
    /// Only if it cannot be read.
    pub fn read(&self, id: PageId, into: &mut Page) -> Result<()> {
        self.disk.read_page(id, into).map_err(|error| self.context.io(IoOperation::Read(id), error))
    }

    /// Visits every page that can be read, in the order of the file, with what [`check`](Inspection::check) says to it.
    pub fn each_page(&self, visit: &mut VisitPage<'_>) -> Result<()> {
        let count = self.page_count()?;
        scan(&*self.disk, (0..count).map(|id| PageId(id as u32)), &mut |id, page| {
            visit(id, page, self.check(id, page));
        });
        Ok(())
    }

    /// Whether a page is whole and stands where it belongs. Its birth only a pointer can tell.
    ///
    /// # Errors
    ///
    /// The check that it fails.
    pub fn check(&self, id: PageId, page: &Page) -> Result<(), Corruption> {
        if let Some(place) = Place::BOTH.into_iter().find(|place| place.page() == id) {
            return match Header::decode(page, place, false) {
                Err(HeaderError::Rejected(why) | HeaderError::Impossible(why)) => Err(why),
                _ => Ok(()),
            };
        }
        // Without an id nothing can be said about its checksum; a blank page is one all the same.
        match self.seed {
            Some(seed) => seed.check_place(page, id),
            None if page.is_blank() => Err(Corruption::Blank),
            None => Ok(()),
        }
    }
}

/// Pages that a scan reads at once.
const SCANNED: usize = 256;

/// Visits pages of a disk, those that can be read, many at a time.
pub(crate) fn scan(
    disk: &dyn Disk,
    mut ids: impl Iterator<Item = PageId>,
    visit: &mut dyn FnMut(PageId, &Page),
) {
    let mut pages = vec![Page::zeroed(); SCANNED];
    loop {
        let batch: Vec<PageId> = ids.by_ref().take(SCANNED).collect();
        if batch.is_empty() {
            return;
        }
        let mut reads: Vec<PageRead<'_>> = batch
            .iter()
            .zip(&mut pages)
            .map(|(id, page)| PageRead { id: *id, page, result: Ok(()) })
            .collect();
        disk.read_batch(&mut reads);
        for read in reads {
            if read.result.is_ok() {
                visit(read.id, read.page);
            }
        }
    }
}

fn refusal(error: HeaderError) -> String {
    match error {
        HeaderError::Rejected(why) | HeaderError::Impossible(why) => why.to_string(),
        HeaderError::NewerVersion(version) => format!("format version {version} is newer than this build"),
        HeaderError::UnknownFeatures { bits, .. } => format!("features {bits:#x}, which this build lacks"),
        HeaderError::PageSize(size) => format!("pages of {size} bytes"),
    }
}
