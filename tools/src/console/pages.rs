//! What `MORE` goes on with: the pages of a query, a scan or a SELECT.

use std::sync::atomic::AtomicBool;

use dynamite_core::api::Consumed;

use crate::console::answer::Answer;
use crate::console::error::Result;
use crate::console::reading::{Portion, Reading};
use crate::console::selecting::Selecting;
use crate::console::target::Target;

/// A read by pages, and how far it is.
#[derive(Debug)]
pub(crate) enum Pages {
    Reading(Box<Reading>),
    Selecting(Selecting),
}

impl Pages {
    /// Reads a page of so many items, or counts those that there are among `limit`, if that is asked for.
    pub(crate) fn next(
        &mut self,
        target: &Target,
        size: usize,
        limit: Option<usize>,
        interrupt: &AtomicBool,
        consumed: Option<&Consumed>,
    ) -> Result<Portion> {
        match self {
            Pages::Reading(reading) if reading.counts() => reading.count(target, limit, interrupt, consumed),
            Pages::Reading(reading) => reading.page(target, size, interrupt, consumed),
            Pages::Selecting(selecting) => selecting.page(target, size, interrupt, consumed),
        }
    }

    /// Whether all has been read.
    pub(crate) fn is_done(&self) -> bool {
        match self {
            Pages::Reading(reading) => reading.is_done(),
            Pages::Selecting(selecting) => selecting.is_done(),
        }
    }

    /// What is said of what was read last; `goes_on` says that the rest follows by itself.
    pub(crate) fn answer(&self, portion: Portion, goes_on: bool) -> Answer {
        match self {
            Pages::Reading(reading) => reading.answer(portion, goes_on),
            Pages::Selecting(selecting) => selecting.answer(portion),
        }
    }
}
