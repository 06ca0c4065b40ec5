//! Writes what becomes of a ConfigMap's checks back to it, as Events of Kubernetes.
//!
//! kube's own recorder merges events by their reason and keeps only the first message. An event here is
//! named after what it says, so that the same again is counted, also after a restart.

#[cfg(test)]
mod tests;

use super::{
    ConfigMapName,
    fair_queue::{FairQueue, Topic},
    lasting,
    watch::random,
};
use crate::{
    board::{self, Board, EventKind},
    cluster::{asked_pause, code, in_words, within},
    schedule::backoff,
    text::{cut_to, printable},
    usage::log::NamespaceLogs,
    value::{Digest, Key},
};
use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::{Event, EventSource, ObjectReference},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{
        Notify,
        broadcast::{Receiver, error::RecvError},
    },
    time::{Instant, sleep, sleep_until},
};

/// The longest message of an event in bytes.
const LONGEST_MESSAGE: usize = 1024;
/// The longest part of a ConfigMap's name that stands in the name of an event.
const LONGEST_NAME: usize = 200;
/// The longest pause before an event that could not be written is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The API server has an event of this name.
const CONFLICT: u16 = 409;
/// Who writes the events.
const COMPONENT: &str = "aviary";

/// What became of a ConfigMap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    ModuleLoaded,
    ModuleRejected,
    GrantDenied,
    CheckQuarantined,
}

/// Events that wait to be written, and whose checks are whose.
#[derive(Default)]
pub(super) struct EventQueue {
    state: Mutex<State>,
    more: Notify,
    logs: Arc<NamespaceLogs>,
}

#[derive(Default)]
struct State {
    owners: HashMap<Key, (ConfigMapName, String)>,
    queue: FairQueue<Note>,
}

/// An event to be written.
#[derive(Clone, Debug)]
struct Note {
    uid: String,
    reason: Reason,
    message: String,
}

impl Reason {
    fn label(self) -> &'static str {
        match self {
            Self::ModuleLoaded => "ModuleLoaded",
            Self::ModuleRejected => "ModuleRejected",
            Self::GrantDenied => "GrantDenied",
            Self::CheckQuarantined => "CheckQuarantined",
        }
    }

    fn kind(self) -> &'static str {
        if self == Self::ModuleLoaded { "Normal" } else { "Warning" }
    }
}

impl EventQueue {
    /// A desk for what is on the board.
    pub(super) fn beside(board: &Board) -> Self {
        Self { logs: Arc::clone(&board.logs), ..Self::default() }
    }

    /// Warns of a ConfigMap in the log, if there is room for that about its namespace.
    pub(super) fn warn(&self, place: &ConfigMapName, words: &str) {
        if self.logs.has_room(&place.namespace, words.len()) {
            tracing::warn!("{words}");
        }
    }

    /// What is written into the log about this namespace, which is not trusted, is bounded from now on.
    pub(super) fn bound(&self, namespace: &str) {
        self.logs.bound(namespace);
    }

    /// The check is this ConfigMap's now.
    pub(super) fn own(&self, key: &Key, place: &ConfigMapName, uid: &str) {
        self.state().owners.insert(key.clone(), (place.clone(), uid.to_owned()));
    }

    /// The check is no ConfigMap's any more.
    pub(super) fn disown(&self, key: &Key) {
        self.state().owners.remove(key);
    }

    /// The ConfigMap is gone.
    pub(super) fn forget(&self, place: &ConfigMapName) {
        self.state().queue.forget(place);
    }

    /// Has an event written to a ConfigMap, instead of an earlier one about the same.
    pub(super) fn note(&self, place: &ConfigMapName, uid: &str, about: &str, reason: Reason, message: &str) {
        let message = printable(cut_to(message, LONGEST_MESSAGE));
        let message = cut_to(&message, LONGEST_MESSAGE).to_owned();
        let topic = Topic { place: place.clone(), about: about.to_owned() };
        self.state().queue.put(topic, Note { uid: uid.to_owned(), reason, message });
        self.more.notify_one();
    }

    /// As [`Self::note`], to the ConfigMap that has the check.
    fn note_for(&self, key: &Key, reason: Reason, message: &str) {
        let owner = self.state().owners.get(key).cloned();
        let Some((place, uid)) = owner else { return };
        // What befalls a module that runs does not replace that it was loaded.
        let apart = match reason {
            Reason::ModuleLoaded | Reason::ModuleRejected => "",
            Reason::GrantDenied | Reason::CheckQuarantined => reason.label(),
        };
        let message = format!("{}: {message}", key.name());
        self.note(&place, &uid, &format!("{key} {apart}"), reason, &message);
    }

    fn owned(&self) -> Vec<Key> {
        self.state().owners.keys().cloned().collect()
    }

    /// The next event, as soon as it may be written.
    async fn next(&self) -> (Topic, Note) {
        loop {
            let next = self.state().queue.take(Instant::now());
            match next {
                Ok(next) => return next,
                Err(Some(at)) => {
                    tokio::select! {
                        () = sleep_until(at) => {}
                        () = self.more.notified() => {}
                    }
                }
                Err(None) => self.more.notified().await,
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes what happens on the board to checks from ConfigMaps, and writes it, for as long as it is polled.
pub(super) async fn keep(client: Client, board: Arc<Board>, desk: Arc<EventQueue>) {
    tokio::join!(
        lasting("noting events for ConfigMaps", || listen(board.listen(), &board, &desk)),
        lasting("writing events to ConfigMaps", || post(&client, &desk)),
    );
}

/// Notes what happens on the board, beginning with how things are now.
async fn listen(mut events: Receiver<Arc<board::Event>>, board: &Board, desk: &EventQueue) {
    desk.owned().iter().for_each(|key| note_state(board, desk, key));
    loop {
        match events.recv().await {
            Ok(event) => {
                let reason = match event.kind {
                    EventKind::Loaded => Reason::ModuleLoaded,
                    EventKind::Rejected => Reason::ModuleRejected,
                    EventKind::Denied => Reason::GrantDenied,
                    EventKind::Quarantined => Reason::CheckQuarantined,
                    EventKind::Changed { .. } | EventKind::CleanupFailed | EventKind::Removed => continue,
                };
                desk.note_for(&event.check, reason, &event.message);
            }
            // What was missed shows in how things are now.
            Err(RecvError::Lagged(_)) => desk.owned().iter().for_each(|key| note_state(board, desk, key)),
            Err(RecvError::Closed) => return,
        }
    }
}

fn note_state(board: &Board, desk: &EventQueue, key: &Key) {
    let Some(view) = board.get(key).map(|entry| entry.view()) else { return };
    match (&view.rejected, &view.module) {
        (Some(fault), _) => desk.note_for(key, Reason::ModuleRejected, &fault.message),
        (None, Some(module)) => desk.note_for(key, Reason::ModuleLoaded, &module.is_live()),
        (None, None) => {}
    }
    if view.quarantine.is_some() {
        desk.note_for(key, Reason::CheckQuarantined, &view.error());
    }
}

async fn post(client: &Client, desk: &EventQueue) {
    let (mut failures, mut is_forbidden) = (0, false);
    loop {
        let (topic, note) = desk.next().await;
        let error = match within(write(client, &topic.place, &note)).await {
            Ok(()) => {
                failures = 0;
                continue;
            }
            Err(error) if code(&error).is_some_and(|code| (400..500).contains(&code) && code != 429) => {
                if code(&error) != Some(403) {
                    let (place, why) = (&topic.place, in_words(&error));
                    desk.warn(place, &format!("cannot write an event to the ConfigMap {place}: {why}"));
                } else if !is_forbidden {
                    is_forbidden = true;
                    tracing::warn!(
                        "cannot write events to ConfigMaps, and will not say so again: {}; grant the daemon \
                         create and patch on events",
                        in_words(&error)
                    );
                }
                continue;
            }
            Err(error) => error,
        };
        let why = in_words(&error);
        tracing::debug!("cannot write an event to the ConfigMap {}: {why}; trying again", topic.place);
        desk.state().queue.put_back(topic, note);
        failures += 1;
        sleep(backoff(failures, random()).max(asked_pause(&error)).min(LONGEST_PAUSE)).await;
    }
}

/// Writes an event, or counts it up if the same has been written already.
async fn write(client: &Client, place: &ConfigMapName, note: &Note) -> kube::Result<()> {
    let api: Api<Event> = Api::namespaced(client.clone(), &place.namespace);
    let event = event(place, note);
    let name = event.metadata.name.clone().unwrap_or_default();
    match api.create(&PostParams::default(), &event).await {
        Err(error) if code(&error) == Some(CONFLICT) => {}
        created => return created.map(drop),
    }
    // The answer tells the count, without the right to read events.
    let (params, again) = (PatchParams::default(), json!({ "lastTimestamp": event.last_timestamp }));
    let known = api.patch(&name, &params, &Patch::Merge(again)).await?;
    let count = json!({ "count": known.count.unwrap_or(1).saturating_add(1) });
    api.patch(&name, &params, &Patch::Merge(count)).await.map(drop)
}

fn event(place: &ConfigMapName, note: &Note) -> Event {
    let reason = note.reason.label();
    let digest = Digest::of(format!("{} {reason} {}", note.uid, note.message).as_bytes());
    let name = cut_to(&place.name, LONGEST_NAME).trim_end_matches(['.', '-']);
    let now = Some(Time(Timestamp::now()));
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{name}.{}", digest.short())),
            namespace: Some(place.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("ConfigMap".to_owned()),
            name: Some(place.name.clone()),
            namespace: Some(place.namespace.clone()),
            uid: Some(note.uid.clone()),
            ..ObjectReference::default()
        },
        type_: Some(note.reason.kind().to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(note.message.clone()),
        count: Some(1),
        first_timestamp: now.clone(),
        last_timestamp: now,
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
        ..Event::default()
    }
}
