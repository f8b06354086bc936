//! What stands between `BEGIN` and `COMMIT`: actions that are collected, and sent as one.

use crate::console::statement::{Check, Delete, Put, Update};

/// Something to be done in a table.
#[derive(Clone, Debug)]
pub(crate) struct Action {
    pub(crate) table: String,
    pub(crate) write: Write,
}

#[derive(Clone, Debug)]
pub(crate) enum Write {
    Put(Put),
    Update(Update),
    Delete(Delete),
    Check(Check),
}
