//! `/metrics`: everything on the board for Prometheus.

mod checks;
mod exposition;
mod files;
mod guests;
mod process;
mod row;
mod sources;

use super::{Api, answer::Refusal, negotiate};
use crate::board::Board;
use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::IntoResponse,
};
use exposition::{Exposition, Format};
use std::sync::Arc;

/// The formats, the preferred one first, with their content types.
const FORMATS: [(&str, (Format, &str)); 2] = [
    ("text/plain", (Format::Classic, "text/plain; version=0.0.4; charset=utf-8")),
    (
        "application/openmetrics-text",
        (Format::OpenMetrics, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
    ),
];

/// How many formats there are.
pub(super) const FORMS: usize = FORMATS.len();

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
    let board = Arc::clone(&api.board);
    let shelves = Arc::clone(&api.metrics);
    let body = if shelves[format as usize].overflows() {
        api.stream(move |pieces| {
            let mut size = 0;
            write(
                &board,
                Exposition::new(format, |piece| {
                    size += piece.len();
                    // If the client is gone, nobody is there to read the rest.
                    let _ = pieces.blocking_send(piece);
                }),
            );
            shelves[format as usize].measured(size);
        })
        .await?
    } else {
        let shared = shelves[format as usize].take(None, move |writer| {
            writer.begin(StatusCode::OK);
            write(&board, Exposition::new(format, |piece| writer.append(piece)));
            StatusCode::OK
        });
        shared.await?.1
    };
    Ok(([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-store")], body))
}

fn write(board: &Board, mut out: Exposition) {
    process::write(&mut out);
    files::write(&mut out, board);
    sources::write(&mut out, board);
    checks::write(&mut out, board);
    out.finish();
}
