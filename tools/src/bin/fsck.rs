//! `dynamite-fsck FILE`: see [`dynamite_tools::fsck`].

#![forbid(unsafe_code)]

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use clap::Parser;
use dynamite_tools::fsck::{Arguments, Verdict, run};

fn main() -> ExitCode {
    // Wrong arguments must not look like damage.
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            let code = if error.use_stderr() { Verdict::CannotCheck.exit_code() } else { 0 };
            return ExitCode::from(code);
        }
    };
    match run(&arguments, &mut stdout().lock()) {
        Ok(verdict) => ExitCode::from(verdict.exit_code()),
        // Nobody reads the report; what was found is not known to anybody.
        Err(error) => {
            let _ = writeln!(stderr(), "dynamite-fsck: cannot print the report: {error}");
            ExitCode::from(Verdict::CannotCheck.exit_code())
        }
    }
}
