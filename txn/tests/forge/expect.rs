//! What the check of the whole database is expected to find in a forged one.

use dynamite_pager::PageKind;
use dynamite_pager::disk::sim::DiskSim;
pub(crate) use dynamite_pager::{Corruption, Finding, Problem};
use dynamite_txn::TableId;

use super::live::{Watchdog, live};
use super::{Forger, Found, Place, catalog_key, findings_of, forge, pages_of, sample};

/// Whether a finding is of this kind: `finding!(Malformed: SlotCount { .. })`.
macro_rules! finding {
    (Corruption: $($pattern:tt)+) => {
        |finding: &Finding| matches!(finding.problem, Problem::Corrupt(Corruption::$($pattern)+))
    };
    (Problem: $($pattern:tt)+) => {
        |finding: &Finding| matches!(finding.problem, Problem::$($pattern)+)
    };
    ($kind:ident: $($pattern:tt)+) => {
        |finding: &Finding| match &finding.problem {
            Problem::Malformed(why) => {
                matches!(why.downcast_ref::<$kind>(), Some($kind::$($pattern)+))
            }
            _ => false,
        }
    };
}

pub(crate) use finding;

/// Is it the finding that is expected?
pub(crate) type Expected = fn(&Finding) -> bool;

/// The check names the lie, and the database can be used as far as it goes.
#[track_caller]
pub(crate) fn check(watchdog: &Watchdog, case: &str, disk: &DiskSim, expected: Expected) {
    watchdog.case(case);
    let findings = findings_of(disk);
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(findings.iter().any(expected), "{case}: {texts:#?}");
    live(case, disk, case.len() as u64);
}

/// The page of that kind on which the most stands.
pub(crate) fn page_of(disk: &DiskSim, place: Place, kind: PageKind) -> Found {
    let pages = pages_of(disk).into_iter().filter(|found| found.place == place && found.kind == kind);
    let most = pages.max_by_key(|found| disk.page(found.ptr.id).slot_count());
    most.unwrap_or_else(|| panic!("{place:?} has no page of {kind:?}"))
}

/// What is done to records and entries.
pub(crate) type Change = fn(&mut Forger<'_>);

/// A change, its name, and what gives it away.
pub(crate) type Lie = (&'static str, Change, Expected);

pub(crate) fn check_forged(lies: &[Lie]) {
    let watchdog = Watchdog::start();
    let disk = sample();
    for (case, change, expected) in lies {
        check(&watchdog, case, &forge(&disk, change), *expected);
    }
}

pub(crate) const FAR: u64 = u64::MAX / 3;

pub(crate) fn edit_record(forger: &mut Forger<'_>, table: TableId, change: impl FnOnce(&mut Vec<u8>)) {
    forger.edit(Place::Catalog, &catalog_key(table), change);
}

pub(crate) fn put64(record: &mut [u8], at: usize, value: u64) {
    record[at..at + 8].copy_from_slice(&value.to_le_bytes());
}
