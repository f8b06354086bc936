//! The stored form of items: compact, self-describing, and canonical, so that equal items have equal bytes.
//!
//! One attribute is found by skipping over those before it, without decoding them: filters, projections and the
//! maintenance of indexes work on the encoded bytes ([`ItemView`], [`ItemWriter`]). JSON, DynamoDB's too, and `serde` go straight to and
//! from them ([`encode_json`], [`decode_json`], [`to_bytes`], [`from_bytes`]).
//!
//! # Layout
//!
//! ```text
//! item
//! offset  size  field    meaning
//! ------  ----  -------  ------------------------------------------------------------------------------
//!      0     1  version  1
//!      1        body     of a map, to the end
//!
//! value
//!      0     1  tag      high nibble: type, as below; low nibble: n, for the length of the body
//!      1  0..3  length   n = 0..=11: absent, the body has n bytes; 12, 13, 14: the length in 1, 2, 3 bytes,
//!                        little-endian, never one that would have fitted into less; 15: never
//!               body     depends on the type
//!
//! type             body
//!    0  NULL       empty
//!    1  FALSE      empty
//!    2  TRUE       empty
//!    3  S          UTF-8
//!    4  N          number
//!    5  B          the bytes
//!    6  M          entries, in the order of the names' bytes: varint name length (1..=65,535), name, value
//!    7  L          values
//!    8  SS         members in the order of their bytes: varint length, UTF-8; at least one
//!    9  NS         members in the order of their values: varint length, number; at least one
//!   10  BS         members in the order of their bytes: varint length, the bytes; at least one
//!
//! number: empty if it is zero, else
//!      0  1, 2  scale        varint of 2·zigzag(exponent) + (1 if the number is negative)
//!         1-16  coefficient  little-endian, without zero bytes at its end; not divisible by ten
//!
//! zigzag: 2n for n = 0, 1, 2, …; 2n - 1 for -n = -1, -2, …
//! varint: 7 bits a byte, the lowest first; all but the last byte have bit 7 set; never longer than needed
//! ```
//!
//! No name, member or body has 2^21 bytes, since no item within [`MAX_ITEM_SIZE`](crate::limits::MAX_ITEM_SIZE) needs as many.
//!
//! # Limits
//!
//! All encoders count DynamoDB's size and check its limits in the pass that encodes ([`limits`](crate::limits)): what
//! was encoded can be stored. All decoders take the bytes for untrusted: whatever no encoder writes is refused by a
//! variant of [`ItemDamage`], at the latest by [`check()`], which is the one that looks at everything.

mod layout;

mod damage;

mod encoder;

mod model;

mod json;

mod dynamodb_json;

mod cursor;

mod text_window;

mod check;

mod size;

mod view;

mod writer;

mod pick;

mod ser;

mod ser_scalar;

mod de;

mod de_key;

mod de_typed;

#[cfg(test)]
mod golden;

pub use check::check;
pub(crate) use check::check_each;
pub use damage::ItemDamage;
pub use de::{DecodeError, from_bytes};
pub(crate) use dynamodb_json::{encode_dynamodb_json, write_dynamodb_json};
pub use json::{decode_json, encode_json, encode_json_into};
pub use model::{decode, encode, encode_into};
pub(crate) use pick::{Picked, join, pick};
pub use ser::{to_bytes, to_bytes_into};
pub(crate) use size::size;
pub use view::{Elements, Entries, ItemView, ValueView};
pub use writer::{ItemError, ItemWriter};
