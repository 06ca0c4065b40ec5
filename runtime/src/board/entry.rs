//! What is known about one check.

use super::{
    Event, EventKind,
    health::{Health, Standing, Thresholds},
};
use crate::{
    capability::{calls::Tally, log::printable, metrics::Series},
    history::{History, Run},
    outcome::{Fault, Reason, Status, Verdict},
    spec::{Check, Digest, Key},
};
use futures_util::FutureExt;
use jiff::Timestamp;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, broadcast, watch},
    time::Instant,
};

/// Upper bounds of the buckets of run durations, in seconds.
pub const DURATION_BOUNDS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 10.0];

/// How many different refusals of one module are told.
const MOST_DENIALS: usize = 20;

/// The module that a check runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// Its file or key.
    pub name: String,
    /// Digest of its decoded bytes.
    pub digest: Digest,
    /// Decoded size in bytes.
    pub size: usize,
    /// The capabilities and other interfaces it imports.
    pub imports: Vec<String>,
    /// When it was loaded.
    pub loaded: Timestamp,
}

/// Numbers that only grow while the check exists.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Runs by outcome: pass, warn, fail, unknown.
    pub runs: [u64; 4],
    /// Faults by [`Reason`], as its discriminant.
    pub faults: [u64; Reason::ALL.len()],
    /// Polls that were due while the one before was still running.
    pub skipped: u64,
    /// Runs by duration, one more bucket than [`DURATION_BOUNDS`].
    pub durations: [u64; DURATION_BOUNDS.len() + 1],
    /// Seconds that all runs took.
    pub duration_sum: f64,
}

impl Counts {
    fn add(&mut self, run: &Run) {
        let outcome = match run.verdict.as_ref() {
            Ok(outcome) => outcome.status as usize,
            Err(fault) => {
                self.faults[fault.reason as usize] += 1;
                Status::Fail as usize + 1
            }
        };
        self.runs[outcome] += 1;
        let seconds = run.duration.as_secs_f64();
        self.durations[DURATION_BOUNDS.partition_point(|bound| *bound < seconds)] += 1;
        self.duration_sum += seconds;
    }
}

/// One check as a reader sees it at one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// The manifest in force.
    pub check: Arc<Check>,
    /// Where it stands, staleness and suspension included.
    pub standing: Standing,
    /// When it came to stand there; for a stale check, when it was last known to stand elsewhere.
    pub since: Timestamp,
    /// Runs in a row without a good outcome.
    pub consecutive_failures: u32,
    /// The latest run.
    pub latest: Option<Run>,
    /// When the latest good run ended.
    pub last_success: Option<Timestamp>,
    /// The module that runs; none was ever good if there is none.
    pub module: Option<Arc<Module>>,
    /// Why the newest manifest or module is not the one that runs.
    pub rejected: Option<Arc<Fault>>,
    /// Numbers that only grow.
    pub counts: Counts,
    /// Linear memory of the guest in bytes.
    pub memory: usize,
}

impl View {
    /// Why the check is not well; empty only if it is.
    pub fn error(&self) -> String {
        match (self.standing, &self.latest, &self.rejected) {
            (standing, ..) if standing.is_ok() => String::new(),
            (Standing::Stale, ..) => "has not run for three intervals".to_owned(),
            (_, Some(run), _) => match run.verdict.as_ref() {
                Ok(outcome) if outcome.status != Status::Fail => {
                    "works again, but not yet as often in a row as `successThreshold` asks for".to_owned()
                }
                Ok(outcome) if outcome.message.is_empty() => "failed without a message".to_owned(),
                Ok(outcome) => outcome.message.clone(),
                Err(fault) => fault.message.clone(),
            },
            (_, None, Some(fault)) => fault.message.clone(),
            (_, None, None) => "has not run yet".to_owned(),
        }
    }
}

/// One check on the board: its task writes, everybody else reads.
#[derive(Debug)]
pub struct Entry {
    /// The check's identity.
    pub key: Key,
    /// Host calls by capability and result.
    pub tally: Arc<Tally>,
    /// The check's own metrics.
    pub series: Arc<Series>,
    state: Mutex<State>,
    demand: Notify,
    finished: watch::Sender<u64>,
    events: broadcast::Sender<Arc<Event>>,
}

#[derive(Debug)]
struct State {
    check: Arc<Check>,
    module: Option<Arc<Module>>,
    rejected: Option<Arc<Fault>>,
    health: Health,
    history: History,
    counts: Counts,
    last_success: Option<Timestamp>,
    fresh_until: Option<Instant>,
    memory: usize,
    denials: Vec<String>,
}

impl Entry {
    pub(super) fn new(check: Arc<Check>, events: broadcast::Sender<Arc<Event>>) -> Self {
        Self {
            key: check.key.clone(),
            tally: Arc::default(),
            series: Arc::default(),
            state: Mutex::new(State {
                check,
                module: None,
                rejected: None,
                health: Health::unknown(Timestamp::now()),
                history: History::default(),
                counts: Counts::default(),
                last_success: None,
                fresh_until: None,
                memory: 0,
                denials: Vec::new(),
            }),
            demand: Notify::new(),
            finished: watch::Sender::new(0),
            events,
        }
    }

    /// The check as it stands now.
    pub fn view(&self) -> View {
        let state = self.state();
        let standing = match state.fresh_until {
            _ if state.check.suspend => Standing::Suspended,
            Some(until) if until < Instant::now() => Standing::Stale,
            _ => state.health.standing,
        };
        View {
            check: Arc::clone(&state.check),
            standing,
            since: state.health.since,
            consecutive_failures: state.health.consecutive_failures,
            latest: state.history.latest().cloned(),
            last_success: state.last_success,
            module: state.module.clone(),
            rejected: state.rejected.clone(),
            counts: state.counts,
            memory: state.memory,
        }
    }

    /// The latest runs, oldest first.
    pub fn history(&self) -> Vec<Run> {
        self.state().history.runs().cloned().collect()
    }

    /// A new manifest and module are in force.
    pub fn accept(&self, check: Arc<Check>, module: Module) {
        let message = format!("{} {} is live", module.name, module.digest.short());
        {
            let mut state = self.state();
            state.check = check;
            state.module = Some(Arc::new(module));
            state.rejected = None;
            state.denials.clear();
        }
        self.tell(EventKind::Loaded, message);
    }

    /// The newest manifest or module is no good; whatever ran before goes on.
    pub fn reject(&self, fault: Fault) {
        let message = fault.message.clone();
        {
            let mut state = self.state();
            state.counts.faults[fault.reason as usize] += 1;
            state.rejected = Some(Arc::new(fault));
        }
        self.tell(EventKind::Rejected, message);
    }

    /// The check counts as stale unless it runs before `fresh_until`.
    pub fn expect_run(&self, fresh_until: Instant) {
        self.state().fresh_until = Some(fresh_until);
    }

    /// A run has finished; the next one must follow before `fresh_until`.
    pub fn record(&self, started: Timestamp, duration: Duration, verdict: Verdict, fresh_until: Instant) {
        let now = Timestamp::now();
        let change = {
            let mut state = self.state();
            let thresholds =
                Thresholds { failure: state.check.failure_threshold, success: state.check.success_threshold };
            let former = state.health.record(&verdict, thresholds, now);
            let state = &mut *state;
            state.counts.add(state.history.push(started, duration, verdict));
            state.fresh_until = Some(fresh_until);
            if state.health.consecutive_failures == 0 {
                state.last_success = Some(now);
            }
            former.map(|former| (former, state.health.standing))
        };
        self.finish();
        if let Some((former, standing)) = change {
            let kind = EventKind::Changed { from: former, to: standing };
            self.tell(kind, self.view().error());
        }
    }

    /// A run has finished that does not count, because its round has only begun.
    pub fn excuse(&self) {
        self.finish();
    }

    /// Polls were due while the one before was still running.
    pub fn skip(&self, polls: u64) {
        self.state().counts.skipped += polls;
    }

    /// The guest holds so many bytes of memory.
    pub fn set_memory(&self, bytes: usize) {
        self.state().memory = bytes;
    }

    /// Asks for a run now and waits for the next one to finish. Requests made before it finishes
    /// share it. False if none finished within `patience`.
    pub async fn run_now(&self, patience: Duration) -> bool {
        let mut finished = self.finished.subscribe();
        self.demand.notify_one();
        matches!(tokio::time::timeout(patience, finished.changed()).await, Ok(Ok(())))
    }

    /// Waits until somebody asks for a run.
    pub async fn demanded(&self) {
        self.demand.notified().await;
    }

    /// The guest was refused something for want of a grant. Each refusal is told once per module.
    pub fn deny(&self, why: &str) {
        {
            let mut state = self.state();
            if state.denials.len() >= MOST_DENIALS || state.denials.iter().any(|known| known == why) {
                return;
            }
            state.denials.push(why.to_owned());
        }
        let why = printable(why);
        tracing::warn!(check = %self.key, "{why}");
        self.tell(EventKind::Denied, why.into_owned());
    }

    /// Publishes something that happened to this check.
    pub fn tell(&self, kind: EventKind, message: String) {
        let event = Event { at: Timestamp::now(), check: self.key.clone(), kind, message };
        // Without listeners there is nobody to tell, which is no error.
        let _ = self.events.send(Arc::new(event));
    }

    /// Whoever asked for a run until now has been served.
    fn finish(&self) {
        let _ = self.demand.notified().now_or_never();
        self.finished.send_modify(|runs| *runs += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
