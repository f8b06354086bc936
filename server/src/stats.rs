//! What a server tells of itself.

use serde::{Deserialize, Serialize};

/// Counters of a server and of its database, since it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections that are open.
    pub connections: u64,
    /// Connections that there were.
    pub connections_total: u64,
    /// Requests that were answered.
    pub requests: u64,
    /// Connections that were ended because of what came over them.
    pub refused: u64,
    /// Milliseconds since it was started.
    pub uptime_ms: u64,
    /// Bytes of the buffer pool.
    pub cache_bytes: u64,
    /// Pages found in it.
    pub hits: u64,
    /// Pages that had to be read.
    pub misses: u64,
    /// Pages written.
    pub pages_written: u64,
    /// Flushes of the file.
    pub flushes: u64,
    /// Commits that became durable: each holds the writes of all clients that came together.
    pub commits: u64,
    /// Pages in the file.
    pub page_count: u64,
}
