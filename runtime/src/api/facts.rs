//! What `/api/v1/checks` tells about a check.

use crate::{
    board::{CheckState, Entry, Module, Quarantine, View},
    grant::{Capability, Grants},
    history::Run,
    manifest::Severity,
    outcome::{Blame, Fault, Reason, Status, Target},
    usage::CallResult,
};
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// All checks, ordered by namespace and name.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CheckList {
    pub(super) checks: Vec<Summary>,
}

/// A check in a list.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    namespace: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    severity: Severity,
    status: CheckState,
    /// When the check got its present status; for a stale check, when it got the status before.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Why the check is not well; empty if it is.
    error: String,
    /// Runs in a row without a good outcome.
    consecutive_failures: u32,
    /// When the latest run that counts ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_run: Option<Timestamp>,
    /// When the latest good run ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_success: Option<Timestamp>,
}

/// Everything about a check.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Detail {
    #[serde(flatten)]
    summary: Summary,
    suspend: bool,
    /// The schedule of the check in words, for example `every 30s`.
    schedule: String,
    timeout_seconds: f64,
    failure_threshold: u32,
    success_threshold: u32,
    /// What the check may reach, as in its manifest.
    #[schema(value_type = Object)]
    grants: Grants,
    /// The names of the secrets that the check may read.
    secrets: Vec<String>,
    /// The module that runs; null while none is loaded.
    module: Option<ModuleFacts>,
    /// Why the newest manifest or module is not the one that runs.
    rejected: Option<FaultFacts>,
    /// Linear memory of the guest in bytes.
    memory_bytes: usize,
    /// When the next run is planned; in the past while that run is under way, null if no run is planned.
    #[schema(value_type = Option<String>, format = DateTime)]
    next_run: Option<Timestamp>,
    /// Present while the check is tried rarely, as its guest broke down again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    quarantine: Option<QuarantineFacts>,
    /// Polls that were due while the one before was still running.
    skipped: u64,
    /// Host calls by capability and result.
    host_calls: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// How often the check ran into each limit.
    limit_hits: BTreeMap<&'static str, u64>,
    /// The latest runs, newest first.
    history: Vec<RunFacts>,
}

/// The quarantine of a check whose guest broke down again and again.
#[derive(Serialize, utoipa::ToSchema)]
struct QuarantineFacts {
    /// When the check is tried again.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// How many times in a row the guest broke down.
    faults: u32,
}

/// The module that a check runs.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ModuleFacts {
    name: String,
    digest: String,
    size_bytes: usize,
    /// The key that signed the module; null unless the daemon requires signatures.
    signer: Option<String>,
    imports: Vec<String>,
    /// When the module went live.
    #[schema(value_type = String, format = DateTime)]
    loaded: Timestamp,
}

/// A fault: why a run had no outcome, or why a manifest or module was refused.
#[derive(Serialize, utoipa::ToSchema)]
struct FaultFacts {
    blame: Blame,
    reason: Reason,
    message: String,
}

/// A finished run: an outcome or a fault.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct RunFacts {
    #[schema(value_type = String, format = DateTime)]
    started: Timestamp,
    duration_seconds: f64,
    /// The status of the run's outcome; absent if there was a fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<Target>,
    /// Present and true if the run failed within the startup grace of its round, so that it does not count.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    in_grace: bool,
    /// The fault; absent if there was an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FaultFacts>,
}

impl Summary {
    pub(super) fn of(view: &View) -> Self {
        Self {
            namespace: view.check.key.namespace().to_string(),
            name: view.check.key.name().to_string(),
            owner: view.check.owner.as_deref().map(str::to_owned),
            severity: view.check.severity,
            status: view.standing,
            since: view.since,
            error: view.error(),
            consecutive_failures: view.consecutive_failures,
            last_run: view.latest.as_ref().map(Run::ended),
            last_success: view.last_success,
        }
    }
}

impl Detail {
    pub(super) fn of(entry: &Entry) -> Self {
        let view = entry.view();
        Self {
            summary: Summary::of(&view),
            suspend: view.check.suspend,
            schedule: view.check.schedule.to_string(),
            timeout_seconds: view.check.program.timeout.as_secs_f64(),
            failure_threshold: view.check.failure_threshold.get(),
            success_threshold: view.check.success_threshold.get(),
            grants: view.check.program.authorization.grants().clone(),
            secrets: view.check.program.secrets.iter().map(|secret| secret.name.to_string()).collect(),
            module: view.module.as_deref().map(ModuleFacts::of),
            rejected: view.rejected.as_deref().map(FaultFacts::of),
            memory_bytes: view.memory,
            next_run: view.next_run,
            quarantine: view.quarantine.as_ref().map(QuarantineFacts::of),
            skipped: view.counts.skipped,
            host_calls: host_calls(entry),
            limit_hits: entry.usage.hits.all().map(|(limit, hits)| (limit.key(), hits)).collect(),
            history: entry.history().iter().rev().map(RunFacts::of).collect(),
        }
    }
}

fn host_calls(entry: &Entry) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
    let results = |capability| {
        let counts =
            CallResult::ALL.map(|result| (result.label(), entry.usage.calls.get(capability, result)));
        counts.into_iter().filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>()
    };
    let by_capability = Capability::ALL.map(|capability| (capability.name(), results(capability)));
    by_capability.into_iter().filter(|(_, results)| !results.is_empty()).collect()
}

impl QuarantineFacts {
    fn of(quarantine: &Quarantine) -> Self {
        Self { until: quarantine.until, faults: quarantine.breakdowns }
    }
}

impl ModuleFacts {
    fn of(module: &Module) -> Self {
        Self {
            name: module.name.clone(),
            digest: module.digest.to_string(),
            size_bytes: module.size,
            signer: module.signer.map(|key| key.to_string()),
            imports: module.imports.clone(),
            loaded: module.loaded,
        }
    }
}

impl FaultFacts {
    fn of(fault: &Fault) -> Self {
        Self { blame: fault.reason.blame(), reason: fault.reason, message: fault.message.clone() }
    }
}

impl RunFacts {
    fn of(run: &Run) -> Self {
        let (status, message, targets, fault) = match run.verdict.as_ref() {
            Ok(outcome) => (Some(outcome.status), &outcome.message, outcome.targets.clone(), None),
            Err(fault) => (None, &fault.message, Vec::new(), Some(FaultFacts::of(fault))),
        };
        Self {
            started: run.started,
            duration_seconds: run.duration.as_secs_f64(),
            status,
            message: message.clone(),
            targets,
            in_grace: run.excused,
            fault,
        }
    }
}
