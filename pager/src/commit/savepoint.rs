//! Savepoints: what a batch has done since a moment can be undone, and what it did before stays.
//!
//! With these, transactions that follow one another at once share a batch. A page that one of them has copied the next one changes where
//! it is: its first change after the savepoint costs a copy in memory, where a page of another batch would cost a place in the
//! file, an entry in the page table and a checksum.
//!
//! # Invariants
//!
//! 1. Undone, the batch is what it was: its pages, its free space, its roots.
//! 2. A page of before is changed only after it was [kept](WriteBatch::keep_original).
//! 3. What the batch gave up of its own from before is given out again only when it cannot be undone any more.

use roaring::RoaringBitmap;

use crate::commit::page_map::PageMap;
use crate::commit::write_batch::WriteBatch;
use crate::error::Result;
use crate::format::header::Roots;
use crate::format::page_id::{Extent, PageId, PagePtr};
use crate::pool::dirty_frame::OwnedFrame;

/// What undoing needs to know.
#[derive(Debug)]
pub(super) struct Savepoint {
    roots: Roots,
    /// Pages of before as they were, of those that were changed or given up since.
    pub(super) originals: PageMap<OwnedFrame>,
    /// Pages of before that the batch held itself and has given up since.
    pub(super) given_up: RoaringBitmap,
    /// Pages of other batches that were freed since, and those of the gathering group.
    pub(super) freed: Vec<PageId>,
    pub(super) superseded: Vec<PageId>,
    /// Pages that were written early since, and their births.
    pub(super) written_early: Vec<PagePtr>,
}

impl Savepoint {
    /// Whether a page of before, which the batch held itself, was given up since.
    pub(super) fn has_given_up(&self, id: PageId) -> bool {
        self.given_up.contains(id.0)
    }
}

impl WriteBatch<'_> {
    /// Sets a savepoint, in the place of the one before. From here on the batch's pages get a birth of their own, if it has done anything.
    /// Returns `false`, and does nothing, if so many births have been given since the last commit that this one has to come first.
    ///
    /// Cost: nearly nothing; later, the copy of each page of before that is changed.
    pub fn savepoint(&mut self) -> Result<bool> {
        self.writer.core.check_forked()?;
        let has_done = !self.dirty.is_empty() || !self.written_early.is_empty();
        if self.savepoint.is_some() || has_done || self.is_birth_spent {
            if !self.write_state().has_births() {
                return Ok(false);
            }
            self.accept();
            self.birth = self.write_state().draw_birth();
            self.is_birth_spent = false;
        }
        self.savepoint = Some(Savepoint {
            roots: self.roots,
            originals: PageMap::default(),
            given_up: RoaringBitmap::new(),
            freed: Vec::new(),
            superseded: Vec::new(),
            written_early: Vec::new(),
        });
        Ok(true)
    }

    /// Undoes what the batch has done since the savepoint, which is gone then. Without one this does nothing. The birth is another one from
    /// the next savepoint on; from here on if pages were written early under it, since these may be given out again (rule 5 of
    /// [commits](crate::commit)).
    pub fn undo(&mut self) {
        let Some(savepoint) = self.savepoint.take() else { return };
        self.rest();
        if self.writer.core.check_forked().is_err() {
            // The pages are not there, and nothing else can be done with the batch than to drop it.
            return;
        }
        let mut own: Vec<PageId> =
            self.dirty.iter().filter(|(_, page)| page.birth() == self.birth).map(|(id, _)| *id).collect();
        own.iter().for_each(|id| drop(self.dirty.remove(id)));
        let mut is_birth_used = false;
        for PagePtr { id, birth } in savepoint.written_early {
            let is_own = birth == self.birth;
            is_birth_used |= is_own;
            if is_own || savepoint.originals.contains_key(&id) {
                self.written_early.remove(id.0);
                self.writer.core.pool.forget(id);
            }
            own.extend(is_own.then_some(id));
        }
        for id in savepoint.superseded {
            self.superseded.remove(&id);
        }
        let mut write = self.write_state();
        savepoint.freed.into_iter().for_each(|id| write.space.keep(Extent::single(id)));
        own.into_iter().for_each(|id| write.space.take_back(Extent::single(id)));
        self.is_birth_spent = !is_birth_used;
        if is_birth_used {
            self.birth = write.draw_birth();
        }
        drop(write);
        self.dirty.extend(savepoint.originals);
        self.roots = savepoint.roots;
    }

    /// Keeps what the batch has done since the savepoint.
    pub(super) fn accept(&mut self) {
        let Some(savepoint) = self.savepoint.take() else { return };
        if !savepoint.given_up.is_empty() {
            let mut write = self.write_state();
            savepoint.given_up.into_iter().for_each(|id| write.space.take_back(Extent::single(PageId(id))));
        }
    }

    /// Whether a page of the batch is of after the savepoint, or was kept as it was.
    pub(super) fn may_change(&self, ptr: PagePtr) -> bool {
        let is_kept = |savepoint: &Savepoint| savepoint.originals.contains_key(&ptr.id);
        ptr.birth == self.birth || self.savepoint.as_ref().is_none_or(is_kept)
    }

    /// Notes a page of the batch, which is about to be changed, as it is, unless it [may be](Self::may_change) already.
    pub(super) fn keep_original(&mut self, ptr: PagePtr) -> Result<()> {
        if self.may_change(ptr) {
            return Ok(());
        }
        let mut original = self.take_frame()?;
        original.clone_from(&self.dirty[&ptr.id]);
        let savepoint = self.savepoint.as_mut().expect("there is one");
        savepoint.originals.insert(ptr.id, original);
        Ok(())
    }

    /// Gives up a page that only the batch holds.
    pub(super) fn give_up(&mut self, ptr: PagePtr) {
        let page = self.dirty.remove(&ptr.id);
        match &mut self.savepoint {
            Some(savepoint) if ptr.birth != self.birth => {
                if let Some(page) = page {
                    savepoint.originals.entry(ptr.id).or_insert(page);
                }
                savepoint.given_up.insert(ptr.id.0);
            }
            _ => self.write_state().space.take_back(Extent::single(ptr.id)),
        }
    }
}
