//! The ordered maps of DynaMite: byte strings in copy-on-write B+trees over the pager, any number of them in one file.
//!
//! It knows keys, values and pages. It knows nothing of the disk, of transactions and snapshots, or of what a value
//! means: a [`Tree`] is 21 bytes that its owner stores wherever it likes, and hands a batch or an operation to.
//!
//! ```
//! use dynamite_bptree::{Body, NewValue, Tree, check_page};
//! use dynamite_pager::Options;
//!
//! # fn main() -> dynamite_bptree::Result<()> {
//! let pager = Options::new().page_check(check_page).in_memory(*b"drawn by chance!")?;
//! let mut batch = pager.begin()?;
//! let mut tree = Tree::EMPTY;
//! tree.insert(&mut batch, b"apple", NewValue { head: b"", body: Body::Bytes(b"green") })?;
//! tree.insert(&mut batch, b"cherry", NewValue { head: b"", body: Body::Bytes(b"red") })?;
//! batch.commit()?;
//!
//! let (mut operation, _) = pager.enter()?;
//! let value = tree.get(&mut operation, b"apple")?.expect("inserted above");
//! assert_eq!(value.head(), b"green");
//! let mut cursor = tree.cursor(&mut operation, dynamite_pager::Access::Point);
//! cursor.seek(b"b");
//! assert_eq!(cursor.next()?.expect("there is one more").key, b"cherry");
//! # Ok(())
//! # }
//! ```
//!
//! # What it promises
//!
//! * **No legal key or record ever fails to fit**, whatever the mixture of sizes: keys to [`MAX_KEY`], values to
//!   [`MAX_VALUE`] bytes.
//! * A page that passed [`check_page`] can be searched, iterated and changed without a panic, whatever it holds; what only
//!   shows between pages is checked at the visit and is a typed error that names the page.
//! * A lookup of a key of up to 384 bytes allocates nothing and reads one page a level.
//! * Every change is copy-on-write through the batch: an aborted batch leaves the tree as it was.
//!
//! # The modules, in reading order
//!
//! `tree` is the public face and `value` what goes in and out; `node` is the layout of a page, `check` vouches for it,
//! `search` finds a key in it, `node_mut` changes it in place and `items` lays it out anew; `edit` is the path of a change, `insert`,
//! `insert_many`, `remove` and `rebalance` what happens on it; `cursor` and `multi_get` read many; `overflow` holds what is too long for
//! a page; `bulk_load`, `free_some`, `move_down` and `verify` treat a tree as a whole; `describe` shows the bytes of a page.

#![forbid(unsafe_code)]

mod tree;

mod value;

mod pages;

mod node;

mod check;

mod search;

mod node_mut;

mod items;

mod separator;

mod edit;

mod insert;

mod insert_many;

mod remove;

mod rebalance;

mod cursor;

mod read_ahead;

mod run_ahead;

mod multi_get;

mod overflow;

mod bulk_load;

mod free_some;

mod move_down;

mod verify;

mod describe;

mod error;

pub use crate::bulk_load::BulkLoad;
pub use crate::check::check_page;
pub use crate::cursor::{Cursor, Entry, Rows};
pub use crate::describe::{EntryPlace, NodeView, describe, kind_name, some_key};
pub use crate::error::{Malformed, Result, TreeError};
pub use crate::move_down::MoveDown;
pub use crate::node::{MAX_HEAD, MAX_KEY, MAX_VALUE};
pub use crate::overflow::Overflow;
pub use crate::pages::Pages;
pub use crate::tree::Tree;
pub use crate::value::{Body, Displaced, NewValue, Value};
pub use crate::verify::{EntryCheck, Visit, Visitor, verify, verify_entries};
