//! The tasks of the project.

mod bench;
mod cluster;
mod demo;
mod fuzz;
mod image;
mod steps;
mod test;
mod tools;

use anyhow::{Result, bail};
use std::{env, process::ExitCode};

const USAGE: &str = "\
cargo xtask run [-- ARGUMENTS]   build the checks and the daemon and run the demo
cargo xtask checks               build the checks into target/checks
cargo xtask test                 format, lints, documentation and all tests
cargo xtask pods                 only the tests in pods, on a cluster that is started for them or up already
cargo xtask bench                measure the budgets of the design (ROW… for some of them, --help lists them)
cargo xtask fuzz SECONDS         look for input that breaks a promise, so long for each target (TARGET… for some of them)
cargo xtask image                make target/aviary-image.tar without Docker (--name NAME:TAG)
cargo xtask cluster up           start a Kubernetes for tests (--node for real pods; then: status, restart-api, down)";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // No backtrace, as the error is about a command or a machine, and not about this code.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    env::set_current_dir(steps::root())?;
    match arguments.first().map(String::as_str) {
        Some("run") => demo::run(arguments.get(1..).unwrap_or_default()),
        Some("checks") => steps::build_checks(),
        Some("test") => test::run_all(),
        Some("pods") => test::run_pods(),
        Some("image") => image::run(arguments.get(1..).unwrap_or_default()),
        Some("bench") => bench::run(arguments.get(1..).unwrap_or_default()),
        Some("fuzz") => fuzz::run_for(arguments.get(1..).unwrap_or_default()),
        Some("cluster") => cluster::run(arguments.get(1..).unwrap_or_default()),
        _ => bail!("say what to do:\n{USAGE}"),
    }
}
