//! Idempotency tokens: which transactions were done already, so that one that is tried again is not done twice.
//!
//! A token is stored in the transaction that it stands for: after a crash both are there or neither. It is forgotten after
//! ten minutes, a bounded number at a time: by the next transactions with tokens, and by a [chore](expire).
//!
//! # Layout
//!
//! The tree `\0tokens` is made by the first transaction with a token. Each token has two entries there:
//!
//! ```text
//! key                           payload
//! 't', token                    see below
//! 'x', time of it, token        empty: the tokens in the order in which they expire; the time is big-endian
//!
//! offset  size  field    meaning
//! ------  ----  -------  ---------------------------------------------------------------------
//!      0     8  time     when the transaction was done, in milliseconds since 1970
//!      8    16  request  xxh3-128 of all that the transaction was told
//!     24     8  version  what it returned
//! ```
//!
//! Integers in payloads are little-endian.

use std::ops::{Bound, ControlFlow};

use dynamite_txn::{Access, Range, Retention, Row, TableId, WriteTxn};
use xxhash_rust::xxh3::xxh3_128;

use crate::api::database::Engine;
use crate::api::housekeeping::Pace;
use crate::api::transact_action::Ready;
use crate::api::writing::Writing;
use crate::error::{Damage, Error, Invalid, Result};

/// The name of the tree.
pub(crate) const TREE: &[u8] = b"\0tokens";

/// How long a token is remembered, in milliseconds.
const LIFETIME_MS: u64 = 10 * 60 * 1000;

/// How many expired tokens a transaction with a token removes.
const REMOVED_BESIDE: usize = 4;

/// How many expired tokens a step of the chore removes.
const REMOVED_AT_ONCE: usize = 256;

/// The most characters of a token.
const MAX_CHARS: usize = 36;

/// A token, and what the transaction was told that it stands for.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    text: &'a str,
    request: u128,
}

/// What is stored of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    time_ms: u64,
    request: u128,
    version: u64,
}

impl<'a> Token<'a> {
    /// Refuses what is no token.
    pub(crate) fn check(text: &str) -> Result<()> {
        match text.chars().count() {
            0 => Err(Invalid::EmptyToken.into()),
            1..=MAX_CHARS => Ok(()),
            _ => Err(Invalid::LongToken.into()),
        }
    }

    /// A token for a transaction of these actions.
    pub(crate) fn new(text: &'a str, actions: &[Ready<'_>]) -> Result<Token<'a>> {
        let mut request = Vec::new();
        for action in actions {
            action.describe(&mut request)?;
        }
        Ok(Token::of_request(text, &request))
    }

    /// A token for a transaction that was told this.
    pub(crate) fn of_request(text: &'a str, request: &[u8]) -> Token<'a> {
        Token { text, request: xxh3_128(request) }
    }

    /// What the transaction returned when it was done; `None` if that was not within the lifetime of a token.
    ///
    /// # Errors
    ///
    /// [`Error::IdempotentParameterMismatch`] if another one was done by this token.
    pub(crate) fn find(&self, writing: &mut Writing<'_, '_>) -> Result<Option<u64>> {
        let now_ms = writing.moment().ms();
        let txn = writing.txn();
        let Some(tree) = txn.table(TREE)? else { return Ok(None) };
        match self.record(txn, tree.id)? {
            Some(record) if is_expired(record.time_ms, now_ms) => Ok(None),
            Some(record) if record.request != self.request => Err(Error::IdempotentParameterMismatch),
            found => Ok(found.map(|record| record.version)),
        }
    }

    /// Remembers that the transaction was done, and removes some tokens that have expired.
    pub(crate) fn keep(&self, writing: &mut Writing<'_, '_>, version: u64) -> Result<()> {
        let now_ms = writing.moment().ms();
        writing.expect(now_ms.saturating_add(LIFETIME_MS));
        let txn = writing.txn();
        let tree = match txn.table(TREE)? {
            Some(tree) => tree.id,
            None => txn.create_table(TREE, &[], Retention::None)?,
        };
        if let Some(expired) = self.record(txn, tree)? {
            // Its entry by time would take the new one with it.
            txn.delete(tree, &expiry_key(expired.time_ms, self.text))?;
        }
        remove_expired(txn, tree, now_ms, REMOVED_BESIDE)?;
        let record = Record { time_ms: now_ms, request: self.request, version };
        txn.put(tree, &token_key(self.text), &record.encode())?;
        txn.put(tree, &expiry_key(now_ms, self.text), &[])?;
        Ok(())
    }

    fn record(&self, txn: &mut WriteTxn<'_>, tree: TableId) -> Result<Option<Record>> {
        let record = txn.get(tree, &token_key(self.text), |_, payload| Record::decode(payload))?;
        record.map(|record| record.ok_or_else(damaged)).transpose()
    }
}

/// Removes tokens that have expired: a [chore](crate::api::housekeeping::Chore).
pub(crate) fn expire(engine: &Engine) -> Result<Pace> {
    let now_ms = engine.clock.now_ms();
    let mut read = engine.store.read()?;
    let Some(tree) = read.table(TREE)? else { return Ok(Pace::WhenRung) };
    let mut oldest = None;
    read.scan(tree.id, &expiries().borrow(), Access::Point, |row| {
        oldest = Some(time_of(row));
        ControlFlow::Break(())
    })?;
    drop(read);
    let Some(oldest) = oldest.transpose()? else { return Ok(Pace::WhenRung) };
    if !is_expired(oldest, now_ms) {
        return Ok(Pace::At(oldest.saturating_add(LIFETIME_MS)));
    }
    engine.write(|txn| remove_expired(txn, tree.id, now_ms, REMOVED_AT_ONCE))?;
    Ok(Pace::AtOnce)
}

/// Removes at most so many tokens that have expired.
fn remove_expired(txn: &mut WriteTxn<'_>, tree: TableId, now_ms: u64, at_most: usize) -> Result<()> {
    let (mut keys, mut failed) = (Vec::new(), None);
    txn.scan(tree, &expiries().borrow(), Access::Point, |row| {
        match time_of(row) {
            Ok(time_ms) if keys.len() < at_most && is_expired(time_ms, now_ms) => keys.push(row.key.to_vec()),
            Ok(_) => return ControlFlow::Break(()),
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    for key in keys {
        txn.delete(tree, &key)?;
        txn.delete(tree, &[&b"t"[..], &key[1 + size_of::<u64>()..]].concat())?;
    }
    Ok(())
}

/// The clock may have been set back: what was stored in the future has not expired.
fn is_expired(time_ms: u64, now_ms: u64) -> bool {
    now_ms.saturating_sub(time_ms) >= LIFETIME_MS
}

fn token_key(token: &str) -> Vec<u8> {
    [b"t", token.as_bytes()].concat()
}

fn expiry_key(time_ms: u64, token: &str) -> Vec<u8> {
    [&b"x"[..], &time_ms.to_be_bytes(), token.as_bytes()].concat()
}

/// The keys of all entries by time.
fn expiries() -> Range {
    Range { from: Bound::Included(b"x".to_vec()), to: Bound::Excluded(b"y".to_vec()), reverse: false }
}

/// The time in the key of an entry by time.
fn time_of(row: Row<'_>) -> Result<u64> {
    let time = row.key.get(1..).and_then(|rest| rest.first_chunk()).ok_or_else(damaged)?;
    Ok(u64::from_be_bytes(*time))
}

fn damaged() -> Error {
    Error::DamagedItem { table: "\\0tokens".to_owned(), source: Damage::Token }
}

impl Record {
    const LEN: usize = 32;

    fn encode(self) -> [u8; Record::LEN] {
        let mut payload = [0; Record::LEN];
        payload[0..8].copy_from_slice(&self.time_ms.to_le_bytes());
        payload[8..24].copy_from_slice(&self.request.to_le_bytes());
        payload[24..32].copy_from_slice(&self.version.to_le_bytes());
        payload
    }

    fn decode(payload: &[u8]) -> Option<Record> {
        let (time_ms, rest) = payload.split_first_chunk()?;
        let (request, rest) = rest.split_first_chunk()?;
        let version = rest.try_into().ok()?;
        Some(Record {
            time_ms: u64::from_le_bytes(*time_ms),
            request: u128::from_le_bytes(*request),
            version: u64::from_le_bytes(version),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The file keeps them for ten minutes, whatever is updated meanwhile.
    #[test]
    fn stored_bytes_are_the_documented_ones() {
        let record = Record { time_ms: 0x0102, request: 0x0304, version: 5 };
        let mut expected = [0; 32];
        expected[..2].copy_from_slice(&[2, 1]);
        expected[8..10].copy_from_slice(&[4, 3]);
        expected[24] = 5;
        assert_eq!(record.encode(), expected);
        assert_eq!(Record::decode(&expected), Some(record));
        assert_eq!(Record::decode(&expected[..31]), None);
        assert_eq!(Record::decode(&[0; 33]), None);
        assert_eq!(token_key("é"), [b't', 0xC3, 0xA9]);
        assert_eq!(expiry_key(0x0102, "z"), [b'x', 0, 0, 0, 0, 0, 0, 1, 2, b'z']);
    }
}
