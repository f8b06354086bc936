//! Pages that lie and have a good checksum: headers, space roots and map pages are damaged byte by byte and field by field,
//! and stamped anew. Opening, reading, allocating, committing and the census end with a typed error, or the database
//! works as far as it can; nothing panics, nothing runs for ever.

mod sieve;
mod toy;

use std::panic::AssertUnwindSafe;

use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{
    Access, Birth, Corruption, Durability, Extent, PAGE_SIZE, PageId, PageKind, PagePtr, Pager, PagerError,
    Placement, Result, Roots,
};
use sieve::{HEADER_PAGE_COUNT, HEADER_SPACE_ROOT, Kinds, damage_header, damage_page, sieve};
use toy::Random;

/// Does everything with a database that may be damaged in any way. Says how often something was refused.
fn live(disk: &DiskSim, seed: u64) -> usize {
    let mut refused = 0;
    let mut tolerate = |result: Result<()>| {
        if let Err(error) = result {
            check_refusal(&error);
            refused += 1;
        }
    };
    tolerate(sieve::open(disk, false).and_then(|reader| {
        reader.census()?.finish();
        sieve::touch_all(&reader).map(drop)
    }));
    match sieve::open(disk, true) {
        Ok(pager) => {
            tolerate(sieve::touch_all(&pager).map(drop));
            let mut random = Random(seed);
            for _ in 0..3 {
                let changes: Vec<_> = (0..4).map(|_| (random.below(600) as usize, random.next())).collect();
                tolerate(sieve::change(&pager, &changes).map(drop));
            }
            tolerate(allocate_many(&pager));
            tolerate(pager.maintain());
            tolerate(pager.census().map(|census| drop(census.finish())));
            tolerate(pager.close());
        }
        Err(error) => tolerate(Err(error)),
    }
    tolerate(sieve::open(disk, true).and_then(|pager| {
        sieve::audit(&pager);
        sieve::touch_all(&pager).map(drop)
    }));
    refused
}

/// Enough to need the map, and kept, so that a close has to rewrite it.
fn allocate_many(pager: &Pager) -> Result<()> {
    let mut batch = pager.begin()?;
    for _ in 0..300 {
        batch.allocate(PageKind(20), 0, Placement::Hole)?;
        batch.end_operation()?;
    }
    batch.allocate_run(20, PageKind(20))?;
    batch.commit()?;
    Ok(())
}

/// An error is right if it is one of those that damage leads to.
#[track_caller]
fn check_refusal(error: &PagerError) {
    let expected = matches!(
        error,
        PagerError::Corrupt { .. }
            | PagerError::NoValidHeader { .. }
            | PagerError::Truncated { .. }
            | PagerError::NewerVersion { .. }
            | PagerError::UnknownFeatures { .. }
            | PagerError::UnfinishedCopy { .. }
            | PagerError::PageSize { .. }
            // What a close meets in the map ends writing.
            | PagerError::Poisoned { .. }
            // A page count that the address space, or the pool, has no room for.
            | PagerError::FileTooLarge { .. }
    );
    assert!(expected, "{error:?}");
    assert!(error.to_string().contains(":memory:"), "{error}");
}

/// Other bytes for each place that is worth damaging: one chosen by chance, or a whole field of extreme values.
fn damages(places: impl Iterator<Item = usize>, seed: u64) -> Vec<(usize, Vec<u8>)> {
    let mut random = Random(seed);
    let mut damages = Vec::new();
    for place in places {
        damages.push((place, vec![random.next() as u8]));
        if place % 4 == 0 && place + 8 <= PAGE_SIZE {
            for field in [0, u64::MAX, u64::MAX / 2, 1 << 32, random.below(600_000), random.next()] {
                damages.push((place, field.to_le_bytes().to_vec()));
            }
        }
        if place % 4 == 0 {
            for field in [u32::MAX, 1, random.below(600_000) as u32] {
                damages.push((place, field.to_le_bytes().to_vec()));
            }
        }
    }
    damages
}

fn check_damages(
    places: impl Iterator<Item = usize>,
    seed: u64,
    damage: impl Fn(&DiskSim, &dyn Fn(&mut [u8])),
) {
    let (disk, _) = sieve();
    let mut refused = 0;
    let damages = damages(places, seed);
    for (place, bytes) in &damages {
        let disk = disk.after_kill();
        damage(&disk, &|page| page[*place..][..bytes.len()].copy_from_slice(bytes));
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| live(&disk, *place as u64)));
        match outcome {
            Ok(refusals) => refused += usize::from(refusals > 0),
            Err(_) => panic!("bytes {bytes:?} at {place}: a panic"),
        }
    }
    assert!(refused > 0, "nothing of {} was noticed", damages.len());
}

fn lying_header(newest: bool, places: impl Iterator<Item = usize>) {
    let place = Kinds::of(&sieve().0).newest_header ^ u32::from(!newest);
    check_damages(places, 1, |disk, damage| damage_header(disk, place, damage));
}

fn lying_page(of: impl Fn(&Kinds) -> PageId, places: impl Iterator<Item = usize>) {
    let page = of(&Kinds::of(&sieve().0));
    check_damages(places, 2, |disk, damage| damage_page(disk, page, damage));
}

/// All fields, and a little of the manifest that is not there. See the table in `format/header.rs`.
#[test]
fn a_newest_header_that_lies_is_refused_or_harmless() {
    let fields =
        [8, 16, 20, 24, 28, 32, 36, 40, 44, 48, 64, 72, 84, 88, 96, 100, 108, 112, 116, 120, 140, 252];
    lying_header(true, fields.into_iter().chain((256..PAGE_SIZE).step_by(509)));
}

#[test]
fn an_older_header_that_lies_is_refused_or_harmless() {
    lying_header(false, [8, 32, 44, 72, 88, 96, 108, 112, 252, 256].into_iter());
}

#[test]
fn headers_that_lie_together_are_refused_or_harmless() {
    check_damages([44, 72, 88, 96, 100, 108, 112, 252].into_iter(), 3, |disk, damage| {
        (0..2).for_each(|place| damage_header(disk, place, damage));
    });
}

/// Page header, map entries, and extents from the first to the last. See the table in `space/page.rs`.
#[test]
fn a_space_root_that_lies_is_refused_or_harmless() {
    let places = (8..64).step_by(4).chain((64..320).step_by(28)).chain((296..PAGE_SIZE).step_by(332));
    lying_page(|kinds| kinds.space_root, places);
}

/// The entry of the only leaf is the seventeenth.
#[test]
fn a_directory_that_lies_is_refused_or_harmless() {
    let places = (8..48).step_by(5).chain((288..304).step_by(2)).chain((304..PAGE_SIZE).step_by(421));
    lying_page(|kinds| kinds.directory, places);
}

/// The sieve's bits are those of the range's first pages.
#[test]
fn a_leaf_of_the_map_that_lies_is_refused_or_harmless() {
    let places = (8..36).step_by(5).chain((32..200).step_by(11)).chain((200..PAGE_SIZE).step_by(797));
    lying_page(|kinds| kinds.leaf_of_map, places);
}

/// `cargo test -p dynamite-pager --release --test hostile_pages -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn pages_that_lie_anywhere_are_refused_or_harmless() {
    lying_header(true, 8..PAGE_SIZE);
    lying_header(false, 8..PAGE_SIZE);
    lying_page(|kinds| kinds.space_root, 8..PAGE_SIZE);
    lying_page(|kinds| kinds.directory, 8..PAGE_SIZE);
    lying_page(|kinds| kinds.leaf_of_map, 8..PAGE_SIZE);
}

/// The highest commit number leaves none for the heal.
#[test]
fn a_header_at_the_end_of_all_numbers_is_refused() {
    for number in [0, u64::MAX, u64::MAX - 1000] {
        let (disk, _) = sieve();
        for place in 0..2 {
            damage_header(&disk, place, |header| {
                header[8..16].copy_from_slice(&(number - u64::from(place).min(number)).to_le_bytes());
            });
        }
        for writable in [false, true] {
            let error = sieve::open(&disk.after_kill(), writable).expect_err("no commit has this number");
            check_refusal(&error);
        }
    }
}

/// A page, what to put at which of its offsets, and the field that gives the lie away.
type Lie = (PageId, Vec<(usize, Vec<u8>)>, &'static str);

/// A lie that one page gives away is named at once, with the field: nothing is built on it.
#[test]
fn a_field_with_an_impossible_value_is_named() {
    let (disk, _) = sieve();
    let kinds = Kinds::of(&disk);
    let header = PageId(kinds.newest_header);
    let (root, directory, leaf) = (kinds.space_root, kinds.directory, kinds.leaf_of_map);
    let (five, all) = (5_u32.to_le_bytes().to_vec(), vec![0xff; 4]);
    let entry = [1_u32, 1, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    // Changes at offsets of the page, and the field. Offsets: `format/header.rs`, `space/page.rs`.
    let lies: Vec<Lie> = vec![
        (header, vec![(44, vec![3])], "flags"),
        (header, vec![(HEADER_PAGE_COUNT, vec![1, 0, 0, 0, 0, 0, 0, 0])], "page count"),
        (header, vec![(96, vec![1, 0, 0, 0])], "catalog root"),
        (header, vec![(100, all.clone())], "catalog root"),
        (header, vec![(HEADER_SPACE_ROOT, all.clone())], "space root"),
        (header, vec![(252, vec![1])], "manifest length"),
        (header, vec![(44, vec![0]), (252, vec![1]), (256, entry)], "manifest"),
        (root, vec![(32, vec![4])], "map height"),
        (root, vec![(33, vec![1])], "root padding"),
        (root, vec![(34, vec![0xff, 0xff])], "extent count"),
        (root, vec![(40 + 8, vec![0; 4])], "entry free pages"),
        (root, vec![(40 + 14, vec![2])], "entry place"),
        (root, vec![(296, five.clone())], "listed extent's count"),
        (root, vec![(300, vec![0; 4])], "listed extent's count"),
        (root, vec![(300, all.clone())], "listed extent's count"),
        (directory, vec![(288 + 8, all)], "entry free pages"),
        (directory, vec![(288 + 12, vec![0, 0])], "entry longest run"),
        (leaf, vec![(32, vec![0x04])], "marked"),
    ];
    for (page, changes, field) in lies {
        let disk = disk.after_kill();
        let damage = |bytes: &mut [u8]| {
            changes.iter().for_each(|(at, change)| bytes[*at..][..change.len()].copy_from_slice(change));
        };
        match page.0 {
            0 | 1 => damage_header(&disk, page.0, damage),
            _ => damage_page(&disk, page, damage),
        }
        let refused = sieve::open(&disk, true).and_then(|pager| allocate_many(&pager));
        match refused {
            Err(PagerError::Corrupt { page: named, source, .. }) => {
                let text = source.to_string();
                assert!(
                    named == page && text.contains(field),
                    "{field} of page {page}: page {named}: {text}"
                );
            }
            other => panic!("{field} of page {page}: {other:?}"),
        }
    }
}

/// A space root that is in order, but lists pages that are in use: they are given out, and so have two owners, which no
/// local check can see. Whatever the owners do with them, they get errors at worst.
#[test]
fn pages_that_are_in_use_and_listed_as_free_cause_no_panic() {
    for seed in 0..40 {
        let disk = DiskSim::new(seed);
        let pager = toy::create_on(&disk).expect("nothing fails");
        let cells: toy::Cells =
            (0..20).map(|value| toy::Cell { value, pages: 1 + (value % 3) as u32 }).collect();
        toy::fill(&pager, &cells).expect("nothing fails");
        pager.close().expect("nothing fails");
        list_everything_as_free(&disk);
        let pager = toy::open_on(&disk).expect("no local check can see it");
        for round in 0..30 {
            let known = (8..60).map(|id| PagePtr { id: PageId(id), birth: Birth(2) });
            if let Err(error) = muddle(&pager, known.collect(), seed << 8 | round) {
                check_muddled(&error);
            }
        }
        for finding in pager.census().expect("a census can be begun").finish() {
            assert!(!finding.to_string().is_empty());
        }
        if let Err(error) = pager.close() {
            check_muddled(&error);
        }
    }
}

/// The same, with a map whose leaf marks every page that there is, and agrees with the pages above it.
#[test]
fn pages_that_are_in_use_and_marked_in_the_map_cause_no_panic() {
    let (disk, _) = sieve();
    let kinds = Kinds::of(&disk);
    let known: Vec<PagePtr> = {
        let pager = sieve::open(&disk, false).expect("the database is whole");
        let (mut operation, _) = pager.enter().expect("not forked");
        let leaves = sieve::children(&mut operation, kinds.inner).expect("the database is whole");
        [kinds.root, kinds.inner].into_iter().chain(leaves.into_iter().take(50)).collect()
    };
    mark_everything_as_free(&disk, &kinds);
    for seed in 0..40 {
        let pager = sieve::open(&disk.after_kill(), true).expect("no local check can see it");
        for round in 0..10 {
            if let Err(error) = muddle(&pager, known.clone(), seed << 8 | round) {
                check_muddled(&error);
            }
        }
        if let Err(error) = pager.close() {
            check_muddled(&error);
        }
    }
}

/// See the tables in `space/page.rs`: leaf, entry of the leaf in the directory, entry of the directory in the root, whose
/// list becomes empty.
fn mark_everything_as_free(disk: &DiskSim, kinds: &Kinds) {
    let header = disk.page(PageId(kinds.newest_header));
    let page_count = header.bytes()[HEADER_PAGE_COUNT..][..8].try_into().expect("8 bytes");
    let pages = (u64::from_le_bytes(page_count) as u32) - (kinds.leaf_of_map.0 & !1);
    let free = pages - 2;
    damage_page(disk, kinds.leaf_of_map, |page| {
        for offset in 2..pages as usize {
            page[32 + offset / 8] |= 1 << (offset % 8);
        }
    });
    for (page, entry) in [(kinds.directory, 32 + 16 * 16), (kinds.space_root, 32 + 8)] {
        damage_page(disk, page, |page| {
            page[entry + 8..][..4].copy_from_slice(&free.to_le_bytes());
            page[entry + 12..][..2].copy_from_slice(&(free as u16).to_le_bytes());
        });
    }
    damage_page(disk, kinds.space_root, |page| {
        page[32 + 2..][..2].fill(0);
        page[32 + 264..].fill(0);
    });
}

/// Pages with two owners also run out sooner than they should, and hold what another owner wrote.
#[track_caller]
fn check_muddled(error: &PagerError) {
    assert!(matches!(error, PagerError::Corrupt { .. } | PagerError::Poisoned { .. }), "{error:?}");
}

/// Replaces the list of free extents by two that leave out the space root only.
fn list_everything_as_free(disk: &DiskSim) {
    let commit = |place| disk.page(PageId(place)).birth();
    let header = disk.page(PageId(u32::from(commit(1) > commit(0))));
    let header = header.bytes();
    let page_count = u64::from_le_bytes(header[HEADER_PAGE_COUNT..][..8].try_into().expect("8 bytes")) as u32;
    let root = PageId(u32::from_le_bytes(header[HEADER_SPACE_ROOT..][..4].try_into().expect("4 bytes")));
    let extents: Vec<(u32, u32)> = [(8, root.0), (root.0 + 1, page_count)]
        .into_iter()
        .filter(|(first, end)| first < end)
        .map(|(first, end)| (first, end - first))
        .collect();
    let mut page = disk.page(root);
    // See the table in `space/page.rs`.
    let payload = page.payload_mut();
    payload[2..4].copy_from_slice(&(extents.len() as u16).to_le_bytes());
    payload[264..].fill(0);
    for (index, (first, count)) in extents.into_iter().enumerate() {
        payload[264 + index * 8..][..4].copy_from_slice(&first.to_le_bytes());
        payload[268 + index * 8..][..4].copy_from_slice(&count.to_le_bytes());
    }
    dynamite_pager::format::checksum::DatabaseSeed::new(toy::DATABASE_ID).stamp(&mut page);
    disk.set_page(root, &page);
}

/// A batch that allocates, copies and frees pages, old and new, whether or not they are what it takes them for.
fn muddle(pager: &Pager, mut known: Vec<PagePtr>, seed: u64) -> Result<()> {
    let mut random = Random(seed);
    let mut batch = pager.begin()?;
    if let Some(root) = batch.roots().catalog {
        known.push(root);
        if let Ok(page) = batch.read(root, Access::Point) {
            let entries = page.payload().chunks_exact(16).take(page.slot_count().into());
            known.extend(entries.map(|entry| PagePtr::from_bytes(entry[..12].try_into().expect("12 bytes"))));
        }
    }
    for _ in 0..30 {
        let ptr = known[random.below(known.len() as u64) as usize];
        // Errors are for the client to see; this one goes on.
        let result = match random.below(6) {
            0 => batch.allocate(PageKind(30), 0, Placement::Together).map(|ptr| known.push(ptr)),
            1 => batch.allocate_run(3, PageKind(30)).map(|run| {
                let birth = batch.birth();
                known.extend(run.pages().map(|id| PagePtr { id, birth }));
            }),
            2 => batch.writable(ptr, Placement::Hole).map(|copy| known.push(copy)),
            3 => batch.free_run(Extent { first: ptr.id, count: 2 }, ptr.birth),
            4 => batch.free(ptr),
            _ => batch.end_operation(),
        };
        if let Err(error) = result {
            check_muddled(&error);
        }
    }
    match random.below(4) {
        0 => drop(batch),
        1 => drop(batch.finish(Durability::Eventual)?),
        2 => drop(batch.finish(Durability::Immediate)?),
        _ => {
            let catalog = known.last().copied().filter(|ptr| ptr.birth == batch.birth());
            batch.set_roots(Roots { catalog: catalog.or(batch.roots().catalog), ..batch.roots() });
            batch.commit()?;
        }
    }
    Ok(())
}

/// The error for a page with two owners names it.
#[test]
fn a_page_that_is_freed_twice_is_named() {
    let disk = DiskSim::new(1);
    let pager = toy::create_on(&disk).expect("nothing fails");
    toy::fill(&pager, &[toy::Cell::of(1)]).expect("nothing fails");
    let mut batch = pager.begin().expect("nothing fails");
    let root = batch.roots().catalog.expect("filled");
    batch.free(root).expect("it was in use");
    let error = batch.free(root).expect_err("it is not any more");
    assert!(
        matches!(&error, PagerError::Corrupt { page, source: Corruption::NotInUse { .. }, .. } if *page == root.id),
        "{error:?}"
    );
}
