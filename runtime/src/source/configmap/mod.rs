//! Checks from ConfigMaps, watched through the API.
//!
//! Only metadata is watched; a ConfigMap is read whole when it has changed, and its modules are kept until they
//! are compiled.

mod content;
mod events;
mod fair_queue;
mod follow;
mod liveness;
mod name_claims;
mod objects;
mod read;
mod watch;

use super::{Change, Taken};
use crate::{board::Board, policy::Policy, schedule::backoff, settings::Namespaces};
use events::EventQueue;
use follow::Follower;
use futures_util::FutureExt;
use jiff::Timestamp;
use kube::Client;
use liveness::Liveness;
use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};
use tokio::{
    sync::{Semaphore, mpsc, watch as observe},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use watch::{Watch, random, title};

/// The name of this source on the board.
const NAME: &str = "configmap";
/// What was seen and waits to be looked at.
const PENDING_SIGHTINGS: usize = 16;
/// The longest pause before a part that broke down begins again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// ConfigMaps whose manifests and modules are checks that should run.
pub struct ConfigMaps {
    /// Asks the API server with the rights of the daemon.
    pub client: Client,
    /// Where to look.
    pub namespaces: Namespaces,
    /// Which labels a ConfigMap must have.
    pub selector: String,
    /// How far checks may reach, by namespace.
    pub policy: Arc<Policy>,
    /// The largest module in bytes, once decoded.
    pub max_module_size: usize,
}

/// Where a ConfigMap is: its namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct ConfigMapName {
    namespace: String,
    name: String,
}

/// A ConfigMap as its metadata tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    place: ConfigMapName,
    age: Age,
    /// Another one after each change.
    version: String,
}

/// Orders ConfigMaps, the oldest first: when it was created, and its uid.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    created: Timestamp,
    uid: String,
}

impl ConfigMaps {
    /// Tells what is there, then what changes, until told to stop. Checks that are `taken` by another source
    /// are left to it.
    pub async fn watch(
        self,
        changes: mpsc::Sender<Change>,
        taken: observe::Receiver<Taken>,
        board: Arc<Board>,
        stop: CancellationToken,
    ) {
        let places: Vec<Option<String>> = match &self.namespaces {
            Namespaces::All => vec![None],
            Namespaces::Only(names) => names.iter().cloned().map(Some).collect(),
        };
        let contact = board.connect(NAME, places.iter().map(|place| title(place.as_deref()).to_owned()));
        let (sender, sightings) = mpsc::channel(PENDING_SIGHTINGS);
        let desk = Arc::new(EventQueue::beside(&board));
        let listing = Arc::new(Semaphore::new(1));
        let first = places.first().and_then(Option::as_deref);
        let liveness = Arc::new(Liveness::new(&self.client, first));
        let mut tasks = JoinSet::new();
        for place in places.clone() {
            let (contact, sender) = (Arc::clone(&contact), sender.clone());
            let (listing, liveness) = (Arc::clone(&listing), Arc::clone(&liveness));
            let watch = Watch::new(&self.client, place, &self.selector, contact, sender, listing, liveness);
            tasks.spawn(watch.run());
        }
        tasks.spawn(async move { lasting("looking for the API server", || liveness.keep()).await });
        tasks.spawn(events::keep(self.client.clone(), board, Arc::clone(&desk)));
        let follower = Follower::new(self, places.into_iter().collect(), changes, taken, desk, contact);
        stop.run_until_cancelled(follower.run(sightings)).await;
        tasks.shutdown().await;
    }
}

/// Does something until it ends by itself. If it breaks down, it begins again after a pause.
async fn lasting<F: Future<Output = ()>>(what: &str, begin: impl Fn() -> F) {
    let mut failures = 0;
    while AssertUnwindSafe(begin()).catch_unwind().await.is_err() {
        failures += 1;
        tracing::error!(
            "{what} broke down and begins again; please report it with what the log says before this"
        );
        sleep(backoff(failures, random()).min(LONGEST_PAUSE)).await;
    }
}

impl fmt::Display for ConfigMapName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}
