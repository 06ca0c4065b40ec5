//! The daemon's own log.

use clap::ValueEnum;
use std::io;
use tracing_subscriber::{EnvFilter, filter::LevelFilter};

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Starts logging to standard error. `AVIARY_LOG` takes filters such as `info,aviary=debug`.
pub(crate) fn start(format: LogFormat, debug: bool) {
    let level = if debug { LevelFilter::DEBUG } else { LevelFilter::INFO };
    // The libraries below us say at debug what only their authors want to know.
    let quiet =
        ["hickory_net=info", "hickory_resolver=info", "hickory_proto=info", "hyper=info", "rustls=info"];
    let filter = EnvFilter::builder().with_default_directive(level.into()).with_env_var("AVIARY_LOG");
    let filter = quiet
        .iter()
        .filter_map(|directive| directive.parse().ok())
        .fold(filter.from_env_lossy(), EnvFilter::add_directive);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => subscriber.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}
