//! `/health`: the judgement of checks together, in three formats. Also `/livez` and `/readyz`, the probes for
//! the kubelet.

use super::{
    Api,
    answer::{Asked, Identity, InPath, Named, Problem, Refusal},
    demand::run_one,
    formats::{self, CheckHealth, HealthFormat},
    judgement::{judge, judge_settled},
    negotiate,
    response_writer::ResponseWriter,
    selection::Selection,
};
use crate::board::{Board, View};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer, de::Error};
use std::{io::Write, sync::Arc, time::Duration};

/// The query of `/health`, which selects checks and may run them first.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HealthQuery {
    /// Runs the checks now and waits for them, a minute at most; `?run` is enough. The header `Age` then tells how many
    /// seconds old the oldest outcome is that no new run has replaced.
    #[serde(default, deserialize_with = "flag")]
    run: bool,
    /// Only the checks of this namespace.
    namespace: Option<String>,
    /// Only the checks of this owner.
    owner: Option<String>,
}

/// The query of `/health/{namespace}` and `/health/{namespace}/{name}`, which may run the checks first.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunWish {
    /// Runs the checks of the path now and waits for them; `?run` is enough. The wait is at most twice the
    /// timeout and a second for one check, or a minute for a namespace. The header `Age` then tells how many
    /// seconds old the oldest outcome is that no new run has replaced.
    #[serde(default, deserialize_with = "flag")]
    run: bool,
}

/// Whether the cluster is well: the health of all checks.
#[utoipa::path(
    method(get, head),
    path = "/health",
    tag = "machines",
    params(HealthQuery),
    responses(
        (status = 200, description = "Every critical check passes, warns or is suspended", content(
            (BTreeMap<String, CheckHealth> = "application/json"),
            (String = "text/plain"),
            (serde_json::Value = "application/health+json"),
        )),
        (status = 400, description = "The query has an unknown key, or the path is not text in UTF-8", body = Problem),
        (status = 404, description = "No check matches the query", body = Problem),
        (status = 500, description = "No critical check fails, but one is unknown or stale; as for 200"),
        (status = 503, description = "A critical check fails, or the daemon is not ready; as for 200"),
    )
)]
pub(super) async fn health(
    State(api): State<Api>,
    headers: HeaderMap,
    Asked(HealthQuery { run, namespace, owner }): Asked<HealthQuery>,
) -> Result<Response, Refusal> {
    of_many(api, &headers, run, Selection { namespace, owner }).await
}

/// Whether the checks of one namespace are well.
#[utoipa::path(
    method(get, head),
    path = "/health/{namespace}",
    tag = "machines",
    params(("namespace" = String, Path, description = "The checks' namespace"), RunWish),
    responses(
        (status = 200, description = "Every critical check passes, warns or is suspended", content(
            (BTreeMap<String, CheckHealth> = "application/json"),
            (String = "text/plain"),
            (serde_json::Value = "application/health+json"),
        )),
        (status = 400, description = "The query has an unknown key, or the path is not text in UTF-8", body = Problem),
        (status = 404, description = "No check has this namespace", body = Problem),
        (status = 500, description = "No critical check fails, but one is unknown or stale; as for 200"),
        (status = 503, description = "A critical check fails; as for 200"),
    )
)]
pub(super) async fn namespace_health(
    State(api): State<Api>,
    InPath(namespace): InPath<String>,
    headers: HeaderMap,
    Asked(RunWish { run }): Asked<RunWish>,
) -> Result<Response, Refusal> {
    of_many(api, &headers, run, Selection { namespace: Some(namespace), owner: None }).await
}

/// Whether one check is well.
#[utoipa::path(
    method(get, head),
    path = "/health/{namespace}/{name}",
    tag = "machines",
    params(Identity, RunWish),
    responses(
        (status = 200, description = "The check passes, warns or is suspended, or is of severity warning", content(
            (BTreeMap<String, CheckHealth> = "application/json"),
            (String = "text/plain"),
            (serde_json::Value = "application/health+json"),
        )),
        (status = 400, description = "The query has an unknown key, or the path is not text in UTF-8", body = Problem),
        (status = 404, description = "There is no such check", body = Problem),
        (status = 500, description = "The check is unknown or stale; as for 200"),
        (status = 503, description = "The check fails; as for 200"),
    )
)]
pub(super) async fn check_health(
    State(api): State<Api>,
    Named(key): Named,
    headers: HeaderMap,
    Asked(wish): Asked<RunWish>,
) -> Result<Response, Refusal> {
    let entry = api.board.get(&key).ok_or_else(|| Refusal::unknown(&key))?;
    let age = if wish.run { run_one(&entry, &api.shutdown).await } else { None };
    let format = negotiate::choose(&headers, &HealthFormat::OFFERS);
    let is_ready = api.board.is_ready();
    let write = move |writer: &mut ResponseWriter| {
        let views = [entry.view()];
        let judgement = judge(&views, is_ready);
        writer.set_code(judgement.code());
        formats::write(writer, format, &views, judgement)
    };
    let (code, body) = api.store.send(write).await?;
    Ok((code, told(age), head(format), body).into_response())
}

/// Whether the daemon runs.
#[utoipa::path(
    method(get, head),
    path = "/livez",
    tag = "machines",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain"))
)]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Whether every source has been read and the daemon is not about to stop.
#[utoipa::path(
    method(get, head),
    path = "/readyz",
    tag = "machines",
    responses(
        (status = 200, description = "It is so", body = String, content_type = "text/plain"),
        (status = 503, description = "Not yet, or no longer", body = String, content_type = "text/plain"),
    )
)]
pub(super) async fn readyz(State(board): State<Arc<Board>>) -> (StatusCode, &'static str) {
    if board.is_ready() { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") }
}

/// The answer of `/health` for a selection of checks. Requests for the same checks at about the same time
/// share one sweep and one text.
async fn of_many(
    api: Api,
    headers: &HeaderMap,
    run: bool,
    selection: Selection,
) -> Result<Response, Refusal> {
    let answers = api.selections.of(&selection, &api.board).ok_or_else(|| selection.matches_nothing())?;
    let (age, since) = if run {
        let (selection, board) = (selection.clone(), Arc::clone(&api.board));
        answers.sweeps.join(move || selection.entries(&board), &api.shutdown).await
    } else {
        (None, None)
    };
    let format = negotiate::choose(headers, &HealthFormat::OFFERS);
    let shared = answers.health[format as usize].take(since, move |writer| {
        let is_ready = api.board.is_ready();
        let views: Vec<View> = selection.entries(&api.board).iter().map(|entry| entry.view()).collect();
        if views.is_empty() && !selection.is_all() {
            writer.set_code(StatusCode::NOT_FOUND);
            return writer.write_all(&selection.matches_nothing().text());
        }
        let judgement = judge_settled(&views, is_ready);
        writer.set_code(judgement.code());
        formats::write(writer, format, &views, judgement)
    });
    let (code, body) = shared.await?;
    // A 404 for checks that have gone meanwhile has its body in JSON, whatever format was asked for.
    let format = if code == StatusCode::NOT_FOUND { HealthFormat::Json } else { format };
    Ok((code, told(age), head(format), body).into_response())
}

fn told(age: Option<Duration>) -> Option<[(HeaderName, String); 1]> {
    age.map(|age| [(header::AGE, age.as_secs().to_string())])
}

fn head(format: HealthFormat) -> [(HeaderName, &'static str); 2] {
    [(header::CONTENT_TYPE, format.content_type()), (header::CACHE_CONTROL, "no-store")]
}

fn flag<'de, D: Deserializer<'de>>(input: D) -> Result<bool, D::Error> {
    match String::deserialize(input)?.as_str() {
        "" | "true" => Ok(true),
        "false" => Ok(false),
        other => Err(D::Error::custom(format!("`run` is true or false, not `{other}`"))),
    }
}
