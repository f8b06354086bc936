//! `dynamite-memory`: the memory of coding agents, at the command line, over MCP, and for the hooks of an editor.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    dynamite_memory::cli::main()
}
