//! `dynamite-copy from|to --table TABLE`: see [`dynamite_tools::copy`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use dynamite_tools::copy::{Arguments, run};
use dynamite_tools::program::generated;

fn main() -> ExitCode {
    generated::<Arguments>().unwrap_or_else(|| ExitCode::from(run(&Arguments::parse())))
}
