//! `/api/v1/events`: a stream of what happens to checks.

use super::{
    Api,
    answer::{Problem, Refusal},
    client::Client,
    client_limit::Full,
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

/// The most event streams at a time, over all clients.
pub(super) const MAX_LISTENERS: usize = 64;
/// The most event streams of one client, so that others get some as well. Eight are enough for a few tools of
/// one machine, or behind one proxy.
pub(super) const LISTENERS_EACH: usize = 8;
/// How often a stream without events gets a comment, so that no proxy in between thinks it dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Streams events as server-sent events: `loaded`, `rejected`, `changed`, `denied`,
/// `cleanupFailed`, `quarantined`, `removed`, and `lagged` with the number `missed` by a client that was too slow.
#[utoipa::path(
    get,
    path = "/api/v1/events",
    tag = "programs",
    responses(
        (status = 200, description = "A stream without end", body = Event, content_type = "text/event-stream"),
        (status = 429, description = "This client has as many streams as it may have", body = Problem),
        (status = 503, description = "There are too many streams", body = Problem),
    )
)]
pub(super) async fn events(State(api): State<Api>, client: Client) -> Result<impl IntoResponse, Refusal> {
    let permit = api.listeners.take(Some(client)).map_err(refused)?;
    let events = stream::unfold((api.board.listen(), permit), |(mut events, permit)| async {
        let event = next(&mut events).await?;
        Some((Ok::<_, Infallible>(event), (events, permit)))
    });
    let events = events.take_until(api.shutdown.clone().cancelled_owned());
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

fn refused(full: Full) -> Refusal {
    match full {
        Full::Share => {
            let error = format!("{LISTENERS_EACH} streams go to this address already; close one of them");
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, error)
        }
        Full::All => {
            let error = format!("{MAX_LISTENERS} streams are open already; try again when one has ended");
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error)
        }
    }
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
