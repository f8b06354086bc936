//! Making a new database, so that an interrupted creation is recognised and never mistaken for a damaged one.
//!
//! 1. The file is grown to 64 KiB: zeros.
//! 2. The free-space root and a page 1 that holds nothing but the magic bytes are written; flush.
//! 3. The first header goes to page 1; flush. Each piece of page 1 that a power cut may leave is either from step 2
//!    or from step 3, so the magic bytes stay.
//! 4. The second header goes to page 0; flush. Then the directory is flushed, by the caller.
//!
//! So as long as page 0 is blank and page 1 is blank or has the magic bytes without being valid, creation was
//! interrupted and nothing was ever stored. From step 3 on the file is a complete, empty database. A database that
//! was completely created never has a blank header page.

use crate::disk::{Disk, PageWrite};
use crate::error::{Corruption, ErrorContext, IoOperation, PagerError, Result, memory_path};
use crate::format::checksum::DatabaseSeed;
use crate::format::header::{Header, Place, Roots, Trust, mark_begun};
use crate::format::manifest::Manifest;
use crate::format::page::Page;
use crate::format::page_id::{Birth, PageId, PagePtr};
use crate::recovery::{INITIAL_PAGES, write_header};
use crate::space::Space;
use crate::space::map::MapStore;

/// What a new database begins with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    pub(crate) database_id: [u8; 16],
    /// The first birth; all that follow are above it.
    pub(crate) first: Birth,
    /// Whether it is to be filled before anybody may open it.
    pub(crate) unfinished: bool,
}

/// Writes an empty database to an empty (or unfinished) file.
pub(crate) fn initialise(disk: &dyn Disk, context: &ErrorContext, beginning: Beginning) -> Result<()> {
    let Beginning { database_id, first, unfinished } = beginning;
    disk.truncate(0).map_err(|error| context.io(IoOperation::Truncate, error))?;
    disk.grow(INITIAL_PAGES).map_err(|error| context.io(IoOperation::Grow, error))?;

    let seed = DatabaseSeed::new(database_id);
    let mut root_page = Page::boxed();
    let space = Space::create().close(&mut NoMapPages, first, INITIAL_PAGES, &mut |_, encode| {
        encode(&mut root_page);
        seed.stamp(&mut root_page);
        Ok(())
    })?;
    let space = space.expect("a new file has room for its first page");
    let mut begun = Page::boxed();
    mark_begun(&mut begun);
    disk.write_batch(&[
        PageWrite { id: Place::Second.page(), page: &begun },
        PageWrite { id: space.root.id, page: &root_page },
    ])
    .map_err(|error| context.io(IoOperation::WriteBatch, error))?;
    disk.flush().map_err(|error| context.io(IoOperation::Flush, error))?;

    for (commit, place) in [(first, Place::Second), (first.next(), Place::First)] {
        let header = Header {
            commit,
            trust: Trust::Sealed,
            unfinished,
            database_id,
            page_count: space.page_count,
            space_root: space.root,
            roots: Roots::default(),
            manifest: Manifest::default(),
        };
        write_header(disk, context, &header, place)?;
    }
    Ok(())
}

/// A new database has no map pages, and closing its free space reads none.
struct NoMapPages;

impl MapStore for NoMapPages {
    fn read(&mut self, ptr: PagePtr, _into: &mut Page) -> Result<()> {
        Err(self.corrupt(ptr.id, Corruption::Blank))
    }

    fn corrupt(&self, page: PageId, source: Corruption) -> PagerError {
        PagerError::Corrupt { page, path: memory_path().into(), source }
    }
}
