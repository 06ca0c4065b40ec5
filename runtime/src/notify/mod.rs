//! Tells authors what becomes of their checks: as Events of Kubernetes on the ConfigMaps that the checks are from.

mod event;
mod fair_queue;
mod queue;
#[cfg(test)]
mod tests;

use crate::{
    board::{Board, Entry, Event, EventKind, Notice},
    cluster::lasting,
};
use event::Reason;
use kube::Client;
use queue::EventQueue;
use std::sync::Arc;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

/// Writes Events about what happens on the board.
pub struct Notifier {
    client: Client,
    board: Arc<Board>,
    queue: EventQueue,
    news: News,
}

/// The events and the notices from the board.
struct News {
    events: Receiver<Arc<Event>>,
    notices: Receiver<Notice>,
}

impl Notifier {
    /// Subscribes to the board from now on. The account of `client` needs the rights to create and patch Events.
    pub fn new(client: Client, board: &Arc<Board>) -> Self {
        Self { client, board: Arc::clone(board), queue: EventQueue::default(), news: News::of(board) }
    }

    /// Writes Events until `stop` is cancelled. Events that still wait then are dropped.
    pub async fn run(self, stop: CancellationToken) {
        let Self { client, board, queue, news } = self;
        let mut first = Some(news);
        let mut news = || first.take().unwrap_or_else(|| News::of(&board));
        let work = async {
            tokio::join!(
                lasting("noting events for ConfigMaps", || listen(news(), &board, &queue)),
                lasting("writing events to ConfigMaps", || event::write_all(&client, &queue, &board.logs)),
            )
        };
        stop.run_until_cancelled(work).await;
    }
}

impl News {
    fn of(board: &Board) -> Self {
        Self { events: board.listen(), notices: board.notices() }
    }
}

/// Puts an event into the queue for each change on the board, and first for the state at the start.
async fn listen(News { mut events, mut notices }: News, board: &Board, queue: &EventQueue) {
    put_states(board, queue);
    loop {
        tokio::select! {
            // What has happened to the checks of an object comes before its end.
            biased;
            event = events.recv() => match event {
                Ok(event) => put_event(&event, queue),
                // The state of all checks covers the events that were missed.
                Err(RecvError::Lagged(_)) => put_states(board, queue),
                Err(RecvError::Closed) => return,
            },
            notice = notices.recv() => match notice {
                Ok(Notice::Refused(origin, why)) => queue.put(&origin, &why, Reason::ModuleRejected, &why),
                Ok(Notice::Gone(origin)) => queue.forget(&origin),
                Err(RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "ConfigMaps are refused for more reasons than become events");
                }
                Err(RecvError::Closed) => return,
            },
        }
    }
}

fn put_event(event: &Event, queue: &EventQueue) {
    let reason = match event.kind {
        EventKind::Loaded => Reason::ModuleLoaded,
        EventKind::Rejected => Reason::ModuleRejected,
        EventKind::Denied => Reason::GrantDenied,
        EventKind::Quarantined => Reason::CheckQuarantined,
        EventKind::Changed { .. } | EventKind::CleanupFailed | EventKind::Removed => return,
    };
    queue.put_about(&event.origin, &event.check, reason, &event.message);
}

fn put_states(board: &Board, queue: &EventQueue) {
    board.entries().iter().for_each(|entry| put_state(entry, queue));
}

fn put_state(entry: &Entry, queue: &EventQueue) {
    let (origin, view) = (entry.origin(), entry.view());
    let put = |reason, message: &str| queue.put_about(&origin, &entry.key, reason, message);
    match (&view.rejected, &view.module) {
        (Some(fault), _) => put(Reason::ModuleRejected, &fault.message),
        (None, Some(module)) => put(Reason::ModuleLoaded, &module.is_live()),
        (None, None) => {}
    }
    if view.quarantine.is_some() {
        put(Reason::CheckQuarantined, &view.error());
    }
}
