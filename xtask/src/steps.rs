//! The steps of the tasks; each prints what it does.

use anyhow::{Context, Result, bail};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const WASM_TARGET: &str = "wasm32-wasip2";
const GUEST_PROFILE: &str = "guest";
pub(crate) const CHECKS: [&str; 5] = ["compute", "dns", "http", "rc-scheduler", "tcp"];

/// The directory of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The directory that cargo builds into.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from)
}

/// Runs a program with its output shown. An error if it fails.
pub(crate) fn run(what: &str, program: &str, arguments: &[&str]) -> Result<()> {
    run_with(what, program, arguments, &[])
}

/// Runs a program with more environment variables, and with its output shown. An error if it fails.
pub(crate) fn run_with(
    what: &str,
    program: &str,
    arguments: &[&str],
    variables: &[(&str, String)],
) -> Result<()> {
    eprintln!("\x1b[1m==> {what}\x1b[0m  ({program} {})", arguments.join(" "));
    let status = Command::new(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .status();
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
    let packages = CHECKS.map(|name| format!("check-{name}"));
    let packages: Vec<_> = packages.iter().flat_map(|package| ["--package", package.as_str()]).collect();
    let linked = build_guests("build the checks", &packages)?;
    let trouble = ["--package", "aviary-guest", "--example", "trouble"];
    build_guests("build the check that fails on purpose", &trouble)?;
    let built = target().join("checks");
    fs::create_dir_all(&built)?;
    // In file names, rustc writes the name of a package without dashes.
    let modules = CHECKS.map(|name| (name, linked.join(name.replace('-', "_"))));
    for (name, module) in modules.into_iter().chain([("trouble", linked.join("examples/trouble"))]) {
        let module = module.with_extension("wasm");
        let copied = fs::copy(&module, built.join(name).with_extension("wasm"));
        copied.with_context(|| format!("cannot copy {}", module.display()))?;
    }
    Ok(())
}

/// Builds packages or examples for the sandbox. Returns the directory of the modules.
pub(crate) fn build_guests(what: &str, packages: &[&str]) -> Result<PathBuf> {
    add_wasm_target()?;
    let build = ["build", "--profile", GUEST_PROFILE, "--target", WASM_TARGET];
    run(what, "cargo", &[&build, packages].concat())?;
    Ok(target().join(WASM_TARGET).join(GUEST_PROFILE))
}

/// Builds the daemon into `target/release/aviary`.
pub(crate) fn build_daemon() -> Result<PathBuf> {
    eprintln!("The last crate of the daemon is optimised as a whole, which takes some minutes.");
    run("build the daemon", "cargo", &["build", "--release", "--package", "aviary"])?;
    Ok(target().join("release/aviary"))
}

/// Builds the daemon into `target/demo/aviary`. That takes half the time of the daemon that is optimised as a
/// whole.
pub(crate) fn build_demo() -> Result<PathBuf> {
    run("build the daemon", "cargo", &["build", "--profile", "demo", "--package", "aviary"])?;
    Ok(target().join("demo/aviary"))
}
