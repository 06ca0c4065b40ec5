//! `cargo xtask bench`: the figures that the daemon is held to.

use crate::steps;
use anyhow::Result;

/// A guest that makes one host call in each call.
const GUEST: &str = "counts";

/// Builds everything and measures the rows, or all of them if none is named.
pub(crate) fn run(rows: &[String]) -> Result<()> {
    steps::build_checks()?;
    let guest = ["--package", "test-guests", "--example", GUEST];
    let linked = steps::build_guests("build a guest to measure", &guest)?;
    let guest = linked.join("examples").join(GUEST).with_extension("wasm");
    let daemon = steps::build_daemon()?;
    let bench = ["build", "--release", "--package", "aviary-bench"];
    steps::run("build the bench", "cargo", &bench)?;
    let paths = [daemon, steps::target().join("checks"), guest];
    let paths = paths.iter().map(|path| path.to_string_lossy().into_owned());
    let arguments: Vec<String> = paths.chain(rows.iter().cloned()).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let bench = steps::target().join("release/aviary-bench");
    steps::run("measure", &bench.to_string_lossy(), &arguments)
}
