//! The daemon's own log.

use clap::ValueEnum;
use std::{env, io};
use tracing_subscriber::EnvFilter;

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging to standard error. `AVIARY_LOG` takes filters such as `info,aviary=debug`.
pub(crate) fn start(format: LogFormat, debug: bool) {
    // The libraries below write much at debug, and warnings about bad servers, which only their authors want
    // to know.
    let level = if debug { "debug" } else { "info" };
    let chosen = env::var("AVIARY_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = chosen.unwrap_or_else(|| format!("error,aviary={level},guest={level}"));
    let filter = EnvFilter::builder().parse_lossy(filter);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => subscriber.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}
