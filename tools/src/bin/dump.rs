//! `dynamite-dump FILE COMMAND`: see [`dynamite_tools::dump`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    dynamite_tools::program::main(dynamite_tools::dump::run)
}
