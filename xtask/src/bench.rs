//! `cargo xtask bench`: the figures that the daemon is held to.

use crate::steps;
use anyhow::Result;

/// Guests to measure: one that makes a host call in each call, and one that calls Kubernetes.
const GUESTS: [&str; 2] = ["counts", "calls_kubernetes"];

/// Builds everything and measures the rows, or all of them if none is named.
pub(crate) fn run(rows: &[String]) -> Result<()> {
    steps::build_checks()?;
    let examples = GUESTS.iter().flat_map(|guest| ["--example", guest]);
    let guests: Vec<&str> = ["--package", "test-guests"].into_iter().chain(examples).collect();
    let guests = steps::build_guests("build guests to measure", &guests)?.join("examples");
    let daemon = steps::build_daemon()?;
    let bench = ["build", "--release", "--package", "aviary-bench"];
    steps::run("build the bench", "cargo", &bench)?;
    let paths = [daemon, steps::target().join("checks"), guests];
    let paths = paths.iter().map(|path| path.to_string_lossy().into_owned());
    let arguments: Vec<String> = paths.chain(rows.iter().cloned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let bench = steps::target().join("release/aviary-bench");
    steps::run("measure", &bench.to_string_lossy(), &arguments)
}
