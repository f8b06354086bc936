//! The database at work on real documents, from creation to a hard kill.
//!
//! `cargo run --release -p dynamite-core --example tour [-- DIRECTORY]`
//!
//! The documents are 3,010 statements about which browser supports what (see `data/README.md`). With a directory as its argument the
//! tour keeps its database there while it runs; without one it takes a temporary directory. Either way it cleans up, and it
//! exits with an error if anything is not as promised.

#![allow(clippy::print_stdout, reason = "it is there to show something")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use dynamite_core::api::DynaMite;
use dynamite_core::types::KeyType;
use indicatif::{ProgressBar, ProgressStyle};
use serde::Deserialize;
use serde_json::{Value, json};

type Outcome<T> = Result<T, Box<dyn Error>>;

const DOCUMENTS: &str = include_str!("data/browser-compat.jsonl");
const TABLE: &str = "features";
/// Documents in one commit of the load.
const BATCH: usize = 100;
const GETS: usize = 200_000;
/// The argument by which the tour starts itself as the process that is killed.
const WRITER: &str = "--write-until-killed";
/// What that process has acknowledged when it is killed.
const KILL_AFTER: u64 = 500;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [mode, path] if mode == WRITER => write_until_killed(Path::new(path)),
        [] => tour(None),
        [directory] => tour(Some(Path::new(directory))),
        _ => Err("at most one argument: a directory".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("FAILED: {error}");
            ExitCode::FAILURE
        }
    }
}

fn tour(directory: Option<&Path>) -> Outcome<()> {
    let mut place = tempfile::Builder::new();
    place.prefix("dynamite-tour-");
    // Removed when it goes out of scope, also after an error.
    let directory = match directory {
        Some(directory) => place.tempdir_in(directory)?,
        None => place.tempdir()?,
    };
    let path = directory.path().join("tour.db");
    let documents = DOCUMENTS.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
    println!(
        "{} documents, {} KB of JSON, into {}\n",
        documents.len(),
        DOCUMENTS.len() / 1000,
        path.display()
    );

    let db = DynaMite::create(&path)?;
    db.create_table(TABLE)
        .partition_key("area", KeyType::String)
        .sort_key("feature", KeyType::String)
        .execute()?;
    load(&db, &documents)?;
    get(&db, &documents)?;
    query(&db, &documents)?;
    update_versioned(&db)?;
    snapshot_beside_a_writer(&db)?;
    transact(&db)?;
    statistics(&db);
    db.close()?;

    kill_a_writer(&path)?;
    println!("\nAll as promised.");
    Ok(directory.close()?)
}

/// All documents, in batches of one commit each.
fn load(db: &DynaMite, documents: &[Value]) -> Outcome<()> {
    let style = ProgressStyle::with_template("load       {bar:30} {pos:>5} of {len} documents, {per_sec}")?;
    let progress = ProgressBar::new(documents.len() as u64).with_style(style);
    let begun = Instant::now();
    for batch in documents.chunks(BATCH) {
        let write = batch.iter().fold(db.batch_write(), |write, document| write.put(TABLE, document));
        write.execute()?;
        progress.inc(batch.len() as u64);
    }
    let time = begun.elapsed();
    progress.finish_and_clear();
    let table = db.describe_table(TABLE)?;
    ensure(table.item_count == documents.len() as u64, "every document is there once")?;
    println!(
        "load       {} documents in {} durable commits: {}, {} documents/s, {} KB stored",
        documents.len(),
        documents.len().div_ceil(BATCH),
        show(time),
        rate(documents.len(), time),
        table.size_bytes / 1000,
    );
    Ok(())
}

/// One document at a time, whole, one attribute of it, and as a type of one's own.
fn get(db: &DynaMite, documents: &[Value]) -> Outcome<()> {
    #[derive(Deserialize)]
    struct Feature {
        feature: String,
        mdn_url: Option<String>,
    }
    let nth = |n: usize| &documents[n * 7919 % documents.len()];
    let lookup =
        |document: &Value| db.get_item(TABLE).partition_key(&document["area"]).sort_key(&document["feature"]);

    let begun = Instant::now();
    for n in 0..GETS {
        ensure(lookup(nth(n)).execute()?.as_ref() == Some(nth(n)), "a get returns what was put")?;
    }
    println!("get        whole documents, compared: {}/s", rate(GETS, begun.elapsed()));

    let begun = Instant::now();
    for n in 0..GETS {
        let part = lookup(nth(n)).attributes(["mdn_url"]).execute()?.ok_or("the document is there")?;
        ensure(part.get("mdn_url") == nth(n).get("mdn_url"), "a part is the whole's")?;
    }
    println!("get        one attribute of them: {}/s", rate(GETS, begun.elapsed()));

    let begun = Instant::now();
    for n in 0..GETS {
        let found: Feature = lookup(nth(n)).execute_as()?.ok_or("the document is there")?;
        ensure(nth(n)["feature"] == found.feature, "a struct has the document's fields")?;
        ensure(
            nth(n).get("mdn_url").and_then(Value::as_str) == found.mdn_url.as_deref(),
            "also optional ones",
        )?;
    }
    println!("get        into a struct: {}/s", rate(GETS, begun.elapsed()));
    Ok(())
}

/// Ranges of the sort key, in both directions, by pages and as a stream.
fn query(db: &DynaMite, documents: &[Value]) -> Outcome<()> {
    let of = |area: &str| documents.iter().filter(|document| document["area"] == area).count();
    let arrays = || db.query(TABLE).partition_key("javascript").sort_key_begins_with("builtins.Array.");
    let begun = Instant::now();
    let forward = arrays().execute()?.items;
    let mut backward = arrays().scan_forward(false).execute()?.items;
    let time = begun.elapsed();
    backward.reverse();
    ensure(forward.len() > 30 && forward == backward, "both directions find the same")?;
    println!(
        "query      {} features begin with builtins.Array., the first {}, the last {}: {} both ways",
        forward.len(),
        forward[0]["feature"],
        forward[forward.len() - 1]["feature"],
        show(time),
    );

    let (mut pages, mut found, mut start) = (0, 0, None);
    loop {
        let mut query = db.query(TABLE).partition_key("html").limit(100);
        if let Some(key) = start.take() {
            query = query.exclusive_start_key(key);
        }
        let page = query.execute()?;
        (pages, found) = (pages + 1, found + page.items.len());
        match page.last_evaluated_key {
            Some(key) => start = Some(key),
            None => break,
        }
    }
    ensure(found == of("html"), "pages join without gap or repeat")?;
    println!("query      {found} features of html in {pages} pages of at most 100");

    let begun = Instant::now();
    let mut deprecated = 0;
    for document in db.scan(TABLE).iter()? {
        deprecated += u32::from(document?["status"]["deprecated"] == true);
    }
    println!(
        "scan       {deprecated} of {} features are deprecated: {}, areas are {:?}",
        documents.len(),
        show(begun.elapsed()),
        db.list_partition_keys(TABLE, "", 10)?,
    );
    Ok(())
}

/// Two who read the same version: the second to write is told.
fn update_versioned(db: &DynaMite) -> Outcome<()> {
    let read = || db.get_item_versioned(TABLE).partition_key("http").sort_key("headers.Accept").execute();
    let mut mine = read()?.ok_or("the document is there")?;
    let mut theirs = read()?.ok_or("the document is there")?;
    mine.item["note"] = json!("mine");
    theirs.item["note"] = json!("theirs");
    let version = db.put_item_versioned(TABLE, &mine.item, Some(mine.version))?;
    let conflict = db.put_item_versioned(TABLE, &theirs.item, Some(theirs.version));
    let Err(error) = conflict else { return Err("the second write must be refused".into()) };
    ensure(
        read()?.is_some_and(|now| now.version == version && now.item["note"] == "mine"),
        "the first write stands",
    )?;
    println!(
        "update     version {} became {version}; the one who came second is told: {error}",
        mine.version
    );
    Ok(())
}

/// A snapshot sees what it saw, while a thread writes as fast as it can.
fn snapshot_beside_a_writer(db: &DynaMite) -> Outcome<()> {
    let count = |items: Vec<Value>| items.iter().filter(|item| item.get("seen").is_some()).count();
    let snapshot = db.snapshot()?;
    let done = AtomicBool::new(false);
    let (written, looks) = std::thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<usize, dynamite_core::Error> {
            let mut written = 0;
            for document in db.query(TABLE).partition_key("webassembly").iter()? {
                let mut document = document?;
                document["seen"] = json!(true);
                db.put_item(TABLE, document)?;
                written += 1;
            }
            done.store(true, Ordering::Release);
            Ok(written)
        });
        let mut looks = 0;
        while !done.load(Ordering::Acquire) && !writer.is_finished() {
            let seen = count(snapshot.query(TABLE).partition_key("webassembly").execute()?.items);
            ensure(seen == 0, "a snapshot sees nothing of what came later")?;
            looks += 1;
        }
        let written = writer.join().map_err(|_| "the writer has panicked")??;
        Ok::<_, Box<dyn Error>>((written, looks))
    })?;
    let seen = count(db.query(TABLE).partition_key("webassembly").execute()?.items);
    ensure(seen == written, "who reads anew sees it all")?;
    println!("snapshot   looked {looks} times, unchanged, while {written} documents were written");
    Ok(())
}

/// All or nothing.
fn transact(db: &DynaMite) -> Outcome<()> {
    let area = "http";
    let before = db.query(TABLE).partition_key(area).count()?;
    let undone = db.transact(|txn| {
        for document in txn.query(TABLE).partition_key(area).iter()? {
            txn.delete_item(TABLE).partition_key(area).sort_key(&document?["feature"]).execute()?;
        }
        let left = txn.query(TABLE).partition_key(area).count()?;
        Err::<(), _>(dynamite_core::Error::abort(format!("{left} are left, on second thoughts I keep them")))
    });
    ensure(undone.is_err(), "the transaction is rolled back")?;
    ensure(db.query(TABLE).partition_key(area).count()? == before, "nothing has happened")?;

    let moved = db.transact(|txn| {
        let mut moved = 0;
        for document in txn.query(TABLE).partition_key(area).sort_key_begins_with("status.").iter()? {
            let mut document = document?;
            txn.delete_item(TABLE).partition_key(area).sort_key(&document["feature"]).execute()?;
            document["area"] = json!("http-status");
            txn.put_item(TABLE, document)?;
            moved += 1;
        }
        Ok(moved)
    })?;
    let there = db.query(TABLE).partition_key("http-status").count()?;
    ensure(
        there == moved && db.query(TABLE).partition_key(area).count()? == before - moved,
        "moved, not copied",
    )?;
    println!("transact   {before} deletes rolled back; {moved} documents moved to another partition at once");
    Ok(())
}

fn statistics(db: &DynaMite) {
    let stats = db.stats();
    println!(
        "\nengine     {} pages hit, {} missed, {} read, {} written, {} commits with {} flushes, {}",
        stats.hits,
        stats.misses,
        stats.pages_read,
        stats.pages_written,
        stats.commits,
        stats.flushes,
        stats.backend.kind,
    );
}

/// Another process writes, one durable put after the other, and is killed in the middle.
fn kill_a_writer(path: &Path) -> Outcome<()> {
    let mut writer =
        Command::new(std::env::current_exe()?).arg(WRITER).arg(path).stdout(Stdio::piped()).spawn()?;
    let acknowledged = count_lines(writer.stdout.take().ok_or("its output is piped")?, KILL_AFTER);
    writer.kill()?;
    writer.wait()?;
    let acknowledged = acknowledged?;

    let begun = Instant::now();
    let db = DynaMite::open(path)?;
    let time = begun.elapsed();
    let found = db.query(TABLE).partition_key("killed").count()?;
    ensure(found >= acknowledged, "every acknowledged put survives")?;
    println!(
        "kill       a process was killed while it wrote: {acknowledged} puts acknowledged, {found} found, opened in {}",
        show(time)
    );
    Ok(db.close()?)
}

/// The process that is killed: says after each put that it is durable.
fn write_until_killed(path: &Path) -> Outcome<()> {
    let db = DynaMite::open(path)?;
    for number in 0_u64.. {
        db.put_item(TABLE, json!({"area": "killed", "feature": format!("{number:09}"), "number": number}))?;
        println!("{number}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

/// Counts lines until there are enough, and says how many there are.
fn count_lines(output: impl std::io::Read, enough: u64) -> Outcome<u64> {
    let mut lines = 0;
    for line in BufReader::new(output).lines() {
        line?;
        lines += 1;
        if lines == enough {
            return Ok(lines);
        }
    }
    Err("the process ended before it was killed".into())
}

fn ensure(holds: bool, promise: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(format!("not true: {promise}").into()) }
}

fn rate(count: usize, time: Duration) -> u64 {
    (count as f64 / time.as_secs_f64()) as u64
}

fn show(time: Duration) -> String {
    format!("{time:.1?}")
}
