//! Runs on demand: a request makes checks run at once, and waits for the runs to end.

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

/// How long a request waits for a run beyond twice the check's timeout. Once the daemon stops, a request also
/// waits this long.
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

/// How long a request waits for a run on demand of this check: twice its timeout, and [`SLACK`]. The run may
/// begin with an `init`, which has the same timeout.
fn patience(check: &Check) -> Duration {
    check.program.timeout.saturating_mul(2).saturating_add(SLACK)
}

/// Runs a check on demand that has a module and is not suspended, and waits for the run. [`Demand::Late`] if
/// the run does not end in time, or the daemon stops meanwhile.
pub(super) async fn run(entry: &Entry, check: &Check, stop: &CancellationToken) -> Demand {
    tokio::select! {
        demand = entry.run_now(patience(check)) => demand,
        () = stopped(stop) => Demand::Late,
    }
}

/// Runs a check on demand, if it can run. Returns the age of the former outcome, if no new one has replaced
/// it; none otherwise, and if the check cannot run.
pub(super) async fn run_one(entry: &Arc<Entry>, stop: &CancellationToken) -> Option<Duration> {
    run_all(&[Arc::clone(entry)], patience(&entry.view().check), stop).await
}

/// Runs the checks that can run, and waits for `most` at most. Returns the age of the oldest former outcome
/// that no new one has replaced; none if there is no such outcome.
async fn run_all(entries: &[Arc<Entry>], most: Duration, stop: &CancellationToken) -> Option<Duration> {
    let views = entries.iter().map(|entry| (entry, entry.view())).filter(|(_, view)| can_run(view));
    let former: Vec<_> = views.map(|(entry, view)| (entry, shown(view))).collect();
    // All runs are requested at once; the scheduler decides how many go on at a time.
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

/// The run whose outcome readers are shown: the latest that counts, or else one that does not count. None
/// before the first run.
fn shown(view: View) -> Option<Run> {
    view.latest.or(view.excused)
}

/// How long ago the run `former` ended; none if readers are shown the outcome of another run.
fn age(entry: &Entry, former: &Run) -> Option<Duration> {
    let is_shown = shown(entry.view()).is_some_and(|run| run.started == former.started);
    is_shown.then(|| Timestamp::now().duration_since(former.ended()).unsigned_abs())
}

/// The sweeps over one selection of checks. A sweep runs each of these checks on demand. Requests that come
/// while a sweep is under way share it.
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
    /// The age of the oldest former outcome that the sweep did not replace; none if there is no such outcome.
    age: Option<Duration>,
}

impl Sweeps {
    /// Runs the checks in a new sweep, or waits for the sweep under way. Returns how old the oldest outcome
    /// may be; none if all are newer than the request. Returns also when the sweep ended, which is never
    /// none.
    pub(super) async fn join(
        &self,
        entries: impl FnOnce() -> Vec<Arc<Entry>> + Send + 'static,
        stop: &CancellationToken,
    ) -> (Option<Duration>, Option<Instant>) {
        let asked = Instant::now();
        let Sweep { begun, ended, age } = self.current(entries, stop).await;
        // A request that joined a sweep under way may get outcomes as old as the start of the sweep.
        let joined = (begun < asked).then(|| begun.elapsed());
        (age.max(joined), Some(ended))
    }

    /// The sweep that is under way, or a new one. A new one begins [`PAUSE`] after the start of the one
    /// before, at the earliest.
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
