//! A file with a few trees, whose descriptors stand in a page of the test's own, and a model to compare them with.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::collections::BTreeMap;
use std::sync::Arc;

use dynamite_bptree::{Body, Displaced, NewValue, Overflow, Pages, Result, Tree, Value, check_page, verify};
use dynamite_pager::disk::Disk;
use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{
    Access, Extent, Finding, Options, Page, PageKind, PagePtr, Pager, Placement, Roots, WriteBatch,
};

pub const DATABASE_ID: [u8; 16] = *b"a test database.";

/// The kind of the page that holds the trees' descriptors.
const CATALOG: PageKind = PageKind(32);
/// Trees of a test file.
pub const TREES: usize = 3;

pub type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// Options for tests: a small pool, nothing in the background.
pub fn quiet() -> Options {
    Options::new().cache_bytes(1 << 20).background(false).page_check(check_page)
}

pub fn in_memory() -> Pager {
    quiet().in_memory(DATABASE_ID).unwrap()
}

pub fn create_on(disk: &DiskSim) -> dynamite_pager::Result<Pager> {
    quiet().create_on(Arc::new(disk.clone()) as Arc<dyn Disk>, DATABASE_ID)
}

pub fn open_on(disk: &DiskSim) -> dynamite_pager::Result<Pager> {
    quiet().open_on(Arc::new(disk.clone()) as Arc<dyn Disk>, true)
}

/// The trees, as a batch finds them.
pub fn load(batch: &mut WriteBatch<'_>) -> [Tree; TREES] {
    match batch.roots().catalog {
        None => [Tree::EMPTY; TREES],
        Some(catalog) => parse(batch.read(catalog, Access::Point).unwrap().payload()),
    }
}

/// Writes the trees' descriptors.
pub fn save(batch: &mut WriteBatch<'_>, trees: &[Tree; TREES]) -> Result<()> {
    let catalog = match batch.roots().catalog {
        None => batch.allocate(CATALOG, 0, Placement::Together)?,
        Some(catalog) => batch.writable(catalog, Placement::Together)?,
    };
    let payload = batch.page_mut(catalog).payload_mut();
    for (tree, bytes) in trees.iter().zip(payload.chunks_exact_mut(Tree::SIZE)) {
        bytes.copy_from_slice(&tree.to_bytes());
    }
    batch.set_roots(Roots { catalog: Some(catalog), ..batch.roots() });
    Ok(())
}

/// The trees that a new reader sees.
pub fn published(pager: &Pager) -> [Tree; TREES] {
    let (mut operation, state) = pager.enter().unwrap();
    match state.roots.catalog {
        None => [Tree::EMPTY; TREES],
        Some(catalog) => parse(operation.read(catalog, Access::Point).unwrap().payload()),
    }
}

fn parse(payload: &[u8]) -> [Tree; TREES] {
    std::array::from_fn(|nth| {
        Tree::from_bytes(payload[nth * Tree::SIZE..].first_chunk().expect("the catalog is long enough"))
    })
}

/// Runs one batch and commits it.
pub fn commit<R>(pager: &Pager, change: impl FnOnce(&mut WriteBatch<'_>, &mut [Tree; TREES]) -> R) -> R {
    let mut batch = pager.begin().unwrap();
    let mut trees = load(&mut batch);
    let result = change(&mut batch, &mut trees);
    save(&mut batch, &trees).unwrap();
    batch.commit().unwrap();
    result
}

/// Inserts bytes of which the first `head` stay in the leaf; returns the displaced value, whose run is freed.
pub fn put(
    batch: &mut WriteBatch<'_>,
    tree: &mut Tree,
    key: &[u8],
    value: &[u8],
    head: usize,
) -> Option<Vec<u8>> {
    let (head, body) = value.split_at(head.min(value.len()));
    let displaced = tree.insert(batch, key, NewValue { head, body: Body::Bytes(body) }).unwrap();
    displaced.map(|displaced| consume(batch, displaced))
}

/// Removes a key; returns its value, whose run is freed.
pub fn delete(batch: &mut WriteBatch<'_>, tree: &mut Tree, key: &[u8]) -> Option<Vec<u8>> {
    tree.remove(batch, key).unwrap().map(|displaced| consume(batch, displaced))
}

fn consume(batch: &mut WriteBatch<'_>, displaced: Displaced) -> Vec<u8> {
    let mut value = displaced.head;
    if let Some(run) = displaced.run {
        run.read(batch, &mut value).unwrap();
        run.free(batch).unwrap();
    }
    value
}

/// All of a value.
pub fn whole(value: Seen, pages: &mut impl Pages) -> Vec<u8> {
    let Seen { mut bytes, run } = value;
    if let Some(run) = run {
        run.read(pages, &mut bytes).unwrap();
    }
    bytes
}

/// A value that no longer borrows its page.
pub struct Seen {
    bytes: Vec<u8>,
    run: Option<Overflow>,
}

pub fn see(value: Value<'_>) -> Seen {
    match value {
        Value::Inline(bytes) => Seen { bytes: bytes.to_vec(), run: None },
        Value::Spilled { head, run } => Seen { bytes: head.to_vec(), run: Some(run) },
    }
}

pub fn get(pages: &mut impl Pages, tree: &Tree, key: &[u8]) -> Option<Vec<u8>> {
    let seen = tree.get(pages, key).unwrap().map(see)?;
    Some(whole(seen, pages))
}

/// Every entry, forwards.
pub fn entries(pages: &mut impl Pages, tree: &Tree) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut seen = Vec::new();
    let mut cursor = tree.cursor(pages, Access::Scan);
    while let Some(mut rows) = cursor.next_rows().unwrap() {
        while let Some(entry) = rows.next() {
            seen.push((entry.key.to_vec(), see(entry.value)));
        }
    }
    seen.into_iter().map(|(key, value)| (key, whole(value, pages))).collect()
}

#[track_caller]
pub fn assert_same(pages: &mut impl Pages, tree: &Tree, model: &Model) {
    assert_eq!(tree.len(), model.len() as u64);
    let found = entries(pages, tree);
    assert_eq!(found.len(), model.len());
    for ((key, value), (expected_key, expected)) in found.iter().zip(model) {
        assert!(
            key == expected_key,
            "a key of {} bytes where one of {} belongs",
            key.len(),
            expected_key.len()
        );
        assert!(value == expected, "values of {} and {} bytes", value.len(), expected.len());
    }
}

/// Every finding about the newest durable commit: the census of all trees.
pub fn audit(pager: &Pager) -> Vec<Finding> {
    let mut census = pager.census().unwrap();
    if let Some(catalog) = census.roots().catalog {
        let mut page = Page::boxed();
        census.mark(Extent::single(catalog.id));
        if census.read(catalog, &mut page) {
            for tree in parse(page.payload()) {
                verify(&mut census, &tree, &mut |_, _| {});
            }
        }
    }
    census.finish()
}

#[track_caller]
pub fn assert_sound(pager: &Pager, context: &str) {
    let findings = audit(pager);
    let list: String = findings.iter().map(|finding| format!("  {finding}\n")).collect();
    assert!(findings.is_empty(), "{context}:\n{list}");
}

/// The children of an inner node.
pub fn children(page: &Page) -> Vec<PagePtr> {
    let slots = 32 + usize::from(page.prefix_len());
    let child = |slot: usize| {
        let at = slots + 6 * slot + 4;
        let cell = u16::from_le_bytes(*page.bytes()[at..].first_chunk().unwrap());
        PagePtr::from_bytes(page.bytes()[cell.into()..].first_chunk().unwrap())
    };
    (0..page.slot_count().into()).map(child).collect()
}

/// SplitMix64.
#[derive(Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next() as u8).collect()
    }
}

/// Keys that make trouble: of all lengths, with long shared prefixes, all NULs, and equal in all that is stored of them.
pub fn any_key(random: &mut Random) -> Vec<u8> {
    let kind = random.below(12);
    match kind {
        0..=3 => format!("user{:06}", random.below(800)).into_bytes(),
        4 | 5 => {
            let len = random.below(24);
            random.bytes(len)
        }
        6 => vec![
            0;
            [0, 1, 2, 3, 4, 5, 379, 380, 381, 383, 384, 385, 399, 400, 401, 32 << 10][random.below(16)]
        ],
        7 => {
            // Shared for longer than is kept in the page.
            let mut key = vec![b'x'; 370 + random.below(40)];
            let len = random.below(3);
            key.extend(random.bytes(len).iter().map(|byte| byte % 3));
            key
        }
        8 => {
            let mut key = vec![0; 32 << 10];
            let place = (32 << 10) - 1 - random.below(3);
            key[place] = random.below(4) as u8;
            key
        }
        9 => {
            let mut key = b"a long prefix that many of the keys have in common: ".repeat(4);
            key.extend(format!("{:05}", random.below(300)).bytes());
            key
        }
        10 => {
            let len = 400 + random.below(2000);
            let fill = random.below(3) as u8;
            let mut key = vec![fill; len];
            key[random.below(len)] = random.below(256) as u8;
            key
        }
        _ => vec![random.below(4) as u8; random.below(450)],
    }
}

/// Values of all sizes, small ones most often.
pub fn any_value(random: &mut Random) -> Vec<u8> {
    let len = match random.below(40) {
        0..=19 => random.below(200),
        20..=29 => random.below(2200),
        30..=34 => 1900 + random.below(200),
        35..=38 => random.below(9000),
        _ => random.below(400_000),
    };
    let fill = random.next() as u8;
    let mut value = vec![fill; len];
    for byte in value.iter_mut().step_by(97) {
        *byte = random.next() as u8;
    }
    value
}

/// The numbers below `count`, in random order.
pub fn shuffled(random: &mut Random, count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, random.below(last + 1));
    }
    order
}
