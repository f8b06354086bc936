//! Calling an operation, and calling it again where that is safe.

use std::pin::pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use dynamite_core::api::{Consumed, ConsumedEntry};
use tokio::time::Instant;

use crate::client::connection::{Connection, NoAnswer, Replies, Reply};
use crate::client::snapshot::Held;
use crate::client::{DynaMiteClient, Shared};
use crate::error::{ClientError, Result};
use crate::frame::Kind;
use crate::protocol::fault::{Failure, Fault};
use crate::protocol::operation::Counted;
use crate::protocol::terms::At;
use crate::protocol::{self, Operation};

/// The first pause before another attempt, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

/// Whether an operation may be done twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It only reads, or does once what is asked twice.
    Safe,
    /// It may have been done.
    Never,
}

/// How long an operation may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// As long as the client says.
    Usual,
    /// As long as it takes.
    None,
}

/// Where an operation goes: to the server, or to a state that a connection holds.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) client: DynaMiteClient,
    pub(crate) held: Option<Arc<Held>>,
    /// Collects what is consumed, for who asks.
    pub(crate) consumed: Option<Consumed>,
}

impl Route {
    pub(crate) fn at(&self) -> At {
        self.held.as_ref().map_or(At::Newest, |held| At::Held(held.handle()))
    }

    /// Calls what only reads.
    pub(crate) fn read<O: Operation, R>(
        &self,
        operation: &O,
        with: impl FnOnce(O::Answer<'_>) -> Result<R>,
    ) -> impl Future<Output = Result<R>> {
        self.call(operation, Repeat::Safe, Limit::Usual, with)
    }

    /// Calls what writes.
    pub(crate) fn write<O: Operation, R>(
        &self,
        operation: &O,
        with: impl FnOnce(O::Answer<'_>) -> Result<R>,
    ) -> impl Future<Output = Result<R>> {
        self.call(operation, Repeat::Never, Limit::Usual, with)
    }

    pub(crate) async fn call<O: Operation, R>(
        &self,
        operation: &O,
        repeat: Repeat,
        limit: Limit,
        with: impl FnOnce(O::Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let Some(consumed) = &self.consumed else {
            return self.call_as_it_is(operation, repeat, limit, with).await;
        };
        let counted = |(entries, answer): (Vec<ConsumedEntry>, O::Answer<'_>)| {
            consumed.extend(entries);
            with(answer)
        };
        self.call_as_it_is(&Counted(operation), repeat, limit, counted).await
    }

    async fn call_as_it_is<O: Operation, R>(
        &self,
        operation: &O,
        repeat: Repeat,
        limit: Limit,
        with: impl FnOnce(O::Answer<'_>) -> Result<R>,
    ) -> Result<R> {
        let answered = pin!(async {
            match &self.held {
                Some(held) => Ok(held.connection.call(operation).await?),
                None => self.client.shared.call(operation, repeat).await.map(|(_, reply)| reply),
            }
        });
        let Reply { kind, body, .. } = match limit {
            Limit::Usual => within(self.client.shared.options.timeout, answered).await?,
            Limit::None => answered.await?,
        };
        match kind {
            Kind::Answer => with(protocol::decode(&body)?),
            _ => Err(failure(&body)),
        }
    }

    /// Begins a streamed result.
    pub(crate) async fn stream<O: Operation>(&self, operation: &O) -> Result<Replies> {
        match &self.held {
            Some(held) => Ok(held.connection.stream(operation)?),
            None => self.client.shared.stream(operation).await,
        }
    }
}

/// The error in the body of an error's frame.
pub(crate) fn failure(body: &[u8]) -> ClientError {
    match protocol::decode::<Fault<'_>>(body).map(Fault::into_failure) {
        Ok(Failure::Database(error)) => ClientError::Database(error),
        Ok(Failure::Refused(refusal)) => ClientError::Refused(refusal),
        Err(error) => ClientError::Protocol(error),
    }
}

/// Gives up after some time.
pub(crate) async fn within<R>(time: Duration, work: impl Future<Output = Result<R>>) -> Result<R> {
    match tokio::time::timeout(time, work).await {
        Ok(result) => result,
        Err(_) => Err(ClientError::TimedOut { after: time }),
    }
}

impl Shared {
    pub(crate) fn current(&self) -> Arc<Connection> {
        // It is replaced in one step.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls an operation, and says over which connection the answer came.
    pub(crate) async fn call<O: Operation>(
        &self,
        operation: &O,
        repeat: Repeat,
    ) -> Result<(Arc<Connection>, Reply)> {
        loop {
            let connection = self.connection().await?;
            match connection.call(operation).await {
                Err(NoAnswer::Unsent(_)) => {}
                Err(NoAnswer::Other(ClientError::Lost { .. })) if repeat == Repeat::Safe => {}
                answered => return Ok((connection, answered?)),
            }
        }
    }

    async fn stream<O: Operation>(&self, operation: &O) -> Result<Replies> {
        loop {
            match self.connection().await?.stream(operation) {
                Err(NoAnswer::Unsent(_)) => {}
                begun => return Ok(begun?),
            }
        }
    }

    /// A connection that was alive a moment ago.
    pub(crate) async fn connection(&self) -> Result<Arc<Connection>> {
        let connection = self.current();
        // By itself, since each request would have room for what is seldom done.
        if connection.is_ended() { Box::pin(self.reconnect()).await } else { Ok(connection) }
    }

    #[cold]
    async fn reconnect(&self) -> Result<Arc<Connection>> {
        let _turn = self.reconnecting.lock().await;
        let lost = self.current();
        if !lost.is_ended() {
            // Somebody else was faster.
            return Ok(lost);
        }
        let until = Instant::now() + self.options.reconnect_for;
        let (mut pause, longest) = PAUSES;
        loop {
            match Connection::open(&self.path).await {
                Ok(connection) if connection.identity.database != lost.identity.database => {
                    let reason = "another database is served there now".to_owned();
                    return Err(ClientError::Unreachable { path: self.path.clone(), reason });
                }
                Ok(connection) => {
                    *self.connection.lock().unwrap_or_else(PoisonError::into_inner) = connection.clone();
                    return Ok(connection);
                }
                Err(error) if Instant::now() + pause > until => return Err(error),
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(longest);
        }
    }
}
