//! `cargo xtask bench`: the figures that the daemon is held to.

use crate::steps;
use anyhow::{Result, bail};

/// The names of the rows with what they measure. A test of the bench holds this list to the rows that there
/// are.
const ROWS: &str = include_str!("../../tests/bench/rows.txt");

/// The guests to measure: one that makes a host call in each call, and one that calls Kubernetes.
const GUESTS: [&str; 2] = ["counts", "calls_kubernetes"];

/// Builds everything and measures the named rows, or all of them if none is named. With `--help`, only tells
/// which there are.
pub(crate) fn run(rows: &[String]) -> Result<()> {
    if rows.iter().any(|row| matches!(row.as_str(), "--help" | "-h")) {
        print!(
            "cargo xtask bench [ROW…]   builds everything optimised, and measures these rows or all of them\n\n{ROWS}"
        );
        return Ok(());
    }
    // Checked before a build of many minutes.
    let is_known = |row: &String| ROWS.lines().any(|line| line.split_whitespace().next() == Some(row));
    if let Some(unknown) = rows.iter().find(|row| !is_known(row)) {
        bail!("there is no row {unknown}; `cargo xtask bench --help` lists them");
    }
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
