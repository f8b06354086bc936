//! `dynamite-backup FILE TO`: see [`dynamite_tools::backup`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    dynamite_tools::program::main(dynamite_tools::backup::backup)
}
