//! The HTTP API of the daemon and the server behind it. What answers say of checks and sources is read from
//! the board.

mod answer;
mod checks;
mod client;
mod client_limit;
mod demand;
mod events;
mod facts;
mod formats;
mod guard;
mod health;
mod judgement;
mod metrics;
mod negotiate;
mod openapi;
mod reloading_file;
mod response_cache;
mod response_writer;
mod selection;
mod serve;
mod sources;
#[cfg(test)]
mod tests;

pub use client::TrustedProxies;
pub use guard::{Basic, Bearer, Guard};
pub use reloading_file::{FileContent, ReloadingFile};
pub use serve::{Entrance, Tls, listen, serve};

use crate::board::Board;
use answer::Refusal;
use axum::extract::FromRef;
use axum::{
    Router,
    body::Bytes,
    http::{StatusCode, Uri, header},
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get,
};
use client_limit::ClientLimit;
use prometheus_client::registry::Registry;
use response_cache::{ResponseCache, Store};
use selection::Selections;
use std::{array, sync::Arc};
use tokio_util::sync::CancellationToken;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The shared state that every handler of the API may use.
#[derive(Clone)]
struct Api {
    board: Arc<Board>,
    shutdown: CancellationToken,
    listeners: ClientLimit,
    registry: Arc<Registry>,
    store: Store,
    /// The caches of the answers of `/metrics`, one for each format.
    metrics: Arc<[ResponseCache; metrics::FORMS]>,
    selections: Arc<Selections>,
    description: Bytes,
}

impl FromRef<Api> for Arc<Board> {
    fn from_ref(api: &Api) -> Self {
        Self::clone(&api.board)
    }
}

/// The router of all paths of the API. Streams of `/api/v1/events` end when `shutdown` is cancelled.
pub fn router(board: Arc<Board>, shutdown: CancellationToken) -> Router {
    let (router, description) = routes().split_for_parts();
    let store = Store::default();
    let router = router.fallback(not_found).with_state(Api {
        registry: Arc::new(metrics::registry(&board)),
        board,
        shutdown,
        listeners: ClientLimit::new(events::MAX_LISTENERS, events::LISTENERS_EACH),
        metrics: Arc::new(array::from_fn(|_| ResponseCache::new(&store))),
        selections: Arc::new(Selections::new(store.clone())),
        store,
        description: openapi::text(description),
    });
    // A layer of the routes themselves would not see which methods they allow.
    Router::new().fallback_service(router).layer(map_response(name_methods))
}

/// The routes of the probe listener: `/livez` and `/readyz` only.
pub fn probes(board: Arc<Board>) -> Router {
    let router = Router::new().route("/livez", get(health::livez)).route("/readyz", get(health::readyz));
    router.fallback(only_probes).with_state(board)
}

async fn only_probes() -> Refusal {
    Refusal::new(
        StatusCode::NOT_FOUND,
        "here are only /livez and /readyz; all else is on the address of --listen",
    )
}

fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(openapi::head())
        .routes(routes!(health::health))
        .routes(routes!(health::namespace_health))
        .routes(routes!(health::check_health))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(checks::list))
        .routes(routes!(checks::detail))
        .routes(routes!(checks::run_now))
        .routes(routes!(sources::list))
        .routes(routes!(events::events))
        .routes(routes!(openapi::openapi))
}

async fn not_found(uri: Uri) -> Refusal {
    let error = format!(
        "there is nothing at {}; try /health, /metrics, /api/v1/checks, or /api/v1/openapi.json for all there is",
        uri.path()
    );
    Refusal::new(StatusCode::NOT_FOUND, error)
}

/// Adds a body to an answer 405, which says in words what the header `Allow` says.
async fn name_methods(response: Response) -> Response {
    match response.headers().get(header::ALLOW) {
        Some(allowed) if response.status() == StatusCode::METHOD_NOT_ALLOWED => {
            let methods = allowed.to_str().unwrap_or_default().replace(',', " or ");
            let refusal = Refusal::new(response.status(), format!("ask this path with {methods}"));
            ([(header::ALLOW, allowed.clone())], refusal).into_response()
        }
        _ => response,
    }
}
