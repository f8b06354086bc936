//! Batches of a hundred random lookups in a database eight times as large as the memory, beside bare reads of as many
//! random pages, 32 in flight.
//!
//! Each engine works in a child process of its own, in a control group with the same memory for each: what an engine has
//! for its cache, a tenth more, and a little for the process. Engines with a cache of their own are told its size;
//! those that leave it to the kernel have the whole of the group. Where no such group can be made, everything is
//! closed and dropped from the page cache before each turn, and the table says so.
//!
//! The parent asks by a line, seed and number of batches, and the child answers by a line, the microseconds of each.

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufWriter, Lines, StdinLock, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use dynamite_benches::dataset::{Dataset, Key};
use dynamite_benches::harness::helper::{self, Helper};
use dynamite_benches::interleave::interleave;
use dynamite_benches::peers::{Config, Engine, Failure, KINDS, Kind, Outcome, Session, drop_page_cache};
use dynamite_benches::random::Random;
use dynamite_benches::sample::Sample;
use dynamite_pager::disk::reference::UringReads;
use dynamite_pager::{PAGE_SIZE, PageId};

use crate::contest::{Contest, Contestant};
use dynamite_benches::harness::report::{megabytes, rows, spread, spread_columns};

/// The data is so many times as large as the memory for caching it.
const EXCESS: u64 = 8;

/// Lookups in a batch, and page reads in one of the bare ones.
const BATCH: usize = 100;

/// Bare reads in flight.
const DEPTH: usize = 32;

/// Batches in a turn.
const TURN: usize = 10;

/// What a group gets beyond the cache and a tenth of it: stacks, buffers, the engine's own books.
const PROCESS_BYTES: usize = 4 << 20;

/// What bare reads are called in the tables.
const BARE: &str = "bare reads";

pub(crate) fn run(contest: &Contest) -> Outcome<()> {
    let directory = contest.scratch.file("cold");
    let cache_bytes = (contest.data.raw_bytes() / EXCESS) as usize;
    let limit_bytes = cache_bytes + cache_bytes / 10 + PROCESS_BYTES;
    let mut bare = BareReads::create(&contest.scratch.file("cold pages"), contest.data.raw_bytes())?;
    let mut helpers = contest
        .kinds
        .iter()
        .map(|kind| {
            let directory = directory.join(kind.name);
            contest.copy(kind, &directory)?;
            drop_page_cache(&directory)?;
            start(kind, &directory, cache_bytes, limit_bytes, contest.data)
        })
        .collect::<Outcome<Vec<_>>>()?;

    // Until each cache has been filled, and its keeper has seen what is worth keeping.
    let warm_up = 4 * cache_bytes / PAGE_SIZE / BATCH + 1;
    for helper in &mut helpers {
        ask(helper, 0, warm_up);
    }
    // The same keys for all, but never the same twice for one.
    let mut seeds = vec![Random(61); helpers.len() + 1];
    let samples = interleave(contest.effort.pick(60, 20, 2), helpers.len() + 1, |subject| {
        let seed = seeds[subject].next();
        let batches = match subject.checked_sub(1) {
            None => bare.run(seed, TURN)?,
            Some(number) => ask(&mut helpers[number], seed, TURN),
        };
        Ok::<_, Failure>(batches.mean())
    })?;

    let memory = helpers.iter().map(Helper::peak_bytes).collect::<Vec<_>>();
    let grouped = helpers.iter().all(Helper::is_limited);
    let names: Vec<&str> = std::iter::once(BARE).chain(contest.names()).collect();
    let columns = spread_columns("us a batch");
    let columns: Vec<&str> =
        columns.iter().map(String::as_str).chain(["lookups/s", "most memory, MB"]).collect();
    contest.report.versus(
        format!(
            "cold: batches of {BATCH} random lookups in {}, cache {} MB, {}",
            rows(contest.data.rows),
            megabytes(cache_bytes as u64),
            match grouped {
                true => format!("all memory {} MB", megabytes(limit_bytes as u64)),
                false => "memory NOT limited: opened anew and out of the page cache for each turn".to_owned(),
            }
        ),
        &names,
        &columns,
        |number| {
            let mut cells = spread(&samples[number], 0);
            cells.push(format!("{:.0}", BATCH as f64 * 1e6 / samples[number].median()));
            let peak = number.checked_sub(1).and_then(|number| memory[number]);
            cells.push(peak.map_or_else(|| "-".to_owned(), megabytes));
            cells
        },
        &samples,
    );
    for helper in helpers {
        if let Some(remark) = helper.end()? {
            contest.report.note(&remark);
        }
    }
    Ok(std::fs::remove_dir_all(directory)?)
}

/// Random pages of a file as large as the data.
struct BareReads {
    reads: UringReads,
    page_count: usize,
}

impl BareReads {
    fn create(path: &Path, bytes: u64) -> Outcome<BareReads> {
        let page_count = (bytes as usize).div_ceil(PAGE_SIZE);
        let file = File::create(path)?;
        let mut writer = BufWriter::new(&file);
        for page in 0..page_count {
            // Written, not only allocated: what was never written is not read from the device.
            writer.write_all(&[page as u8 | 1; PAGE_SIZE])?;
        }
        writer.flush()?;
        drop(writer);
        file.sync_all()?;
        Ok(BareReads { reads: UringReads::open(path, DEPTH)?, page_count })
    }

    fn run(&mut self, seed: u64, batches: usize) -> Outcome<Sample> {
        let mut random = Random(seed);
        let mut sample = Sample::default();
        for _ in 0..batches {
            let ids: Vec<PageId> = (0..BATCH).map(|_| PageId(random.below(self.page_count) as u32)).collect();
            let started = Instant::now();
            self.reads.run(&ids)?;
            sample.push_us(started.elapsed());
        }
        Ok(sample)
    }
}

/// Starts a child process that looks rows up.
fn start(
    kind: &Kind,
    directory: &Path,
    cache_bytes: usize,
    limit_bytes: usize,
    data: Dataset,
) -> Outcome<Helper> {
    let numbers = [cache_bytes.to_string(), data.rows.to_string(), data.seed.to_string()];
    let arguments: Vec<OsString> =
        [kind.name.into(), directory.into()].into_iter().chain(numbers.map(OsString::from)).collect();
    Helper::start(kind.name, limit_bytes, &arguments)
}

/// What each batch took, or nothing if the child is no more.
fn ask(helper: &mut Helper, seed: u64, batches: usize) -> Sample {
    let mut sample = Sample::default();
    helper.ask(&format!("{seed} {batches}")).into_iter().for_each(|time| sample.push(time));
    sample
}

/// What a child does.
pub(crate) fn run_as_child(arguments: &[OsString], limited: bool) -> Outcome<()> {
    let [kind, directory, cache_bytes, rows, seed] = arguments else {
        return Err("a child is started by its parent".into());
    };
    let text = |argument: &OsString| argument.clone().into_string().map_err(|_| "not UTF-8");
    let (kind, directory) = (text(kind)?, PathBuf::from(directory));
    let kind = *KINDS.iter().find(|known| known.name == kind).ok_or("no such engine")?;
    let config = Config { cache_bytes: text(cache_bytes)?.parse()?, sessions: 1, exceeds_memory: true };
    let data = Dataset { rows: text(rows)?.parse()?, seed: text(seed)?.parse()? };

    let mut contestant = Contestant::open(kind, directory.clone(), &config)?;
    let mut questions = std::io::stdin().lines();
    while serve(&*contestant.engine, &data, &mut questions, limited)? {
        contestant.engine.close()?;
        drop_page_cache(&directory)?;
        contestant = Contestant::open(kind, directory.clone(), &config)?;
    }
    contestant.engine.close()
}

/// Answers until nobody asks any more, or one question only. Returns whether there may be more.
fn serve(
    engine: &dyn Engine,
    data: &Dataset,
    questions: &mut Lines<StdinLock<'_>>,
    all: bool,
) -> Outcome<bool> {
    let mut session = engine.session()?;
    for question in questions {
        let question = question?;
        let (seed, batches) = question.split_once(' ').ok_or("a question is two numbers")?;
        helper::answer(&look_up(&mut *session, data, seed.parse()?, batches.parse()?)?)?;
        if !all {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Microseconds of each batch.
fn look_up(session: &mut dyn Session, data: &Dataset, seed: u64, batches: usize) -> Outcome<Vec<f64>> {
    let mut random = Random(seed);
    let mut times = Vec::with_capacity(batches);
    for _ in 0..batches {
        let keys: Vec<Key> = (0..BATCH).map(|_| data.key(random.below(data.rows))).collect();
        let (mut found, mut ends) = (0, 0);
        let started = Instant::now();
        session.get_many(&keys, &mut |_, value| {
            found += 1;
            ends += u64::from(value[0]) + u64::from(value[value.len() - 1]);
        })?;
        let took = started.elapsed();
        std::hint::black_box(ends);
        if found != BATCH {
            return Err(format!("{found} of {BATCH} rows were found").into());
        }
        times.push(took.as_secs_f64() * 1e6);
    }
    Ok(times)
}
