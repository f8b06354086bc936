//! How far a transfer had come when it ended before its end: a small file beside the input or the output.
//!
//! It is replaced as a whole, and only after what it tells of is durable, so that whatever ends the process, it never says too much. What it
//! does not say is done again: puts that are done twice change nothing, and outputs are cut to what it knows of.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::transfer::error::{Result, TransferError};

/// The file.
#[derive(Debug)]
pub(crate) struct ResumeFile {
    path: PathBuf,
}

impl ResumeFile {
    /// The one of this name.
    #[cfg(feature = "endpoint")]
    pub(crate) fn at(path: &Path) -> ResumeFile {
        ResumeFile { path: path.to_owned() }
    }

    /// The one beside a file of the transfer.
    pub(crate) fn beside(file: &Path, extension: &str) -> ResumeFile {
        let mut name = file.as_os_str().to_owned();
        name.push(".");
        name.push(extension);
        ResumeFile { path: name.into() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it says. That there is one must have been expected, and that there is none as well.
    pub(crate) fn load(&self, resume: bool, restart: bool) -> Result<Option<Value>> {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(TransferError::io("reading", &self.path)(error)),
        };
        match (resume, restart) {
            (_, true) => Ok(None),
            (true, false) => {
                let value = serde_json::from_str(&text).map_err(|error| TransferError::Input {
                    place: self.path.display().to_string(),
                    reason: format!(
                        "this does not say how far the transfer was ({error}); --restart begins anew"
                    ),
                })?;
                Ok(Some(value))
            }
            (false, false) => Err(TransferError::Refused(format!(
                "this was begun before, as {} says; --resume goes on, --restart begins anew",
                self.path.display()
            ))),
        }
    }

    /// Replaces what it says.
    pub(crate) fn save(&self, state: &Value) -> Result<()> {
        let mut new = self.path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        let write = || {
            let mut file = File::create(&new)?;
            writeln!(file, "{state}")?;
            file.sync_all()?;
            fs::rename(&new, &self.path)
        };
        write().map_err(TransferError::io("writing", &self.path))
    }

    /// The transfer is done.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(TransferError::io("removing", &self.path)(error))
            }
            _ => Ok(()),
        }
    }
}
