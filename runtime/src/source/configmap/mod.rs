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
/// The most reports of watches that wait to be handled.
const PENDING_SIGHTINGS: usize = 16;

/// ConfigMaps whose manifests and modules are checks that should run.
pub struct ConfigMaps {
    /// The client of the API server, with the rights of the daemon.
    pub client: Client,
    /// The namespaces whose ConfigMaps are read.
    pub namespaces: Namespaces,
    /// The label selector that a ConfigMap has to match.
    pub selector: String,
    /// The policy, which says what the checks of each namespace may reach.
    pub policy: Arc<Policy>,
    /// The largest module in bytes, once decoded.
    pub max_module_size: usize,
}

/// The metadata of a ConfigMap that is needed here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    place: ConfigMapName,
    age: Age,
    /// The resource version, which is another one after each change.
    version: String,
}

/// The age of a ConfigMap: its creation time, then its uid. The oldest ConfigMap sorts first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    created: Timestamp,
    uid: String,
}

impl ConfigMaps {
    /// Tells the checks of all ConfigMaps, then every change, until `stop` is cancelled. Checks that another
    /// source has `taken` are left to that source.
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
