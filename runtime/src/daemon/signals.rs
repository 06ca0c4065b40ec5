//! The signals that ask the daemon to end.

use anyhow::{Context, Result};
use futures_util::future::select_all;
use std::{fs, io};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that ask the daemon to end. SIGHUP, of a closed terminal, is one of them, or what checks made
/// would be left behind.
const ASKS: [SignalKind; 4] =
    [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup(), SignalKind::quit()];

/// Receives the signals that ask the daemon to end. From then on, none of them ends the process by itself.
pub(super) struct Signals(Vec<Signal>);

impl Signals {
    /// Starts receiving the signals.
    ///
    /// # Errors
    /// When the system does not let the process receive them.
    pub(super) fn listen() -> Result<Self> {
        let heeded = ASKS.into_iter().filter(|kind| !is_ignored(*kind));
        let signals: io::Result<Vec<_>> = heeded.map(signal).collect();
        Ok(Self(signals.context("cannot listen for signals")?))
    }

    /// Waits for the next signal.
    pub(super) async fn asked_to_end(&mut self) {
        select_all(self.0.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
}

/// Whether the process was started with the signal ignored, as `nohup` does.
fn is_ignored(kind: SignalKind) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or_default();
    ignored >> (kind.as_raw_value() - 1) & 1 == 1
}
