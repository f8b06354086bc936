//! Who takes part in a run, with what documents, and where.

use std::path::Path;

use dynamite_benches::arguments::{Arguments, Effort};
use dynamite_benches::documents::{DocumentSession, Documents, FoundBy, KINDS, People};
use dynamite_benches::harness::entrant::{self, Entrant, number};
use dynamite_benches::harness::record::Record;
use dynamite_benches::harness::report::Report;
use dynamite_benches::peers::{Config, Kind, Outcome};
use dynamite_benches::scratch::Scratch;
use serde_json::Value;

/// One engine's open database of documents.
pub(crate) type Contestant = Entrant<dyn Documents>;

/// Documents in one transaction of a load.
pub(crate) const LOAD_BATCH: usize = 1_000;

/// What all workloads share.
pub(crate) struct Contest {
    pub(crate) kinds: Vec<Kind<dyn Documents>>,
    /// All documents. Workloads in memory have [`few`](Contest::few).
    pub(crate) people: People,
    pub(crate) effort: Effort,
    /// On the device to be measured.
    pub(crate) scratch: Scratch,
    pub(crate) report: Report,
}

impl Contest {
    pub(crate) fn new(arguments: &Arguments) -> Outcome<Contest> {
        let rows = number(arguments, "--rows")?;
        let count = rows.unwrap_or_else(|| arguments.effort.pick(1_000_000, 100_000, 2_000)).max(2_000);
        Ok(Contest {
            kinds: entrant::chosen(arguments, KINDS)?,
            people: People { count, seed: 1 },
            effort: arguments.effort,
            scratch: entrant::scratch(arguments, env!("CARGO_TARGET_TMPDIR"))?,
            report: Report::new(Record::asked_for(arguments, "documents")?),
        })
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.kinds.iter().map(|kind| kind.name).collect()
    }

    /// Those documents that workloads in memory begin with: a tenth of all, but enough to be more than a processor caches.
    pub(crate) fn few(&self) -> People {
        People { count: (self.people.count / 10).max(self.people.count.min(50_000)), ..self.people }
    }

    /// Memory that is enough for so many documents to stay in it.
    pub(crate) fn ample(&self, people: People, sessions: usize) -> Config {
        let cache_bytes = (3 * people.raw_bytes() as usize).max(64 << 20) * sessions.min(2);
        Config { cache_bytes, sessions, exceeds_memory: false }
    }

    /// A database of each engine without any document, below a directory.
    pub(crate) fn empty(&self, parent: &Path, config: &Config) -> Outcome<Vec<Contestant>> {
        self.kinds.iter().map(|kind| Entrant::open(*kind, parent.join(kind.name), config)).collect()
    }

    /// A database of each engine with these documents, put in the order of their numbers.
    pub(crate) fn loaded(&self, parent: &Path, config: &Config, people: People) -> Outcome<Vec<Contestant>> {
        let contestants = self.empty(parent, config)?;
        for contestant in &contestants {
            let mut session = contestant.engine.session()?;
            fill(&mut *session, FoundBy::Id, people.count, |number| people.document(number, 0))?;
        }
        Ok(contestants)
    }
}

/// Puts so many documents, some in each transaction.
pub(crate) fn fill(
    session: &mut dyn DocumentSession,
    found_by: FoundBy,
    count: usize,
    document: impl Fn(usize) -> Value,
) -> Outcome<()> {
    for first in (0..count).step_by(LOAD_BATCH) {
        let last = count.min(first + LOAD_BATCH);
        session.put_many(found_by, &(first..last).map(&document).collect::<Vec<_>>())?;
    }
    Ok(())
}
