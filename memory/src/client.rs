//! Asking the owner of the memory.

use std::path::Path;

use dynamite_server::error::Refusal;
use dynamite_server::{ClientError, DynaMiteClient};

use crate::error::{MemoryError, Result};
use crate::key::GLOBAL;
use crate::owner;
use crate::place::Place;
use crate::project;
use crate::request::{Answer, Request, Source};

/// How often a request is tried when owners come and go.
const ATTEMPTS: usize = 4;

/// The memory of a user, as it is seen from a project. It needs a tokio runtime.
///
/// The connection is made when it is needed first, and the owner of the file is started if there is none. It is safe to share between tasks: many
/// requests may be under way at once.
#[derive(Debug)]
pub struct Memory {
    place: Place,
    client: tokio::sync::Mutex<Option<DynaMiteClient>>,
    /// The scope of the project.
    pub project: String,
    /// Who it is that writes.
    pub source: Source,
    /// In which session.
    pub session: Option<String>,
}

impl Memory {
    /// The memory in a file, seen from the project around a directory.
    pub fn new(place: Place, directory: &Path, source: Source) -> Memory {
        let project = project::scope(directory);
        Memory { place, client: tokio::sync::Mutex::default(), project, source, session: None }
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The project's scope, and what holds everywhere.
    pub fn scopes(&self) -> Vec<String> {
        vec![self.project.clone(), GLOBAL.to_owned()]
    }

    /// Asks the owner.
    ///
    /// # Errors
    ///
    /// What the owner says, and [`MemoryError::Unreachable`] or [`MemoryError::Lost`] if nothing could be asked.
    pub async fn ask(&self, request: &Request) -> Result<Answer> {
        let bytes = serde_json::to_vec(request).map_err(|error| MemoryError::Failed(error.to_string()))?;
        let mut attempt = 1;
        loop {
            let client = self.client().await?;
            let answered = match request.is_read() {
                true => client.extended_read(&bytes).await,
                false => client.extended_write(&bytes).await,
            };
            let is_safe = match answered {
                Ok(answer) => {
                    return serde_json::from_slice::<Result<Answer>>(&answer).map_err(|error| {
                        MemoryError::Failed(format!("the owner of the memory is another build: {error}"))
                    })?;
                }
                Err(ClientError::Unreachable { .. } | ClientError::Refused(Refusal::ShuttingDown)) => true,
                Err(ClientError::Lost { .. }) => request.is_repeatable(),
                Err(error) => return Err(MemoryError::Failed(error.to_string())),
            };
            if !is_safe {
                return Err(MemoryError::Lost);
            }
            if attempt == ATTEMPTS {
                return Err(self.place.unreachable("its owner ends as soon as it is asked"));
            }
            attempt += 1;
            self.client.lock().await.take();
        }
    }

    /// The connection; a new one if there is none yet.
    async fn client(&self) -> Result<DynaMiteClient> {
        let mut client = self.client.lock().await;
        if let Some(client) = &*client {
            return Ok(client.clone());
        }
        Ok(client.insert(owner::connect(&self.place).await?).clone())
    }
}

/// The answer of a kind, which the owner gives to the request of that kind.
macro_rules! answer {
    ($memory:expr, $request:expr, $answer:ident) => {
        match $memory.ask(&$request).await? {
            $crate::request::Answer::$answer(answer) => Ok(answer),
            other => {
                Err($crate::error::MemoryError::Failed(format!("an answer to something else: {other:?}")))
            }
        }
    };
}

pub(crate) use answer;
