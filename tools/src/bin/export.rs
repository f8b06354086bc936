//! `dynamite-export --table TABLE OUTPUT`: see [`dynamite_tools::export`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use dynamite_tools::export::{Arguments, run};
use dynamite_tools::program::generated;

fn main() -> ExitCode {
    generated::<Arguments>().unwrap_or_else(|| ExitCode::from(run(&Arguments::parse())))
}
