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

/// What is measured.
pub(crate) struct Bench {
    /// The daemon's program.
    pub(crate) daemon: PathBuf,
    /// The directory of the built checks.
    pub(crate) checks: PathBuf,
    /// The directory of the built guests.
    pub(crate) guests: PathBuf,
}

impl Bench {
    /// Modules are compiled by the daemon's program.
    fn compiler(&self) -> CompilerConfig {
        CompilerConfig { program: self.daemon.clone(), ..CompilerConfig::default() }
    }
}

/// Rows that are measured together.
pub(crate) struct Group {
    /// Their names.
    pub(crate) rows: &'static [&'static str],
    /// Measures them all.
    pub(crate) measure: fn(&Bench) -> Result<Vec<Figure>>,
}

/// All there is, in the order of the table.
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

/// Everything here happens on one thread, so that the other ones are the daemon's.
fn runtime() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().context("cannot start the async runtime")
}
