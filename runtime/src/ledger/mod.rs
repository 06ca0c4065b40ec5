//! The ledger of what checks make in the cluster. It deletes these objects once the round that made them is
//! over.
//!
//! The labels of an object say whose it is; the ledger only remembers where to look. It does so in a
//! ConfigMap, so that a daemon that was killed finds what it left behind.

mod audit;
mod book;
mod due;
mod mark;
mod objects;
mod proof;
mod round;
mod sweep;
#[cfg(test)]
mod tests;

pub use book::ObjectLocation;
pub use mark::{Mark, PREFIX, TEMPLATES, Template};
pub use proof::Unproven;
pub use round::{EnterError, Round};

use crate::{
    cluster::{Cluster, asked_pause, in_words},
    usage::{Leftovers, log::NamespaceLogs},
    value::Key,
};
use book::{Book, Line, NAME, ObjectLocations};
use due::{Due, next, pause};
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use sweep::{Swept, sweep};
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep, sleep_until, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// The most checks that are swept at the same time.
const CONCURRENT_SWEEPS: usize = 4;
/// How long after a sweep that left nothing there is another one.
/// A request that was given up may still be carried out after the admission webhooks. They have ten seconds
/// by default.
const AFTERMATH: Duration = Duration::from_secs(12);
/// The first pause after a sweep that left something. Objects that are being deleted take a while.
const SOON: Duration = Duration::from_millis(500);
/// The pause after a round whose check was swept in vain before.
const ANEW: Duration = Duration::from_secs(5);
/// The longest pause before something is tried again.
const LATE: Duration = Duration::from_secs(60);

/// The ledger of what the checks of one daemon made in a cluster.
pub struct Ledger {
    cluster: Arc<Cluster>,
    leftovers: Arc<Leftovers>,
    logs: Arc<NamespaceLogs>,
    /// The value of the label that tells the objects of this daemon from those of others.
    daemon: String,
    book: Option<Book>,
    state: Mutex<State>,
    wake: Notify,
    rounds: AtomicU64,
}

#[derive(Default)]
struct State {
    places: BTreeMap<Key, ObjectLocations>,
    /// The rounds that are open because their guests live, by their names in labels.
    open: BTreeMap<Key, BTreeSet<String>>,
    due: BTreeMap<Key, Due>,
    /// The checks that are being swept.
    swept: BTreeSet<Key>,
    /// How many times lines were removed from the book.
    strikes: u64,
    /// Whether the book may have lines that it should not have.
    is_in_doubt: bool,
}

/// A check that is being swept. Dropping it says that the sweep is over.
struct Sweep {
    ledger: Arc<Ledger>,
    key: Key,
}

impl Ledger {
    /// The ledger of a daemon, kept in a ConfigMap of its namespace.
    /// `leftovers` gets how many objects each check left over; where the cluster does not say, it is at least
    /// one. What is logged about a namespace counts in `logs`.
    pub fn lasting(cluster: Arc<Cluster>, leftovers: Arc<Leftovers>, logs: Arc<NamespaceLogs>) -> Arc<Self> {
        let book = Book::new(&cluster);
        let daemon = cluster.namespace().to_owned();
        Arc::new(Self { book: Some(book), ..Self::new(cluster, leftovers, logs, daemon) })
    }

    /// A ledger without a ConfigMap, which does not outlive the process.
    pub fn fleeting(cluster: Arc<Cluster>, leftovers: Arc<Leftovers>) -> Arc<Self> {
        let daemon = format!("{}-{:x}", std::process::id(), Timestamp::now().as_millisecond());
        Arc::new(Self::new(cluster, leftovers, Arc::default(), daemon))
    }

    fn new(
        cluster: Arc<Cluster>,
        leftovers: Arc<Leftovers>,
        logs: Arc<NamespaceLogs>,
        daemon: String,
    ) -> Self {
        let (state, wake, rounds) = (Mutex::default(), Notify::new(), AtomicU64::new(0));
        Self { cluster, leftovers, logs, daemon, book: None, state, wake, rounds }
    }

    /// The cluster that the ledger is about.
    pub fn cluster(&self) -> Arc<Cluster> {
        Arc::clone(&self.cluster)
    }

    /// Begins a round of a check, whose objects are swept once it is dropped.
    pub fn open(self: &Arc<Self>, key: &Key) -> Round {
        let number = self.rounds.fetch_add(1, Relaxed);
        let round = format!("{:x}-{number:x}", Timestamp::now().as_millisecond());
        self.state().open.entry(key.clone()).or_default().insert(round.clone());
        Round::new(Arc::clone(self), Mark::new(&self.daemon, key.clone(), round))
    }

    /// Sweeps what an earlier life of the daemon left behind, and then whatever is due, until told to stop.
    /// Rounds that end after that are for [`Self::settle`].
    pub async fn keep(self: Arc<Self>, stop: CancellationToken) {
        let mut sweeps = JoinSet::new();
        if stop.run_until_cancelled(self.recover()).await.is_none() {
            return;
        }
        let mut audit = pin!(self.audit());
        loop {
            let next = self.start_due(&mut sweeps);
            tokio::select! {
                () = stop.cancelled() => break,
                () = &mut audit => {}
                () = self.wake.notified() => {}
                Some(_) = sweeps.join_next(), if !sweeps.is_empty() => {}
                () = sleep_until(next) => {}
            }
        }
        sweeps.shutdown().await;
    }

    /// Takes over the lines of the book, as soon as it can be read.
    async fn recover(&self) {
        let Some(book) = &self.book else { return };
        let mut tries = 0;
        let content = loop {
            let error = match book.read().await {
                Ok(content) => break content,
                Err(error) => error,
            };
            tracing::warn!("cannot read the ledger, trying again: {}", in_words(&error));
            sleep(pause(tries).max(asked_pause(&error)).min(LATE)).await;
            tries += 1;
        };
        for (name, error) in content.unreadable {
            tracing::warn!("the line {name} of ConfigMap {NAME} is left alone: {error}");
        }
        let mut state = self.state();
        for Line { check, place, namespace_uid } in content.lines.into_values() {
            state.is_in_doubt = true;
            state.due.insert(check.clone(), Due::now());
            let uid = state.places.entry(check).or_default().entry(place).or_default();
            *uid = uid.take().or(namespace_uid);
        }
    }

    /// Sweeps until nothing is left over or the time is up; true if nothing is left.
    pub async fn settle(self: &Arc<Self>, deadline: Instant) -> bool {
        let mut sweeps = JoinSet::new();
        let mut unbroken = true;
        self.state().make_due();
        loop {
            let next = self.start_due(&mut sweeps);
            // Objects that appear later are found when the daemon starts again.
            if sweeps.is_empty() && self.state().due.values().all(|due| due.was_clean) {
                return unbroken;
            }
            let step = async {
                tokio::select! {
                    Some(ended) = sweeps.join_next(), if !sweeps.is_empty() => unbroken &= ended.is_ok(),
                    () = sleep_until(next) => {}
                }
            };
            if timeout_at(deadline, step).await.is_err() {
                sweeps.shutdown().await;
                return false;
            }
        }
    }

    /// Starts the sweeps that are due, and returns when the next one is.
    fn start_due(self: &Arc<Self>, sweeps: &mut JoinSet<()>) -> Instant {
        let now = Instant::now();
        let mut state = self.state();
        while sweeps.len() < CONCURRENT_SWEEPS {
            let Some(key) = next(&state.due, &state.swept) else { break };
            let Some(due) = state.due.remove(&key) else { break };
            let places = state.places.get(&key).cloned().unwrap_or_default();
            state.swept.insert(key.clone());
            let sweep = Sweep { ledger: Arc::clone(self), key };
            sweeps.spawn(async move { sweep.ledger.sweep(sweep.key.clone(), places, due).await });
        }
        let waiting = state.due.values().map(|due| due.at).filter(|at| *at > now).min();
        waiting.unwrap_or(now + LATE)
    }

    async fn sweep(&self, key: Key, places: ObjectLocations, due: Due) {
        let is_over = |round: &str| !self.state().open.get(&key).is_some_and(|open| open.contains(round));
        let Swept { left, trouble, asked_pause } =
            sweep(&self.cluster, &self.daemon, &key, &places, is_over).await;
        if let Some(error) = &trouble
            && self.logs.has_room(key.namespace(), error.len())
        {
            tracing::warn!(check = %key, "cannot delete what it left behind, trying again: {error}");
        }
        // Where the cluster does not say how many there are, there may be at least one.
        let left = left.max(usize::from(trouble.is_some()));
        self.leftovers.set(&key, left);
        {
            let mut state = self.state();
            if left > 0 {
                let (later, ended_meanwhile) = (due.after(left), state.due.contains_key(&key));
                let later = if ended_meanwhile { later.after_a_round() } else { later };
                state.due.insert(key, later.no_sooner_than(asked_pause));
                return;
            }
            if !due.was_clean {
                state.due.entry(key).or_insert(due.after(left));
                return;
            }
            if state.open.contains_key(&key) || state.due.contains_key(&key) {
                return;
            }
            state.places.remove(&key);
        }
        let lines = places.iter().map(|(place, uid)| Line::new(&key, place, uid.as_deref()));
        self.strike(lines.map(|line| (line.name(), line)).collect()).await;
    }

    /// Removes these lines from the book. A new round may have begun meanwhile, so its places are noted
    /// again.
    async fn strike(&self, lines: BTreeMap<String, Line>) {
        let Some(book) = self.book.as_ref().filter(|_| !lines.is_empty()) else { return };
        let removed = book.remove(lines.keys()).await;
        let again: Vec<_> = {
            let mut state = self.state();
            state.strikes += 1;
            state.is_in_doubt |= removed.is_err();
            let again = lines.values().filter_map(|line| state.line(&line.check, &line.place));
            again.filter(|line| lines.contains_key(&line.name())).collect()
        };
        if let Err(error) = removed {
            tracing::debug!("the ledger keeps lines that say nothing any more: {}", in_words(&error));
        }
        if let Err(error) = book.add(&again).await {
            tracing::warn!("cannot note again where checks make objects: {}", in_words(&error));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Makes every check due that may have left something, as if no sweep had been tried: the time that
    /// remains is short.
    fn make_due(&mut self) {
        for key in self.places.keys() {
            let due = self.due.entry(key.clone()).or_insert_with(Due::now);
            if due.is_in_vain() {
                *due = Due::now();
            }
        }
    }

    /// The line that the book should have for a place of a check; none if it should have none.
    fn line(&self, check: &Key, place: &ObjectLocation) -> Option<Line> {
        let uid = self.places.get(check)?.get(place)?;
        Some(Line::new(check, place, uid.as_deref()))
    }

    /// Whether the book has to be looked at.
    fn take_doubt(&mut self) -> bool {
        std::mem::take(&mut self.is_in_doubt) || !self.places.is_empty()
    }
}

impl Drop for Sweep {
    fn drop(&mut self) {
        self.ledger.state().swept.remove(&self.key);
    }
}
