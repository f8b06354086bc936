//! Putting items, in the order of their keys, and remembering how far that is.
//!
//! What comes in order is put as it comes. What does not is gathered and sorted; if it is more than the memory holds, it is written down in sorted
//! runs, which are merged at the end of the input. Once there is a run everything goes by it, so that of two items with one key the later one
//! is put later.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::console::target::Target;
use crate::import::input::{At, Input};
use crate::import::parse::{Entry, Parsed, Reject};
use crate::import::runs::Runs;
use crate::import::{Arguments, field};
use crate::transfer::checksum::Content;
use crate::transfer::chunk::Place;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::place::BatchError;
use crate::transfer::resume::ResumeFile;

/// Bytes of a batch, and items in it, about. Larger ones are no faster, and a server takes no larger ones.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_ITEMS: usize = 2000;

/// Runs that are merged at once: each is an open file.
const MAX_RUNS: usize = 200;

/// Puts items into a table.
pub(crate) struct Writer<'w> {
    target: &'w Target,
    table: &'w str,
    input: &'w Input,
    /// Where what is refused goes, if the import is to go on.
    rejects: Option<(File, &'w Path)>,
    reject_count: u64,
    /// What was put.
    content: Content,
    /// Everything before this was put, or is in the runs.
    done: At,
    gathered: Gathered,
    runs: Runs,
    /// How far the runs were put, if that was begun.
    merged: Option<Vec<u8>>,
    interrupt: &'w AtomicBool,
    /// Bytes that may be gathered.
    room: usize,
    resume: Option<ResumeFile>,
    saved: Instant,
    save_interval: Duration,
}

/// What was read, and not put yet.
#[derive(Default)]
struct Gathered {
    entries: Vec<Entry>,
    rejects: Vec<Reject>,
    /// Bytes of memory that the entries take.
    memory: usize,
    end: At,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(
        arguments: &'w Arguments,
        target: &'w Target,
        input: &'w Input,
        interrupt: &'w AtomicBool,
    ) -> Result<Writer<'w>> {
        let resume =
            (arguments.input != Path::new("-")).then(|| ResumeFile::beside(&arguments.input, "import"));
        let mut writer = Writer {
            target,
            table: &arguments.table,
            input,
            rejects: None,
            reject_count: 0,
            content: Content::default(),
            done: At::default(),
            gathered: Gathered::default(),
            runs: Runs::default(),
            merged: None,
            interrupt,
            // The rest is for what is on its way to here.
            room: arguments.place.memory_bytes() / 4,
            resume,
            saved: Instant::now(),
            save_interval: Duration::from_millis(arguments.checkpoint),
        };
        let state = match &writer.resume {
            Some(resume) => resume.load(arguments.resume, arguments.restart)?,
            None if arguments.resume => {
                let message = "the standard input cannot be resumed".to_owned();
                return Err(TransferError::Refused(message));
            }
            None => None,
        };
        if let Some(state) = &state {
            writer.restore(state)?;
        }
        writer.runs.remove_strays(&writer.beside())?;
        if let Some(path) = &arguments.rejects {
            let failed = || TransferError::io("opening", path);
            let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed())?;
            // What was refused behind the place at which this goes on is refused again.
            file.set_len(state.map_or(0, |state| field(&state, "rejects_len"))).map_err(failed())?;
            writer.rejects = Some((file, path));
        }
        if writer.merged.is_some() {
            writer.put_runs()?;
        }
        Ok(writer)
    }

    /// Where the input is to be read from.
    pub(crate) fn start(&self) -> At {
        self.done
    }

    fn restore(&mut self, state: &Value) -> Result<()> {
        if state["table"] != self.table || state["database"] != self.target.database_id() {
            let message = "the import that was interrupted was into another table; --restart begins anew";
            return Err(TransferError::Refused(message.to_owned()));
        }
        let place = Place { offset: field(state, "offset"), line: field(state, "line") };
        self.done = At { file: usize::try_from(field(state, "file")).unwrap_or(usize::MAX), place };
        self.reject_count = field(state, "rejected");
        self.content = Content::restored(&state["content"]);
        let paths = state["runs"].as_array().into_iter().flatten();
        self.runs = Runs::restored(paths.filter_map(Value::as_str).map(PathBuf::from).collect());
        self.merged = state["merged"].as_str().map(|text| STANDARD.decode(text).unwrap_or_default());
        Ok(())
    }

    /// Remembers how far the import is, when all of that is durable.
    pub(crate) fn save(&mut self) -> Result<()> {
        self.saved = Instant::now();
        let Some(resume) = &self.resume else { return Ok(()) };
        self.target.flush()?;
        let mut rejects_len = 0;
        if let Some((file, path)) = &self.rejects {
            let synced = file.sync_all().and_then(|()| file.metadata());
            rejects_len = synced.map_err(TransferError::io("writing", path))?.len();
        }
        resume.save(&json!({
            "table": self.table,
            "database": self.target.database_id(),
            "file": self.done.file,
            "offset": self.done.place.offset,
            "line": self.done.place.line,
            "rejected": self.reject_count,
            "rejects_len": rejects_len,
            "content": self.content.remembered(),
            "runs": self.runs.paths(),
            "merged": self.merged.as_ref().map(|order| STANDARD.encode(order)),
        }))
    }

    /// Takes the items of a piece. Puts what has been gathered if it is in order, and writes it down if there is no more room.
    pub(crate) fn write(&mut self, parsed: Parsed) -> Result<()> {
        let Gathered { entries, rejects, memory, end } = &mut self.gathered;
        *memory += parsed.entries.iter().map(Entry::memory).sum::<usize>();
        entries.extend(parsed.entries);
        rejects.extend(parsed.rejects);
        *end = parsed.end;
        let is_bad = self.rejects.is_none() && !rejects.is_empty();
        let is_full = *memory >= self.room;
        let is_in_order = || self.runs.is_empty() && entries.is_sorted_by(|one, next| one.order < next.order);
        if is_bad || is_in_order() {
            self.put_gathered()?;
        } else if is_full {
            self.write_down()?;
            if self.runs.len() == MAX_RUNS {
                self.put_runs()?;
            }
        }
        Ok(())
    }

    /// Puts everything that was gathered, and what was written down before it.
    fn put_gathered(&mut self) -> Result<()> {
        let Gathered { mut entries, mut rejects, end, .. } = std::mem::take(&mut self.gathered);
        if let Some(first) = rejects.first().filter(|_| self.rejects.is_none()) {
            // What stands before it is put all the same.
            let place = (first.file, first.line);
            entries.retain(|entry| (entry.file, entry.line) < place);
            rejects.truncate(1);
        }
        if !self.runs.is_empty() {
            self.put_runs()?;
        }
        sort(&mut entries);
        batches(&entries).try_for_each(|batch| self.put_batch(batch, &mut rejects))?;
        rejects.sort_by_key(|reject| (reject.file, reject.line));
        self.reject(&rejects)?;
        self.done = end;
        if self.saved.elapsed() >= self.save_interval {
            self.save()?;
        }
        Ok(())
    }

    /// What the names of runs begin with: they lie beside the input, if it is a file.
    fn beside(&self) -> PathBuf {
        let temporary = || std::env::temp_dir().join(format!("dynamite-import-{}", std::process::id()));
        self.resume.as_ref().map_or_else(temporary, |resume| resume.path().to_owned())
    }

    /// Writes down what was gathered, as a run.
    fn write_down(&mut self) -> Result<()> {
        let Gathered { mut entries, rejects, end, .. } = std::mem::take(&mut self.gathered);
        sort(&mut entries);
        self.runs.add(&self.beside(), &entries)?;
        self.reject(&rejects)?;
        self.done = end;
        self.save()
    }

    /// Puts what was written down, from where that was ended before.
    fn put_runs(&mut self) -> Result<()> {
        let mut runs = std::mem::take(&mut self.runs);
        let mut merged = runs.merged(self.merged.take())?;
        let mut put = || {
            let (mut batch, mut bytes) = (Vec::<Entry>::new(), 0);
            while let Some(entry) = merged.next()? {
                bytes += entry.item.as_bytes().len();
                let is_torn = merged.peek() == Some(&entry.order[..]);
                batch.push(entry);
                let is_full = batch.len() >= BATCH_ITEMS || bytes >= BATCH_BYTES;
                if (!is_full || is_torn) && merged.peek().is_some() {
                    continue;
                }
                let mut rejects = Vec::new();
                self.put_batch(&batch, &mut rejects)?;
                self.reject(&rejects)?;
                self.merged = batch.pop().map(|last| last.order);
                (batch, bytes) = (Vec::new(), 0);
                if self.interrupt.load(Ordering::Relaxed) {
                    return Err(TransferError::Interrupted);
                }
                if self.saved.elapsed() >= self.save_interval {
                    self.save_merging(&runs)?;
                }
            }
            Ok(())
        };
        let put = put();
        drop(merged);
        if let Err(TransferError::Interrupted) = put {
            self.save_merging(&runs)?;
        }
        put?;
        self.merged = None;
        // What is not needed any more is forgotten before it is gone.
        self.save()?;
        runs.remove()
    }

    /// Remembers how far the runs were put.
    fn save_merging(&mut self, runs: &Runs) -> Result<()> {
        self.runs = Runs::restored(runs.paths().to_vec());
        let saved = self.save();
        self.runs = Runs::default();
        saved
    }

    /// Puts entries that are in order. Those that are refused become rejects; without a place for these, the first one ends the import.
    fn put_batch(&mut self, batch: &[Entry], rejects: &mut Vec<Reject>) -> Result<()> {
        // The last one of a key is what stays. What has no key is not like anything else.
        let is_last = |&nth: &usize| {
            let order = &batch[nth].order;
            order.is_empty() || batch.get(nth + 1).is_none_or(|next| next.order != *order)
        };
        let mut wanted: Vec<usize> = (0..batch.len()).filter(is_last).collect();
        loop {
            match self.target.put_all(self.table, wanted.iter().map(|&nth| &batch[nth].item)) {
                Ok(()) => break,
                Err(BatchError::Item(nth, error)) => {
                    let Entry { item, file, line, .. } = &batch[wanted.remove(nth)];
                    let text = serde_json::to_string(item).unwrap_or_default();
                    let reject = Reject { file: *file, line: *line, reason: error.to_string(), text };
                    if self.rejects.is_none() {
                        return self.reject(&[reject]);
                    }
                    rejects.push(reject);
                }
                Err(BatchError::Other(error)) => return Err(error.into()),
            }
        }
        wanted.iter().for_each(|&nth| self.content.add(&batch[nth].item));
        Ok(())
    }

    /// Writes down what was refused, or ends the import with it.
    fn reject(&mut self, rejects: &[Reject]) -> Result<()> {
        for Reject { file, line, reason, text } in rejects {
            let name = self.input.name(*file);
            let Some((rejected, path)) = &mut self.rejects else {
                let place = format!("{name}, line {line}");
                return Err(TransferError::Input { place, reason: reason.clone() });
            };
            let reject = json!({"file": name, "line": line, "error": reason, "text": text});
            writeln!(rejected, "{reject}").map_err(TransferError::io("writing", path))?;
            self.reject_count += 1;
        }
        Ok(())
    }

    /// Puts what is left, and makes all of it durable. Returns what was put, and how much was refused.
    pub(crate) fn finish(mut self) -> Result<(Content, u64)> {
        if !self.gathered.entries.is_empty() || !self.gathered.rejects.is_empty() {
            if self.runs.is_empty() {
                self.put_gathered()?;
            } else {
                self.write_down()?;
            }
        }
        if !self.runs.is_empty() {
            self.put_runs()?;
        }
        self.target.flush()?;
        if let Some(resume) = &self.resume {
            resume.remove()?;
        }
        Ok((self.content, self.reject_count))
    }
}

/// Puts entries in order. Those of one key stay in the order of the input.
fn sort(entries: &mut [Entry]) {
    entries.sort_by(|one, other| one.order.cmp(&other.order));
}

/// Entries in order, cut into batches; those of one key are not torn apart.
fn batches(entries: &[Entry]) -> impl Iterator<Item = &[Entry]> {
    let mut left = entries;
    std::iter::from_fn(move || {
        let (mut len, mut bytes) = (0, 0);
        while len < left.len() && (len == 0 || (len < BATCH_ITEMS && bytes < BATCH_BYTES)) {
            bytes += left[len].item.as_bytes().len();
            len += 1;
        }
        while len > 0 && len < left.len() && left[len].order == left[len - 1].order {
            len += 1;
        }
        let (batch, rest) = left.split_at(len);
        left = rest;
        (!batch.is_empty()).then_some(batch)
    })
}
