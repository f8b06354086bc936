//! Bodies: read whole, within limits of their length and their time, and of what all of them take together.
//!
//! A small body is read at once. A larger one first gets a share of [`Limits::bodies_bytes`], which it keeps until its request is
//! answered: what is made of it takes up to some twenty times as much, so this bounds what requests can make a process hold. A share
//! is taken whole, so that no two bodies wait for each other in the middle.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::{Body, Incoming};
use hyper::header::CONTENT_ENCODING;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::dynamodb::http::Limits;

/// Bytes of a body that needs no share.
const SMALL_LEN: usize = 8 << 10;

/// What all bodies may take.
#[derive(Debug)]
pub(crate) struct Room {
    shares: Arc<Semaphore>,
    limits: Limits,
}

/// A body that was read.
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    /// Its share, which is given back when this is dropped.
    _share: Option<OwnedSemaphorePermit>,
}

/// Why a body was not read.
pub(crate) enum Unread {
    TooLarge,
    TooSlow,
}

impl Room {
    pub(crate) fn new(limits: Limits) -> Room {
        Room { shares: Arc::new(Semaphore::new(limits.bodies_bytes.min(Semaphore::MAX_PERMITS))), limits }
    }

    /// Reads a body.
    pub(crate) async fn read(&self, headers: &HeaderMap, body: Incoming) -> Result<Whole, Unread> {
        match timeout(self.limits.body_time, self.read_whole(headers, body)).await {
            Ok(read) => read,
            Err(_) => Err(Unread::TooSlow),
        }
    }

    /// One that is too large is read on for a while, so that who sends it may see the answer; a broken one counts as empty, since
    /// nobody will see any.
    async fn read_whole(&self, headers: &HeaderMap, mut body: Incoming) -> Result<Whole, Unread> {
        let limit = self.limits.body_bytes;
        // What is compressed may become as large as a body may be.
        let is_compressed = headers.contains_key(CONTENT_ENCODING);
        let told = body.size_hint().exact().and_then(|len| usize::try_from(len).ok());
        let expected = told.filter(|_| !is_compressed).unwrap_or(limit);
        let mut share = None;
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        let mut len = 0;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else { return Ok(Whole { bytes: Bytes::new(), _share: None }) };
            let Ok(data) = frame.into_data() else { continue };
            len += data.len();
            if len > 2 * limit {
                return Err(Unread::TooLarge);
            }
            // Of one that is too large nothing is kept.
            if len > limit || told.is_some_and(|told| told > limit) {
                (share, first, all) = (None, Bytes::new(), BytesMut::new());
                continue;
            }
            if share.is_none() && (len > SMALL_LEN || is_compressed) {
                share = Some(self.share(expected).await?);
            }
            if len == data.len() {
                first = data;
            } else {
                if all.is_empty() {
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&data);
            }
        }
        match len > limit {
            true => Err(Unread::TooLarge),
            false => Ok(Whole { bytes: if all.is_empty() { first } else { all.freeze() }, _share: share }),
        }
    }

    /// Waits for a share of so many bytes, or of all that there are.
    async fn share(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Unread> {
        let bytes = u32::try_from(bytes.min(self.limits.bodies_bytes)).unwrap_or(u32::MAX);
        self.shares.clone().acquire_many_owned(bytes).await.map_err(|_| Unread::TooSlow)
    }
}
