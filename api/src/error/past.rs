//! Moments of the past, as errors speak of them.

use std::fmt;

/// A moment of the past, as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum PastMoment {
    /// After the transaction of a version.
    Version(u64),
    /// At a time, in milliseconds since 1970.
    TimeMs(u64),
}

impl fmt::Display for PastMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PastMoment::Version(version) => write!(f, "version {version}"),
            PastMoment::TimeMs(ms) => write!(f, "the time {ms} (milliseconds since 1970)"),
        }
    }
}
