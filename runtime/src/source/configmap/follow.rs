//! From what is seen of ConfigMaps to changes.

use super::{
    ConfigMaps, Place, Seen,
    content::Content,
    events::{Desk, Reason},
    shelf::{Plan, Shelf},
    watch::{Sighting, random},
};
use crate::{
    cluster::{in_words, within},
    grant::Ceiling,
    policy::Origin,
    schedule::backoff,
    source::Change,
    spec::Key,
};
use futures_util::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinSet, spawn_blocking},
    time::Instant,
};
use tokio_util::time::DelayQueue;

/// How many ConfigMaps are read at a time; each may be 1 MiB large.
const READS: usize = 4;
/// A ConfigMap that keeps changing is read once in so long.
const SPACING: Duration = Duration::from_millis(250);
/// The longest pause before a read that failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Reads ConfigMaps that have changed, and tells what they want.
pub(super) struct Follower {
    source: ConfigMaps,
    shelf: Shelf,
    known: BTreeMap<Place, Known>,
    due: DelayQueue<Place>,
    reads: JoinSet<(Place, Read)>,
    /// Namespaces that have not answered yet.
    unanswered: BTreeSet<Option<String>>,
    /// Namespaces that may not be looked at.
    forbidden: BTreeSet<Option<String>>,
    places: usize,
    synced: bool,
    changes: mpsc::Sender<Change>,
    taken: watch::Receiver<BTreeSet<Key>>,
    desk: Arc<Desk>,
}

/// What came of reading a ConfigMap: nothing if it is gone.
type Read = Result<Option<(Seen, Arc<Content>)>, String>;

/// A ConfigMap that is there.
#[derive(Default)]
struct Known {
    /// As it was last seen.
    version: String,
    /// As it was last read.
    read: Option<String>,
    began: Option<Instant>,
    is_due: bool,
    is_read: bool,
    failures: u32,
    tried: bool,
}

/// Nobody takes changes any more.
struct Unheard;

impl Follower {
    pub(super) fn new(
        source: ConfigMaps,
        namespaces: BTreeSet<Option<String>>,
        changes: mpsc::Sender<Change>,
        taken: watch::Receiver<BTreeSet<Key>>,
        desk: Arc<Desk>,
    ) -> Self {
        Self {
            source,
            shelf: Shelf::default(),
            known: BTreeMap::new(),
            due: DelayQueue::new(),
            reads: JoinSet::new(),
            places: namespaces.len(),
            unanswered: namespaces,
            forbidden: BTreeSet::new(),
            synced: false,
            changes,
            taken,
            desk,
        }
    }

    /// Follows what is seen until nobody takes the changes any more.
    pub(super) async fn run(mut self, mut sightings: mpsc::Receiver<Sighting>) {
        while self.step(&mut sightings).await.is_ok() {}
    }

    async fn step(&mut self, sightings: &mut mpsc::Receiver<Sighting>) -> Result<(), Unheard> {
        tokio::select! {
            Some(sighting) = sightings.recv() => self.see(sighting).await?,
            Some(due) = self.due.next(), if self.reads.len() < READS => self.read(due.into_inner()),
            Some(Ok((place, read))) = self.reads.join_next() => self.have_read(place, read).await?,
            Ok(()) = self.taken.changed() => {
                let taken = self.taken.borrow_and_update().clone();
                let plan = self.shelf.leave(taken);
                self.carry_out(plan, None).await?;
            }
            () = self.changes.closed() => return Err(Unheard),
        }
        let answered = self.unanswered.is_empty() && self.forbidden.len() < self.places;
        if answered && !self.synced && self.known.values().all(|known| known.tried) {
            self.synced = true;
            self.changes.send(Change::Synced).await.map_err(|_| Unheard)?;
        }
        Ok(())
    }

    async fn see(&mut self, sighting: Sighting) -> Result<(), Unheard> {
        match sighting {
            Sighting::One(seen) => self.look_at(seen),
            Sighting::Gone(place) => self.forget(&place).await?,
            Sighting::Forbidden(namespace) => {
                self.unanswered.remove(&namespace);
                self.forbidden.insert(namespace);
            }
            Sighting::All(namespace, all) => {
                let there: BTreeSet<_> = all.iter().map(|seen| seen.place.clone()).collect();
                let here = |place: &&Place| namespace.as_ref().is_none_or(|name| *name == place.namespace);
                let gone: Vec<_> =
                    self.known.keys().filter(here).filter(|place| !there.contains(place)).cloned().collect();
                for place in gone {
                    self.forget(&place).await?;
                }
                all.into_iter().for_each(|seen| self.look_at(seen));
                self.unanswered.remove(&namespace);
                self.forbidden.remove(&namespace);
            }
        }
        Ok(())
    }

    fn look_at(&mut self, seen: Seen) {
        let known = self.known.entry(seen.place.clone()).or_default();
        known.version = seen.version;
        if known.read.as_ref() != Some(&known.version) {
            self.want(&seen.place, Duration::ZERO);
        }
    }

    /// Has a ConfigMap read soon.
    fn want(&mut self, place: &Place, pause: Duration) {
        let Some(known) = self.known.get_mut(place) else { return };
        if !known.is_due {
            known.is_due = true;
            let since = known.began.map_or(SPACING, |began| began.elapsed());
            self.due.insert(place.clone(), pause.max(SPACING.saturating_sub(since)));
        }
    }

    fn read(&mut self, place: Place) {
        let Some(known) = self.known.get_mut(&place) else { return };
        known.is_due = false;
        if known.is_read {
            return self.want(&place, SPACING);
        }
        (known.is_read, known.began) = (true, Some(Instant::now()));
        let api: Api<ConfigMap> = Api::namespaced(self.source.client.clone(), &place.namespace);
        let limit = self.source.max_module_size;
        let ceiling = self.source.policy.ceiling_for(Origin::Namespace(&place.namespace));
        self.reads.spawn(async move {
            let read = get(&api, &place, ceiling, limit).await;
            (place, read)
        });
    }

    async fn have_read(&mut self, place: Place, read: Read) -> Result<(), Unheard> {
        let Some(known) = self.known.get_mut(&place) else { return Ok(()) };
        (known.is_read, known.tried) = (false, true);
        match read {
            Ok(None) => Ok(()),
            Ok(Some((seen, content))) => {
                known.failures = 0;
                known.read = Some(seen.version.clone());
                let wishes = content.wishes(&self.shelf.wishes(&place));
                let is_empty = wishes.is_empty();
                let plan = self.shelf.put(&seen, wishes);
                if is_empty {
                    let why = "no key of it ends in .wasm, .wasm.zst, .wasm.gz or .yaml, so it is no check";
                    self.desk.note(&place, &seen.age.uid, "", Reason::ModuleRejected, why);
                }
                self.carry_out(plan, Some(content)).await
            }
            Err(error) => {
                known.failures += 1;
                let pause = backoff(known.failures, random()).min(LONGEST_PAUSE);
                tracing::warn!("cannot read the ConfigMap {place}: {error}; trying again");
                self.want(&place, pause);
                Ok(())
            }
        }
    }

    async fn forget(&mut self, place: &Place) -> Result<(), Unheard> {
        self.known.remove(place);
        self.desk.forget(place);
        let plan = self.shelf.remove(place);
        self.carry_out(plan, None).await
    }

    async fn carry_out(&mut self, plan: Plan, content: Option<Arc<Content>>) -> Result<(), Unheard> {
        for key in plan.left.iter().chain(&plan.remove) {
            self.desk.disown(key);
        }
        for key in plan.remove {
            self.tell(&key, Change::Remove(key.clone())).await?;
        }
        for key in plan.tell {
            let Some(content) = &content else { continue };
            self.tell_all(&key, content).await?;
        }
        for place in &plan.read {
            self.want(place, Duration::ZERO);
        }
        for (place, clash) in plan.clashes {
            tracing::warn!("ConfigMap {place}: {clash}");
            let uid = self.shelf.uid(&place).unwrap_or_default();
            self.desk.note(&place, uid, &clash, Reason::ModuleRejected, &clash);
        }
        Ok(())
    }

    /// Tells what is new of a check that this ConfigMap has.
    async fn tell_all(&mut self, key: &Key, content: &Arc<Content>) -> Result<(), Unheard> {
        let module = match self.shelf.module_to_tell(key).map(str::to_owned) {
            Some(name) => {
                let content = Arc::clone(content);
                let decoded = spawn_blocking(move || content.module(&name)).await;
                decoded.unwrap_or_else(|error| Err(format!("decoding broke down: {error}")))
            }
            None => Ok(Vec::new()),
        };
        if let Some((place, _)) = self.shelf.owner(key) {
            self.desk.own(key, place, self.shelf.uid(place).unwrap_or_default());
        }
        for change in self.shelf.tell(key, |_| module) {
            self.tell(key, change).await?;
        }
        Ok(())
    }

    /// Tells a change, unless another source has the check.
    async fn tell(&self, key: &Key, change: Change) -> Result<(), Unheard> {
        let permit = self.changes.reserve().await.map_err(|_| Unheard)?;
        // Held while sending: what a directory takes from now on, it tells of after this.
        let taken = self.taken.borrow();
        if !taken.contains(key) {
            permit.send(change);
        }
        Ok(())
    }
}

async fn get(api: &Api<ConfigMap>, place: &Place, ceiling: Arc<Ceiling>, limit: usize) -> Read {
    let map = within(api.get_opt(&place.name)).await.map_err(|error| in_words(&error))?;
    let Some((map, seen)) = map.and_then(|map| Seen::of(map.metadata.clone()).map(|seen| (map, seen))) else {
        return Ok(None);
    };
    let place = place.clone();
    let content = spawn_blocking(move || Content::read(place, map, &ceiling, limit)).await;
    Ok(Some((seen, Arc::new(content.map_err(|error| error.to_string())?))))
}
