//! The standard output of commands.

use anyhow::{Context, Result};
use std::{
    fmt::Display,
    io::{self, Write, stdout},
    sync::OnceLock,
};

/// The first error in printing.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Prints a line, and notes an error for [`printed`].
/// A command whose reader has left, as `head` does, still has to end its round and clean up. Its exit code
/// says how that went.
pub(super) fn print(line: impl Display) {
    match writeln!(stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => drop(FAILED.set(error)),
        _ => {}
    }
}

/// Whether all lines were printed.
///
/// # Errors
/// When a line was not, for another reason than that nobody reads it.
pub(super) fn printed() -> Result<()> {
    match FAILED.get() {
        Some(error) => Err(io::Error::from(error.kind())).context("cannot write to standard output"),
        None => Ok(()),
    }
}
