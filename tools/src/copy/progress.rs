//! How far a copy is, in a file that is there until the copy is done.
//!
//! It is written before anything is copied, so that a place where it cannot be is known at once. Between what tables it was begun is in it; a copy between others does not go on with it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::copy::CopyArguments;
use crate::copy::error::Result;
use crate::transfer::error::TransferError;
use crate::transfer::resume::ResumeFile;

/// How far a copy is.
pub(crate) struct Progress {
    file: ResumeFile,
    /// From which table to which.
    between: Value,
    saved: Instant,
    interval: Duration,
}

impl Progress {
    /// Begins, or goes on if that is asked for. Returns what was saved last.
    pub(crate) fn open(arguments: &CopyArguments, between: Value) -> Result<(Progress, Option<Value>)> {
        let file = match &arguments.state {
            Some(path) => ResumeFile::at(path),
            None => ResumeFile::beside(Path::new(&arguments.tables.table), "copy"),
        };
        let state = file.load(arguments.resume, arguments.restart)?;
        if state.as_ref().is_some_and(|state| state["between"] != between) {
            let message = "the copy that was interrupted was between other tables; --restart begins anew";
            return Err(TransferError::Refused(message.to_owned()).into());
        }
        let interval = Duration::from_millis(arguments.checkpoint);
        let progress = Progress { file, between, saved: Instant::now(), interval };
        Ok((progress, state.map(|mut state| state["progress"].take())))
    }

    /// Whether it is time to save it.
    pub(crate) fn is_due(&self) -> bool {
        self.saved.elapsed() >= self.interval
    }

    /// Saves it. All that it tells of is durable.
    pub(crate) fn save(&mut self, progress: &Value) -> Result<()> {
        self.saved = Instant::now();
        Ok(self.file.save(&json!({"between": self.between, "progress": progress}))?)
    }

    /// The copy is done.
    pub(crate) fn remove(&self) -> Result<()> {
        Ok(self.file.remove()?)
    }
}
