//! `cargo xtask test`: everything that must hold.

use crate::{
    cluster,
    steps::{add_wasm_target, run, run_with, works},
};
use anyhow::{Context, Result};
use std::env;

/// Format, lints, documentation, all tests, and the dependencies' licences and advisories.
pub(crate) fn run_all() -> Result<()> {
    add_wasm_target()?;
    run("check the format", "cargo", &["fmt", "--all", "--check"])?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    run("check the lints", "cargo", &clippy)?;
    let strict = [("RUSTDOCFLAGS", "--deny warnings")];
    run_with("build the documentation", "cargo", &["doc", "--workspace", "--no-deps"], &strict)?;
    let cluster = start_cluster()?;
    let kubeconfig = cluster.as_ref().map(|cluster| cluster.kubeconfig().display().to_string());
    let tested = run_tests(kubeconfig.as_deref());
    if let Some(cluster) = cluster {
        cluster.down()?;
    }
    tested?;
    check_dependencies()
}

/// A real Kubernetes. Only on CI its absence is a failure; elsewhere the tests that need it say so.
fn start_cluster() -> Result<Option<test_cluster::Cluster>> {
    match cluster::start(true) {
        Ok(cluster) => Ok(Some(cluster)),
        Err(error) if env::var_os("CI").is_some() => Err(error).context("no cluster to test with"),
        Err(error) => {
            eprintln!("no cluster, so the tests that need one are skipped: {error:#}");
            Ok(None)
        }
    }
}

fn run_tests(kubeconfig: Option<&str>) -> Result<()> {
    let variables: Vec<_> =
        kubeconfig.into_iter().map(|kubeconfig| ("AVIARY_TEST_KUBECONFIG", kubeconfig)).collect();
    if works("cargo", &["nextest", "--version"]) {
        run_with("run the tests", "cargo", &["nextest", "run", "--workspace"], &variables)?;
        return run("run the examples in the documentation", "cargo", &["test", "--workspace", "--doc"]);
    }
    run_with("run the tests", "cargo", &["test", "--workspace"], &variables)
}

fn check_dependencies() -> Result<()> {
    if !works("cargo", &["deny", "--version"]) {
        eprintln!(
            "cargo-deny is not installed, so licences and advisories were not checked (cargo install cargo-deny)"
        );
        return Ok(());
    }
    run(
        "check licences, duplicates and sources",
        "cargo",
        &["deny", "check", "licenses", "bans", "sources"],
    )?;
    if works("cargo", &["deny", "fetch", "db"]) {
        return run("check advisories", "cargo", &["deny", "check", "advisories"]);
    }
    eprintln!("the advisory database cannot be had from here, so advisories were not checked");
    Ok(())
}
