//! `dynamite-console [FILE | --socket PATH]`: see [`dynamite_tools::console`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use dynamite_tools::console::{Arguments, run};

fn main() -> ExitCode {
    ExitCode::from(run(&Arguments::parse()))
}
