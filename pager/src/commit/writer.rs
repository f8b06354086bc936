//! What a writable handle has and a read-only one has not: turns, the write state, the file's growth.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::commit::FlushTurn;
use crate::commit::background::Background;
use crate::commit::growth::Growth;
use crate::commit::write_behind::WriteBehind;
use crate::commit::write_state::{Core, Group, WriteState};
use crate::error::Result;
use crate::format::header::{Header, Place};
use crate::format::page::Page;
use crate::space::Space;
use crate::space::map::MapStore;
use crate::sync::Mutex;

/// The writing half of a pager. Its locks are taken in the order of the fields.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) core: Arc<Core>,
    /// Held by the open batch.
    pub(crate) turn: Mutex<()>,
    /// Held by whoever writes a commit.
    pub(crate) flush_turn: Mutex<FlushTurn>,
    pub(crate) write: Arc<Mutex<WriteState>>,
    pub(crate) growth: Arc<Growth>,
    pub(crate) background: Background,
    pub(crate) behind: WriteBehind,
}

impl Writer {
    /// Takes up the state that an open found and healed.
    pub(crate) fn new(
        core: Arc<Core>,
        durable: Header,
        place: Place,
        file_pages: u64,
        background: bool,
        knows_free: bool,
    ) -> Result<Writer> {
        let space = if knows_free {
            let mut root = Page::boxed();
            (&*core).read(durable.space_root, &mut root)?;
            Space::open(&root, durable.space_root, durable.page_count)
        } else {
            Space::forgotten(durable.space_root, durable.page_count, durable.commit)
        };
        let space = space.map_err(|source| core.context.corrupt(durable.space_root.id, source))?;
        let write = Arc::new(Mutex::new(WriteState {
            space,
            next_birth: durable.commit.next(),
            older_page_count: durable.page_count,
            group: Group::default(),
            in_flight: None,
            unpublished: VecDeque::new(),
            published: durable.commit,
            releases: VecDeque::new(),
            file_pages,
            growing: false,
            poison: None,
            place,
            durable,
        }));
        let growth = Arc::new(Growth::new(core.clone(), write.clone()));
        Ok(Writer {
            behind: WriteBehind::new(core.clone(), background),
            core,
            turn: Mutex::new(()),
            flush_turn: Mutex::new(FlushTurn::new()),
            write,
            background: Background::new(growth.clone(), background),
            growth,
        })
    }
}
