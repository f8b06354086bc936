//! `dynamite-import` and `dynamite-export` as their users see them: processes, files, exit codes.

#[path = "../common/mod.rs"]
mod common;
mod forms;
mod interrupted;
mod refused;
mod runs;
mod support;
