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

/// How much longer than a run may take a request waits for the run, and how long it waits once the daemon
/// stops.
const SLACK: Duration = Duration::from_secs(1);
/// The longest wait of a request that runs many checks, one of which may have a timeout of hours.
const LONGEST_SWEEP: Duration = Duration::from_secs(60);
/// The shortest time between the beginnings of two sweeps. A sweep over a full board takes about ten
/// milliseconds, so sweeps cost at most a twentieth of a processor.
const PAUSE: Duration = Duration::from_millis(250);

/// Whether a check has a module and is not suspended.
fn can_run(view: &View) -> bool {
    view.module.is_some() && !view.check.suspend
}

/// How long a run on demand may take. It may begin with an `init`, which has the same timeout as the run.
fn patience(check: &Check) -> Duration {
    check.program.timeout.saturating_mul(2).saturating_add(SLACK)
}

/// Runs a check on demand, and waits for the outcome.
pub(super) async fn run(entry: &Entry, check: &Check, stop: &CancellationToken) -> Demand {
    tokio::select! {
        demand = entry.run_now(patience(check)) => demand,
        () = stopped(stop) => Demand::Late,
    }
}

/// Runs a check on demand, if it can run. Returns the age of the shown outcome; none if a new outcome
/// has replaced it.
pub(super) async fn run_one(entry: &Arc<Entry>, stop: &CancellationToken) -> Option<Duration> {
    run_all(&[Arc::clone(entry)], patience(&entry.view().check), stop).await
}

/// Runs the checks that can run, and waits for `most` at most. Returns the age of the oldest
/// outcome that no new one has replaced; none if all are new.
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

/// Waits until shortly after the daemon has begun to stop. Runs that nearly end may end, and clients get an
/// answer before their connections are dropped.
async fn stopped(stop: &CancellationToken) {
    stop.cancelled().await;
    sleep(SLACK).await;
}

/// The run whose outcome readers are shown; none without one.
fn shown(view: View) -> Option<Run> {
    view.latest.or(view.excused)
}

/// How long ago this run ended; none if readers are shown the outcome of another run.
fn age(entry: &Entry, former: &Run) -> Option<Duration> {
    let is_shown = shown(entry.view()).is_some_and(|run| run.started == former.started);
    is_shown.then(|| Timestamp::now().duration_since(former.ended()).unsigned_abs())
}

/// Runs of all selected checks on demand, called sweeps. Requests that come while a sweep is under way share
/// it.
#[derive(Default)]
pub(super) struct Sweeps(Mutex<NewestSweep>);

/// A sweep that is under way. It ends when the last request that waits for it is gone.
type Sweeping = BoxFuture<'static, Sweep>;

#[derive(Default)]
struct NewestSweep {
    sweep: Option<WeakShared<Sweeping>>,
    begun: Option<Instant>,
}

/// The result of a sweep that has ended.
#[derive(Clone, Copy)]
struct Sweep {
    begun: Instant,
    ended: Instant,
    /// The age of the oldest outcome that the sweep did not replace; none if it replaced all.
    age: Option<Duration>,
}

impl Sweeps {
    /// Runs the checks, or waits for a sweep that does. Returns the age of the oldest outcome that is older
    /// than the request, and since when all outcomes are in force.
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

    /// The sweep that is under way, or a new one.
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
