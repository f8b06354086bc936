//! The time by which an operation judges what has expired, so that it judges all items alike.

use std::cell::Cell;
use std::fmt;

use dynamite_txn::Clock;

/// A time that stays what it is: asked of the clock when it is first needed, since most operations never need it.
#[derive(Clone)]
pub(crate) struct Moment<'c> {
    ms: Cell<Option<u64>>,
    /// `None` if the time was given.
    clock: Option<&'c dyn Clock>,
}

impl<'c> Moment<'c> {
    /// Now: the time at which it is first asked for.
    pub(crate) fn now(clock: &'c dyn Clock) -> Moment<'c> {
        Moment { ms: Cell::new(None), clock: Some(clock) }
    }

    /// A time that is known, in milliseconds since 1970.
    pub(crate) fn at(ms: u64) -> Moment<'static> {
        Moment { ms: Cell::new(Some(ms)), clock: None }
    }

    /// The time in milliseconds since 1970.
    pub(crate) fn ms(&self) -> u64 {
        self.ms.get().unwrap_or_else(|| {
            let now = self.clock.map_or(0, |clock| clock.now_ms());
            self.ms.set(Some(now));
            now
        })
    }

    /// The time in whole seconds since 1970.
    pub(crate) fn seconds(&self) -> u64 {
        self.ms() / 1000
    }
}

impl fmt::Debug for Moment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Moment").field(&self.ms.get()).finish()
    }
}
