//! Power is cut while the free space is too scattered for the list in the space root, so that commits write pages of
//! the space map too. See `power_loss.rs` for the rest.

mod toy;

use dynamite_pager::disk::sim::DiskSim;
use dynamite_pager::{
    Access, Extent, Finding, Page, PageKind, PagePtr, Pager, PagerError, Placement, Result, Roots,
};
use toy::{Random, create_on, is_crash, open_on};

const INDEX: PageKind = PageKind(18);
const ENTRY: PageKind = PageKind(19);

/// Pointers that fit in an index page.
const FAN_OUT: usize = dynamite_pager::PAYLOAD_SIZE / PagePtr::SIZE;
const ENTRIES: usize = 1500;

/// A database: some of `ENTRIES` numbered pages, each with a value, under index pages under a root.
type Entries = Vec<Option<u64>>;

/// Writes the difference between two states as one commit.
fn commit(pager: &Pager, from: &Entries, to: &Entries) -> Result<()> {
    let mut batch = pager.begin()?;
    for (entry, (old, new)) in from.iter().zip(to).enumerate().filter(|(_, (old, new))| old != new) {
        let root = match batch.roots().catalog {
            Some(root) => batch.writable(root, Placement::Together)?,
            None => batch.allocate(INDEX, 2, Placement::Together)?,
        };
        batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
        let (group, slot) = (entry / FAN_OUT, entry % FAN_OUT);
        let index = match pointer(batch.read(root, Access::Point)?, group) {
            Some(index) => batch.writable(index, Placement::Together)?,
            None => batch.allocate(INDEX, 1, Placement::Together)?,
        };
        put_pointer(batch.page_mut(root), group, Some(index));
        let page = match (pointer(batch.read(index, Access::Point)?, slot), new) {
            (Some(page), None) => {
                assert!(old.is_some());
                batch.free(page)?;
                None
            }
            (Some(page), Some(_)) => Some(batch.writable(page, Placement::Hole)?),
            (None, _) => Some(batch.allocate(ENTRY, 0, Placement::Hole)?),
        };
        if let (Some(page), Some(value)) = (page, new) {
            batch.page_mut(page).payload_mut()[..8].copy_from_slice(&value.to_le_bytes());
        }
        put_pointer(batch.page_mut(index), slot, page);
        batch.end_operation()?;
    }
    batch.commit().map(drop)
}

fn read_all(pager: &Pager) -> Result<Entries> {
    let (mut operation, state) = pager.enter()?;
    let mut entries = vec![None; ENTRIES];
    let Some(root) = state.roots.catalog else { return Ok(entries) };
    for group in 0..ENTRIES.div_ceil(FAN_OUT) {
        let Some(index) = pointer(&*operation.read(root, Access::Point)?, group) else { continue };
        let index: Page = operation.read(index, Access::Point)?.clone();
        for (slot, entry) in entries.iter_mut().skip(group * FAN_OUT).take(FAN_OUT).enumerate() {
            if let Some(page) = pointer(&index, slot) {
                let page = operation.read(page, Access::Scan)?;
                *entry = Some(u64::from_le_bytes(page.payload()[..8].try_into().expect("8 bytes")));
            }
        }
    }
    Ok(entries)
}

fn audit(pager: &Pager) -> Vec<Finding> {
    let mut census = pager.census().expect("a census can be begun");
    let mut pages: Vec<PagePtr> = census.roots().catalog.into_iter().collect();
    let mut page = Page::zeroed();
    while let Some(ptr) = pages.pop() {
        if census.mark(Extent::single(ptr.id)) && census.read(ptr, &mut page) && page.kind() == INDEX {
            pages.extend((0..FAN_OUT).filter_map(|slot| pointer(&page, slot)));
        }
    }
    census.finish()
}

fn pointer(page: &Page, slot: usize) -> Option<PagePtr> {
    let bytes = page.payload()[slot * PagePtr::SIZE..][..PagePtr::SIZE].try_into().expect("12 bytes");
    let ptr = PagePtr::from_bytes(bytes);
    (ptr.id.0 != 0).then_some(ptr)
}

fn put_pointer(page: &mut Page, slot: usize, ptr: Option<PagePtr>) {
    let bytes = ptr.map_or([0; PagePtr::SIZE], PagePtr::to_bytes);
    page.payload_mut()[slot * PagePtr::SIZE..][..PagePtr::SIZE].copy_from_slice(&bytes);
}

/// States that make the free space scatter, flow into the map, and come back from there.
fn states() -> Vec<Entries> {
    let mut random = Random(11);
    let mut state: Entries = vec![None; ENTRIES];
    let mut states = vec![state.clone()];
    let mut step = |change: &mut dyn FnMut(&mut Entries)| {
        change(&mut state);
        states.push(state.clone());
    };
    step(&mut |state| state.fill(Some(1)));
    // 750 holes of one page each.
    step(&mut |state| state.iter_mut().step_by(2).for_each(|entry| *entry = None));
    for round in 0..6 {
        // Small changes come from the list.
        step(&mut |state| {
            for _ in 0..3 {
                let entry = (random.below(ENTRIES as u64) | 1) as usize % ENTRIES;
                state[entry] = Some(100 + round);
            }
        });
    }
    // More than the list has: pages come back from the map.
    step(&mut |state| state.iter_mut().step_by(4).for_each(|entry| *entry = Some(2)));
    step(&mut |state| state.iter_mut().skip(1).step_by(4).for_each(|entry| *entry = None));
    step(&mut |state| state[3] = Some(3));
    step(&mut |state| state[7] = Some(3));
    step(&mut |state| state.iter_mut().skip(3).step_by(4).for_each(|entry| *entry = None));
    step(&mut |state| state.iter_mut().take(20).for_each(|entry| *entry = Some(4)));
    states
}

/// Runs through the states. Returns how many were acknowledged.
fn workload(disk: &DiskSim, states: &[Entries]) -> (usize, Result<()>) {
    let mut acknowledged = 0;
    let result = create_on(disk).and_then(|pager| {
        for pair in states.windows(2) {
            commit(&pager, &pair[0], &pair[1])?;
            acknowledged += 1;
        }
        Ok(())
    });
    (acknowledged, result)
}

#[test]
fn power_loss_while_the_space_map_changes_keeps_every_acknowledged_commit() {
    let states = states();
    let (_, operations) = {
        let disk = DiskSim::new(1);
        let (acknowledged, result) = workload(&disk, &states);
        result.expect("nothing fails");
        (acknowledged, disk.operations())
    };
    let mut random = Random(3);
    // The first commits are large and much alike; the end is where the small ones are.
    let mut points: Vec<u64> = (0..40).map(|_| random.below(operations)).collect();
    points.extend(operations.saturating_sub(120)..operations);
    for point in points {
        let disk = DiskSim::new(1);
        disk.crash_after(point);
        let (acknowledged, result) = workload(&disk, &states);
        if let Err(error) = result {
            assert!(is_crash(&error), "{error}");
        }
        for seed in 0..3 {
            let context = format!("power lost at operation {point}, seed {seed}");
            let pager = match open_on(&disk.after_power_loss(seed)) {
                Ok(pager) => pager,
                Err(PagerError::UnfinishedCreate { .. }) if acknowledged == 0 => continue,
                Err(error) => panic!("{context}: {error}"),
            };
            let found = read_all(&pager).unwrap_or_else(|error| panic!("{context}: {error}"));
            let allowed = &states[acknowledged..(acknowledged + 2).min(states.len())];
            let number = allowed.iter().position(|state| *state == found);
            let number = acknowledged + number.unwrap_or_else(|| panic!("{context}: a state that never was"));
            let findings = audit(&pager);
            assert!(findings.is_empty(), "{context}: {findings:#?}");
            // Life goes on from there, with the free space that was found.
            if let Some(next) = states.get(number + 1) {
                commit(&pager, &found, next).unwrap_or_else(|error| panic!("{context}: {error}"));
                let findings = audit(&pager);
                assert!(findings.is_empty(), "{context}, one commit later: {findings:#?}");
            }
        }
    }
}
