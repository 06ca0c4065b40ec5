//! The `aviary` command.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    aviary::cli::Arguments::parse().execute()
}
