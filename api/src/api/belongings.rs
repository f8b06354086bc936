//! Checking what belongs to a table against its items.

use crate::api::database::DynaMite;
use crate::api::{stream, tables, ttl};
use crate::error::Result;

impl DynaMite {
    /// Checks what belongs to the tables (queues of what expires, change streams) against their items, as of now. Returns what is
    /// wrong, in words.
    ///
    /// Cost: a walk over all of it, and a lookup for each entry.
    #[doc(hidden)]
    pub fn check_belongings(&self) -> Result<Vec<String>> {
        let state = self.shared.store.snapshot()?;
        let mut wrong = Vec::new();
        // Whoever reads on while a read is open may wait for frames that it holds itself.
        let tables = tables::all(&mut state.read()?)?;
        for table in tables {
            let mut report = |what: String| wrong.push(format!("table {}: {what}", table.name));
            if let Some(ttl) = &table.ttl {
                ttl::verify(&state, &table, ttl, &mut report)?;
            }
            for stream in &table.streams {
                stream::verify(&state, &table, stream, &mut report)?;
            }
        }
        Ok(wrong)
    }
}
