//! Checks from ConfigMaps, watched through the API.
//!
//! Only metadata is watched; a ConfigMap is read whole when it has changed, and its modules are kept until they
//! are compiled.

mod content;
mod follow;
mod liveness;
mod name_claims;
mod objects;
mod read;
mod watch;

use super::{Change, Taken};
use crate::{
    board::Board,
    cluster::lasting,
    policy::Policy,
    settings::Namespaces,
    value::{ConfigMapName, Origin},
};
use follow::Follower;
use jiff::Timestamp;
use kube::Client;
use liveness::Liveness;
use std::sync::Arc;
use tokio::{
    sync::{Semaphore, mpsc, watch as observe},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use watch::{Watch, title};

/// The name of this source on the board.
const NAME: &str = "configmap";
/// What was seen and waits to be looked at.
const PENDING_SIGHTINGS: usize = 16;

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
        let follower = Follower::new(self, places.into_iter().collect(), changes, taken, board, contact);
        stop.run_until_cancelled(follower.run(sightings)).await;
        tasks.shutdown().await;
    }
}

impl Seen {
    fn origin(&self) -> Origin {
        Origin::ConfigMap { name: self.place.clone(), uid: self.age.uid.clone() }
    }
}
