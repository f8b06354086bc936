//! `dynamite-export --table TABLE OUTPUT`: see [`dynamite_tools::export`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use dynamite_tools::export::{Arguments, run};

fn main() -> ExitCode {
    ExitCode::from(run(&Arguments::parse()))
}
