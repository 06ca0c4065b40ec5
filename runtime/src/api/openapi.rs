//! The OpenAPI description of everything that is served.

use super::{Api, guard::is_probe};
use axum::{body::Bytes, extract::State, http::header, response::IntoResponse};
use utoipa::{
    OpenApi,
    openapi::{
        Content, OneOfBuilder, Ref, RefOr, Response, Responses, Schema,
        path::{Operation, PathItem},
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

/// The refusals with which any route may answer, except the kubelet's probes: status codes and descriptions.
const REFUSALS: [(&str, &str); 4] = [
    ("401", "The daemon asks for credentials, and these are missing or not known"),
    ("429", "This address asks too often; `Retry-After` says when to come again"),
    ("500", "The answer could not be composed; the log of the daemon says why"),
    ("503", "There are too many connections or answers under way; `Retry-After` says when to come again"),
];
const JSON: &str = "application/json";

#[derive(OpenApi)]
#[openapi(
    info(title = "Aviary", description = "Health checks as sandboxed WebAssembly components", license(name = "Apache-2.0", identifier = "Apache-2.0")),
    tags(
        (name = "machines", description = "For load balancers, Kubernetes and Prometheus"),
        (name = "programs", description = "JSON for programs"),
    )
)]
struct Head;

/// The OpenAPI description without any paths.
pub(super) fn head() -> utoipa::openapi::OpenApi {
    Head::openapi()
}

/// The OpenAPI description as JSON text, with the refusals and security schemes that many paths share.
pub(super) fn text(mut description: utoipa::openapi::OpenApi) -> Bytes {
    for (path, item) in &mut description.paths.paths {
        complete(path, item);
    }
    let components = description.components.get_or_insert_default();
    for (name, scheme) in [("bearer", HttpAuthScheme::Bearer), ("basic", HttpAuthScheme::Basic)] {
        components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
    }
    let text = serde_json::to_string_pretty(&description).expect("a description is always JSON");
    (text + "\n").into()
}

fn complete(path: &str, item: &mut PathItem) {
    if let Some(head) = &mut item.head {
        head.operation_id = head.operation_id.take().map(|id| format!("head_{id}"));
    }
    for operation in [&mut item.get, &mut item.head, &mut item.post].into_iter().flatten() {
        if path.starts_with("/health") {
            say_as_much_when_not_well(&mut operation.responses);
        }
        if !is_probe(path) {
            guard(operation);
        }
    }
}

/// Gives the answers 500 and 503 of `/health` the content of the answer 200, as all have the same body.
fn say_as_much_when_not_well(Responses { responses, .. }: &mut Responses) {
    let Some(RefOr::T(well)) = responses.get("200").cloned() else { return };
    for code in ["500", "503"] {
        if let Some(RefOr::T(response)) = responses.get_mut(code) {
            response.content.clone_from(&well.content);
        }
    }
}

fn guard(operation: &mut Operation) {
    let schemes = ["bearer", "basic"].map(|name| SecurityRequirement::new(name, [] as [&str; 0]));
    // The first alternative is empty, as the daemon may ask for no credentials.
    operation.security = Some([SecurityRequirement::default()].into_iter().chain(schemes).collect());
    for (code, why) in REFUSALS {
        let responses = &mut operation.responses.responses;
        let response = responses.entry(code.to_owned()).or_insert_with(|| Response::new("").into());
        if let RefOr::T(response) = response {
            refuse(response, why);
        }
    }
}

/// Adds a refusal as another possible body to a response.
fn refuse(response: &mut Response, why: &str) {
    let problem = RefOr::Ref(Ref::from_schema_name("Problem"));
    let or = if response.description.is_empty() { "" } else { ". Or: " };
    response.description = format!("{}{or}{why}", response.description);
    let content = response.content.entry(JSON.to_owned()).or_insert_with(|| Content::default().into());
    let RefOr::T(content) = content else { return };
    content.schema = Some(match content.schema.take() {
        Some(RefOr::T(other)) => one_of(other.into(), problem),
        _ => problem,
    });
}

fn one_of(first: RefOr<Schema>, second: RefOr<Schema>) -> RefOr<Schema> {
    OneOfBuilder::new().item(first).item(second).into()
}

/// The OpenAPI description itself.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "programs",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = serde_json::Value))
)]
pub(super) async fn openapi(State(api): State<Api>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], api.description)
}
