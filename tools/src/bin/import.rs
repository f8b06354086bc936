//! `dynamite-import --table TABLE INPUT`: see [`dynamite_tools::import`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use dynamite_tools::import::{Arguments, run};
use dynamite_tools::program::generated;

fn main() -> ExitCode {
    generated::<Arguments>().unwrap_or_else(|| ExitCode::from(run(&Arguments::parse())))
}
