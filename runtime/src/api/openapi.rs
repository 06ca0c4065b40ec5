//! The OpenAPI description of everything that is served.

use super::Api;
use axum::{body::Bytes, extract::State, http::header, response::IntoResponse};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(title = "Aviary", description = "Health checks as sandboxed WebAssembly components", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    tags(
        (name = "machines", description = "For load balancers, Kubernetes and Prometheus"),
        (name = "programs", description = "JSON for programs"),
    )
)]
struct Head;

/// The description without any paths.
pub(super) fn head() -> utoipa::openapi::OpenApi {
    Head::openapi()
}

/// The description as it is served.
pub(super) fn text(description: &utoipa::openapi::OpenApi) -> Bytes {
    let text = serde_json::to_string_pretty(description).expect("a description is always JSON");
    (text + "\n").into()
}

/// This description.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "programs",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = serde_json::Value))
)]
pub(super) async fn openapi(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], api.description)
}
