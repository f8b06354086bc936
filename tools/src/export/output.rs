//! Where an export goes, and how far it is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use csv::StringRecord;
use dynamite_core::Item;
use dynamite_core::json::{item_from_json, item_to_json};
use md5::{Digest, Md5};
use serde_json::{Value, json};

use crate::console::target::Target;
use crate::console::time;
use crate::export::Arguments;
use crate::export::render::{Rendered, compressed, csv_line};
use crate::transfer::checksum::Content;
use crate::transfer::columns::Columns;
use crate::transfer::error::{Result, TransferError};
use crate::transfer::format::Format;
use crate::transfer::resume::ResumeFile;
use crate::transfer::s3_export::{self, DataFile, Described};

/// The output of an export.
pub(crate) struct Output<'o> {
    arguments: &'o Arguments,
    kind: Kind,
    /// The file that is being written.
    file: Option<Part>,
    content: Content,
    /// The key of the last item that was written.
    after: Option<Item>,
    columns: Option<Columns>,
    resume: Option<ResumeFile>,
    saved: Instant,
    database_id: String,
}

enum Kind {
    Stdout,
    /// The file has another name until it is complete.
    File {
        partial: PathBuf,
    },
    /// As DynamoDB's export to S3 has it.
    Directory {
        directory: PathBuf,
        files: Vec<DataFile>,
        start: String,
    },
}

/// A file under way.
struct Part {
    path: PathBuf,
    file: File,
    len: u64,
    item_count: u64,
    md5: Md5,
}

impl<'o> Output<'o> {
    pub(crate) fn open(arguments: &'o Arguments, format: Format, target: &Target) -> Result<Output<'o>> {
        let path = &arguments.output;
        let is_stdout = path == Path::new("-");
        let resume = (!is_stdout).then(|| ResumeFile::beside(path, "export"));
        let state = match &resume {
            Some(resume) => resume.load(arguments.resume, arguments.restart)?,
            None if arguments.resume => {
                return Err(TransferError::Refused("the standard output cannot be resumed".to_owned()));
            }
            None => None,
        };
        let database_id = target.database_id();
        let kind = match format {
            Format::Dynamodb if is_stdout || is_data_file(path) => Kind::of_file(path),
            Format::Dynamodb => Kind::of_directory(path, &database_id, state.as_ref())?,
            _ => Kind::of_file(path),
        };
        let mut output = Output {
            arguments,
            kind,
            file: None,
            content: Content::default(),
            after: None,
            columns: None,
            resume,
            saved: Instant::now(),
            database_id,
        };
        if path.exists() && matches!(output.kind, Kind::File { .. }) {
            return Err(TransferError::Refused(format!("{} is there already", path.display())));
        }
        if let Some(state) = &state {
            output.restore(state)?;
        } else if let Kind::File { partial } = &output.kind {
            output.file = Some(Part::create(partial)?);
        }
        Ok(output)
    }

    fn restore(&mut self, state: &Value) -> Result<()> {
        if state["table"] != self.arguments.table || state["database"] != self.database_id {
            let message = "the export that was interrupted was of another table; --restart begins anew";
            return Err(TransferError::Refused(message.to_owned()));
        }
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let damaged = |reason: &str| TransferError::Input {
            place: format!("{}.export", self.arguments.output.display()),
            reason: format!("{reason}; --restart begins anew"),
        };
        self.content = Content::restored(&state["content"]);
        if !state["after"].is_null() {
            let after =
                item_from_json(state["after"].clone()).map_err(|error| damaged(&error.to_string()))?;
            self.after = Some(after);
        }
        if let Some(headings) = state["columns"].as_array() {
            let headings: StringRecord = headings.iter().filter_map(Value::as_str).collect();
            self.columns = Some(Columns::of_headings(&headings, &[]).map_err(|error| damaged(&error))?);
        }
        if let Kind::Directory { files, .. } = &mut self.kind {
            for file in state["files"].as_array().into_iter().flatten() {
                let text = |name: &str| file[name].as_str().unwrap_or_default().to_owned();
                let item_count = number(&file["items"]);
                files.push(DataFile { path: text("path").into(), item_count, md5: text("md5") });
            }
        }
        if let Some(path) = state["part"]["path"].as_str() {
            self.file = Some(Part::reopen(
                path.into(),
                number(&state["part"]["len"]),
                number(&state["part"]["items"]),
            )?);
        }
        Ok(())
    }

    pub(crate) fn content(&self) -> Content {
        self.content
    }

    /// The key behind which the export goes on.
    pub(crate) fn after(&self) -> Option<&Item> {
        self.after.as_ref()
    }

    /// The columns of an export that goes on.
    pub(crate) fn columns(&self) -> Option<Columns> {
        self.columns.clone()
    }

    /// Whether what is written has to be compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        matches!(self.kind, Kind::Directory { .. })
            || self.arguments.output.extension().is_some_and(|extension| extension == "gz")
    }

    /// Writes the headings of CSV, if they are not there.
    pub(crate) fn head(&mut self, columns: &Columns) -> Result<()> {
        if self.columns.is_none() {
            let line = csv_line(&columns.headings());
            self.put(&if self.is_compressed() { compressed(&line) } else { line })?;
            self.columns = Some(columns.clone());
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, rendered: Rendered) -> Result<()> {
        let Rendered { text, content, last } = rendered;
        let file_items = self.arguments.file_items;
        if self.file.as_ref().is_some_and(|part| part.item_count >= file_items) {
            self.end_data_file()?;
        }
        self.put(&text)?;
        if let Some(part) = &mut self.file {
            part.item_count += content.item_count;
        }
        self.content.add_all(content);
        self.after = Some(last);
        if self.saved.elapsed() >= Duration::from_millis(self.arguments.checkpoint) {
            self.save()?;
        }
        Ok(())
    }

    fn put(&mut self, text: &[u8]) -> Result<()> {
        if let (Kind::Directory { directory, files, .. }, None) = (&self.kind, &self.file) {
            let path = directory.join("data").join(format!("{:06}.json.gz", files.len()));
            self.file = Some(Part::create(&path)?);
        }
        match &mut self.file {
            Some(part) => {
                part.file.write_all(text).map_err(TransferError::io("writing", &part.path))?;
                part.len += text.len() as u64;
                part.md5.update(text);
                Ok(())
            }
            None => {
                let written = io::stdout().lock().write_all(text);
                written.map_err(TransferError::io("writing", Path::new("the standard output")))
            }
        }
    }

    /// Ends the data file under way, so that the next item begins another one.
    fn end_data_file(&mut self) -> Result<()> {
        if let (Kind::Directory { files, .. }, Some(part)) = (&mut self.kind, self.file.take_if(|_| true)) {
            part.file.sync_all().map_err(TransferError::io("writing", &part.path))?;
            let md5 = STANDARD.encode(part.md5.finalize());
            files.push(DataFile { path: part.path, item_count: part.item_count, md5 });
        }
        Ok(())
    }

    /// Remembers how far the export is, when all of that is on the disk.
    pub(crate) fn save(&mut self) -> Result<()> {
        self.saved = Instant::now();
        let Some(resume) = &self.resume else { return Ok(()) };
        if let Some(part) = &self.file {
            part.file.sync_all().map_err(TransferError::io("writing", &part.path))?;
        }
        let (directory, start, files) = match &self.kind {
            Kind::Directory { directory, files, start } => (Some(directory), Some(start), &files[..]),
            _ => (None, None, &[][..]),
        };
        let file = |file: &DataFile| json!({"path": file.path, "items": file.item_count, "md5": file.md5});
        let headings = self.columns.as_ref().map(|columns| columns.headings());
        resume.save(&json!({
            "table": self.arguments.table,
            "database": self.database_id,
            "after": self.after.clone().map(item_to_json),
            "content": self.content.remembered(),
            "columns": headings.map(|headings| headings.iter().map(str::to_owned).collect::<Vec<_>>()),
            "part": self.file.as_ref().map(|part| json!({"path": part.path, "len": part.len, "items": part.item_count})),
            "directory": directory,
            "start": start,
            "files": files.iter().map(file).collect::<Vec<_>>(),
        }))
    }

    /// Completes the output. Returns what is in it.
    pub(crate) fn finish(mut self) -> Result<Content> {
        match &self.kind {
            Kind::Stdout => {
                let flushed = io::stdout().lock().flush();
                flushed.map_err(TransferError::io("writing", Path::new("the standard output")))?;
            }
            Kind::File { partial } => {
                let output = &self.arguments.output;
                if let Some(part) = &self.file {
                    part.file.sync_all().map_err(TransferError::io("writing", partial))?;
                }
                fs::rename(partial, output).map_err(TransferError::io("renaming", partial))?;
            }
            Kind::Directory { .. } => {
                self.end_data_file()?;
                self.describe()?;
            }
        }
        if let Some(resume) = &self.resume {
            resume.remove()?;
        }
        Ok(self.content)
    }

    fn describe(&self) -> Result<()> {
        let Kind::Directory { directory, files, start } = &self.kind else { return Ok(()) };
        let described = Described {
            table: &self.arguments.table,
            start: start.clone(),
            end: time::format_ms(now_ms()),
            item_count: self.content.item_count,
            bytes: self.content.bytes,
            files,
        };
        s3_export::write_manifests(directory, &described)
    }
}

impl Kind {
    fn of_file(path: &Path) -> Kind {
        if path == Path::new("-") {
            return Kind::Stdout;
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        Kind::File { partial: partial.into() }
    }

    fn of_directory(path: &Path, database_id: &str, state: Option<&Value>) -> Result<Kind> {
        let known = |name: &str| state.and_then(|state| state[name].as_str());
        if let (Some(directory), Some(start)) = (known("directory"), known("start")) {
            return Ok(Kind::Directory {
                directory: directory.into(),
                files: Vec::new(),
                start: start.to_owned(),
            });
        }
        let now = now_ms();
        let directory = s3_export::create(path, now, database_id)?;
        Ok(Kind::Directory { directory, files: Vec::new(), start: time::format_ms(now) })
    }
}

/// Whether a path is to be one file of DynamoDB JSON, and no directory.
fn is_data_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    name.ends_with(".json") || name.ends_with(".json.gz")
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Part {
    fn create(path: &Path) -> Result<Part> {
        let file = File::create(path).map_err(TransferError::io("creating", path))?;
        Ok(Part { path: path.to_owned(), file, len: 0, item_count: 0, md5: Md5::new() })
    }

    /// A file that was begun, without what nobody knows of.
    fn reopen(path: PathBuf, len: u64, item_count: u64) -> Result<Part> {
        let open = || {
            let mut file = OpenOptions::new().read(true).append(true).open(&path)?;
            if file.metadata()?.len() < len {
                return Err(io::Error::other("it is shorter than it was; --restart begins anew"));
            }
            file.set_len(len)?;
            let md5 = s3_export::hashed(&mut file)?;
            Ok((file, md5))
        };
        let (file, md5) = open().map_err(TransferError::io("opening", &path))?;
        Ok(Part { path, file, len, item_count, md5 })
    }
}
