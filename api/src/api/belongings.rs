//! Checking what belongs to a table against its items.

use crate::api::database::DynaMite;
use crate::api::schema::is_of_users;
use crate::api::table::Table;
use crate::api::ttl;
use crate::error::Result;

impl DynaMite {
    /// Checks what belongs to the tables (the queues of what expires) against their items, as of now. Returns what is
    /// wrong, in words.
    ///
    /// Cost: a walk over all of it, and a lookup for each entry.
    #[doc(hidden)]
    pub fn check_belongings(&self) -> Result<Vec<String>> {
        let state = self.shared.store.snapshot()?;
        let mut wrong = Vec::new();
        for (name, info) in state.read()?.tables()? {
            if !is_of_users(&name) {
                continue;
            }
            let table = Table::decode(&String::from_utf8_lossy(&name), &info)?;
            let mut report = |what: String| wrong.push(format!("table {}: {what}", table.name));
            if let Some(ttl) = &table.ttl {
                ttl::verify(&state, &table, ttl, &mut report)?;
            }
        }
        Ok(wrong)
    }
}
