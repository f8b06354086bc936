//! Frames: what goes over the socket, in both directions.
//!
//! # Layout
//!
//! Integers are little-endian.
//!
//! ```text
//! offset  size  field   meaning
//! ------  ----  ------  ------------------------------------------------------------------------------
//!      0     4  length  bytes that follow this field: 9 + those of the body
//!      4     1  kind    as below
//!      5     8  id      the request that the frame belongs to, chosen by the client; 0 where it belongs to none
//!     13     .  body    at most 16 MiB
//!
//! kind            from    body
//!    1  HELLO     both    see below; the first frame in each direction, with id 0
//!    2  REQUEST   client  one byte for the operation, and what it is to be done on (see `protocol`)
//!    3  ANSWER    server  what the operation returned; the last frame of its request
//!    4  ERROR     server  why it failed; the last frame of its request
//!    5  PAGE      server  a part of a result that is streamed; more follow, or an ANSWER or ERROR
//!    6  CREDIT    client  4 bytes: so many more pages of a stream may be sent
//!    7  CANCEL    client  empty: the rest of a stream is not wanted; a backup is called off
//!    8  GOODBYE   server  a text: why the connection ends; id 0
//!
//! body of a client's HELLO
//!      0     8  magic    "DynaMite"
//!      8     2  oldest   version of the protocol that the client speaks
//!     10     2  newest   likewise
//!
//! body of the server's HELLO
//!      0     8  magic    "DynaMite"
//!      8     2  version  the newest one that both speak; it holds for the rest of the connection
//!     10    16  database the id of the database file
//!     26     8  server   a number that this process has drawn
//!     34     .  name     the server's own version, as text
//! ```
//!
//! A HELLO stays what it is in all versions, so that a server and a client that do not understand each other can say so.
//!
//! # Hostile bytes
//!
//! A header is judged as soon as its 13 bytes are there, and nothing is allocated on its word: a buffer grows by what arrives.

use thiserror::Error;

/// The version of the protocol that this build speaks.
pub const VERSION: u16 = 1;

/// Bytes that the body of a frame may have: more than the largest transaction, which has 4 MB, and than the largest page.
pub const MAX_BODY: usize = 16 << 20;

pub(crate) const HEADER: usize = 13;
/// Bytes of the header that the length counts.
const COUNTED: usize = HEADER - LENGTH;
const LENGTH: usize = 4;
const MAGIC: &[u8; 8] = b"DynaMite";
const CLIENT_HELLO: usize = 12;
const SERVER_HELLO: usize = 34;

const _: () = assert!(COUNTED + MAX_BODY <= u32::MAX as usize);

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Hello = 1,
    Request = 2,
    Answer = 3,
    Error = 4,
    Page = 5,
    Credit = 6,
    Cancel = 7,
    Goodbye = 8,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Hello,
        Kind::Request,
        Kind::Answer,
        Kind::Error,
        Kind::Page,
        Kind::Credit,
        Kind::Cancel,
        Kind::Goodbye,
    ];

    fn of(byte: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A frame within the bytes that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: Kind,
    pub(crate) id: u64,
    pub(crate) body: &'a [u8],
}

/// Why bytes are no frame, or none of this protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame that is too long.
    #[error("a frame of {len} bytes; the longest has {}", COUNTED + MAX_BODY)]
    TooLong {
        /// Bytes that were announced.
        len: usize,
    },

    /// A frame without room for its own header.
    #[error("a frame of {len} bytes; the shortest has {COUNTED}")]
    TooShort {
        /// Bytes that were announced.
        len: usize,
    },

    /// A kind that does not exist, or that the other side never sends.
    #[error("a frame of kind {kind}, which has no place here")]
    Kind {
        /// The kind.
        kind: u8,
    },

    /// Something else where a greeting must be.
    #[error("this is no greeting of DynaMite's")]
    NoHello,

    /// The two sides have no version of the protocol in common.
    #[error(
        "the client speaks versions {oldest} to {newest} of the protocol, the server {VERSION}; use builds of one release"
    )]
    Version {
        /// The oldest that the client speaks.
        oldest: u16,
        /// The newest.
        newest: u16,
    },

    /// The body of a frame is not what its kind, or its operation, says.
    #[error("the body of a frame is malformed: {0}")]
    Body(String),
}

/// The first frame in some bytes, and how many of them it takes. `None` if it is not whole yet.
pub(crate) fn split(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, FrameError> {
    let Some((len, rest)) = bytes.split_first_chunk::<LENGTH>() else { return Ok(None) };
    let len = u32::from_le_bytes(*len) as usize;
    match len {
        ..COUNTED => return Err(FrameError::TooShort { len }),
        _ if len > COUNTED + MAX_BODY => return Err(FrameError::TooLong { len }),
        _ => {}
    }
    let Some((&kind, _)) = rest.split_first() else { return Ok(None) };
    let kind = Kind::of(kind).ok_or(FrameError::Kind { kind })?;
    let Some(counted) = rest.get(..len) else { return Ok(None) };
    let (id, body) = counted[1..].split_first_chunk::<8>().expect("the length was checked");
    Ok(Some((Frame { kind, id: u64::from_le_bytes(*id), body }, LENGTH + len)))
}

/// Appends a frame whose body `write` appends.
///
/// # Errors
///
/// That of `write`, and a body that is too long. The buffer is then as it was.
pub(crate) fn put<E: From<FrameError>>(
    buffer: &mut Vec<u8>,
    kind: Kind,
    id: u64,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; LENGTH]);
    buffer.push(kind as u8);
    buffer.extend_from_slice(&id.to_le_bytes());
    let written = write(buffer);
    let len = buffer.len() - start - LENGTH;
    let checked = written.and_then(|()| match len <= COUNTED + MAX_BODY {
        true => Ok(()),
        false => Err(FrameError::TooLong { len }.into()),
    });
    match &checked {
        Ok(()) => buffer[start..start + LENGTH].copy_from_slice(&(len as u32).to_le_bytes()),
        Err(_) => buffer.truncate(start),
    }
    checked
}

/// Makes a frame, which stands at the beginning of these bytes, one of another kind.
pub(crate) fn set_kind(frame: &mut [u8], kind: Kind) {
    frame[LENGTH] = kind as u8;
}

/// Appends a frame with a body that is short for sure.
pub(crate) fn put_short(buffer: &mut Vec<u8>, kind: Kind, id: u64, body: &[u8]) {
    let body = &body[..body.len().min(MAX_BODY)];
    let written = put(buffer, kind, id, |buffer| {
        buffer.extend_from_slice(body);
        Ok::<(), FrameError>(())
    });
    debug_assert!(written.is_ok(), "a short body");
}

/// What a server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The id of the database file.
    pub database: [u8; 16],
    /// A number that the server's process has drawn.
    pub server: u64,
    /// The server's version.
    pub version: String,
}

/// Appends a client's greeting.
pub(crate) fn put_client_hello(buffer: &mut Vec<u8>) {
    let mut body = [0; CLIENT_HELLO];
    body[..8].copy_from_slice(MAGIC);
    body[8..10].copy_from_slice(&VERSION.to_le_bytes());
    body[10..].copy_from_slice(&VERSION.to_le_bytes());
    put_short(buffer, Kind::Hello, 0, &body);
}

/// Reads a client's greeting. Returns the version to be spoken.
pub(crate) fn read_client_hello(frame: Frame<'_>) -> Result<u16, FrameError> {
    let Frame { kind: Kind::Hello, id: 0, body } = frame else { return Err(FrameError::NoHello) };
    let versions = body.strip_prefix(MAGIC).and_then(|rest| <[u8; 4]>::try_from(rest).ok());
    let [a, b, c, d] = versions.ok_or(FrameError::NoHello)?;
    let (oldest, newest) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
    match (oldest..=newest).contains(&VERSION) {
        true => Ok(VERSION),
        false => Err(FrameError::Version { oldest, newest }),
    }
}

/// Appends a server's greeting.
pub(crate) fn put_server_hello(buffer: &mut Vec<u8>, version: u16, identity: &Identity) {
    let mut body = Vec::with_capacity(SERVER_HELLO + identity.version.len());
    body.extend_from_slice(MAGIC);
    body.extend_from_slice(&version.to_le_bytes());
    body.extend_from_slice(&identity.database);
    body.extend_from_slice(&identity.server.to_le_bytes());
    body.extend_from_slice(identity.version.as_bytes());
    put_short(buffer, Kind::Hello, 0, &body);
}

/// Reads a server's greeting.
pub(crate) fn read_server_hello(frame: Frame<'_>) -> Result<Identity, FrameError> {
    let Frame { kind: Kind::Hello, id: 0, body } = frame else { return Err(FrameError::NoHello) };
    let rest = body.strip_prefix(MAGIC).ok_or(FrameError::NoHello)?;
    let (version, rest) = rest.split_first_chunk::<2>().ok_or(FrameError::NoHello)?;
    let (database, rest) = rest.split_first_chunk::<16>().ok_or(FrameError::NoHello)?;
    let (server, name) = rest.split_first_chunk::<8>().ok_or(FrameError::NoHello)?;
    if u16::from_le_bytes(*version) != VERSION {
        return Err(FrameError::NoHello);
    }
    Ok(Identity {
        database: *database,
        server: u64::from_le_bytes(*server),
        version: String::from_utf8_lossy(name).into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The protocol is a promise. If this fails, raise the version.
    #[test]
    fn encoded_bytes_are_the_documented_ones() {
        let mut bytes = Vec::new();
        put_short(&mut bytes, Kind::Request, 0x0102, b"body");
        assert_eq!(bytes, [&[13, 0, 0, 0, 2, 2, 1, 0, 0, 0, 0, 0, 0][..], b"body"].concat());
        let kinds = Kind::ALL.map(|kind| kind as u8);
        assert_eq!(kinds, [1, 2, 3, 4, 5, 6, 7, 8]);

        bytes.clear();
        put_client_hello(&mut bytes);
        let header = [21, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes, [&header[..], b"DynaMite", &[1, 0, 1, 0]].concat());

        bytes.clear();
        let identity = Identity { database: [7; 16], server: 9, version: "0.1.0".into() };
        put_server_hello(&mut bytes, 1, &identity);
        let header = [48, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        let body = [&b"DynaMite\x01\0"[..], &[7; 16], &[9, 0, 0, 0, 0, 0, 0, 0], b"0.1.0"].concat();
        assert_eq!(bytes, [&header[..], &body].concat());
        let (frame, _) = split(&bytes).unwrap().unwrap();
        assert_eq!(read_server_hello(frame), Ok(identity));
    }

    #[track_caller]
    fn check_refused(bytes: &[u8], expected: FrameError) {
        assert_eq!(split(bytes), Err(expected));
    }

    #[test]
    fn a_header_is_refused_as_soon_as_it_is_there() {
        check_refused(&[8, 0, 0, 0], FrameError::TooShort { len: 8 });
        check_refused(&[0; 4], FrameError::TooShort { len: 0 });
        check_refused(&[0xFF; 4], FrameError::TooLong { len: u32::MAX as usize });
        check_refused(
            &(COUNTED as u32 + MAX_BODY as u32 + 1).to_le_bytes(),
            FrameError::TooLong { len: 16_777_226 },
        );
        check_refused(&[9, 0, 0, 0, 0], FrameError::Kind { kind: 0 });
        check_refused(&[9, 0, 0, 0, 9], FrameError::Kind { kind: 9 });
    }

    #[test]
    fn a_body_that_is_too_long_leaves_the_buffer_as_it_was() {
        let mut bytes = b"before".to_vec();
        let put = put(&mut bytes, Kind::Answer, 1, |buffer| {
            buffer.resize(buffer.len() + MAX_BODY + 1, 0);
            Ok::<(), FrameError>(())
        });
        assert_eq!(put, Err(FrameError::TooLong { len: COUNTED + MAX_BODY + 1 }));
        assert_eq!(bytes, b"before");
    }

    #[track_caller]
    fn check_hello(damage: impl FnOnce(&mut Vec<u8>), expected: FrameError) {
        let mut bytes = Vec::new();
        put_client_hello(&mut bytes);
        let mut body = bytes.split_off(HEADER);
        damage(&mut body);
        assert_eq!(read_client_hello(Frame { kind: Kind::Hello, id: 0, body: &body }), Err(expected));
    }

    #[test]
    fn a_wrong_greeting_is_refused() {
        check_hello(|body| body[0] = b'd', FrameError::NoHello);
        check_hello(|body| body.truncate(11), FrameError::NoHello);
        check_hello(|body| body.push(0), FrameError::NoHello);
        check_hello(|body| body.clear(), FrameError::NoHello);
        check_hello(|body| body[8] = 2, FrameError::Version { oldest: 2, newest: 1 });
        check_hello(
            |body| body[8..].copy_from_slice(&[2, 0, 3, 0]),
            FrameError::Version { oldest: 2, newest: 3 },
        );
        let frame = Frame { kind: Kind::Request, id: 0, body: b"DynaMite\x01\0\x01\0" };
        assert_eq!(read_client_hello(frame), Err(FrameError::NoHello));
    }

    proptest! {
        #[test]
        fn frames_come_out_as_they_went_in_and_never_too_early(
            id: u64,
            body in proptest::collection::vec(any::<u8>(), 0..64),
            kind in 0..8_usize,
        ) {
            let mut bytes = Vec::new();
            put_short(&mut bytes, Kind::ALL[kind], id, &body);
            for len in 0..bytes.len() {
                prop_assert_eq!(split(&bytes[..len]), Ok(None));
            }
            let len = bytes.len();
            bytes.extend(b"more");
            prop_assert_eq!(split(&bytes), Ok(Some((Frame { kind: Kind::ALL[kind], id, body: &body }, len))));
        }

        #[test]
        fn random_bytes_are_a_frame_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(Some((frame, len))) = split(&bytes) {
                prop_assert!(len <= bytes.len() && frame.body.len() == len - HEADER);
            }
        }
    }
}
