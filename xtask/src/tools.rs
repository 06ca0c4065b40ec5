//! Programs with which tests check whether others will understand what we ship.

use crate::steps::{run, target, works};
use anyhow::{Context, Result};
use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};
use test_cluster::Packages;

/// The package of Debian that has promtool.
const PROMETHEUS: &str = "prometheus";
/// The package of PyPI that has the validator.
const VALIDATOR: &str = "openapi-spec-validator==0.9.0";

/// Fetches a program and returns its directory.
type Fetch = fn() -> Result<PathBuf>;

/// The value of `PATH` with which tests find these programs. A missing one is fetched. Only on CI it is an
/// error if that fails; elsewhere the tests that need it say so.
pub(crate) fn path() -> Result<OsString> {
    let tools: [(&str, Fetch); 2] = [("promtool", promtool), ("openapi-spec-validator", validator)];
    let mut directories = Vec::new();
    for (name, fetch) in tools.into_iter().filter(|(name, _)| !works(name, &["--version"])) {
        match fetch() {
            Ok(directory) => directories.push(std::path::absolute(directory)?),
            Err(error) if env::var_os("CI").is_some() => {
                return Err(error).context(format!("there is no {name}"));
            }
            Err(error) => eprintln!("no {name}, so the tests that need it are skipped: {error:#}"),
        }
    }
    let known = env::var_os("PATH").unwrap_or_default();
    Ok(env::join_paths(directories.into_iter().chain(env::split_paths(&known)))?)
}

/// Fetches promtool. The package is only unpacked, as installing it would start a server.
fn promtool() -> Result<PathBuf> {
    let unpacked = target().join("promtool");
    let programs = unpacked.join("usr/bin");
    if !programs.join("promtool").is_file() {
        debian()?.unpack(&[PROMETHEUS], &unpacked)?;
    }
    Ok(programs)
}

fn validator() -> Result<PathBuf> {
    let environment = target().join("openapi-spec-validator");
    let programs = environment.join("bin");
    if !programs.join("openapi-spec-validator").is_file() {
        make_environment(&environment)?;
        let pip = programs.join("pip");
        let install = ["install", "--quiet", "--disable-pip-version-check", VALIDATOR];
        run("install the validator of OpenAPI", &pip.to_string_lossy(), &install)?;
    }
    Ok(programs)
}

fn make_environment(environment: &Path) -> Result<()> {
    if !works("python3", &["-c", "import ensurepip, venv"]) {
        debian()?.install(&["python3-venv"])?;
    }
    let environment = environment.to_string_lossy();
    run("make an environment for Python", "python3", &["-m", "venv", "--clear", &environment])
}

fn debian() -> Result<Packages> {
    let directory = target().join("apt");
    fs::create_dir_all(&directory)?;
    Packages::open(&directory)
}
