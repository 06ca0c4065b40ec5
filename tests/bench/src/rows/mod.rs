//! The rows of the table, grouped by what they are measured on.

mod api;
mod bomb;
mod cluster;
mod http;
mod many;
mod reload;
mod sizes;
mod soak;
mod store;

use crate::figure::Figure;
use anyhow::{Context, Result};
use aviary::settings::CompilerConfig;
use std::path::PathBuf;
use tokio::runtime::{Builder, Runtime};

/// The programs and modules that are measured.
pub(crate) struct Bench {
    /// The daemon's program.
    pub(crate) daemon: PathBuf,
    /// The directory of the built checks.
    pub(crate) checks: PathBuf,
    /// The directory of the built guests.
    pub(crate) guests: PathBuf,
}

impl Bench {
    /// The settings for compiling modules, which the daemon's program does.
    fn compiler(&self) -> CompilerConfig {
        CompilerConfig { program: self.daemon.clone(), ..CompilerConfig::default() }
    }
}

/// A group of rows that are measured together.
pub(crate) struct Group {
    /// The names of the rows.
    pub(crate) rows: &'static [&'static str],
    /// Measures all rows of the group.
    pub(crate) measure: fn(&Bench) -> Result<Vec<Figure>>,
}

/// All groups of rows, in the order of the table.
pub(crate) const GROUPS: [Group; 12] = [
    Group { rows: &["fresh-store", "warm-poll"], measure: store::measure },
    Group { rows: &["http-cpu"], measure: http::measure },
    Group { rows: &["memory-1000"], measure: many::measure_thousand },
    Group {
        rows: &["memory-10000", "lateness", "lateness-cpu", "metrics", "health"],
        measure: many::measure_ten_thousand,
    },
    Group { rows: &["reload"], measure: reload::measure },
    Group { rows: &["sizes"], measure: sizes::measure },
    Group { rows: &["configmap-apply"], measure: cluster::measure_apply },
    Group { rows: &["configmap-memory"], measure: cluster::measure_watch },
    Group { rows: &["idle-requests"], measure: cluster::measure_idle },
    Group { rows: &["kubernetes-get"], measure: api::measure },
    Group { rows: &["soak-lateness", "soak-health", "soak-memory", "soak-blame"], measure: soak::measure },
    Group { rows: &["bomb-memory", "bomb-lateness"], measure: bomb::measure },
];

/// A runtime of a single thread, so that the other processors are left to the daemon.
fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the async runtime")
}
