//! Follows the metadata of ConfigMaps in one namespace, or in all of them.
//!
//! The watcher of the crate `kube` tells neither when a broken watch is back, nor of bookmarks. Bookmarks
//! show that a silent watch still works.

#[cfg(test)]
mod tests;

use super::{
    ConfigMapName, Seen,
    liveness::Liveness,
    objects::{Item, Objects, PAGE, Page},
};
use crate::{
    board::SourceStatus,
    cluster::{asked_pause, code, in_words, random, within},
    schedule::backoff,
};
use futures_util::{FutureExt, Stream, StreamExt};
use kube::{
    Client,
    api::{ListParams, WatchEvent, WatchParams},
};
use std::{convert::Infallible, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, timeout},
};

/// The longest time of one watch in seconds. Each is somewhat shorter, so that watches that began together do
/// not end together.
const LONGEST_WATCH: u32 = 290;
const SHORTEST_WATCH: u32 = 230;
/// API servers send a bookmark every minute; a watch that is silent for longer than this is cut off.
const SILENCE: Duration = Duration::from_secs(90);
/// After how long a watch counts as good, so that the next pause is short again.
const STEADY: Duration = Duration::from_secs(30);
/// The longest pause before a watch that failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The status code `Expired`: the API server no longer knows the changes since the given version.
const GONE: u16 = 410;

/// What a watch reports about ConfigMaps.
#[derive(Debug)]
pub(super) enum Sighting {
    /// All ConfigMaps of the namespace, or of all namespaces.
    All(Option<String>, Vec<Seen>),
    /// A ConfigMap that is new or has changed.
    One(Seen),
    /// A ConfigMap that is gone, or no longer matches the selector.
    Gone(ConfigMapName),
    /// The API server forbids the daemon to list ConfigMaps in the namespace.
    Forbidden(Option<String>),
}

/// The watch of the ConfigMaps of one namespace, or of all.
pub(super) struct Watch {
    objects: Objects,
    /// The permit to list. One watch lists at a time, as pages can be large.
    listing: Arc<Semaphore>,
    namespace: Option<String>,
    selector: String,
    contact: Arc<SourceStatus>,
    sightings: mpsc::Sender<Sighting>,
    liveness: Arc<Liveness>,
}

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    /// Nobody receives what the watch reports any more.
    #[error("nobody listens")]
    Unheard,
    #[error("it does not remember what changed since")]
    Expired,
    /// The watch ended without a report, so that it is unknown whether anything has changed.
    #[error("the watch ended without a word")]
    Mute,
    #[error("{0}")]
    Silent(String),
    #[error("following them broke down; please report it with what the log says before this")]
    BrokeDown,
    #[error("{}", in_words(.0))]
    Failed(#[from] kube::Error),
}

impl Lost {
    /// How long the API server asks to wait before the next try; zero if the API server does not say.
    fn asked_pause(&self) -> Duration {
        if let Self::Failed(error) = self { asked_pause(error) } else { Duration::ZERO }
    }
}

/// The name of a namespace for messages and the board, or the words for all namespaces.
pub(super) fn title(namespace: Option<&str>) -> &str {
    namespace.unwrap_or("all namespaces")
}

impl Watch {
    pub(super) fn new(
        client: &Client,
        namespace: Option<String>,
        selector: &str,
        contact: Arc<SourceStatus>,
        sightings: mpsc::Sender<Sighting>,
        listing: Arc<Semaphore>,
        liveness: Arc<Liveness>,
    ) -> Self {
        let objects = Objects::new(client, namespace.as_deref());
        Self { objects, listing, namespace, selector: selector.to_owned(), contact, sightings, liveness }
    }

    /// Reports all ConfigMaps, then every change, for as long as somebody receives that.
    pub(super) async fn run(self) {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let lost = match AssertUnwindSafe(self.follow()).catch_unwind().await {
                Ok(Err(lost)) => lost,
                Err(_) => Lost::BrokeDown,
            };
            if matches!(lost, Lost::Unheard) || !self.mourn(&lost).await {
                return;
            }
            failures = if began.elapsed() > STEADY { 1 } else { failures + 1 };
            sleep(backoff(failures, random()).max(lost.asked_pause()).min(LONGEST_PAUSE)).await;
        }
    }

    /// Lists all ConfigMaps, then watches for changes from the version of that list.
    async fn follow(&self) -> Result<Infallible, Lost> {
        let mut version = self.list().await?;
        loop {
            let seconds = u64::from(SHORTEST_WATCH) + random() % u64::from(LONGEST_WATCH - SHORTEST_WATCH);
            let params = WatchParams {
                label_selector: Some(self.selector.clone()),
                timeout: u32::try_from(seconds).ok(),
                bookmarks: true,
                ..WatchParams::default()
            };
            let began = Instant::now();
            let events = within(self.objects.watch(&params, &version)).await?;
            self.liveness.heard();
            self.hear(pin!(events), &mut version).await?;
            if began.elapsed() < Duration::from_secs(1) {
                // A server that ends every watch at once must not be asked all the time.
                sleep(backoff(1, random())).await;
            }
        }
    }

    /// Lists and reports all ConfigMaps. Returns the resource version of the list.
    async fn list(&self) -> Result<String, Lost> {
        let mut params = ListParams::default().labels(&self.selector).limit(PAGE);
        let mut all = Vec::new();
        loop {
            let page = self.page(&params).await?;
            let metadata = page.metadata.clone();
            all.extend(page.seen());
            params.continue_token = metadata.continue_.filter(|token| !token.is_empty());
            if params.continue_token.is_none() {
                self.reached();
                self.tell(Sighting::All(self.namespace.clone(), all)).await?;
                return Ok(metadata.resource_version.unwrap_or_default());
            }
        }
    }

    async fn page(&self, params: &ListParams) -> kube::Result<Page> {
        let _turn = self.listing.acquire().await;
        within(self.objects.list(params)).await
    }

    /// Reports changes until the watch ends. A watch that has reported nothing does not prove that nothing
    /// has changed.
    async fn hear(
        &self,
        mut events: impl Stream<Item = kube::Result<WatchEvent<Item>>> + Unpin,
        version: &mut String,
    ) -> Result<(), Lost> {
        let (mut silent, mut is_mute) = (self.liveness.silent(), true);
        loop {
            let event = tokio::select! {
                event = timeout(SILENCE, events.next()) => event,
                _ = silent.changed() => return Err(Lost::Silent(silent.borrow().clone())),
            };
            let Ok(Some(event)) = event else { break };
            let event = event?;
            let sighting = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    Some(Sighting::One(object.seen()))
                }
                WatchEvent::Deleted(object) => {
                    let seen = object.seen();
                    version.clone_from(&seen.version);
                    Some(Sighting::Gone(seen.place))
                }
                WatchEvent::Bookmark(bookmark) => {
                    *version = bookmark.metadata.resource_version;
                    None
                }
                WatchEvent::Error(status) if status.code == GONE => return Err(Lost::Expired),
                WatchEvent::Error(status) => return Err(kube::Error::Api(status).into()),
            };
            if let Some(Sighting::One(seen)) = &sighting {
                version.clone_from(&seen.version);
            }
            is_mute = false;
            self.reached();
            if let Some(sighting) = sighting {
                self.tell(sighting).await?;
            }
        }
        if is_mute { Err(Lost::Mute) } else { Ok(()) }
    }

    fn reached(&self) {
        self.liveness.heard();
        if self.contact.reached(title(self.namespace.as_deref())) {
            tracing::info!("following the ConfigMaps in {}", title(self.namespace.as_deref()));
        }
    }

    /// Reports that the namespace cannot be watched. Returns false if nobody receives that any more.
    async fn mourn(&self, lost: &Lost) -> bool {
        let title = title(self.namespace.as_deref());
        let forbidden = match lost {
            Lost::Expired | Lost::Mute => return true,
            Lost::Failed(error) if code(error) == Some(GONE) => return true,
            Lost::Failed(error) => matches!(code(error), Some(401 | 403)),
            _ => false,
        };
        let help = if forbidden { "; grant the daemon get, list and watch there" } else { "" };
        let error = format!("cannot list configmaps in {title}: {lost}{help}");
        if self.contact.lost(title, &error) {
            tracing::warn!("{error}; the checks from there stay as they are");
        }
        !forbidden || self.tell(Sighting::Forbidden(self.namespace.clone())).await.is_ok()
    }

    async fn tell(&self, sighting: Sighting) -> Result<(), Lost> {
        self.sightings.send(sighting).await.map_err(|_| Lost::Unheard)
    }
}
