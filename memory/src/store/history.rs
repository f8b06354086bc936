//! What a memory was, and making it that again.

use dynamite_core::api::{Deferred, DynaMite};

use crate::error::{MemoryError, Result};
use crate::key;
use crate::meaning::Encoder;
use crate::request::{Past, PastVersion, Remember, Remembered, Source};
use crate::store::record::{Memory, Version, name};
use crate::store::remember;
use crate::store::tables::{MEMORIES, Typed, VERSIONS, View, transact};
use crate::text::time::rfc3339;

/// The versions of a memory, newest first. One that was forgotten has some as long as it can be restored.
pub(super) fn history(db: &DynaMite, past: &Past) -> Result<Vec<PastVersion>> {
    let key = checked(past)?;
    for scope in &past.scopes {
        let partition = key::partition(scope, &past.category);
        let mut versions = Vec::new();
        if let Some(memory) = db.get::<Memory>(MEMORIES, &partition, Some(key.as_str()))? {
            versions.push(shown(Version::of(&memory), true));
        }
        let query = db.partition(VERSIONS, &name(&partition, &key)).scan_forward(false);
        versions.extend(query.page::<Version>()?.items.into_iter().map(|version| shown(version, false)));
        if !versions.is_empty() {
            return Ok(versions);
        }
    }
    Err(not_found(past))
}

fn shown(version: Version, current: bool) -> PastVersion {
    PastVersion {
        version: version.version,
        current,
        content: version.content,
        tags: version.tags,
        updated: rfc3339(version.updated),
        source: version.source,
    }
}

/// Remembers what a version said, as a new version.
pub(super) fn restore(
    target: &Deferred<'_>,
    encoder: Option<&dyn Encoder>,
    now: u64,
    past: &Past,
) -> Result<Remembered> {
    let key = checked(past)?;
    let mut found = None;
    for scope in &past.scopes {
        let partition = key::partition(scope, &past.category);
        let memory = name(&partition, &key);
        let (is_there, version) = transact(target, |txn| {
            let newest = txn.partition(VERSIONS, &memory).scan_forward(false).limit(1);
            let newest = newest.page::<Version>()?.items.pop();
            // The one whose history is shown is the one that is put back.
            let is_there =
                newest.is_some() || txn.get::<Memory>(MEMORIES, &partition, Some(key.as_str()))?.is_some();
            Ok((
                is_there,
                match past.version {
                    Some(version) => txn.get::<Version>(VERSIONS, &memory, Some(version))?,
                    None => newest,
                },
            ))
        })?;
        if is_there {
            found = version.map(|version| (scope, version));
            break;
        }
    }
    let Some((scope, version)) = found else { return Err(not_found(past)) };
    let remember = Remember {
        scope: scope.clone(),
        category: past.category.clone(),
        key,
        content: version.content,
        tags: Some(version.tags),
        importance: Some(version.importance),
        source: Source::User,
        ..Remember::default()
    };
    let mut done = remember::remember_all(target, encoder, now, &[remember])?;
    done.pop().unwrap_or_else(|| Err(not_found(past)))
}

fn checked(past: &Past) -> Result<String> {
    key::check_category(&past.category)?;
    key::normal_key(&past.key)
}

fn not_found(past: &Past) -> MemoryError {
    let version = past.version.map(|version| format!(" version {version}")).unwrap_or_default();
    MemoryError::NotFound { what: format!("{}/{}{version}", past.category, past.key) }
}
