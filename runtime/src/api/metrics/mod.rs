//! `/metrics`: everything on the board for Prometheus.

mod checks;
mod files;
mod guests;
mod process;
mod row;
mod samples;
mod sources;

use super::{Api, answer::Refusal, negotiate};
use crate::board::Board;
use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use prometheus_client::{
    encoding::{prometheus_text, text},
    registry::Registry,
};
use std::{fmt, mem, sync::Arc};

/// How long a piece of the text gets before it is sent: small enough for a processor's cache.
const PIECE: usize = 64 * 1024;

/// The formats, the preferred one first, with their content types.
const FORMATS: [(&str, (Format, &str)); 2] = [
    ("text/plain", (Format::Classic, prometheus_text::CONTENT_TYPE)),
    (
        "application/openmetrics-text",
        (Format::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ),
];

/// How many formats there are.
pub(super) const FORMS: usize = FORMATS.len();

/// How the text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Prometheus' text format 0.0.4.
    Classic,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// Everything that is read when Prometheus asks.
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
    let shelves = Arc::clone(&api.metrics);
    let body = if shelves[format as usize].overflows() {
        api.stream(move |pieces| {
            let mut size = 0;
            write(format, &registry, |piece| {
                size += piece.len();
                // If the client is gone, nobody is there to read the rest.
                let _ = pieces.blocking_send(piece);
            });
            shelves[format as usize].measured(size);
        })
        .await?
    } else {
        let shared = shelves[format as usize].take(None, move |writer| {
            writer.begin(StatusCode::OK);
            write(format, &registry, |piece| writer.append(piece));
            StatusCode::OK
        });
        shared.await?.1
    };
    Ok(([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store")], body))
}

fn write(format: Format, registry: &Registry, send: impl FnMut(Bytes)) {
    let mut pieces = Pieces { piece: String::new(), send };
    let written = match format {
        Format::Classic => prometheus_text::encode(&mut pieces, registry),
        Format::OpenMetrics => text::encode(&mut pieces, registry),
    };
    written.expect("pieces take everything");
    (pieces.send)(pieces.piece.into());
}

/// A text under way, sent in pieces: all of it at once would be large.
struct Pieces<F> {
    piece: String,
    send: F,
}

impl<F: FnMut(Bytes)> fmt::Write for Pieces<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.piece.push_str(text);
        if self.piece.len() >= PIECE {
            let piece = mem::replace(&mut self.piece, String::with_capacity(PIECE + PIECE / 8));
            (self.send)(piece.into());
        }
        Ok(())
    }
}
