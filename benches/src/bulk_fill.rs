//! A file full of pages, written in large batches.

use dynamite_pager::{PageKind, PagePtr, Pager, Result};

/// Pages in one request for a run.
const RUN: u32 = 256;

/// Pages in one commit.
const COMMIT: usize = 1 << 16;

/// Writes at least `pages` pages, each beginning with a word of its own, and returns where they are, ascending.
pub fn bulk_fill(pager: &Pager, pages: usize) -> Result<Vec<PagePtr>> {
    let mut written = Vec::with_capacity(pages + RUN as usize);
    while written.len() < pages {
        let mut batch = pager.begin()?;
        let birth = batch.birth();
        let end = pages.min(written.len() + COMMIT);
        while written.len() < end {
            for id in batch.allocate_run(RUN, PageKind::FIRST_FOREIGN)?.pages() {
                let ptr = PagePtr { id, birth };
                batch.page_mut(ptr).payload_mut()[..4].copy_from_slice(&id.0.to_le_bytes());
                written.push(ptr);
            }
            batch.end_operation()?;
        }
        batch.commit()?;
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use dynamite_pager::{Access, Options};

    use super::*;

    #[test]
    fn every_page_is_there_once() -> Result<()> {
        let pager = Options::new().cache_bytes(4 << 20).in_memory([7; 16])?;
        let written = bulk_fill(&pager, 3000)?;
        assert!(written.len() >= 3000);
        assert_eq!(written.iter().collect::<HashSet<_>>().len(), written.len());
        let (mut operation, _) = pager.enter()?;
        for ptr in written {
            let page = operation.read(ptr, Access::Scan)?;
            assert_eq!(page.payload()[..4], ptr.id.0.to_le_bytes());
        }
        Ok(())
    }
}
