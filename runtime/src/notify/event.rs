//! Writes Kubernetes Events. The recorder of the crate `kube` merges events by their reason and keeps only
//! the first message. Here an event is named after its message, so that an equal event raises its count, also
//! after a restart.

use super::queue::EventQueue;
use crate::{
    cluster::{asked_pause, code, in_words, random, within},
    schedule::backoff,
    text::cut_to,
    usage::log::NamespaceLogs,
    value::{ConfigMapName, Digest},
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
use std::time::Duration;
use tokio::time::sleep;

/// The most bytes of a ConfigMap's name in the name of an event, which may have 253 bytes in Kubernetes.
const LONGEST_NAME: usize = 200;
/// The longest pause before an event that could not be written is tried again.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The status code of the API server for a name that exists already.
const CONFLICT: u16 = 409;
/// The component that writes the events: the field `source.component` of each event.
const COMPONENT: &str = "aviary";

/// What became of a check or a ConfigMap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    ModuleLoaded,
    ModuleRejected,
    GrantDenied,
    CheckQuarantined,
}

/// An event to be written to a ConfigMap.
#[derive(Clone, Debug)]
pub(super) struct PendingEvent {
    /// The uid of the ConfigMap.
    pub(super) uid: String,
    pub(super) reason: Reason,
    pub(super) message: String,
}

impl Reason {
    /// The field `reason` of the event: one word in CamelCase, for programs.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::ModuleLoaded => "ModuleLoaded",
            Self::ModuleRejected => "ModuleRejected",
            Self::GrantDenied => "GrantDenied",
            Self::CheckQuarantined => "CheckQuarantined",
        }
    }

    /// The field `type` of the event: `Normal` or `Warning`.
    pub(super) fn kind(self) -> &'static str {
        if self == Self::ModuleLoaded { "Normal" } else { "Warning" }
    }
}

/// Writes the events of a queue, one after the other, and never ends by itself. An event that the API server
/// refuses is dropped. An event that cannot be written now is tried again.
pub(super) async fn write_all(client: &Client, queue: &EventQueue, logs: &NamespaceLogs) {
    let (mut failures, mut is_forbidden) = (0, false);
    loop {
        let (topic, event) = queue.next().await;
        let error = match within(write(client, &topic.place, &event)).await {
            Ok(()) => {
                failures = 0;
                continue;
            }
            Err(error) if code(&error).is_some_and(|code| (400..500).contains(&code) && code != 429) => {
                let (place, why) = (&topic.place, in_words(&error));
                if code(&error) != Some(403) {
                    let line = format!("cannot write an event to the ConfigMap {place}: {why}");
                    if logs.has_room(&place.namespace, line.len()) {
                        tracing::warn!("{line}");
                    }
                } else if !is_forbidden {
                    is_forbidden = true;
                    tracing::warn!(
                        "cannot write events to ConfigMaps, and will not say so again: {why}; grant the daemon \
                         create and patch on events"
                    );
                }
                continue;
            }
            Err(error) => error,
        };
        let why = in_words(&error);
        tracing::debug!("cannot write an event to the ConfigMap {}: {why}; trying again", topic.place);
        queue.put_back(topic, event);
        failures += 1;
        sleep(backoff(failures, random()).max(asked_pause(&error)).min(LONGEST_PAUSE)).await;
    }
}

/// Writes an event. If an equal one exists already, its count is raised.
async fn write(client: &Client, place: &ConfigMapName, event: &PendingEvent) -> kube::Result<()> {
    let api: Api<Event> = Api::namespaced(client.clone(), &place.namespace);
    let event = kubernetes_event(place, event);
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

/// The Event object to create. Its name follows from the ConfigMap, the reason and the message, so that equal events
/// have the same name.
pub(super) fn kubernetes_event(place: &ConfigMapName, event: &PendingEvent) -> Event {
    let reason = event.reason.label();
    let digest = Digest::of(format!("{} {reason} {}", event.uid, event.message).as_bytes());
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
            uid: Some(event.uid.clone()),
            ..ObjectReference::default()
        },
        type_: Some(event.reason.kind().to_owned()),
        reason: Some(reason.to_owned()),
        message: Some(event.message.clone()),
        count: Some(1),
        first_timestamp: now.clone(),
        last_timestamp: now,
        source: Some(EventSource { component: Some(COMPONENT.to_owned()), host: None }),
        ..Event::default()
    }
}
