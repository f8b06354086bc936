//! Repairing a database in place: what can be made anew from what is whole.
//!
//! 1. If the newest header cannot be used although it is no crash that has made it so, the other one is taken, if the state that it leads
//!    to is whole.
//! 2. Everything is looked at. If anything is damaged that holds what is nowhere else (items, old versions, the catalog), nothing more is
//!    done: that is for [salvage](DynaMite::salvage), and every page that is freed might be one that it needs.
//! 3. Counts in the catalog are corrected.
//! 4. Indexes and queues of what expires that are damaged, or are not what their tables say, are emptied and built anew.
//! 5. Everything is looked at again, and the free space made to be what is not in use.

use std::collections::BTreeSet;
use std::path::Path;

use dynamite_txn::repair::{SpaceFaults, mend_free_space, wrong_counts};
use dynamite_txn::verify::{Found, Owner, Severity, Watch, survey_file};
use dynamite_txn::{TableId, TableInfo};

use crate::api::database::DynaMite;
use crate::api::housekeeping::Pace;
use crate::api::inspect::TreeRole;
use crate::api::options::Builder;
use crate::api::schema::Schema;
use crate::api::{index_build, tables, ttl};
use crate::error::Result;

/// What a repair has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// What was repaired, in words.
    pub done: Vec<String>,
    /// What cannot be repaired in place, in words.
    pub beyond: Vec<String>,
}

impl DynaMite {
    /// Repairs the database in a file, in place, as far as nothing is lost by that but what a header says that cannot be used. A database
    /// that is whole stays as it is. Whoever has damage left should [salvage](DynaMite::salvage).
    ///
    /// # Errors
    ///
    /// Those of opening and of commits.
    pub fn repair(path: impl AsRef<Path>) -> Result<Repaired> {
        let path = path.as_ref();
        let mut repaired = Repaired::default();
        if let Some((from, to)) = dynamite_txn::repair::fall_back(path)? {
            let text = format!("went back from commit {from}, whose header cannot be used, to commit {to}");
            repaired.done.push(text);
        }
        let seen = Seen::of(path)?;
        let damaged = seen.damaged_trees();
        for (owner, text) in &damaged {
            if !seen.can_be_made_anew(*owner) {
                repaired.beyond.push(text.clone());
            }
        }
        if !repaired.beyond.is_empty() {
            return Ok(repaired);
        }
        let mut anew: BTreeSet<TableId> = damaged.iter().filter_map(|(owner, _)| owner.table()).collect();
        if anew.is_empty() {
            anew = wrong_belongings(path, &mut repaired)?;
        }
        let counts: Vec<_> =
            wrong_counts(&seen.found).into_iter().filter(|(table, ..)| !anew.contains(table)).collect();
        if !anew.is_empty() || !counts.is_empty() {
            let builder = Builder::new().background(false).forget_free_space(seen.space().is_misleading());
            let db = builder.open(path)?;
            for (table, items, bytes) in counts {
                db.shared.write(|txn| Ok(txn.set_counts(table, items, bytes)?))?;
                repaired.done.push(format!("corrected what the catalog counts in {}", seen.name(table)));
            }
            for table in &anew {
                db.empty(*table)?;
                repaired.done.push(format!("built anew: {}", seen.name(*table)));
            }
            while index_build::chore(&db.shared)? == Pace::AtOnce {}
            ttl::fill(&db.shared)?;
            db.close()?;
        }
        let seen = Seen::of(path)?;
        if seen.damaged_trees().is_empty() && !seen.space().is_empty() {
            let (lost, used) = mend_free_space(path, &seen.space(), &seen.free)?;
            let text =
                format!("rebuilt the free space: {lost} pages were lost, {used} in use counted as free");
            repaired.done.push(text);
        }
        // A header that cannot be used is written anew by every open for writing.
        if seen.has_bad_header() {
            Builder::new().background(false).open(path)?.close()?;
            repaired.done.push("wrote the header anew that could not be used".to_owned());
        }
        Ok(repaired)
    }

    /// Empties a tree that belongs to a table, and says that it is to be filled.
    fn empty(&self, tree: TableId) -> Result<()> {
        let tables = self.shared.store.read()?.tables()?;
        self.shared.write(|txn| {
            txn.abandon_contents(tree)?;
            for (name, info) in tables {
                let Some(mut schema) = Schema::decode(&info.meta) else { continue };
                let since = txn.id();
                let mut is_of_it = schema.ttl.as_ref().is_some_and(|ttl| ttl.queue == tree);
                if is_of_it {
                    ttl::begin_filling(txn, tree)?;
                }
                for index in schema.indexes.iter_mut().filter(|index| index.tree == tree) {
                    (index.building, index.skipped) = (Some(since), 0);
                    is_of_it = true;
                }
                if is_of_it {
                    txn.set_table_meta(&name, &schema.encode()?)?;
                }
            }
            Ok(())
        })
    }
}

/// Indexes and queues of a database that is whole by itself, but which are not what their tables say.
fn wrong_belongings(path: &Path, repaired: &mut Repaired) -> Result<BTreeSet<TableId>> {
    let db = Builder::new().background(false).read_only(true).open(path)?;
    let all = tables::all(&mut db.shared.store.read()?)?;
    let mut wrong = BTreeSet::new();
    for finding in db.verify_indexes(&mut |_| {})? {
        let table = all.iter().find(|table| table.name == finding.table);
        let index = table.and_then(|table| table.indexes.find(&finding.index));
        wrong.extend(index.map(|index| index.layout.id));
    }
    let state = db.shared.store.snapshot()?;
    for table in &all {
        if let Some(ttl) = &table.ttl {
            let mut is_wrong = false;
            ttl::verify(&state, table, ttl, &mut |_| is_wrong = true)?;
            wrong.extend(is_wrong.then_some(ttl.queue));
        }
        for stream in &table.streams {
            crate::api::stream::verify(&state, table, stream, &mut |what| {
                repaired.beyond.push(format!("stream of table {}: {what}", table.name));
            })?;
        }
    }
    Ok(wrong)
}

/// What a look at everything has shown.
struct Seen {
    found: Vec<Found>,
    free: Vec<dynamite_txn::Extent>,
    roles: Vec<(TableId, TreeRole)>,
}

impl Seen {
    fn of(path: &Path) -> Result<Seen> {
        let mut seen = Seen { found: Vec::new(), free: Vec::new(), roles: Vec::new() };
        seen.found = survey_file(path, &mut seen)?;
        Ok(seen)
    }

    fn space(&self) -> SpaceFaults {
        SpaceFaults::of(&self.found)
    }

    fn has_bad_header(&self) -> bool {
        self.found.iter().any(|found| found.finding.is_about_headers())
    }

    /// Trees with damage in them, and what it is. Wrong counts are none, nor is what is wrong with the free space.
    fn damaged_trees(&self) -> Vec<(Owner, String)> {
        let is_in_a_tree = |found: &&Found| {
            found.finding.severity() == Severity::Damage
                && wrong_counts(std::slice::from_ref(*found)).is_empty()
                && SpaceFaults::of(std::slice::from_ref(*found)).is_empty()
        };
        // Damage that is in no tree is in what holds them together.
        let of = |found: &Found| (found.owner.unwrap_or(Owner::Catalog), found.finding.to_string());
        self.found.iter().filter(is_in_a_tree).map(of).collect()
    }

    fn can_be_made_anew(&self, owner: Owner) -> bool {
        let Owner::Table(table) = owner else { return false };
        matches!(self.role(table), Some(TreeRole::Index { .. } | TreeRole::Expiry { .. }))
    }

    fn role(&self, table: TableId) -> Option<&TreeRole> {
        self.roles.iter().find(|(known, _)| *known == table).map(|(_, role)| role)
    }

    fn name(&self, table: TableId) -> String {
        self.role(table).map_or_else(|| format!("table {table}"), TreeRole::to_string)
    }
}

impl Watch for Seen {
    fn free(&mut self, extents: &[dynamite_txn::Extent]) {
        self.free = extents.to_vec();
    }

    fn name(&mut self, name: &[u8], info: &TableInfo) {
        self.roles.push((info.id, TreeRole::of_name(name)));
    }
}
