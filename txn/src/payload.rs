//! A payload that is held on to while the tree it came from is not looked at.

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
    pub(crate) fn load(self, pages: &mut impl Pages) -> Result<Vec<u8>> {
        match self {
            Payload::Bytes(bytes) => Ok(bytes),
            Payload::Run(run) => {
                let mut bytes = Vec::with_capacity(run.len());
                run.read(pages, &mut bytes)?;
                Ok(bytes)
            }
        }
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
