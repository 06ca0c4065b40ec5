//! The steps that tasks are made of; each says what it does.

use anyhow::{Context, Result, bail};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// What checks are built for.
pub(crate) const WASM_TARGET: &str = "wasm32-wasip2";
const CHECKS: [&str; 4] = ["compute", "dns", "http", "tcp"];

/// The directory of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The directory that cargo builds into.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// Runs a program with its output shown; its failure is ours.
pub(crate) fn run(what: &str, program: &str, arguments: &[&str]) -> Result<()> {
    run_with(what, program, arguments, &[])
}

/// Runs a program with further environment variables.
pub(crate) fn run_with(
    what: &str,
    program: &str,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<()> {
    eprintln!("\x1b[1m==> {what}\x1b[0m  ({program} {})", arguments.join(" "));
    let status = Command::new(program).args(arguments).envs(variables.iter().copied()).status();
    let status = status.with_context(|| format!("cannot start {program} to {what}; is it installed?"))?;
    if !status.success() {
        bail!("could not {what}: `{program} {}` ended with {status}", arguments.join(" "));
    }
    Ok(())
}

/// Whether a program can be started and succeeds.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Adds the target that checks are built for, if it is missing.
pub(crate) fn add_wasm_target() -> Result<()> {
    let installed =
        Command::new("rustc").args(["--print", "target-libdir", "--target", WASM_TARGET]).output()?;
    let directory = String::from_utf8_lossy(&installed.stdout);
    if Path::new(directory.trim()).is_dir() {
        return Ok(());
    }
    run("add the WebAssembly target", "rustup", &["target", "add", WASM_TARGET])
}

/// Builds the checks into `target/checks/<name>.wasm`.
pub(crate) fn build_checks() -> Result<()> {
    add_wasm_target()?;
    let packages = CHECKS.map(|name| format!("check-{name}"));
    let mut arguments = vec!["build", "--release", "--target", WASM_TARGET];
    arguments.extend(packages.iter().flat_map(|package| ["--package", package.as_str()]));
    run("build the checks", "cargo", &arguments)?;
    let trouble =
        ["build", "--release", "--target", WASM_TARGET, "--package", "aviary-guest", "--example", "trouble"];
    run("build the check that fails on purpose", "cargo", &trouble)?;
    let built = target().join("checks");
    fs::create_dir_all(&built)?;
    let release = target().join(WASM_TARGET).join("release");
    let modules = CHECKS.iter().map(|name| release.join(format!("{name}.wasm")));
    for module in modules.chain([release.join("examples/trouble.wasm")]) {
        let name = module.file_name().context("a module has a name")?;
        let copied = fs::copy(&module, built.join(name));
        copied.with_context(|| format!("cannot copy {}", module.display()))?;
    }
    Ok(())
}

/// Builds the daemon into `target/release/aviary`.
pub(crate) fn build_daemon() -> Result<PathBuf> {
    run("build the daemon", "cargo", &["build", "--release", "--package", "aviary"])?;
    Ok(target().join("release/aviary"))
}
