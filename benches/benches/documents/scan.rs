//! Full scans of documents eight times as large as the memory, loaded in random and in ascending order: every document as
//! [`Value`](serde_json::Value), and every one only visited. Beside them, the device's sequential rate.
//!
//! Each engine works in a child process of its own with so much memory, as in the workload `cold` of the benchmark `peers`. The
//! parent asks by the name of the form, and the child answers by the microseconds that the scan took.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

use dynamite_benches::documents::{DocumentSession, FoundBy, KINDS, People};
use dynamite_benches::harness::entrant::Entrant;
use dynamite_benches::harness::helper::{self, Helper};
use dynamite_benches::harness::report::{count_of, megabytes, spread, spread_columns};
use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{Config, DiskUse, Failure, Kind, Outcome, drop_page_cache};
use dynamite_benches::sample::Sample;
use serde_json::Value;

use crate::bare_scan::BareScan;
use crate::contest::{Contest, Contestant, LOAD_BATCH};

/// The data is so many times as large as the memory for caching it.
const EXCESS: u64 = 8;

/// What a group gets beyond the cache and a tenth of it: stacks, buffers, the engine's own books.
const PROCESS_BYTES: usize = 4 << 20;

/// What the bare scan is called in the tables.
const BARE: &str = "bare reads";

/// The forms, as the question calls them and as tables do.
const FORMS: [(&str, &str); 2] =
    [("values", "every document as Value"), ("count", "every document only visited")];

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    // A quarter of all: an engine that reads page by page would take most of the run.
    let people = People { count: (contest.people.count / 4).max(2_000), ..contest.people };
    compare(contest, people, &(0..people.count).collect::<Vec<_>>(), "random")?;
    compare(contest, people, &people.ascending(), "ascending")
}

fn compare(contest: &Contest, people: People, order: &[usize], called: &str) -> Outcome<()> {
    let parent = contest.scratch.file("scan");
    let cache_bytes = (people.raw_bytes() / EXCESS) as usize;
    let limit_bytes = cache_bytes + cache_bytes / 10 + PROCESS_BYTES;
    let sizes = load(contest, &parent, people, order)?;
    let bare = BareScan::create(&parent.join("bare"), people.raw_bytes())?;
    let mut helpers = contest
        .kinds
        .iter()
        .map(|kind| start(kind, &parent.join(kind.name), cache_bytes, limit_bytes, people))
        .collect::<Outcome<Vec<_>>>()?;
    let names: Vec<&str> = std::iter::once(BARE).chain(contest.names()).collect();
    let bytes: Vec<u64> =
        std::iter::once(bare.bytes()).chain(sizes.iter().map(|size| size.length_bytes)).collect();
    for (form, title) in FORMS {
        let samples = interleave(contest.effort.pick(4, 3, 1), helpers.len() + 1, |subject| {
            let took = match subject.checked_sub(1) {
                None => bare.run()?.as_secs_f64() * 1e6,
                Some(number) => helpers[number].ask(form).first().copied().unwrap_or(f64::NAN),
            };
            // Of a document, so that nobody has to know how large the run was.
            Ok::<_, Failure>(took / people.count as f64)
        })?;
        // How much an engine reads is its own affair, but what it reads in a second tells whether it kept the device busy.
        let rate =
            |number: usize, sample: &Sample| bytes[number] as f64 / (sample.median() * people.count as f64);
        let columns = spread_columns("us a document");
        let columns: Vec<&str> = columns
            .iter()
            .map(String::as_str)
            .chain(["MB/s of its files", "of bare", "file MB", "most memory, MB"])
            .collect();
        contest.report.versus(
            format!(
                "scan: {title}, {} loaded in {called} order, cache {} MB, {}",
                count_of(people.count, "documents"),
                megabytes(cache_bytes as u64),
                match helpers.iter().all(Helper::is_limited) {
                    true => format!("all memory {} MB", megabytes(limit_bytes as u64)),
                    false =>
                        "memory NOT limited: opened anew and out of the page cache for each turn".to_owned(),
                }
            ),
            &names,
            &columns,
            |number| {
                let mut cells = spread(&samples[number], 2);
                cells.push(format!("{:.0}", rate(number, &samples[number])));
                cells.push(format!("{:.2}", rate(number, &samples[number]) / rate(0, &samples[0])));
                cells.push(megabytes(bytes[number]));
                let peak = number.checked_sub(1).and_then(|number| helpers[number].peak_bytes());
                cells.push(peak.map_or_else(|| "-".to_owned(), megabytes));
                cells
            },
            &samples,
        );
    }
    for helper in helpers {
        if let Some(remark) = helper.end()? {
            contest.report.note(&remark);
        }
    }
    Ok(std::fs::remove_dir_all(parent)?)
}

/// Loads all engines' databases, one after the other, and closes them. Returns their sizes.
fn load(contest: &Contest, parent: &Path, people: People, order: &[usize]) -> Outcome<Vec<DiskUse>> {
    let mut sizes = Vec::new();
    for kind in &contest.kinds {
        let directory = parent.join(kind.name);
        let contestant: Contestant = Entrant::open(*kind, directory.clone(), &contest.ample(people, 1))?;
        let mut session = contestant.engine.session()?;
        for batch in order.chunks(LOAD_BATCH) {
            let documents: Vec<Value> = batch.iter().map(|number| people.document(*number, 0)).collect();
            session.put_many(FoundBy::Id, &documents)?;
        }
        drop(session);
        sizes.push(contestant.close()?);
        drop_page_cache(&directory)?;
    }
    Ok(sizes)
}

fn start(
    kind: &Kind<dyn dynamite_benches::documents::Documents>,
    directory: &Path,
    cache_bytes: usize,
    limit_bytes: usize,
    people: People,
) -> Outcome<Helper> {
    let numbers = [cache_bytes, people.count].map(|number| OsString::from(number.to_string()));
    let arguments: Vec<OsString> = [kind.name.into(), directory.into()].into_iter().chain(numbers).collect();
    Helper::start(kind.name, limit_bytes, &arguments)
}

/// What a child does.
pub(crate) fn run_as_child(arguments: &[OsString], limited: bool) -> Outcome<()> {
    let [kind, directory, cache_bytes, count] = arguments else {
        return Err("a child is started by its parent".into());
    };
    let text = |argument: &OsString| argument.clone().into_string().map_err(|_| "not UTF-8");
    let (kind, directory) = (text(kind)?, PathBuf::from(directory));
    let kind = *KINDS.iter().find(|known| known.name == kind).ok_or("no such engine")?;
    let config = Config { cache_bytes: text(cache_bytes)?.parse()?, sessions: 1, exceeds_memory: true };
    let count: u64 = text(count)?.parse()?;
    let mut contestant: Contestant = Entrant::open(kind, directory.clone(), &config)?;
    for question in std::io::stdin().lines() {
        let mut session = contestant.engine.session()?;
        let started = Instant::now();
        let found = scan(&mut *session, &question?)?;
        let took = started.elapsed();
        if found != count {
            return Err(format!("{found} of {count} documents were found").into());
        }
        helper::answer(&[took.as_secs_f64() * 1e6])?;
        drop(session);
        if !limited {
            contestant.close()?;
            drop_page_cache(&directory)?;
            contestant = Entrant::open(kind, directory.clone(), &config)?;
        }
    }
    contestant.engine.close()
}

/// Returns how many documents were found.
fn scan(session: &mut dyn DocumentSession, form: &str) -> Outcome<u64> {
    match form {
        "count" => session.count(),
        _ => {
            let mut right = 0;
            session.scan(&mut |document| right += u64::from(document["id"].is_string()))?;
            Ok(right)
        }
    }
}
