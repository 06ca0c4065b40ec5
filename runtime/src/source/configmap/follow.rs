//! Reads the ConfigMaps that the watches report, and tells their checks as changes.

#[cfg(test)]
mod tests;

use super::{
    ConfigMapName, ConfigMaps, Seen,
    content::Former,
    name_claims::{NameClaims, Plan},
    read::{HeldModules, Read, Reader, WantedConfigMap, broke_down},
    watch::Sighting,
};
use crate::{
    board::{Board, Notice, SourceStatus},
    cluster::random,
    schedule::backoff,
    source::{Change, Taken},
    value::Key,
};
use futures_util::StreamExt;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::{AbortHandle, Id, JoinError, JoinSet},
    time::{Instant, sleep_until},
};
use tokio_util::time::DelayQueue;

/// The shortest time between two reads of one ConfigMap.
const SPACING: Duration = Duration::from_millis(250);
/// The longest pause before a read that failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long the daemon waits for the ConfigMaps that it found at the start before it goes on without them.
const LONGEST_START: Duration = Duration::from_secs(60);

/// Reads ConfigMaps that have changed, and tells the checks that they ask for.
pub(super) struct Follower {
    source: ConfigMaps,
    claims: NameClaims,
    known: BTreeMap<ConfigMapName, KnownConfigMap>,
    due: DelayQueue<ConfigMapName>,
    reader: Reader,
    reads: JoinSet<Read>,
    /// The numbers of the reads under way. The result of any other read is out of date.
    reading: HashMap<Id, ConfigMapName>,
    /// The namespaces whose ConfigMaps are not listed yet.
    unanswered: BTreeSet<Option<String>>,
    /// The namespaces whose ConfigMaps the daemon may not list.
    forbidden: BTreeSet<Option<String>>,
    places: usize,
    start: Start,
    changes: mpsc::Sender<Change>,
    taken: watch::Receiver<Taken>,
    board: Arc<Board>,
    contact: Arc<SourceStatus>,
}

/// How far the start has come. ConfigMaps that are made later do not delay it, as tenants could make them on
/// and on.
enum Start {
    /// Not all namespaces are listed. These ConfigMaps were found and not read yet.
    Finding(BTreeSet<ConfigMapName>),
    /// All namespaces are listed. These ConfigMaps are waited for until a deadline.
    Trying(BTreeSet<ConfigMapName>, Instant),
    Over,
}

/// A ConfigMap that exists, and what is known of it.
#[derive(Default)]
struct KnownConfigMap {
    /// The resource version that was last seen.
    version: String,
    /// The resource version that was last read; none before the first read.
    read: Option<String>,
    /// The modules in the ConfigMap that its manifests name or named.
    named: BTreeSet<String>,
    began: Option<Instant>,
    is_due: bool,
    /// The handle of the read that is under way; none without one.
    reading: Option<AbortHandle>,
    failures: u32,
}

/// The error that nobody receives changes any more.
struct Unheard;

impl Follower {
    pub(super) fn new(
        source: ConfigMaps,
        namespaces: BTreeSet<Option<String>>,
        changes: mpsc::Sender<Change>,
        taken: watch::Receiver<Taken>,
        board: Arc<Board>,
        contact: Arc<SourceStatus>,
    ) -> Self {
        Self {
            reader: Reader::new(&source),
            source,
            claims: NameClaims::default(),
            known: BTreeMap::new(),
            due: DelayQueue::new(),
            reads: JoinSet::new(),
            reading: HashMap::new(),
            places: namespaces.len(),
            unanswered: namespaces,
            forbidden: BTreeSet::new(),
            start: Start::Finding(BTreeSet::new()),
            changes,
            taken,
            board,
            contact,
        }
    }

    /// Follows what the watches report until nobody receives the changes any more.
    pub(super) async fn run(mut self, mut sightings: mpsc::Receiver<Sighting>) {
        while self.step(&mut sightings).await.is_ok() {}
    }

    async fn step(&mut self, sightings: &mut mpsc::Receiver<Sighting>) -> Result<(), Unheard> {
        tokio::select! {
            Some(sighting) = sightings.recv() => self.see(sighting).await?,
            Some(due) = self.due.next() => self.read(due.into_inner()),
            Some(ended) = self.reads.join_next_with_id() => self.ended(ended).await?,
            () = start_takes_too_long(&self.start) => {
                tracing::warn!("going on before all ConfigMaps have been tried; some take long");
                self.start = Start::Trying(BTreeSet::new(), Instant::now());
            }
            Ok(()) = self.taken.changed() => {
                let taken = self.taken.borrow_and_update().clone();
                let plan = self.claims.leave(taken);
                self.carry_out(plan, None).await?;
            }
            () = self.changes.closed() => return Err(Unheard),
        }
        self.go_on_starting().await
    }

    async fn go_on_starting(&mut self) -> Result<(), Unheard> {
        let answered = self.unanswered.is_empty() && self.forbidden.len() < self.places;
        if let Start::Finding(found) = &mut self.start
            && answered
        {
            self.start = Start::Trying(std::mem::take(found), Instant::now() + LONGEST_START);
        }
        if let Start::Trying(untried, _) = &self.start
            && untried.is_empty()
        {
            self.start = Start::Over;
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
                let here =
                    |place: &&ConfigMapName| namespace.as_ref().is_none_or(|name| *name == place.namespace);
                let gone: Vec<_> =
                    self.known.keys().filter(here).filter(|place| !there.contains(place)).cloned().collect();
                for place in gone {
                    self.forget(&place).await?;
                }
                if let Start::Finding(found) = &mut self.start {
                    found.extend(there);
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

    /// Plans the read of a ConfigMap.
    fn want(&mut self, place: &ConfigMapName, pause: Duration) {
        let Some(known) = self.known.get_mut(place) else { return };
        if !known.is_due {
            known.is_due = true;
            let since = known.began.map_or(SPACING, |began| began.elapsed());
            self.due.insert(place.clone(), pause.max(SPACING.saturating_sub(since)));
        }
    }

    fn read(&mut self, place: ConfigMapName) {
        let Some(known) = self.known.get_mut(&place) else { return };
        known.is_due = false;
        if known.reading.is_some() {
            return self.want(&place, SPACING);
        }
        known.began = Some(Instant::now());
        let former = Former { wishes: self.claims.wishes(&place), named: known.named.clone() };
        let (reader, whose) = (self.reader.clone(), place.clone());
        let reading = self.reads.spawn(async move { reader.read(&place, former).await });
        self.reading.insert(reading.id(), whose);
        known.reading = Some(reading);
    }

    /// Handles the end of a read, whether it succeeded or not.
    async fn ended(&mut self, ended: Result<(Id, Read), JoinError>) -> Result<(), Unheard> {
        let (id, read) = match ended {
            Ok((id, read)) => (id, read),
            Err(error) => (error.id(), Err(broke_down(&error))),
        };
        match self.reading.remove(&id) {
            Some(place) => self.have_read(place, read).await,
            None => Ok(()),
        }
    }

    async fn have_read(&mut self, place: ConfigMapName, read: Read) -> Result<(), Unheard> {
        let Some(known) = self.known.get_mut(&place) else { return Ok(()) };
        known.reading = None;
        self.start.tried(&place);
        if !self.source.policy.ceiling_for(&place.namespace).is_open() {
            self.board.logs.bound(&place.namespace);
        }
        match read {
            Ok(None) => Ok(()),
            Ok(Some(wanted)) => {
                known.failures = 0;
                known.read = Some(wanted.seen.version.clone());
                known.named.clone_from(&wanted.named);
                self.put(wanted).await
            }
            Err(error) => {
                known.failures += 1;
                let pause = backoff(known.failures, random()).min(LONGEST_PAUSE);
                self.warn(&place, &format!("cannot read the ConfigMap {place}: {error}; trying again"));
                self.want(&place, pause);
                Ok(())
            }
        }
    }

    async fn put(&mut self, wanted: WantedConfigMap) -> Result<(), Unheard> {
        let WantedConfigMap { seen, wishes, modules, .. } = wanted;
        if wishes.is_empty() {
            let why = "no key of it ends in .wasm, .wasm.zst, .wasm.gz or .yaml, so it is no check";
            self.board.notice(Notice::Refused(Arc::new(seen.origin()), why.to_owned()));
        }
        let plan = self.claims.put(&seen, wishes, self.most(&seen.place));
        self.carry_out(plan, Some(&modules)).await
    }

    /// The most checks that the namespace of a ConfigMap may have.
    fn most(&self, place: &ConfigMapName) -> usize {
        self.source.policy.most_checks(&place.namespace)
    }

    async fn forget(&mut self, place: &ConfigMapName) -> Result<(), Unheard> {
        if let Some(KnownConfigMap { reading: Some(reading), .. }) = self.known.remove(place) {
            reading.abort();
            self.reading.remove(&reading.id());
        }
        self.start.tried(place);
        if let Some(origin) = self.claims.origin(place) {
            self.board.notice(Notice::Gone(Arc::clone(origin)));
        }
        let plan = self.claims.remove(place, self.most(place));
        self.carry_out(plan, None).await
    }

    async fn carry_out(&mut self, plan: Plan, modules: Option<&HeldModules>) -> Result<(), Unheard> {
        self.contact.refuse(self.claims.refused());
        for key in plan.remove {
            self.tell(&key, Change::Remove(key.clone())).await?;
        }
        for key in plan.tell {
            let Some(modules) = modules else { continue };
            self.tell_all(&key, modules).await?;
        }
        for place in &plan.read {
            self.want(place, Duration::ZERO);
        }
        for (place, clash) in plan.clashes {
            self.warn(&place, &format!("ConfigMap {place}: {clash}"));
            if let Some(origin) = self.claims.origin(&place) {
                self.board.notice(Notice::Refused(Arc::clone(origin), clash));
            }
        }
        Ok(())
    }

    /// Tells what has changed about a check of this ConfigMap.
    async fn tell_all(&mut self, key: &Key, modules: &HeldModules) -> Result<(), Unheard> {
        for change in self.claims.tell(key, |name, digest| modules.pack(name, digest)) {
            self.tell(key, change).await?;
        }
        Ok(())
    }

    /// Logs a warning about a ConfigMap, within the log rate of its namespace.
    fn warn(&self, place: &ConfigMapName, words: &str) {
        if self.board.logs.has_room(&place.namespace, words.len()) {
            tracing::warn!("{words}");
        }
    }

    /// Tells a change, unless another source has the check.
    async fn tell(&self, key: &Key, change: Change) -> Result<(), Unheard> {
        let permit = self.changes.reserve().await.map_err(|_| Unheard)?;
        // Borrowed while sending: a check that a directory takes from now on, the directory tells of after this change.
        let taken = self.taken.borrow();
        if !taken.contains(key) {
            permit.send(change);
        }
        Ok(())
    }
}

impl Start {
    /// Notes that a ConfigMap was read, could not be read, or is gone, so that the start need not wait for
    /// it.
    fn tried(&mut self, place: &ConfigMapName) {
        if let Self::Finding(untried) | Self::Trying(untried, _) = self {
            untried.remove(place);
        }
    }
}

async fn start_takes_too_long(start: &Start) {
    match start {
        Start::Trying(_, until) => sleep_until(*until).await,
        Start::Finding(_) | Start::Over => std::future::pending().await,
    }
}
