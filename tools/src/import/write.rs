//! Putting items, sorted as far as memory goes, and remembering how far that is.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::console::target::Target;
use crate::import::input::{At, Input};
use crate::import::parse::{Entry, Parsed, Reject};
use crate::import::{Arguments, field};
use crate::transfer::checksum::Content;
use crate::transfer::chunk::Place;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::place::BatchError;
use crate::transfer::resume::ResumeFile;

/// Bytes of a batch, and items in it, about. Larger ones are no faster, and a server takes no larger ones.
const BATCH_BYTES: usize = 1 << 20;
const BATCH_ITEMS: usize = 2000;

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
    /// Everything before this was put.
    done: At,
    gathered: Gathered,
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
    pub(crate) fn new(arguments: &'w Arguments, target: &'w Target, input: &'w Input) -> Result<Writer<'w>> {
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
        if let Some(path) = &arguments.rejects {
            let failed = || TransferError::io("opening", path);
            let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed())?;
            // What was refused behind the place at which this goes on is refused again.
            file.set_len(state.map_or(0, |state| field(&state, "rejects_len"))).map_err(failed())?;
            writer.rejects = Some((file, path));
        }
        Ok(writer)
    }

    /// Where the input is to be read from.
    pub(crate) fn start(&self) -> At {
        self.done
    }

    /// Items that were put so far.
    pub(crate) fn item_count(&self) -> u64 {
        self.content.item_count
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
        }))
    }

    /// Takes the items of a piece, and puts what has been gathered if that is worth it: if it is in order, or if there is no more room.
    pub(crate) fn write(&mut self, parsed: Parsed) -> Result<()> {
        let Gathered { entries, rejects, memory, end } = &mut self.gathered;
        *memory += parsed.entries.iter().map(Entry::memory).sum::<usize>();
        entries.extend(parsed.entries);
        rejects.extend(parsed.rejects);
        *end = parsed.end;
        let is_bad = self.rejects.is_none() && !rejects.is_empty();
        if is_bad || *memory >= self.room || entries.is_sorted_by(|one, next| one.order < next.order) {
            self.put_gathered()?;
        }
        Ok(())
    }

    /// Puts everything that was gathered.
    fn put_gathered(&mut self) -> Result<()> {
        let Gathered { mut entries, mut rejects, end, .. } = std::mem::take(&mut self.gathered);
        if let Some(first) = rejects.first().filter(|_| self.rejects.is_none()) {
            // What stands before it is put all the same.
            let place = (first.file, first.line);
            entries.retain(|entry| (entry.file, entry.line) < place);
            rejects.truncate(1);
        }
        // Those of one key stay in the order of the input.
        entries.sort_by(|one, other| one.order.cmp(&other.order));
        batches(&entries).try_for_each(|batch| self.put_batch(batch, &mut rejects))?;
        rejects.sort_by_key(|reject| (reject.file, reject.line));
        self.reject(&rejects)?;
        self.done = end;
        if self.saved.elapsed() >= self.save_interval {
            self.save()?;
        }
        Ok(())
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
            self.put_gathered()?;
        }
        self.target.flush()?;
        if let Some(resume) = &self.resume {
            resume.remove()?;
        }
        Ok((self.content, self.reject_count))
    }
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
