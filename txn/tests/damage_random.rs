//! Random bytes in random places of valid pages of every kind, with good checksums. Whatever the check of the whole database says of
//! them, reading and writing such a database gives answers or typed errors, never a panic or an endless loop.

mod common;
mod forge;

use common::Random;
use dynamite_pager::PageKind;
use dynamite_pager::disk::sim::DiskSim;
use forge::live::{Watchdog, live};
use forge::*;

/// A case: some bytes of a page of some tree are something else.
fn case(sample: &DiskSim, pages: &[Found], seed: u64) -> (DiskSim, String) {
    let mut random = Random(seed);
    // A kind of page first, since most pages are of one kind.
    let kinds: Vec<(Place, PageKind)> = pages.iter().map(|found| (found.place, found.kind)).collect();
    let mut distinct = Vec::new();
    kinds.into_iter().for_each(|kind| {
        if !distinct.contains(&kind) {
            distinct.push(kind);
        }
    });
    let (place, kind) = distinct[random.below(distinct.len() as u64) as usize];
    let of_kind: Vec<&Found> =
        pages.iter().filter(|found| (found.place, found.kind) == (place, kind)).collect();
    let found = of_kind[random.below(of_kind.len() as u64) as usize];
    let disk = sample.after_kill();
    let mut changes = Vec::new();
    damage_page(&disk, found.ptr.id, |page| {
        for _ in 0..=random.below(3) {
            let at = place_in(page, kind, &mut random);
            let byte = match random.below(4) {
                0 => page[at] ^ 1 << random.below(8),
                1 => 0xff,
                2 => page[at].wrapping_add(1),
                _ => random.next() as u8,
            };
            changes.push((at, page[at], byte));
            page[at] = byte;
        }
    });
    (disk, format!("seed {seed}, {place:?}, {kind:?}, page {}: {changes:?}", found.ptr.id))
}

/// A byte behind the checksum: of the page header, of a slot, of a cell, or any.
fn place_in(page: &[u8], kind: PageKind, random: &mut Random) -> usize {
    let slots = u64::from(u16::from_le_bytes([page[22], page[23]]));
    let is_node = kind == LEAF || kind == INNER;
    match random.below(8) {
        0 => 20 + random.below(8) as usize,
        1 | 2 if is_node && slots > 0 => {
            let slot = random.below(slots) as usize;
            (slot_at(page, slot) + random.below(6) as usize).min(4095)
        }
        3..=6 if is_node && slots > 0 => {
            let slot = random.below(slots) as usize;
            if slot_at(page, slot) + 6 > 4096 {
                return 4095;
            }
            (cell_at(page, slot) + random.below(48) as usize).min(4095)
        }
        7 => 32 + random.below(4064) as usize,
        _ => 32 + random.below(16) as usize,
    }
}

fn survive(seeds: impl Iterator<Item = u64>) {
    let watchdog = Watchdog::start();
    let sample = sample();
    let pages = pages_of(&sample);
    let (mut cases, mut noticed, mut refused) = (0, 0, 0);
    let harmless = live("the sample", &sample.after_kill(), 1);
    for seed in seeds {
        let (disk, name) = case(&sample, &pages, seed);
        watchdog.case(&name);
        let found = !findings_of(&disk).is_empty();
        let refusals = live(&name, &disk, seed);
        cases += 1;
        noticed += usize::from(found);
        refused += usize::from(refusals != harmless);
    }
    // A test whose damage nobody meets would test nothing.
    assert!(noticed * 2 > cases, "{noticed} of {cases} cases were noticed");
    assert!(refused * 4 > cases, "{refused} of {cases} cases were met");
}

#[test]
fn random_bytes_in_valid_pages_do_no_harm() {
    survive(0..100);
}

#[test]
fn other_random_bytes_in_valid_pages_do_no_harm() {
    survive(1_000..1_100);
}

/// `cargo test -p dynamite-txn --release --test damage_random -- --ignored`.
#[test]
#[ignore = "takes minutes"]
fn many_random_bytes_in_valid_pages_do_no_harm() {
    survive(10_000..20_000);
}
