//! Runs that are asked for, and waited for.

use crate::{
    board::{Demand, Entry, View},
    history::Run,
    manifest::Check,
};
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, Shared, WeakShared},
    stream::FuturesUnordered,
};
use jiff::Timestamp;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

/// How long beyond its own time a run is waited for, and how long once the daemon stops.
const SLACK: Duration = Duration::from_secs(1);
/// How long a request for many checks waits: one of them may have a timeout of hours.
const LONGEST_SWEEP: Duration = Duration::from_secs(60);
/// How long after a sweep has begun the next one may. Walking a full board takes some ten milliseconds, so
/// however many ask, it costs a twentieth of a processor at most.
const PAUSE: Duration = Duration::from_millis(250);

/// Whether there is something to run.
fn can_run(view: &View) -> bool {
    view.module.is_some() && !view.check.suspend
}

/// How long a run on demand may take: it may begin with an `init`, which has the same timeout.
fn patience(check: &Check) -> Duration {
    check.program.timeout.saturating_mul(2).saturating_add(SLACK)
}

/// Runs a check that can run.
pub(super) async fn run(entry: &Entry, check: &Check, stop: &CancellationToken) -> Demand {
    tokio::select! {
        demand = entry.run_now(patience(check)) => demand,
        () = stopped(stop) => Demand::Late,
    }
}

/// Runs a check, if it can run. Tells the age of its outcome where no new one has replaced it.
pub(super) async fn run_one(entry: &Arc<Entry>, stop: &CancellationToken) -> Option<Duration> {
    run_all(&[Arc::clone(entry)], patience(&entry.view().check), stop).await
}

/// Runs those that can run, for so long at most. Tells the age of the oldest outcome that no new one has replaced.
async fn run_all(entries: &[Arc<Entry>], most: Duration, stop: &CancellationToken) -> Option<Duration> {
    let views = entries.iter().map(|entry| (entry, entry.view())).filter(|(_, view)| can_run(view));
    let former: Vec<_> = views.map(|(entry, view)| (entry, shown(view))).collect();
    // The scheduler lets a few of them run at a time, with turns for each namespace.
    let runs: FuturesUnordered<_> = former.iter().map(|(entry, _)| entry.run_now(most)).collect();
    tokio::select! {
        () = runs.for_each(async |_| {}) => {}
        () = stopped(stop) => {}
    }
    former.into_iter().filter_map(|(entry, former)| age(entry, &former?)).max()
}

/// A moment after the daemon has begun to stop: what nearly ends may end, and clients get an answer before their
/// connections are dropped.
async fn stopped(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(SLACK).await;
}

/// The run whose outcome readers are shown.
fn shown(view: View) -> Option<Run> {
    view.latest.or(view.excused)
}

/// How long ago this run ended, if readers are still shown its outcome.
fn age(entry: &Entry, former: &Run) -> Option<Duration> {
    let is_shown = shown(entry.view()).is_some_and(|run| run.started == former.started);
    is_shown.then(|| Timestamp::now().duration_since(former.ended()).unsigned_abs())
}

/// Sweeps over checks: whoever asks while one is under way shares it.
#[derive(Default)]
pub(super) struct Sweeps(Mutex<NewestSweep>);

/// A sweep under way. Each of those who wait for it keeps it going, and without them it ends.
type Sweeping = BoxFuture<'static, Sweep>;

#[derive(Default)]
struct NewestSweep {
    sweep: Option<WeakShared<Sweeping>>,
    begun: Option<Instant>,
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
    /// Runs the checks, or waits for who does. Tells the age of the oldest outcome that is not newer than the
    /// request, and since when all of them stand.
    pub(super) async fn join(
        &self,
        entries: impl FnOnce() -> Vec<Arc<Entry>> + Send + 'static,
        stop: &CancellationToken,
    ) -> (Option<Duration>, Option<Instant>) {
        let asked = Instant::now();
        let Sweep { begun, ended, age } = self.current(entries, stop).await;
        // Who came later may be told what had been found out by then.
        let joined = (begun < asked).then(|| begun.elapsed());
        (age.max(joined), Some(ended))
    }

    /// The sweep that has not ended yet.
    fn current(
        &self,
        entries: impl FnOnce() -> Vec<Arc<Entry>> + Send + 'static,
        stop: &CancellationToken,
    ) -> Shared<Sweeping> {
        let mut newest = lock(&self.0);
        let under_way = newest.sweep.as_ref().and_then(WeakShared::upgrade);
        if let Some(sweep) = under_way.filter(|sweep| sweep.peek().is_none()) {
            return sweep;
        }
        let now = Instant::now();
        let begun = newest.begun.map_or(now, |before| now.max(before + PAUSE));
        let sweep = sweep(begun, entries, stop.clone()).boxed().shared();
        *newest = NewestSweep { sweep: sweep.downgrade(), begun: Some(begun) };
        sweep
    }
}

async fn sweep(begun: Instant, entries: impl FnOnce() -> Vec<Arc<Entry>>, stop: CancellationToken) -> Sweep {
    sleep_until(begun).await;
    let age = run_all(&entries(), LONGEST_SWEEP, &stop).await;
    Sweep { begun, ended: Instant::now(), age }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
