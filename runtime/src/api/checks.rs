//! `/api/v1/checks`: the checks for programs.

use super::{
    Api,
    answer::{Asked, Named, Problem, Refusal},
    health::{matches, run},
};
use crate::{
    board::{Entry, Module, Standing, View},
    capability::{Capability, calls::CallResult},
    history::Run,
    outcome::{Blame, Fault, Reason, Status, Target},
    spec::Severity,
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which checks are meant.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wish {
    /// Only the checks of this namespace.
    namespace: Option<String>,
    /// Only the checks of this owner.
    owner: Option<String>,
}

/// All checks, ordered by namespace and name.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct CheckList {
    checks: Vec<Summary>,
}

/// A check in a list.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    namespace: String,
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    severity: &'static str,
    status: Standing,
    /// When it came to stand there.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Why it is not well; otherwise empty.
    error: String,
    /// Runs in a row without a good outcome.
    consecutive_failures: u32,
    /// When the latest run started.
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
    timeout_seconds: f64,
    failure_threshold: u32,
    success_threshold: u32,
    /// The module that runs; none was ever good if there is none.
    module: Option<ModuleFacts>,
    /// Why the newest manifest or module is not the one that runs.
    rejected: Option<FaultFacts>,
    /// Linear memory of the guest in bytes.
    memory_bytes: usize,
    /// Polls that were due while the one before was still running.
    skipped: u64,
    /// Host calls by capability and result.
    host_calls: BTreeMap<&'static str, BTreeMap<&'static str, u64>>,
    /// The latest runs, newest first.
    history: Vec<RunFacts>,
}

/// A module.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
struct ModuleFacts {
    name: String,
    digest: String,
    size_bytes: usize,
    imports: Vec<String>,
    /// When it went live.
    #[schema(value_type = String, format = DateTime)]
    loaded: Timestamp,
}

/// Why no outcome was possible.
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
    /// Absent if there was a fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Status>,
    message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    targets: Vec<Target>,
    /// Present if there was no outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<FaultFacts>,
}

/// Lists the checks.
#[utoipa::path(
    get,
    path = "/api/v1/checks",
    tag = "programs",
    params(Wish),
    responses(
        (status = 200, description = "The checks", body = CheckList),
        (status = 400, description = "The query has an unknown key", body = Problem),
        (status = 503, description = "Too many such answers are under way", body = Problem),
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    Asked(wish): Asked<Wish>,
) -> Result<impl IntoResponse, Refusal> {
    let entries = api.board.entries();
    let ((), body) = api
        .compose(move || {
            let views = entries.iter().map(|entry| entry.view());
            let wanted = views.filter(|view| matches(view, wish.namespace.as_deref(), wish.owner.as_deref()));
            ((), json(&CheckList { checks: wanted.map(|view| Summary::of(&view)).collect() }))
        })
        .await?;
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body))
}

/// Tells everything about one check, with its latest runs.
#[utoipa::path(
    get,
    path = "/api/v1/checks/{namespace}/{name}",
    tag = "programs",
    params(
        ("namespace" = String, Path, description = "The check's namespace"),
        ("name" = String, Path, description = "The check's name"),
    ),
    responses(
        (status = 200, description = "The check", body = Detail),
        (status = 404, description = "There is no such check", body = Problem),
    )
)]
pub(super) async fn detail(State(api): State<Api>, Named(key): Named) -> Result<impl IntoResponse, Refusal> {
    let entry = api.board.get(&key).ok_or_else(|| Refusal::unknown(&key))?;
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Detail::of(&entry))))
}

/// Runs one check now and tells everything about it; requests made meanwhile share the run.
#[utoipa::path(
    post,
    path = "/api/v1/checks/{namespace}/{name}/run",
    tag = "programs",
    params(
        ("namespace" = String, Path, description = "The check's namespace"),
        ("name" = String, Path, description = "The check's name"),
    ),
    responses(
        (status = 200, description = "The check after the run", body = Detail),
        (status = 404, description = "There is no such check", body = Problem),
        (status = 409, description = "The check is suspended", body = Problem),
        (status = 504, description = "The run did not finish in time", body = Problem),
    )
)]
pub(super) async fn run_now(State(api): State<Api>, Named(key): Named) -> Result<impl IntoResponse, Refusal> {
    let entry = api.board.get(&key).ok_or_else(|| Refusal::unknown(&key))?;
    if entry.view().check.suspend {
        let error = format!("{key} is suspended; set `suspend: false` in its manifest to run it");
        return Err(Refusal::new(StatusCode::CONFLICT, error));
    }
    if !run(&entry).await {
        let error = format!("no run of {key} finished in time; its error and log say what it waits for");
        return Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, error));
    }
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(Detail::of(&entry))))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("text, numbers and lists are always JSON")
}

impl Summary {
    fn of(view: &View) -> Self {
        Self {
            namespace: view.check.key.namespace.to_string(),
            name: view.check.key.name.to_string(),
            owner: view.check.owner.clone(),
            severity: match view.check.severity {
                Severity::Critical => "critical",
                Severity::Warning => "warning",
            },
            status: view.standing,
            since: view.since,
            error: view.error(),
            consecutive_failures: view.consecutive_failures,
            last_run: view.latest.as_ref().map(|run| run.started),
            last_success: view.last_success,
        }
    }
}

impl Detail {
    fn of(entry: &Entry) -> Self {
        let view = entry.view();
        Self {
            summary: Summary::of(&view),
            suspend: view.check.suspend,
            timeout_seconds: view.check.timeout.as_secs_f64(),
            failure_threshold: view.check.failure_threshold.get(),
            success_threshold: view.check.success_threshold.get(),
            module: view.module.as_deref().map(ModuleFacts::of),
            rejected: view.rejected.as_deref().map(FaultFacts::of),
            memory_bytes: view.memory,
            skipped: view.counts.skipped,
            host_calls: host_calls(entry),
            history: entry.history().iter().rev().map(RunFacts::of).collect(),
        }
    }
}

fn host_calls(entry: &Entry) -> BTreeMap<&'static str, BTreeMap<&'static str, u64>> {
    let results = |capability| {
        let counts = CallResult::ALL.map(|result| (result.label(), entry.tally.get(capability, result)));
        counts.into_iter().filter(|(_, count)| *count > 0).collect::<BTreeMap<_, _>>()
    };
    let by_capability = Capability::ALL.map(|capability| (capability.name(), results(capability)));
    by_capability.into_iter().filter(|(_, results)| !results.is_empty()).collect()
}

impl ModuleFacts {
    fn of(module: &Module) -> Self {
        Self {
            name: module.name.clone(),
            digest: module.digest.to_string(),
            size_bytes: module.size,
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
        let duration_seconds = run.duration.as_secs_f64();
        Self { started: run.started, duration_seconds, status, message: message.clone(), targets, fault }
    }
}
