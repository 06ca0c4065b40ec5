//! A check as the operator configured it.

use crate::{
    manifest::{Program, SettingFile, setting_file},
    schedule::Schedule,
    value::{Key, Module},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{num::NonZeroU32, sync::Arc, time::Duration};

/// The interval of a check whose manifest does not say when it runs.
pub(super) const INTERVAL: Duration = Duration::from_secs(30);

/// A check as the operator configured it; [`super::parse`] makes it from a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// The identity of the check.
    pub key: Key,
    /// The program that the check runs. Its timeout is never above the shortest gap of the schedule.
    pub program: Arc<Program>,
    /// When the check runs.
    pub schedule: Schedule,
    /// How long a round lasts until cleanup and a new init; without it, an hour and a little more.
    pub ttl: Option<Duration>,
    /// How long after init failures do not count; shorter than the ttl.
    pub startup_grace: Duration,
    /// How many bad runs in a row make the check bad.
    pub failure_threshold: NonZeroU32,
    /// How many good runs in a row make the check good again.
    pub success_threshold: NonZeroU32,
    /// How many further tries one run has at once after a failure, 10 at most.
    pub retries: u32,
    /// Whether the check is suspended.
    pub suspend: bool,
    /// Whether a fail makes the whole unhealthy.
    pub severity: Severity,
    /// The name of who looks after the check.
    pub owner: Option<Arc<str>>,
    /// The settings that come from files and are not filled in yet.
    pub files: Vec<SettingFile>,
}

/// Whether a failing check makes the whole unhealthy.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema, utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A fail makes `/health` answer 503.
    #[default]
    Critical,
    /// A fail is shown and counted, and `/health` stays as it is.
    Warning,
}

impl Check {
    /// This version of the check with all of a newer manifest that needs no other module.
    pub fn amended_by(&self, newer: &Self) -> Self {
        Self {
            severity: newer.severity,
            owner: newer.owner.clone(),
            suspend: newer.suspend,
            failure_threshold: newer.failure_threshold,
            success_threshold: newer.success_threshold,
            ..self.clone()
        }
    }

    /// The check of the operator's module without a manifest. It runs every 30 s, without settings or grants.
    pub fn bare(key: Key, module: Module) -> Self {
        Self {
            program: Arc::new(Program::bare(key.namespace(), module)),
            key,
            schedule: Schedule::Interval(INTERVAL),
            ttl: None,
            startup_grace: Duration::ZERO,
            failure_threshold: NonZeroU32::MIN,
            success_threshold: NonZeroU32::MIN,
            retries: 0,
            suspend: false,
            severity: Severity::default(),
            owner: None,
            files: Vec::new(),
        }
    }

    /// The check with the texts of its files as settings. `read` gives the text of a file by its name; its error says
    /// why there is none.
    pub fn with_files<'a>(&self, read: impl Fn(&str) -> Result<&'a str, String>) -> Result<Self, String> {
        let settings = setting_file::fill(&self.program.settings, &self.files, read)?;
        let program = Arc::new(Program { settings, ..Program::clone(&self.program) });
        Ok(Self { program, files: Vec::new(), ..self.clone() })
    }
}
