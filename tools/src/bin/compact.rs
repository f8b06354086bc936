//! `dynamite-compact FILE`: see [`dynamite_tools::compact`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    dynamite_tools::program::main(dynamite_tools::compact::run)
}
