//! Follows the metadata of ConfigMaps in one namespace, or in all of them.
//!
//! kube's own watcher does not tell when a watch that broke is back, nor of bookmarks, which show that a
//! silent one still works.

use super::{
    Place, Seen,
    objects::{Item, Objects, PAGE, Page},
};
use crate::{
    board::Contact,
    cluster::{asked_pause, code, in_words, within},
    schedule::backoff,
};
use futures_util::{Stream, StreamExt};
use kube::{
    Client,
    api::{ListParams, WatchEvent, WatchParams},
};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    pin::pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, timeout},
};

/// A watch ends after so many seconds, and somewhat less: watches that began together end apart.
const LONGEST_WATCH: u32 = 290;
const SHORTEST_WATCH: u32 = 230;
/// API servers send a bookmark every minute; a watch that is silent for longer than this may be cut off.
const SILENCE: Duration = Duration::from_secs(150);
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
    Gone(Place),
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
    contact: Arc<Contact>,
    sightings: mpsc::Sender<Sighting>,
}

/// Why a watch ended.
#[derive(Debug, thiserror::Error)]
enum Lost {
    /// Nobody listens any more.
    #[error("nobody listens")]
    Unheard,
    #[error("it does not remember what changed since")]
    Expired,
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

/// Any number, another one each time.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

impl Watch {
    pub(super) fn new(
        client: &Client,
        namespace: Option<String>,
        selector: &str,
        contact: Arc<Contact>,
        sightings: mpsc::Sender<Sighting>,
        listing: Arc<Semaphore>,
    ) -> Self {
        let objects = Objects::new(client, namespace.as_deref());
        Self { objects, listing, namespace, selector: selector.to_owned(), contact, sightings }
    }

    /// Tells what is there and what changes, for as long as somebody listens.
    pub(super) async fn run(self) {
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let Err(lost) = self.follow().await;
            if matches!(lost, Lost::Unheard) || !self.mourn(&lost).await {
                return;
            }
            failures = if began.elapsed() > STEADY { 1 } else { failures + 1 };
            sleep(backoff(failures, random()).max(lost.asked_pause()).min(LONGEST_PAUSE)).await;
        }
    }

    /// Lists, and watches from there on.
    async fn follow(&self) -> Result<std::convert::Infallible, Lost> {
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
            self.reached();
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

    /// Tells what changes until the watch ends.
    async fn hear(
        &self,
        mut events: impl Stream<Item = kube::Result<WatchEvent<Item>>> + Unpin,
        version: &mut String,
    ) -> Result<(), Lost> {
        while let Ok(Some(event)) = timeout(SILENCE, events.next()).await {
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
            self.reached();
            if let Some(sighting) = sighting {
                self.tell(sighting).await?;
            }
        }
        Ok(())
    }

    fn reached(&self) {
        if self.contact.reached(title(self.namespace.as_deref())) {
            tracing::info!("following the ConfigMaps in {}", title(self.namespace.as_deref()));
        }
    }

    /// Says that the place is lost; false if nobody listens any more.
    async fn mourn(&self, lost: &Lost) -> bool {
        let title = title(self.namespace.as_deref());
        let forbidden = match lost {
            Lost::Expired => return true,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Cluster;
    use axum::{
        Router,
        body::Body,
        extract::RawQuery,
        http::StatusCode,
        routing::{MethodRouter, get},
    };
    use futures_util::stream;
    use serde_json::{Value, json};
    use std::{
        convert::Infallible,
        future::ready,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
    };
    use tokio::net::TcpListener;

    fn metadata(name: &str) -> Value {
        json!({ "metadata": { "name": name, "namespace": "team-a", "uid": name, "resourceVersion": "5",
            "creationTimestamp": "2026-01-01T00:00:00Z" } })
    }

    /// An API server: the first watch tells of a change and then expires, later ones say nothing.
    async fn serve() -> Client {
        let (lists, watches) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let answer = move |RawQuery(query): RawQuery| {
            let is_watch = query.is_some_and(|query| query.contains("watch=true"));
            let nth = if is_watch { &watches } else { &lists }.fetch_add(1, Relaxed);
            async move {
                match (is_watch, nth) {
                    (false, 0) => json!({ "metadata": { "resourceVersion": "7" }, "items": [metadata("goes")] }),
                    (false, _) => json!({ "metadata": { "resourceVersion": "9" }, "items": [metadata("comes")] }),
                    (true, 0) => {
                        let gone = json!({ "status": "Failure", "code": 410, "reason": "Expired", "message": "too old" });
                        return format!(
                            "{}\n{}\n",
                            json!({ "type": "ADDED", "object": metadata("new") }),
                            json!({ "type": "ERROR", "object": gone })
                        );
                    }
                    (true, _) => std::future::pending().await,
                }
                .to_string()
            }
        };
        client_of(get(answer)).await
    }

    async fn client_of(configmaps: MethodRouter) -> Client {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let router = Router::new().route("/api/v1/namespaces/team-a/configmaps", configmaps);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Cluster::new(kube::Config::new(url.parse().expect("a url"))).expect("a cluster").own()
    }

    fn watch(client: &Client, contact: &Arc<Contact>) -> (Watch, mpsc::Receiver<Sighting>) {
        let (sender, sightings) = mpsc::channel(4);
        let (contact, listing) = (Arc::clone(contact), Arc::new(Semaphore::new(1)));
        (Watch::new(client, Some("team-a".to_owned()), "a=b", contact, sender, listing), sightings)
    }

    #[tokio::test]
    async fn a_watch_that_expires_begins_anew_and_tells_all_that_is_there() {
        let contact = Arc::new(Contact::new("configmap", ["team-a".to_owned()]));
        let (watch, mut sightings) = watch(&serve().await, &contact);
        let watch = tokio::spawn(watch.run());
        let names = |seen: Vec<Seen>| seen.into_iter().map(|seen| seen.place.name).collect::<Vec<_>>();
        let Some(Sighting::All(_, all)) = sightings.recv().await else { panic!("a list comes first") };
        assert_eq!(names(all), ["goes"]);
        let Some(Sighting::One(new)) = sightings.recv().await else { panic!("then a change") };
        assert_eq!(names(vec![new]), ["new"]);
        let Some(Sighting::All(_, all)) = sightings.recv().await else { panic!("then a list again") };
        assert_eq!(names(all), ["comes"]);
        assert!(contact.source().connected, "expiry is no outage");
        watch.abort();
    }

    #[tokio::test]
    async fn a_server_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
        let lists = Arc::new(AtomicUsize::new(0));
        let listed = Arc::clone(&lists);
        let busy = async move || {
            listed.fetch_add(1, Relaxed);
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")], "busy")
        };
        let contact = Arc::new(Contact::new("configmap", ["team-a".to_owned()]));
        let (watch, _sightings) = watch(&client_of(get(busy)).await, &contact);
        // Without being asked, it would come again within a second.
        assert!(timeout(Duration::from_millis(1200), watch.run()).await.is_err());
        assert_eq!(lists.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn an_endless_list_is_no_more_than_a_list_that_cannot_be_had() {
        let contact = Arc::new(Contact::new("configmap", ["team-a".to_owned()]));
        let endless = || async {
            let chunk = || Some((Ok::<_, Infallible>(vec![b' '; 1 << 20]), ()));
            Body::from_stream(stream::unfold((), move |()| ready(chunk())))
        };
        let (watch, _sightings) = watch(&client_of(get(endless)).await, &contact);
        let watch = tokio::spawn(watch.run());
        let lost = async {
            while !contact.source().error.contains("length limit exceeded") {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(10), lost).await.unwrap_or_else(|_| panic!("{}", contact.source().error));
        watch.abort();
    }
}
