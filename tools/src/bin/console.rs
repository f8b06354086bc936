//! `dynamite-console [FILE | --socket PATH]`: see [`dynamite_tools::console`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use dynamite_tools::console::{Arguments, run};
use dynamite_tools::program::generated;

fn main() -> ExitCode {
    generated::<Arguments>().unwrap_or_else(|| ExitCode::from(run(&Arguments::parse())))
}
