//! `dynamite-server`: serves one database to many processes.

#![forbid(unsafe_code)]

use std::io;
use std::process::ExitCode;

use clap::Parser;
use dynamite_server::{Config, run};

fn main() -> ExitCode {
    let config = Config::parse();
    tracing_subscriber::fmt().with_max_level(config.log).with_writer(io::stderr).with_ansi(false).init();
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whatever is logged: who started it must see why it is not there.
            let _ = io::Write::write_all(&mut io::stderr(), format!("dynamite-server: {error}\n").as_bytes());
            ExitCode::FAILURE
        }
    }
}
