//! Runs that are asked for, and waited for.

use crate::board::{Board, Demand, Entry, View};
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep_until},
};

/// How many checks one request runs at a time.
const CONCURRENT_RUNS: usize = 64;
/// How long a request waits for a run at most.
const LONGEST_PATIENCE: Duration = Duration::from_secs(30);
/// How long after its timeout a run is waited for.
const SLACK: Duration = Duration::from_secs(1);
/// How long after a sweep has begun the next one may. Walking a full board takes some ten milliseconds, so
/// however many ask, it costs a twentieth of a processor at most.
const PAUSE: Duration = Duration::from_millis(250);

/// Runs a check, unless it cannot run or is suspended.
pub(super) async fn run(entry: &Entry) -> Option<Demand> {
    let View { check, module, .. } = entry.view();
    let patience = (check.timeout + SLACK).min(LONGEST_PATIENCE);
    match module {
        Some(_) if !check.suspend => Some(entry.run_now(patience).await),
        _ => None,
    }
}

/// The age of the oldest outcome that no new run replaces.
pub(super) async fn run_all(entries: &[Arc<Entry>]) -> Option<Duration> {
    let runs = stream::iter(entries.to_vec()).map(|entry| async move { age(&entry, run(&entry).await) });
    let ages = runs.buffer_unordered(CONCURRENT_RUNS);
    ages.fold(None, async |oldest, age| oldest.max(age)).await
}

/// How long ago the outcome came about that stands in for one of now.
pub(super) fn age(entry: &Entry, demand: Option<Demand>) -> Option<Duration> {
    let Some(Demand::TooSoon(_)) = demand else { return None };
    let ended = entry.view().latest.map(|run| run.ended());
    Some(ended.map_or(Duration::ZERO, |ended| Timestamp::now().duration_since(ended).unsigned_abs()))
}

/// Sweeps over all checks: whoever asks while one is under way shares it.
#[derive(Default)]
pub(super) struct Sweeps {
    newest: Mutex<Arc<OnceCell<Sweep>>>,
    latest_begun: Mutex<Option<Instant>>,
}

/// A sweep that has ended.
#[derive(Clone, Copy)]
struct Sweep {
    begun: Instant,
    ended: Instant,
    /// The age of the oldest outcome that it did not replace.
    age: Option<Duration>,
}

impl Sweeps {
    /// Runs all checks, or waits for those who do. Tells the age of the oldest outcome that is not newer than the
    /// request, and since when all of them stand.
    pub(super) async fn join(&self, board: &Board) -> (Option<Duration>, Option<Instant>) {
        let asked = Instant::now();
        let Sweep { begun, ended, age } = *self.current().get_or_init(|| self.sweep(board)).await;
        // Who came later may be told what had been found out by then.
        let joined = (begun < asked).then(|| begun.elapsed());
        (age.max(joined), Some(ended))
    }

    /// The sweep that has not ended yet.
    fn current(&self) -> Arc<OnceCell<Sweep>> {
        let mut newest = lock(&self.newest);
        if newest.initialized() {
            *newest = Arc::default();
        }
        Arc::clone(&newest)
    }

    /// One at a time. If whoever does it leaves, another one who waits begins again.
    async fn sweep(&self, board: &Board) -> Sweep {
        let due = lock(&self.latest_begun).map(|latest| latest + PAUSE);
        if let Some(due) = due {
            sleep_until(due).await;
        }
        let begun = Instant::now();
        *lock(&self.latest_begun) = Some(begun);
        let age = run_all(&board.entries()).await;
        Sweep { begun, ended: Instant::now(), age }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
