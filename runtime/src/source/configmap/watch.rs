//! Follows the metadata of ConfigMaps in one namespace, or in all of them.
//!
//! kube's own watcher does not tell when a watch that broke is back, nor of bookmarks, which show that a
//! silent one still works.

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

/// A watch ends after so many seconds, and somewhat less: watches that began together end apart.
const LONGEST_WATCH: u32 = 290;
const SHORTEST_WATCH: u32 = 230;
/// API servers send a bookmark every minute; a watch that is silent for longer than this is cut off.
const SILENCE: Duration = Duration::from_secs(90);
/// A connection that lasted so long begins anew with short pauses.
const STEADY: Duration = Duration::from_secs(30);
/// The longest pause before it is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// `Expired`: the API server does not remember what changed since.
const GONE: u16 = 410;

/// What is seen of ConfigMaps.
#[derive(Debug)]
pub(super) enum Sighting {
    /// These are all in the namespace, or in all of them.
    All(Option<String>, Vec<Seen>),
    /// This one is new or has changed.
    One(Seen),
    /// This one is gone, or has lost its label.
    Gone(ConfigMapName),
    /// The API server does not let the daemon look there.
    Forbidden(Option<String>),
}

/// The watch over one namespace, or over all.
pub(super) struct Watch {
    objects: Objects,
    /// One of the watches lists at a time, as pages can be large.
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
    /// Nobody listens any more.
    #[error("nobody listens")]
    Unheard,
    #[error("it does not remember what changed since")]
    Expired,
    /// Whether it would have told anything is unknown.
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
    /// How long the API server asks to wait.
    fn asked_pause(&self) -> Duration {
        if let Self::Failed(error) = self { asked_pause(error) } else { Duration::ZERO }
    }
}

/// The name of a namespace, or of all, in messages and on the board.
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

    /// Tells what is there and what changes, for as long as somebody listens.
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

    /// Lists, and watches from there on.
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

    /// Tells everything that is there; gives the version of all of it.
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

    /// Tells what changes until the watch ends. One that has told nothing until then is no reason to believe that
    /// nothing has changed.
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

    /// Says that the place is lost; false if nobody listens any more.
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
