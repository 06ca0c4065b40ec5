//! `cargo xtask test`: everything that must hold.

use crate::steps::{add_wasm_target, run, run_with, works};
use anyhow::Result;

/// Format, lints, documentation, all tests, and the dependencies' licences and advisories.
pub(crate) fn run_all() -> Result<()> {
    add_wasm_target()?;
    run("check the format", "cargo", &["fmt", "--all", "--check"])?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"];
    run("check the lints", "cargo", &clippy)?;
    let strict = [("RUSTDOCFLAGS", "--deny warnings")];
    run_with("build the documentation", "cargo", &["doc", "--workspace", "--no-deps"], &strict)?;
    if works("cargo", &["nextest", "--version"]) {
        run("run the tests", "cargo", &["nextest", "run", "--workspace"])?;
        run("run the examples in the documentation", "cargo", &["test", "--workspace", "--doc"])?;
    } else {
        run("run the tests", "cargo", &["test", "--workspace"])?;
    }
    check_dependencies()
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
