//! What is asked and answered: the bodies of requests, answers and errors.
//!
//! A request's body is one byte for the operation (the table in [`operation`](crate::protocol::operation)) and, in the encoding of
//! the `postcard` crate, the struct of that name; an answer's body is what the table says it is, encoded likewise. Items travel in their
//! stored form, so that the server neither decodes nor encodes one. A value by itself travels as an item whose only
//! attribute `v` it is.
//!
//! # Hostile bytes
//!
//! Lengths are held against the bytes that are there, nothing is recursive, items and values are checked from the first byte to the last
//! before they are used, and bytes left over are refused. So a malformed body costs no more than its own size several times over, and
//! ends its connection.

pub(crate) mod backup;
pub(crate) mod fault;
pub(crate) mod operation;
pub(crate) mod statement;
pub(crate) mod terms;
pub(crate) mod text;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

use crate::frame::FrameError;
pub(crate) use crate::protocol::operation::{Asked, Code, Operation};

/// Appends an encoded value.
pub(crate) fn encode(value: &impl Serialize, buffer: &mut Vec<u8>) -> Result<(), FrameError> {
    let start = buffer.len();
    postcard::serialize_with_flavor(value, Tail(buffer)).map_err(|error| {
        buffer.truncate(start);
        FrameError::Body(error.to_string())
    })
}

/// Reads an encoded value, to the last byte.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(FrameError::Body(format!("{} bytes are left over", rest.len()))),
        Err(error) => Err(FrameError::Body(error.to_string())),
    }
}

/// The end of a buffer. (The crate's own flavour for what grows is handed the bytes one by one.)
struct Tail<'b>(&'b mut Vec<u8>);

impl Flavor for Tail<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
