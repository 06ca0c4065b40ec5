//! `/api/v1/sources`: the sources of checks, and whether each can be reached.

use super::Api;
use crate::board::Source;
use axum::{Json, extract::State, http::header, response::IntoResponse};
use serde::Serialize;

/// All sources of checks.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct SourceList {
    sources: Vec<Source>,
}

/// Lists the sources of checks; what came from one that cannot be reached goes on as it was.
#[utoipa::path(
    get,
    operation_id = "list_sources",
    path = "/api/v1/sources",
    tag = "programs",
    responses((status = 200, description = "The sources", body = SourceList))
)]
pub(super) async fn list(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CACHE_CONTROL, "no-store")], Json(SourceList { sources: api.board.sources() }))
}
