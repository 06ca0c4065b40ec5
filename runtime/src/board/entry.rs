//! What is known about one check.

use super::{
    Event, EventKind, Hits, Next,
    demand::{Demand, Demands},
    health::{Health, Standing, Thresholds},
    view::{Counts, Module, View},
};
use crate::{
    capability::{
        calls::Tally,
        log::{GuestLog, NamespaceLog},
        metrics::Series,
    },
    history::{History, Run},
    outcome::{Fault, Verdict},
    shared::Shared,
    spec::{Check, Key},
    text::{cut_to, printable},
};
use jiff::Timestamp;
use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::broadcast, time::Instant};

/// Of an error, as much goes into the log.
const LONGEST_LINE: usize = 512;
/// How many different refusals of one module are told.
const MOST_DENIALS: usize = 20;

/// One check on the board: its task writes, everybody else reads.
#[derive(Debug)]
pub struct Entry {
    /// The check's identity.
    pub key: Key,
    /// Host calls by capability and result.
    pub tally: Arc<Tally>,
    /// The limits that the check ran into.
    pub hits: Arc<Hits>,
    /// The check's own metrics.
    pub series: Arc<Series>,
    /// The check's lines in the daemon's log.
    pub log: GuestLog,
    /// When it should have begun to run.
    settled: Option<Instant>,
    state: Mutex<State>,
    demands: Demands,
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
    next: Option<Next>,
    memory: usize,
    denials: Vec<String>,
}

impl Entry {
    pub(super) fn new(
        check: Arc<Check>,
        settled: Option<Instant>,
        events: broadcast::Sender<Arc<Event>>,
    ) -> Self {
        let hits = Arc::<Hits>::default();
        let log = GuestLog::new(check.key.clone(), Arc::clone(&hits));
        let series = Arc::<Series>::default();
        let history = History::counting(Arc::clone(&hits));
        log.allow(&check.limits);
        series.allow(&check.limits);
        Self {
            key: check.key.clone(),
            tally: Arc::default(),
            hits,
            series,
            log,
            settled,
            state: Mutex::new(State {
                check,
                module: None,
                rejected: None,
                health: Health::unknown(Timestamp::now()),
                history,
                counts: Counts::default(),
                last_success: None,
                next: None,
                memory: 0,
                denials: Vec::new(),
            }),
            demands: Demands::default(),
            events,
        }
    }

    /// What its metrics, its targets and its lines in the log take counts in these as well.
    pub(super) fn share(
        &self,
        series: Option<Arc<Shared>>,
        targets: Option<Arc<Shared>>,
        log: Option<Arc<NamespaceLog>>,
    ) {
        self.series.share(series);
        self.state().history.share(targets);
        self.log.share(log);
    }

    /// The check as it stands now.
    pub fn view(&self) -> View {
        let state = self.state();
        let now = Instant::now();
        let standing = match state.next {
            _ if state.check.suspend => Standing::Suspended,
            Some(next) if next.fresh_until < now => Standing::Stale,
            _ => state.health.standing,
        };
        View {
            check: Arc::clone(&state.check),
            standing,
            since: state.health.since,
            consecutive_failures: state.health.consecutive_failures,
            latest: state.history.latest().cloned(),
            excused: state.history.excused().cloned(),
            next_run: state.next.filter(|_| !state.check.suspend).map(|next| next.run),
            quarantine: state.next.and_then(|next| next.quarantine).filter(|_| !state.check.suspend),
            settling: state.history.latest().is_none() && self.settled.is_some_and(|settled| now < settled),
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
        let message = module.is_live();
        self.log.allow(&check.limits);
        self.series.allow(&check.limits);
        {
            let mut state = self.state();
            state.check = check;
            state.module = Some(Arc::new(module));
            state.rejected = None;
            state.denials.clear();
            if let Some(next) = &mut state.next {
                next.quarantine = None;
            }
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

    /// The check has a plan.
    pub fn expect_run(&self, next: Next) {
        self.state().next = Some(next);
    }

    /// A run has finished.
    pub fn record(&self, started: Timestamp, duration: Duration, verdict: Verdict, next: Next) {
        let now = Timestamp::now();
        let fault = verdict.as_ref().err().cloned();
        let (change, failures, quarantined) = {
            let mut state = self.state();
            // In quarantine there are no further runs for the threshold to wait for.
            let failure = next.quarantine.map_or(state.check.failure_threshold, |_| NonZeroU32::MIN);
            let thresholds = Thresholds { failure, success: state.check.success_threshold };
            let former = state.health.record(&verdict, thresholds, now);
            let state = &mut *state;
            state.counts.add(state.history.push(started, duration, verdict));
            let before = state.next.replace(next).and_then(|next| next.quarantine);
            if state.health.consecutive_failures == 0 {
                state.last_success = Some(now);
            }
            let change = former.map(|former| (former, state.health.standing));
            let quarantined = before.is_none() && next.quarantine.is_some();
            (change, state.health.consecutive_failures, quarantined)
        };
        self.demands.fulfil();
        if let (Some(fault), 1, None) = (fault, failures, change) {
            self.tell_fault(&fault);
        }
        if let Some((former, standing)) = change {
            self.tell_change(former, standing);
        }
        if quarantined {
            self.tell_quarantine();
        }
    }

    /// A run has finished that does not count, because its round has only begun.
    pub fn excuse(&self, started: Timestamp, duration: Duration, verdict: Verdict, next: Next) {
        {
            let mut state = self.state();
            state.history.excuse(started, duration, verdict);
            state.next = Some(next);
        }
        self.demands.fulfil();
    }

    /// The first fault in a row, where the check stands as it did before.
    fn tell_fault(&self, fault: &Fault) {
        let line = cut_to(&fault.message, LONGEST_LINE);
        if self.log.admits(line.len()) {
            let reason = fault.reason.label();
            tracing::warn!(check = %self.key, reason, "{line}");
        }
    }

    fn tell_change(&self, from: Standing, to: Standing) {
        let (was, is) = (from.label(), to.label());
        let words = self.view().words();
        let says = cut_to(&words, LONGEST_LINE);
        if !self.log.admits(says.len()) {
            // A check that flaps all the time fills the events, which forget, and not the log.
        } else if to.is_ok() {
            tracing::info!(check = %self.key, was, is, says, "changed");
        } else {
            tracing::warn!(check = %self.key, was, is, says, "changed");
        }
        self.tell(EventKind::Changed { from, to }, words);
    }

    fn tell_quarantine(&self) {
        let error = self.view().error();
        let line = cut_to(&error, LONGEST_LINE);
        if self.log.admits(line.len()) {
            tracing::warn!(check = %self.key, "quarantined: {line}");
        }
        self.tell(EventKind::Quarantined, error);
    }

    /// A round ended and its cleanup did not work.
    pub fn tell_failed_cleanup(&self, message: String) {
        let line = cut_to(&message, LONGEST_LINE);
        if self.log.admits(line.len()) {
            tracing::warn!(check = %self.key, "{line}");
        }
        self.tell(EventKind::CleanupFailed, message);
    }

    /// Polls were due while the one before was still running.
    pub fn skip(&self, polls: u64) {
        self.state().counts.skipped += polls;
    }

    /// The guest holds so many bytes of memory.
    pub fn set_memory(&self, bytes: usize) {
        self.state().memory = bytes;
    }

    /// Asks for a run now and waits for the next one to finish, up to `patience`. Requests made before it
    /// finishes share it, and for some seconds after it there is no other.
    pub async fn run_now(&self, patience: Duration) -> Demand {
        let quarantine = self.state().next.and_then(|next| next.quarantine);
        self.demands.make(quarantine.map(|quarantine| quarantine.demand_from), patience).await
    }

    /// Waits until somebody asks for a run.
    pub async fn demanded(&self) {
        self.demands.made().await;
    }

    /// The wish for a run that was heard is still to be fulfilled.
    pub fn demand_again(&self) {
        self.demands.remind();
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
        if self.log.has_room(why.len()) {
            tracing::warn!(check = %self.key, "{why}");
        }
        self.tell(EventKind::Denied, why.into_owned());
    }

    /// Publishes something that happened to this check.
    pub fn tell(&self, kind: EventKind, message: String) {
        let event = Event { at: Timestamp::now(), check: self.key.clone(), kind, message };
        // Without listeners there is nobody to tell, which is no error.
        let _ = self.events.send(Arc::new(event));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Limit;

    #[tokio::test(start_paused = true)]
    async fn cleanups_that_fail_do_not_fill_the_log() {
        let check = Check::bare("a/b".parse().expect("a key"), "m.wasm".parse().expect("a module"));
        let lines = check.limits.get(Limit::LogLines);
        let entry = Entry::new(Arc::new(check), None, broadcast::Sender::new(1));
        for _ in 0..lines + 5 {
            entry.tell_failed_cleanup("cleanup: no".to_owned());
        }
        assert_eq!(entry.hits.get(Limit::LogLines), 5);
    }
}
