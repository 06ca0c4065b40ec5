//! `/metrics`: metrics of the checks, the sources and the daemon itself, for Prometheus.

mod checks;
mod files;
mod guests;
mod process;
mod row;
mod samples;
mod sources;

use super::{Api, answer::Refusal, negotiate, response_writer::ResponseWriter};
use crate::board::Board;
use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::IntoResponse,
};
use prometheus_client::{
    encoding::{prometheus_text, text},
    registry::Registry,
};
use std::{io, sync::Arc};

/// The formats of `/metrics` with their content types, the preferred one first.
const FORMATS: [(&str, (Format, &str)); 2] = [
    ("text/plain", (Format::Classic, prometheus_text::CONTENT_TYPE)),
    (
        "application/openmetrics-text",
        (Format::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ),
];

/// The number of formats of `/metrics`.
pub(super) const FORMS: usize = FORMATS.len();

/// A format of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Prometheus' text format 0.0.4.
    Classic,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// The registry of all collectors, which read their values at each scrape.
pub(super) fn registry(board: &Arc<Board>) -> Registry {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(process::Daemon));
    registry.register_collector(Box::new(files::Files(Arc::clone(board))));
    registry.register_collector(Box::new(sources::Sources(Arc::clone(board))));
    registry.register_collector(Box::new(checks::Checks(Arc::clone(board))));
    registry
}

/// All metrics in the format that `Accept` prefers: Prometheus text 0.0.4 or OpenMetrics 1.0.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "machines",
    responses(
        (status = 200, description = "The metrics", content(
            (String = "text/plain; version=0.0.4"),
            (String = "application/openmetrics-text; version=1.0.0"),
        )),
        (status = 503, description = "Too many such answers are under way", body = super::answer::Problem),
    )
)]
pub(super) async fn metrics(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Refusal> {
    let (format, content_type) = negotiate::choose(&headers, &FORMATS);
    let registry = Arc::clone(&api.registry);
    let write = move |writer: &mut ResponseWriter| {
        let written = match format {
            Format::Classic => prometheus_text::encode(writer, &registry),
            Format::OpenMetrics => text::encode(writer, &registry),
        };
        written.map_err(io::Error::other)
    };
    let (_, body) = api.metrics[format as usize].take(None, write).await?;
    Ok(([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store")], body))
}
