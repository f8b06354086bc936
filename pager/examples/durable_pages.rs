//! The storage layer at work: pages become durable in groups, are read in batches, stay in place for whoever looks at an
//! older state, and survive a process that is killed in the middle of a commit.
//!
//! `cargo run --release -p dynamite-pager --example durable_pages [-- DIR]`
//!
//! The content is this project's own documentation: each page of the database holds one chunk of it, and a root page
//! leads to all of them. With a directory as its argument, the example keeps its file there while it runs;
//! without one it takes a temporary directory. Either way it cleans up.

#![allow(clippy::print_stdout, reason = "it is there to show something")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use dynamite_pager::{
    Access, Birth, Durability, Extent, Operation, Options, PAYLOAD_SIZE, Page, PageKind, PagePtr, Pager,
    PagerError, Placement, Roots, State, Stats, WriteBatch,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

const DATABASE_ID: [u8; 16] = *b"an example only.";
const ROOT: PageKind = PageKind::FIRST_FOREIGN;
const TEXT: PageKind = PageKind(PageKind::FIRST_FOREIGN.0 + 1);

/// What is stored.
const DOCUMENTS: [&str; 5] = [
    include_str!("../../docs/design-decisions.md"),
    include_str!("../../docs/durability.md"),
    include_str!("../../docs/format.md"),
    include_str!("../../docs/glossary.md"),
    include_str!("../../docs/testing.md"),
];
/// Characters in a page: few, so that there are many pages.
const CHUNK: usize = 150;
/// Bytes of a pointer in the root page.
const POINTER: usize = 12;
/// Pages under the one root.
const CHUNKS_MAX: usize = PAYLOAD_SIZE / POINTER;
/// The page that holds the counter of the process that is killed.
const COUNTER: usize = 0;

/// The argument by which the example starts itself as that process.
const COMMITTER: &str = "--commit-until-killed";
const KILL_AFTER: u64 = 200;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match &arguments[..] {
        [mode, path] if mode == COMMITTER => commit_until_killed(Path::new(path)),
        [] => demonstrate(None),
        [directory] => demonstrate(Some(Path::new(directory))),
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

fn demonstrate(directory: Option<&Path>) -> Outcome<()> {
    let mut place = tempfile::Builder::new();
    place.prefix("durable-pages-");
    // Removed when it goes out of scope, also after an error.
    let directory = match directory {
        Some(directory) => place.tempdir_in(directory)?,
        None => place.tempdir()?,
    };
    let path = directory.path().join("pages.dynamite");
    let chunks = chunks();
    println!("{} bytes of text, {} pages, in {}\n", chunks.concat().len(), chunks.len(), path.display());

    let pager = Options::new().create(&path, DATABASE_ID)?;
    fill(&pager, &chunks)?;
    commit_in_groups(&pager, &chunks)?;
    stable_view(&pager, &chunks)?;
    print_stats("The handle that wrote", &pager.stats());
    pager.close()?;

    read_back(&path, &chunks)?;
    kill_a_committer(&path, &chunks)?;
    println!("\nAll as promised.");
    Ok(directory.close()?)
}

/// The documents, cut into pieces that end between characters.
fn chunks() -> Vec<String> {
    let text: Vec<char> = DOCUMENTS.concat().chars().collect();
    let pieces = text.chunks(CHUNK).map(|piece| piece.iter().collect::<String>());
    let mut chunks: Vec<String> = vec!["0".into()];
    chunks.extend(pieces.take(CHUNKS_MAX - 1));
    chunks
}

/// One batch: a page for each chunk, and the root that leads to them.
fn fill(pager: &Pager, chunks: &[String]) -> Outcome<()> {
    let begun = Instant::now();
    let mut batch = pager.begin()?;
    let root = batch.allocate(ROOT, 1, Placement::Together)?;
    for (index, chunk) in chunks.iter().enumerate() {
        let page = batch.allocate(TEXT, 0, Placement::Together)?;
        put_text(batch.page_mut(page), chunk);
        put_pointer(batch.page_mut(root), index, page);
    }
    batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
    batch.commit()?;
    println!("filled         {:>6} pages in one commit: {}", chunks.len(), time(begun.elapsed()));
    Ok(())
}

/// Copies a page, and the root above it, and changes the copies.
fn replace(batch: &mut WriteBatch<'_>, index: usize, text: &str) -> Outcome<()> {
    let root = batch.roots().catalog.ok_or("there is no root")?;
    let root = batch.writable(root, Placement::Together)?;
    let old = pointer(batch.page_mut(root), index);
    let page = batch.writable(old, Placement::Hole)?;
    put_text(batch.page_mut(page), text);
    put_pointer(batch.page_mut(root), index, page);
    batch.set_roots(Roots { catalog: Some(root), ..batch.roots() });
    batch.end_operation()?;
    Ok(())
}

/// The same changes, one by one and in groups.
fn commit_in_groups(pager: &Pager, chunks: &[String]) -> Outcome<()> {
    for group in [1, 10, 100] {
        let (begun, before) = (Instant::now(), pager.stats().flushes);
        for batches in (0..200).collect::<Vec<usize>>().chunks(group) {
            for number in batches {
                let index = 1 + number % (chunks.len() - 1);
                let mut batch = pager.begin()?;
                replace(&mut batch, index, &chunks[index])?;
                batch.finish(Durability::Immediate)?;
            }
            pager.commit_group()?;
        }
        let flushes = pager.stats().flushes - before;
        ensure(flushes == 200 / group as u64, "a group is one flush")?;
        let each = begun.elapsed() / 200;
        println!(
            "changed           200 pages in groups of {group:>3}: {} each, {flushes} flushes",
            time(each)
        );
    }
    Ok(())
}

/// A reader looks at one state while a writer makes many more.
fn stable_view(pager: &Pager, chunks: &[String]) -> Outcome<()> {
    let (mut operation, state) = pager.enter()?;
    let writer = std::thread::scope(|scope| {
        let writer = scope.spawn(|| -> Result<Birth, String> {
            let mut newest = state.birth;
            for round in 0..50 {
                let mut batch = pager.begin().map_err(|error| error.to_string())?;
                let text = format!("written in round {round}");
                replace(&mut batch, 1 + round % 5, &text).map_err(|error| error.to_string())?;
                newest = batch.commit().map_err(|error| error.to_string())?;
            }
            Ok(newest)
        });
        writer.join().map_err(|_| "the writer has panicked")
    })??;
    ensure(read_all(&mut operation, state)? == chunks, "the old state is as it was")?;
    drop(operation);
    let (mut operation, state) = pager.enter()?;
    ensure(state.birth == writer, "a new reader sees the last commit")?;
    ensure(read_all(&mut operation, state)?[1].starts_with("written in"), "and what it wrote")?;
    drop(operation);
    let mut batch = pager.begin()?;
    for (index, chunk) in chunks.iter().enumerate().take(6).skip(1) {
        replace(&mut batch, index, chunk)?;
    }
    batch.commit()?;
    println!(
        "stable view    a reader saw its own state while 50 commits went by, and the last of them after that"
    );
    Ok(())
}

/// Reads everything from the disk, with nothing in the pool to begin with.
fn read_back(path: &Path, chunks: &[String]) -> Outcome<()> {
    for ahead in [false, true] {
        let pager = Options::new().open(path)?;
        let begun = Instant::now();
        let (mut operation, state) = pager.enter()?;
        let pointers = pointers(&mut operation, state)?;
        let mut found = vec![String::new(); pointers.len()];
        if ahead {
            operation.prefetch(&pointers);
            for (text, pointer) in found.iter_mut().zip(&pointers) {
                *text = read_text(&*operation.read(*pointer, Access::Scan)?);
            }
        } else {
            operation.read_many(&pointers, Access::Scan, |index, page| {
                found[index] = read_text(page);
                Ok::<(), PagerError>(())
            })?;
        }
        let how = if ahead { "read one by one, with read-ahead" } else { "read as one batch" };
        ensure(found == chunks, "what was written comes back")?;
        println!("read back      {:>6} pages, {how}: {}", found.len(), time(begun.elapsed()));
        drop(operation);
        if ahead {
            print_stats("The handle that read ahead", &pager.stats());
        }
    }
    Ok(())
}

/// Lets another process commit, kills it, and looks at what it left.
fn kill_a_committer(path: &Path, chunks: &[String]) -> Outcome<()> {
    let mut child =
        Command::new(std::env::current_exe()?).arg(COMMITTER).arg(path).stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(child.stdout.take().ok_or("no pipe")?).lines();
    let mut acknowledged = 0;
    for line in lines {
        let Ok(number) = line?.parse() else { break };
        acknowledged = number;
        if acknowledged == KILL_AFTER {
            // SIGKILL. What it says until then is still in the pipe.
            child.kill()?;
        }
    }
    child.wait()?;
    ensure(acknowledged >= KILL_AFTER, "the child came so far")?;

    let begun = Instant::now();
    let pager = Options::new().open(path)?;
    let opened = begun.elapsed();
    let (mut operation, state) = pager.enter()?;
    let found = read_all(&mut operation, state)?;
    drop(operation);
    let counter: u64 = found[COUNTER].parse()?;
    println!(
        "\nkilled         a process whose {acknowledged} commits were acknowledged; {counter} are there"
    );
    println!("               opened in {}", time(opened));
    ensure(counter == acknowledged || counter == acknowledged + 1, "no acknowledged commit is lost")?;
    ensure(found[1..] == chunks[1..], "and nothing else has changed")?;
    let pages = audit(&pager)?;
    println!("census         {pages} pages, each of them a header, free, or reached exactly once");
    pager.close()?;
    Ok(())
}

/// The process that is killed.
fn commit_until_killed(path: &Path) -> Outcome<()> {
    let pager = Options::new().open(PathBuf::from(path))?;
    let mut out = std::io::stdout();
    for number in 1_u64.. {
        let mut batch = pager.begin()?;
        replace(&mut batch, COUNTER, &number.to_string())?;
        batch.commit()?;
        writeln!(out, "{number}")?;
    }
    Ok(())
}

/// Counts every page of the file once.
fn audit(pager: &Pager) -> Outcome<u64> {
    let mut census = pager.census()?;
    let pages = census.page_count();
    let root = census.roots().catalog.ok_or("there is no root")?;
    let mut page = Page::zeroed();
    if census.mark(Extent::single(root.id)) && census.read(root, &mut page) {
        let mut text = Page::zeroed();
        for index in 0..page.slot_count().into() {
            let pointer = pointer(&page, index);
            if census.mark(Extent::single(pointer.id)) {
                census.read(pointer, &mut text);
            }
        }
    }
    match census.finish().first() {
        None => Ok(pages),
        Some(finding) => Err(finding.to_string().into()),
    }
}

fn read_all(operation: &mut Operation<'_>, state: State) -> Outcome<Vec<String>> {
    let pointers = pointers(operation, state)?;
    let mut texts = Vec::with_capacity(pointers.len());
    for pointer in pointers {
        texts.push(read_text(&*operation.read(pointer, Access::Scan)?));
    }
    Ok(texts)
}

fn pointers(operation: &mut Operation<'_>, state: State) -> Outcome<Vec<PagePtr>> {
    let root = operation.read(state.roots.catalog.ok_or("there is no root")?, Access::Point)?;
    Ok((0..root.slot_count().into()).map(|index| pointer(&root, index)).collect())
}

fn pointer(root: &Page, index: usize) -> PagePtr {
    let bytes = root.payload()[index * POINTER..].first_chunk().expect("the root is that large");
    PagePtr::from_bytes(bytes)
}

fn put_pointer(root: &mut Page, index: usize, to: PagePtr) {
    root.payload_mut()[index * POINTER..][..POINTER].copy_from_slice(&to.to_bytes());
    let slots = root.slot_count().max(index as u16 + 1);
    root.set_slot_count(slots);
}

/// A page of text: its length, then its bytes.
fn put_text(page: &mut Page, text: &str) {
    let payload = page.payload_mut();
    payload[..2].copy_from_slice(&(text.len() as u16).to_le_bytes());
    payload[2..][..text.len()].copy_from_slice(text.as_bytes());
}

fn read_text(page: &Page) -> String {
    let payload = page.payload();
    let len = u16::from_le_bytes([payload[0], payload[1]]).into();
    String::from_utf8_lossy(payload[2..].get(..len).unwrap_or_default()).into_owned()
}

fn ensure(holds: bool, promise: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(format!("this does not hold: {promise}").into()) }
}

fn time(duration: Duration) -> String {
    format!("{:.1?}", duration)
}

fn print_stats(title: &str, stats: &Stats) {
    println!("\n{title} ({}, {}):", stats.backend.kind, stats.backend.reason);
    let rows = [
        ("page hits", stats.hits),
        ("page misses", stats.misses),
        ("pages read", stats.pages_read),
        ("  of them ahead", stats.prefetched),
        ("pages written", stats.pages_written),
        ("zeroed ahead", stats.zeroed_pages),
        ("commits", stats.commits),
        ("  with two flushes", stats.large_commits),
        ("flushes", stats.flushes),
        ("pages in the file", stats.page_count),
        ("  of them free", stats.free_pages.unwrap_or_default()),
    ];
    for (name, value) in rows {
        println!("  {name:<20} {value:>8}");
    }
}
