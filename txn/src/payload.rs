//! A payload that is held on to while the tree it came from is not looked at.
//!
//! One that is in pages of its own has to be put together before anybody can look into it. Each thread keeps the buffer
//! that it last did so in, which is at most as long as the longest payload: memory that was used a moment ago is in the
//! processor's caches, while new memory of this size may have to be asked for, and zeroed, page by page.

use std::cell::Cell;
use std::ops::Deref;

use dynamite_bptree::{Body, Overflow, Pages};

use crate::error::Result;

/// The payload of a version.
#[derive(Debug)]
pub(crate) enum Payload {
    /// Bytes, copied.
    Bytes(Vec<u8>),
    /// Pages of its own, which may yet have to be read.
    Run(Overflow),
}

impl Payload {
    /// As what is stored again, where it was or elsewhere.
    pub(crate) fn body(&self) -> Body<'_> {
        match self {
            Payload::Bytes(bytes) => Body::Bytes(bytes),
            Payload::Run(run) => Body::Run(*run),
        }
    }

    /// Its bytes.
    pub(crate) fn load(self, pages: &mut impl Pages) -> Result<Loaded> {
        match self {
            Payload::Bytes(bytes) => Ok(Loaded(bytes)),
            Payload::Run(run) => {
                let mut loaded = Loaded::empty();
                run.read(pages, &mut loaded.0)?;
                Ok(loaded)
            }
        }
    }
}

thread_local! {
    static KEPT: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The bytes of a payload, for a short time: then their buffer is used for the next one.
#[derive(Debug)]
pub(crate) struct Loaded(Vec<u8>);

impl Loaded {
    /// Without bytes, in the buffer that this thread keeps; one that is in use already is not there to be taken.
    fn empty() -> Loaded {
        // While the thread's variables are being destroyed nothing is kept.
        let mut buffer = KEPT.try_with(Cell::take).unwrap_or_default();
        buffer.clear();
        Loaded(buffer)
    }
}

impl Deref for Loaded {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        let _ = KEPT.try_with(|kept| {
            let (ours, other) = (std::mem::take(&mut self.0), kept.take());
            kept.set(if ours.capacity() >= other.capacity() { ours } else { other });
        });
    }
}

impl From<Body<'_>> for Payload {
    fn from(body: Body<'_>) -> Payload {
        match body {
            Body::Bytes(bytes) => Payload::Bytes(bytes.to_vec()),
            Body::Run(run) => Payload::Run(run),
        }
    }
}
