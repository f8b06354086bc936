//! Databases in files, their pages, and the program that checks them.

#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod things;

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use dynamite_bptree::{Body, NewValue, Tree, Value, check_page};
use dynamite_core::api::{DynaMite, GlobalIndex, StreamView};
use dynamite_core::types::KeyType;
use dynamite_pager::{Access, Operation, PAGE_SIZE, PageId, PageKind, PagePtr, Roots, WriteBatch};
use dynamite_txn::{ManualClock, Options, Range, Result, Retention, Store};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use serde_json::json;
use tempfile::TempDir;

pub(crate) const FSCK: &str = env!("CARGO_BIN_EXE_dynamite-fsck");
pub(crate) const DUMP: &str = env!("CARGO_BIN_EXE_dynamite-dump");
pub(crate) const BACKUP: &str = env!("CARGO_BIN_EXE_dynamite-backup");
pub(crate) const RESTORE: &str = env!("CARGO_BIN_EXE_dynamite-restore");
pub(crate) const COMPACT: &str = env!("CARGO_BIN_EXE_dynamite-compact");
pub(crate) const DATABASE_ID: [u8; 16] = *b"a test database.";

/// The id of the first table, see `catalog.rs` in `txn`.
pub(crate) const FIRST_TABLE: u32 = 16;

/// A directory of this test's own, removed when dropped, and the path of a file in it.
pub(crate) fn scratch_file() -> (TempDir, PathBuf) {
    let directory = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory for files");
    let path = directory.path().join("db");
    (directory, path)
}

pub(crate) fn options() -> Options {
    Options::new(Arc::new(ManualClock::at(1_000))).background(false).cache_bytes(4 << 20)
}

/// Removes the first entry of the tree whose name ends so, past whoever it belongs to.
pub(crate) fn remove_first(path: &Path, name_end: &[u8]) {
    let store = options().open(path).expect("nobody else has it");
    let tables = store.read().and_then(|mut read| read.tables()).expect("it can be read");
    let (_, tree) = tables.iter().find(|(name, _)| name.ends_with(name_end)).expect("it has a tree");
    let mut first = Vec::new();
    let mut read = store.read().expect("it can be read");
    read.scan(tree.id, &Range::all().borrow(), Access::Point, |row| {
        first = row.key.to_vec();
        ControlFlow::Break(())
    })
    .expect("it can be read");
    drop(read);
    store.write(|txn| txn.delete(tree.id, &first)).expect("the device has room");
    store.close().expect("the file is sealed");
}

/// A sealed database with a page of every kind.
pub(crate) fn database() -> (TempDir, PathBuf) {
    let (directory, path) = scratch_file();
    let store = options().create(&path, DATABASE_ID).expect("the file is created");
    fill(&store).expect("the device has room");
    store.close().expect("the file is sealed");
    (directory, path)
}

/// Items in leaves and in pages of their own, one of them in pieces, and versions that a snapshot needs.
pub(crate) fn fill(store: &Store) -> Result<()> {
    let key = |number: u32| format!("key {number:05}").into_bytes();
    let table = store.write(|txn| txn.create_table(b"items", b"", Retention::None))?;
    assert_eq!(table.0, FIRST_TABLE);
    store.write(|txn| (0..400).try_for_each(|number| txn.put(table, &key(number), &[1; 2_200])))?;
    // What is deleted between others leaves holes.
    store
        .write(|txn| (0..400).step_by(2).try_for_each(|number| txn.delete(table, &key(number)).map(drop)))?;
    store.maintain()?;
    // In fewer pages than are free then.
    store.write(|txn| txn.put(table, b"large", &[2; 300_000]))?;
    store.write(|txn| (0..300).try_for_each(|number| txn.put(table, &key(number), &[3; 100])))?;
    store.write(|txn| txn.create_snapshot(b"then").map(drop))?;
    store.write(|txn| (0..300).step_by(3).try_for_each(|number| txn.put(table, &key(number), &[4; 100])))
}

/// A database of documents with a bit of everything, the same whenever it is made: an index, items that expire, a stream, a history, a
/// long item, a named snapshot and deletions.
pub(crate) fn documents() -> (TempDir, PathBuf) {
    let (directory, path) = scratch_file();
    fill_documents(&path).expect("the device has room");
    (directory, path)
}

fn fill_documents(path: &Path) -> std::result::Result<(), Box<dyn std::error::Error>> {
    options().create(path, DATABASE_ID)?.close()?;
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let builder = DynaMite::builder().background(false).cache_size(4 << 20).clock(clock.clone());
    let db = builder.open(path)?;
    let by_age = GlobalIndex::new("by_age").partition_key("age", KeyType::Number);
    db.create_table("users").partition_key("id", KeyType::String).global_index(by_age).execute()?;
    let sessions = db.create_table("sessions").partition_key("id", KeyType::String);
    sessions.ttl("expires_at").stream(StreamView::NewImage).execute()?;
    let events = db.create_table("events").partition_key("device", KeyType::String);
    events.sort_key("at", KeyType::Number).history(Duration::from_secs(3600)).execute()?;
    for number in 0..USERS {
        let about = "x".repeat(number % 90);
        let id = format!("user {number:04}");
        db.put_item("users", json!({"id": id, "age": 20 + number % 50, "about": about}))?;
    }
    db.put_item("users", json!({"id": "user long", "age": 99, "about": "y".repeat(20_000)}))?;
    for number in 0..5 {
        let expires_at = 1_700_000_100 + number;
        db.put_item("sessions", json!({"id": format!("s{number}"), "expires_at": expires_at}))?;
        clock.advance(1_000);
        db.put_item("events", json!({"device": "d", "at": 1, "value": number}))?;
    }
    db.close()?;
    let store = options().open(path)?;
    store.write(|txn| txn.create_snapshot(b"before").map(drop))?;
    store.close()?;
    let db = builder.open(path)?;
    for number in (0..USERS).step_by(7) {
        db.delete_item("users").partition_key(format!("user {number:04}")).execute()?;
    }
    db.close()?;
    Ok(())
}

/// A copy of a file.
pub(crate) fn copy_of(path: &Path) -> (TempDir, PathBuf) {
    let (directory, copy) = scratch_file();
    fs::copy(path, &copy).expect("the device has room");
    (directory, copy)
}

/// Users in [`documents`], but for the long one.
pub(crate) const USERS: usize = 400;

/// A page of every kind of a database.
#[derive(Debug)]
pub(crate) struct Pages {
    pub(crate) page_count: u64,
    /// The header that is not the newest one, which is sealed.
    pub(crate) older_header: PageId,
    pub(crate) leaf: PageId,
    pub(crate) leaf_ptr: PagePtr,
    pub(crate) inner: PageId,
    pub(crate) overflow: PageId,
    pub(crate) extent_list: PageId,
    pub(crate) catalog: PageId,
    pub(crate) space_root: PageId,
}

/// Where a header holds the pointer to the space root, see `format/header.rs` in `pager`.
const HEADER_SPACE_ROOT: usize = 108;

impl Pages {
    pub(crate) fn of(path: &Path) -> Pages {
        let pager = pager_options().open_read_only(path).expect("the database is whole");
        let (mut operation, state) = pager.enter().expect("not forked");
        let catalog = catalog_of(&state.roots);
        let record = catalog.get(&mut operation, &FIRST_TABLE.to_be_bytes()).expect("it is whole");
        let tree = Tree::from_bytes(record.expect("it is there").head().first_chunk().expect("21 bytes"));
        let root = tree.root().expect("it has items");
        assert_eq!(tree.level(), 1);
        let leaf_ptr = first_child(&mut operation, root);
        let mut cursor = tree.cursor(&mut operation, Access::Point);
        let mut runs = Vec::new();
        while let Some(entry) = cursor.next().expect("it is whole") {
            if let Value::Spilled { run, .. } = entry.value {
                runs.push(PagePtr::from_bytes(run.to_bytes()[4..].first_chunk().expect("12 bytes")));
            }
        }
        let mut of_kind = |kind: u8| {
            let is = |ptr: &&PagePtr| {
                operation.read(**ptr, Access::Point).expect("it is whole").kind() == PageKind(kind)
            };
            runs.iter().find(is).expect("there is such a page").id
        };
        let (overflow, extent_list) = (of_kind(18), of_kind(19));
        let contents = fs::read(path).expect("the file is there");
        // The birth of a header is its commit.
        let birth =
            |place: usize| contents[place * PAGE_SIZE + 8..][..8].iter().rev().copied().collect::<Vec<u8>>();
        let newest = usize::from(birth(1) > birth(0));
        let space_root = PagePtr::from_bytes(
            contents[newest * PAGE_SIZE + HEADER_SPACE_ROOT..].first_chunk().expect("12 bytes"),
        );
        Pages {
            page_count: pager.stats().page_count,
            older_header: PageId(1 - newest as u32),
            leaf: leaf_ptr.id,
            leaf_ptr,
            inner: root.id,
            overflow,
            extent_list,
            catalog: state.roots.catalog.expect("there are tables").id,
            space_root: space_root.id,
        }
    }
}

/// See the layout in `node.rs` in `bptree`.
fn first_child(operation: &mut Operation<'_>, inner: PagePtr) -> PagePtr {
    let page = operation.read(inner, Access::Point).expect("it is whole");
    let slot = 32 + usize::from(page.prefix_len());
    let cell = u16::from_le_bytes(*page.bytes()[slot + 4..].first_chunk().expect("2 bytes"));
    PagePtr::from_bytes(page.bytes()[cell.into()..].first_chunk().expect("12 bytes"))
}

fn pager_options() -> dynamite_pager::Options {
    dynamite_pager::Options::new().cache_bytes(4 << 20).background(false).page_check(check_page)
}

pub(crate) fn catalog_of(roots: &Roots) -> Tree {
    Tree::from_parts(roots.catalog, roots.catalog_shape as u8, roots.catalog_shape >> 8)
}

pub(crate) fn set_catalog(batch: &mut WriteBatch<'_>, catalog: &Tree) {
    let catalog_shape = catalog.len() << 8 | u64::from(catalog.level());
    batch.set_roots(Roots { catalog: catalog.root(), catalog_shape, ..batch.roots() });
}

pub(crate) fn put(batch: &mut WriteBatch<'_>, tree: &mut Tree, key: &[u8], bytes: &[u8]) {
    let value = NewValue { head: &[], body: Body::Bytes(bytes) };
    let displaced = tree.insert(batch, key, value).expect("the device has room");
    assert!(displaced.is_none_or(|displaced| displaced.run.is_none()));
}

/// A commit of somebody who makes mistakes.
pub(crate) fn forge(path: &Path, change: impl FnOnce(&mut WriteBatch<'_>)) {
    let pager = pager_options().open(path).expect("the database is whole");
    let mut batch = pager.begin().expect("nobody else writes");
    change(&mut batch);
    batch.commit().expect("the device has room");
    pager.close().expect("the file is sealed");
}

/// Flips a bit of a byte of a page.
pub(crate) fn flip(path: &Path, page: PageId, offset: u64) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("the file is there");
    let at = u64::from(page.0) * PAGE_SIZE as u64 + offset;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("it has the page");
    file.write_all_at(&[byte[0] ^ 0x10], at).expect("it has the page");
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn fsck<S: AsRef<OsStr>>(arguments: &[S]) -> Report {
    run(FSCK, arguments)
}

/// Runs a program.
pub(crate) fn run<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Report {
    report(Command::new(program).args(arguments).output().expect("the program runs"))
}

/// Runs a program in the directory of a file, which it gets to know by its name alone.
pub(crate) fn run_beside<S: AsRef<OsStr>>(program: &str, path: &Path, arguments: &[S]) -> Report {
    let directory = path.parent().expect("it is in a directory");
    report(Command::new(program).current_dir(directory).args(arguments).output().expect("the program runs"))
}

fn report(output: std::process::Output) -> Report {
    Report {
        code: output.status.code().expect("it ends by itself"),
        out: String::from_utf8(output.stdout).expect("it is text"),
        err: String::from_utf8(output.stderr).expect("it is text"),
    }
}

/// Both sides of a terminal.
pub(crate) fn terminal() -> (File, File) {
    let here = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("there are terminals");
    grantpt(&here).and_then(|()| unlockpt(&here)).expect("the terminal is ours");
    let name = ptsname(&here, Vec::new()).expect("it has a name");
    let name = name.to_str().expect("the name is text");
    let there = OpenOptions::new().read(true).write(true).open(name).expect("the other side opens");
    (File::from(here), there)
}
