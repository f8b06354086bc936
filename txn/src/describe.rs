//! What stored bytes say, field by field, for those who want to look at them; see [`dynamite_pager::format::describe`].

use dynamite_pager::{Field, Page, PageId, Pager};

use crate::catalog::{Catalog, CatalogEntry, HISTORY, Retention, SNAPSHOTS, TIMES};
use crate::error::Result;
use crate::history;
use crate::named;
use crate::names;
use crate::record::Record;
use crate::times;
use crate::txn_id::{TableId, TxnId, VersionKey};
use crate::verify::Owner;

/// The name of a tree that this layer keeps for itself.
pub fn system_name(table: TableId) -> Option<&'static str> {
    ["names", "history", "times", "snapshots"].get(table.0 as usize).copied()
}

/// The tree that a node belongs to, of those that the newest commit has. It is found by looking for the node's own keys in all of them; of a
/// node without keys nothing can be said.
///
/// # Errors
///
/// If the catalog cannot be read.
pub fn owner_of_node(pager: &Pager, page: &Page) -> Result<Option<Owner>> {
    let id = page.id();
    let (mut operation, state) = pager.enter()?;
    let catalog = Catalog::at(&state.roots);
    let Some(key) = dynamite_bptree::some_key(page) else { return Ok(None) };
    let mut passes = |tree: dynamite_bptree::Tree| passes(&mut operation, tree, &key, id);
    if passes(*catalog.tree()) {
        return Ok(Some(Owner::Catalog));
    }
    let (mut operation, _) = pager.enter()?;
    for (table, record) in catalog.tables(&mut operation)? {
        if passes(record.tree) {
            return Ok(Some(Owner::Table(table)));
        }
        if record.retention != Retention::None && passes(record.history) {
            return Ok(Some(Owner::HistoryOf(table)));
        }
    }
    Ok(None)
}

/// A tree that cannot be searched to its end does not come by the page, as far as anybody can say.
fn passes(
    operation: &mut dynamite_pager::Operation<'_>,
    tree: dynamite_bptree::Tree,
    key: &[u8],
    page: PageId,
) -> bool {
    tree.passes(operation, key, page).unwrap_or(false)
}

/// The fields of an entry's value, as far as they stand in the leaf; offsets are within the value. What it fails to be is said by a
/// field of its own.
pub fn describe_value(owner: Owner, key: &[u8], value: &[u8]) -> Vec<Field> {
    match owner {
        Owner::Catalog => describe_catalog(key, value),
        Owner::HistoryOf(_) | Owner::Table(HISTORY) => describe_history(key, value),
        Owner::Table(TIMES) => match times::decode(key, value) {
            Ok((time, txn)) => {
                vec![Field::new(0, value.len(), format!("at {time}"), format_args!("transaction {txn}"))]
            }
            Err(_) => malformed(value, "time"),
        },
        Owner::Table(SNAPSHOTS) => match named::decode(value) {
            Ok(named) => vec![
                Field::new(0, 8, "transaction", named.txn),
                Field::new(8, 8, "commit time", named.time_ms),
            ],
            Err(_) => malformed(value, "named snapshot"),
        },
        Owner::Table(table) => {
            let (mut fields, at) = describe_record(0, value);
            if table == crate::catalog::NAMES
                && let Some(at) = at
                && let Ok(info) = names::decode(TxnId(0), &value[at..])
            {
                fields.push(Field::new(at, 4, "table", info.id));
                if !info.meta.is_empty() {
                    fields.push(Field::new(
                        at + 4,
                        info.meta.len(),
                        "meta",
                        format_args!("{} bytes", info.meta.len()),
                    ));
                }
            } else if let Some(at) = at.filter(|at| *at < value.len()) {
                fields.push(Field::new(
                    at,
                    value.len() - at,
                    "payload",
                    format_args!("{} bytes", value.len() - at),
                ));
            }
            fields
        }
    }
}

/// Where the payload of a table's record begins, if it is a record of a live item.
pub fn payload_at(value: &[u8]) -> Option<usize> {
    Record::decode(value).ok().filter(|(record, _)| !record.tombstone).map(|(_, at)| at)
}

fn malformed(value: &[u8], what: &str) -> Vec<Field> {
    vec![Field::new(0, value.len(), what, "malformed")]
}

/// The fields of a record, which begins at an offset, and where its payload begins.
fn describe_record(at: usize, value: &[u8]) -> (Vec<Field>, Option<usize>) {
    let (record, end) = match Record::decode(&value[at..]) {
        Ok((record, len)) => (record, at + len),
        Err(damage) => return (vec![Field::new(at, value.len() - at, "record", damage)], None),
    };
    let created_len = usize::from(value[at] & 7) + 1;
    let what = if record.tombstone { "tombstone" } else { "live" };
    let mut fields = vec![
        Field::new(at, 1, "flags", format_args!("{:#04x} ({what})", value[at])),
        Field::new(at + 1, created_len, "created", record.created),
    ];
    if let Some(VersionKey { superseded_by, ordinal }) = record.older {
        let from = at + 1 + created_len;
        let value = format!("superseded by {superseded_by}, ordinal {ordinal}");
        fields.push(Field::new(from, end - from, "older version", value));
    }
    (fields, Some(end))
}

fn describe_catalog(key: &[u8], value: &[u8]) -> Vec<Field> {
    match Catalog::decode_entry(key, value) {
        None => malformed(value, "catalog entry"),
        Some(CatalogEntry::NextId(next)) => vec![Field::new(0, 4, "next table", next)],
        Some(CatalogEntry::Table(_, record)) => {
            let tree = |tree: dynamite_bptree::Tree| match tree.root() {
                None => "empty".to_owned(),
                Some(root) => format!(
                    "root page {}, birth {}, {} levels, {} entries",
                    root.id,
                    root.birth,
                    tree.level(),
                    tree.len()
                ),
            };
            let state = match (record.dropped, record.freeing) {
                (_, true) => " (being freed)",
                (true, false) => " (dropped)",
                (false, false) => "",
            };
            let mut fields = vec![
                Field::new(0, 21, "tree", tree(record.tree)),
                Field::new(21, 8, "items", record.items),
                Field::new(29, 8, "bytes", record.bytes),
                Field::new(37, 8, "described", record.described),
                Field::new(45, 1, "retention", format_args!("{:#04x}{state}", value[45])),
            ];
            if record.retention != Retention::None {
                let amount = match record.retention {
                    Retention::Duration(duration) => format!("{} ms", duration.as_millis()),
                    Retention::Versions(count) => format!("{count} versions"),
                    Retention::None => String::new(),
                };
                fields.push(Field::new(46, 8, "amount", amount));
                fields.push(Field::new(54, 21, "history", tree(record.history)));
                fields.push(Field::new(75, 8, "horizon", record.horizon));
            }
            fields
        }
    }
}

fn describe_history(key: &[u8], value: &[u8]) -> Vec<Field> {
    if key.len() != VersionKey::SIZE {
        return vec![Field::new(0, value.len(), "long key", format_args!("{} bytes", value.len()))];
    }
    let Ok((entry, at)) = history::decode_head(value) else { return malformed(value, "history entry") };
    let mut fields = vec![
        Field::new(0, 1, "flags", format_args!("{:#04x}", value[0])),
        Field::new(1, 4, "table", entry.table),
        Field::new(5, 2, "key length", entry.key.len()),
    ];
    if !entry.key.is_empty() {
        fields.push(Field::new(7, entry.key.len(), "key", entry.key.escape_ascii()));
    }
    if entry.version.is_some() {
        fields.extend(describe_record(7 + entry.key.len(), value).0);
    }
    if at < value.len() {
        fields.push(Field::new(at, value.len() - at, "payload", format_args!("{} bytes", value.len() - at)));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever the bytes are.
    #[test]
    fn any_bytes_are_described_within_their_bounds() {
        let owners = [0, 1, 2, 3, 16].map(|table| Owner::Table(TableId(table)));
        let owners = owners.into_iter().chain([Owner::Catalog, Owner::HistoryOf(TableId(16))]);
        for owner in owners {
            for len in 0..100 {
                for filling in [0, 1, 2, 9, 0x10, 0x37, 0xff] {
                    let value = vec![filling; len];
                    for key in [&[0, 0, 0, 16][..], &[0xff; 4], &[0; 12], &[1; 8], b""] {
                        for field in describe_value(owner, key, &value) {
                            assert!(
                                field.offset + field.len <= len,
                                "{owner:?}, {len}, {filling}: {field:?}"
                            );
                        }
                    }
                }
            }
        }
    }
}
