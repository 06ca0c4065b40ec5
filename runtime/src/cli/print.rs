//! What commands say on standard output.

use anyhow::{Context, Result};
use std::{
    fmt::Display,
    io::{self, Write, stdout},
    sync::OnceLock,
};

/// Why something could not be printed.
static FAILED: OnceLock<io::Error> = OnceLock::new();

/// Prints a line. A command whose reader has left, as `head` does, has no less to do: it ends its round, cleans up, and
/// its exit code says how that went. So nothing is to be done here if it cannot be printed.
pub(super) fn print(line: impl Display) {
    match writeln!(stdout(), "{line}") {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => drop(FAILED.set(error)),
        _ => {}
    }
}

/// Whether all that was printed is where it should be.
///
/// # Errors
/// Some of it is not, for another reason than that nobody reads it.
pub(super) fn printed() -> Result<()> {
    match FAILED.get() {
        Some(error) => Err(io::Error::from(error.kind())).context("cannot write to standard output"),
        None => Ok(()),
    }
}
