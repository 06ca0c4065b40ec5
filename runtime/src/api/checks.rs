//! `/api/v1/checks`: the list of checks, the facts about one check, and runs on demand.

use super::{
    Api,
    answer::{Asked, Document, Identity, Named, Problem, Refusal, json, write_json},
    demand::run,
    facts::{CheckList, Detail, Summary},
    response_writer::ResponseWriter,
    selection::Selection,
};
use crate::board::Demand;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::Deserialize;

/// The query of `/api/v1/checks`, which selects checks.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only the checks of this namespace.
    namespace: Option<String>,
    /// Only the checks of this owner.
    owner: Option<String>,
}

/// Lists the checks.
#[utoipa::path(
    get,
    operation_id = "list_checks",
    path = "/api/v1/checks",
    tag = "programs",
    params(ListQuery),
    responses(
        (status = 200, description = "The checks", body = CheckList),
        (status = 400, description = "The query has an unknown key", body = Problem),
        (status = 503, description = "Too many such answers are under way", body = Problem),
    )
)]
pub(super) async fn list(
    State(api): State<Api>,
    Asked(ListQuery { namespace, owner }): Asked<ListQuery>,
) -> Result<impl IntoResponse, Refusal> {
    let selection = Selection { namespace, owner };
    let body = match api.selections.of(&selection, &api.board) {
        Some(answers) => {
            let write = move |writer: &mut ResponseWriter| {
                let checks =
                    selection.entries(&api.board).iter().map(|entry| Summary::of(&entry.view())).collect();
                write_json(writer, &CheckList { checks })
            };
            answers.checks.take(None, write).await?.1
        }
        None => json(&CheckList { checks: Vec::new() }).into(),
    };
    Ok(([(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body))
}

/// Tells everything about one check, with its latest runs.
#[utoipa::path(
    get,
    path = "/api/v1/checks/{namespace}/{name}",
    tag = "programs",
    params(Identity),
    responses(
        (status = 200, description = "The check", body = Detail),
        (status = 400, description = "The path is not text in UTF-8", body = Problem),
        (status = 404, description = "There is no such check", body = Problem),
    )
)]
pub(super) async fn detail(State(api): State<Api>, Named(key): Named) -> Result<impl IntoResponse, Refusal> {
    let entry = api.board.get(&key).ok_or_else(|| Refusal::unknown(&key))?;
    Ok(Document(Detail::of(&entry)))
}

/// Runs one check now and tells everything about it; requests made meanwhile share the run.
#[utoipa::path(
    post,
    path = "/api/v1/checks/{namespace}/{name}/run",
    tag = "programs",
    params(Identity),
    responses(
        (status = 200, description = "The check after the run", body = Detail),
        (status = 400, description = "The path is not text in UTF-8", body = Problem),
        (status = 404, description = "There is no such check", body = Problem),
        (status = 409, description = "The check is suspended, or no version of it is loaded", body = Problem),
        (status = 429, description = "It has run on demand a moment ago, or is quarantined; `Retry-After` says when it can run again", body = Problem),
        (status = 504, description = "No run finished within twice the timeout of the check and a second", body = Problem),
    )
)]
pub(super) async fn run_now(State(api): State<Api>, Named(key): Named) -> Result<impl IntoResponse, Refusal> {
    let entry = api.board.get(&key).ok_or_else(|| Refusal::unknown(&key))?;
    let view = entry.view();
    if view.check.suspend {
        let error = format!("{key} is suspended; set `suspend: false` in its manifest to run it");
        return Err(Refusal::new(StatusCode::CONFLICT, error));
    }
    if view.module.is_none() {
        let why = view.rejected.map_or_else(|| "not yet".to_owned(), |fault| fault.message.clone());
        return Err(Refusal::new(StatusCode::CONFLICT, format!("{key} is not loaded: {why}")));
    }
    match run(&entry, &view.check, &api.shutdown).await {
        Demand::Done => Ok(Document(Detail::of(&entry))),
        Demand::TooSoon(wait) => {
            let quarantined = view.quarantine.map(|quarantine| format!("is {quarantine}"));
            let why = quarantined.unwrap_or_else(|| "has run a moment ago".to_owned());
            let error = format!("{key} {why}; see /api/v1/checks/{key}, or ask for a run later");
            Err(Refusal::later(StatusCode::TOO_MANY_REQUESTS, error, wait))
        }
        Demand::Late => {
            let error = format!("no run of {key} finished in time; its error and log say what it waits for");
            Err(Refusal::new(StatusCode::GATEWAY_TIMEOUT, error))
        }
    }
}
