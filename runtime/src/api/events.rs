//! `/api/v1/events`: what happens to checks, while it happens.

use super::{
    Api,
    answer::{Problem, Refusal},
};
use crate::board::Event;
use axum::{
    extract::State,
    http::StatusCode,
    response::{
        IntoResponse,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::{StreamExt, stream};
use serde_json::json;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::sync::broadcast::{Receiver, error::RecvError};

/// The most clients that listen at a time.
pub(super) const MAX_LISTENERS: usize = 64;
/// How often a silent stream gets a comment, so that nothing in between thinks it dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams events as server-sent events: `loaded`, `rejected`, `changed`, `denied`,
/// `cleanupFailed`, `removed`, and `lagged` with the number `missed` by a client that was too slow.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "programs",
    responses(
        (status = 200, description = "A stream without end", body = Event, content_type = "text/event-stream"),
        (status = 503, description = "Too many clients listen", body = Problem),
    )
)]
pub(super) async fn events(State(api): State<Api>) -> Result<impl IntoResponse, Refusal> {
    let permit = Arc::clone(&api.listeners).try_acquire_owned().map_err(|_| {
        let error = format!("{MAX_LISTENERS} clients listen already; try again when one has left");
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error)
    })?;
    let events = stream::unfold((api.board.listen(), permit), |(mut events, permit)| async {
        let event = next(&mut events).await?;
        Some((Ok::<_, Infallible>(event), (events, permit)))
    });
    let events = events.take_until(api.shutdown.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

async fn next(events: &mut Receiver<Arc<Event>>) -> Option<sse::Event> {
    match events.recv().await {
        Ok(event) => {
            let data = serde_json::to_string(&*event).expect("an event is always JSON");
            Some(sse::Event::default().event(event.kind.label()).id(event.at.to_string()).data(data))
        }
        Err(RecvError::Lagged(missed)) => {
            Some(sse::Event::default().event("lagged").data(json!({ "missed": missed }).to_string()))
        }
        Err(RecvError::Closed) => None,
    }
}
