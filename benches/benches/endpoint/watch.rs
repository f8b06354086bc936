//! Which of many streams have something to be read, by epoll.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::Outcome;

/// Streams that are watched, each under a number, until they are closed.
pub(crate) struct Watch(OwnedFd);

impl Watch {
    pub(crate) fn new() -> Outcome<Watch> {
        Ok(Watch(epoll::create(CreateFlags::CLOEXEC)?))
    }

    pub(crate) fn add(&self, stream: impl AsFd, number: usize) -> Outcome<()> {
        Ok(epoll::add(&self.0, stream, EventData::new_u64(number as u64), EventFlags::IN)?)
    }

    /// Waits until there are some, and gives their numbers.
    pub(crate) fn ready(&self, patience: Option<Duration>) -> Outcome<impl Iterator<Item = usize>> {
        let mut events: Vec<Event> = Vec::with_capacity(64);
        let patience = patience.map(Timespec::try_from).transpose()?;
        epoll::wait(&self.0, rustix::buffer::spare_capacity(&mut events), patience.as_ref())?;
        if events.is_empty() {
            return Err("nothing was answered in time".into());
        }
        Ok(events.into_iter().map(|event| event.data.u64() as usize))
    }
}
