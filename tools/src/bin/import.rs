//! `dynamite-import --table TABLE INPUT`: see [`dynamite_tools::import`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use dynamite_tools::import::{Arguments, run};

fn main() -> ExitCode {
    ExitCode::from(run(&Arguments::parse()))
}
