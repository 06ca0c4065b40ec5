//! Programs that are run to their end.

use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// Runs a program with its output shown.
pub(crate) fn run(what: &str, command: &mut Command) -> Result<()> {
    eprintln!("\x1b[1m==> {what}\x1b[0m");
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("cannot {what}: cannot start {command:?}"))?;
    if !status.success() {
        bail!("could not {what}: {command:?} ended with {status}");
    }
    Ok(())
}

/// Runs a program and returns its standard output. What it writes to standard error is part of the error.
pub(crate) fn read(what: &str, command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot {what}: cannot start {command:?}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("could not {what}: {command:?} ended with {}: {}", output.status, complaint.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
