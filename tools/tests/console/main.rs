//! `dynamite-console` as its users see it: the process, its answers and its exit code.
//!
//! Answers are compared with transcripts in `golden/`: the statements stand in them behind `> `, and are what the test runs. With
//! `UPDATE_GOLDEN=1` in the environment the transcripts are written anew; look at what has changed before you believe it.

#[path = "../common/mod.rs"]
mod common;
mod golden;
mod process;
mod screen;
