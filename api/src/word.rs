//! Words that errors and records name, `&'static str`s, as serde reads them back.
//!
//! Each comes from a small vocabulary that stands in this crate's code: names of types, operators, parameters. What is read is made to last
//! once, and from then on found again, so that what can be left behind in memory is bounded whoever sends it.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use serde::de::{Deserialize, Deserializer, Error};

/// A word. (By this name, since serde's derive would borrow a `&'static str` from what it reads.)
pub(crate) type Word = &'static str;

/// Different words that may be read.
const MOST_WORDS: usize = 256;

/// Bytes that a word may have: some are half a sentence.
const LONGEST_WORD: usize = 128;

static WORDS: Mutex<BTreeSet<Word>> = Mutex::new(BTreeSet::new());

/// Reads a word.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Word, D::Error> {
    let word = String::deserialize(deserializer)?;
    // A set of words is whole, whoever panicked.
    let mut words = WORDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = words.get(&*word) {
        return Ok(known);
    }
    if word.len() > LONGEST_WORD || words.len() == MOST_WORDS {
        return Err(D::Error::custom("a word that this library does not use"));
    }
    let word: Word = word.leak();
    words.insert(word);
    Ok(word)
}
