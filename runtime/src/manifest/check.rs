//! A check as the operator configured it.

use crate::{
    manifest::Program,
    schedule::Schedule,
    value::{Key, Module},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{num::NonZeroU32, sync::Arc, time::Duration};

/// How often a check runs whose manifest does not say.
pub(super) const INTERVAL: Duration = Duration::from_secs(30);

/// A check as the operator configured it; [`super::parse`] makes it from a manifest.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Who it is.
    pub key: Key,
    /// What it runs. Its timeout is never above the shortest gap of the schedule.
    pub program: Arc<Program>,
    /// When it runs.
    pub schedule: Schedule,
    /// How long a round lasts until cleanup and a new init; without it, until the check changes.
    pub ttl: Option<Duration>,
    /// For how long after init failures do not count; shorter than the ttl.
    pub startup_grace: Duration,
    /// Bad runs in a row before the check counts as bad.
    pub failure_threshold: NonZeroU32,
    /// Good runs in a row before the check counts as good again.
    pub success_threshold: NonZeroU32,
    /// Immediate further tries within one run, 10 at most.
    pub retries: u32,
    /// Whether it rests.
    pub suspend: bool,
    /// Whether a fail makes the whole unhealthy.
    pub severity: Severity,
    /// Who looks after it.
    pub owner: Option<Arc<str>>,
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
    /// This version with what a newer manifest says that needs no module.
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

    /// The check of a module of the operator's without a manifest: every 30 s, no settings, no grants.
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
        }
    }
}
