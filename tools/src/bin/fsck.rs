//! `dynamite-fsck FILE`: see [`dynamite_tools::fsck`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    dynamite_tools::program::main(dynamite_tools::fsck::run)
}
