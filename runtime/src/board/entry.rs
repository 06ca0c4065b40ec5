//! The entry of one check on the board: what is known about it.

use super::{
    Event, EventKind, Next,
    demand::{Demand, Demands},
    health::CheckState,
    state::{Recorded, State},
    view::{Module, View},
};
use crate::{
    history::{History, Run},
    manifest::Check,
    outcome::{Fault, Verdict},
    quota::Quota,
    text::cut_to,
    usage::{Usage, log::NamespaceLog},
    value::{Key, Origin},
};
use jiff::Timestamp;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::broadcast, time::Instant};

/// The most bytes of an error that go into the log.
const LONGEST_LINE: usize = 512;

/// The entry of one check on the board: its task writes, everybody else reads.
#[derive(Debug)]
pub struct Entry {
    /// The check's identity.
    pub key: Key,
    /// The counters of what the check uses, which its guests write.
    pub usage: Arc<Usage>,
    state: Mutex<State>,
    demands: Demands,
    /// The channel of the board's events; none once the check is off the board.
    events: Mutex<Option<broadcast::Sender<Arc<Event>>>>,
}

impl Entry {
    pub(super) fn new(
        check: Arc<Check>,
        origin: Arc<Origin>,
        settled: Option<Instant>,
        events: broadcast::Sender<Arc<Event>>,
    ) -> Self {
        let usage = Usage::new(check.key.clone(), &check.program.limits);
        let history = History::counting(Arc::clone(&usage.hits));
        Self {
            key: check.key.clone(),
            usage: Arc::new(usage),
            state: Mutex::new(State::new(check, origin, settled, history)),
            demands: Demands::default(),
            events: Mutex::new(Some(events)),
        }
    }

    /// Makes the check's metrics, targets and lines in the log count in the quotas and the budget of its
    /// namespace as well.
    pub(super) fn share(
        &self,
        series: Option<Arc<Quota>>,
        targets: Option<Arc<Quota>>,
        log: Option<Arc<NamespaceLog>>,
    ) {
        self.usage.metrics.share(series);
        self.state().history.share(targets);
        self.usage.log.share(log);
    }

    /// The check as it is now.
    pub fn view(&self) -> View {
        self.state().view(Instant::now())
    }

    /// Where the newest manifest of the check lies, whether that could be used or not.
    pub fn origin(&self) -> Arc<Origin> {
        Arc::clone(&self.state().origin)
    }

    /// Says where the newest manifest of the check lies, whether that can be used or not.
    pub fn set_origin(&self, origin: &Arc<Origin>) {
        self.state().origin = Arc::clone(origin);
    }

    /// Whether the check's manifest names this owner.
    pub fn is_of(&self, owner: &str) -> bool {
        self.state().check.owner.as_deref() == Some(owner)
    }

    /// The latest runs of the check, oldest first.
    pub fn history(&self) -> Vec<Run> {
        self.state().history.runs().cloned().collect()
    }

    /// Takes note of a manifest that has been read. What it says that needs no module is in force, whatever
    /// becomes of its module. All of it is, if no module was ever good.
    pub fn adopt(&self, check: &Arc<Check>) {
        self.state().adopt(check);
    }

    /// Takes note that a new manifest and module are in force.
    pub fn accept(&self, check: Arc<Check>, module: Module) {
        self.tell_denials();
        let message = module.is_live();
        self.usage.allow(&check.program.limits);
        self.usage.denials.clear();
        {
            let mut state = self.state();
            state.adopt(&check);
            state.check = check;
            state.module = Some(Arc::new(module));
            state.rejected = None;
            if let Some(next) = &mut state.next {
                next.quarantine = None;
            }
        }
        self.tell(EventKind::Loaded, message);
    }

    /// Takes note that the newest manifest or module is refused. Whatever ran before goes on.
    pub fn reject(&self, fault: Fault) {
        self.tell_denials();
        let message = fault.message.clone();
        {
            let mut state = self.state();
            state.counts.faults[fault.reason as usize] += 1;
            state.rejected = Some(Arc::new(fault));
        }
        self.tell(EventKind::Rejected, message);
    }

    /// Takes note of when the check runs next.
    pub fn expect_run(&self, next: Next) {
        self.tell_denials();
        self.state().expect_run(next);
    }

    /// Takes note of a run that has finished.
    pub fn record(&self, started: Timestamp, duration: Duration, verdict: Verdict, next: Next) {
        self.tell_denials();
        let fault = verdict.as_ref().err().cloned();
        let Recorded { former, standing, failures, quarantined } =
            self.state().record(started, duration, verdict, next);
        self.demands.fulfil();
        if let (Some(fault), 1, None) = (fault, failures, former) {
            self.tell_fault(&fault);
        }
        if let Some(former) = former {
            self.tell_change(former, standing);
        }
        if quarantined {
            self.tell_quarantine();
        }
    }

    /// Takes note of a run that has finished and does not count, because its round has only begun.
    pub fn excuse(&self, started: Timestamp, duration: Duration, verdict: Verdict, next: Next) {
        self.tell_denials();
        self.state().excuse(started, duration, verdict, next);
        self.demands.fulfil();
    }

    /// Logs the first fault in a row that leaves the state of the check as it was.
    fn tell_fault(&self, fault: &Fault) {
        let line = cut_to(&fault.message, LONGEST_LINE);
        if self.usage.log.admits(line.len()) {
            let reason = fault.reason.label();
            tracing::warn!(check = %self.key, reason, "{line}");
        }
    }

    fn tell_change(&self, from: CheckState, to: CheckState) {
        let (was, is) = (from.label(), to.label());
        let words = self.view().words();
        let says = cut_to(&words, LONGEST_LINE);
        if !self.usage.log.admits(says.len()) {
            // A check that flaps all the time fills the events, where old ones are dropped, and not the log.
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
        if self.usage.log.admits(line.len()) {
            tracing::warn!(check = %self.key, "quarantined: {line}");
        }
        self.tell(EventKind::Quarantined, error);
    }

    /// Takes note of a cleanup that failed. It is no run, so the state of the check stays as it is.
    pub fn record_failed_cleanup(&self, failure: &Verdict) {
        self.tell_denials();
        {
            let counts = &mut self.state().counts;
            counts.failed_cleanups += 1;
            if let Err(fault) = failure {
                counts.faults[fault.reason as usize] += 1;
            }
        }
        let message = match failure {
            Ok(outcome) => outcome.message.clone(),
            Err(fault) => fault.message.clone(),
        };
        let line = cut_to(&message, LONGEST_LINE);
        if self.usage.log.admits(line.len()) {
            tracing::warn!(check = %self.key, "{line}");
        }
        self.tell(EventKind::CleanupFailed, message);
    }

    /// Takes note of polls that were due while the one before was still running.
    pub fn skip(&self, polls: u64) {
        self.state().counts.skipped += polls;
    }

    /// Takes note of how many bytes of memory the guest holds.
    pub fn set_memory(&self, bytes: usize) {
        self.state().memory = bytes;
    }

    /// Requests a run now, and waits for the next one to finish, up to `patience`.
    /// Requests made before it finishes share it. For some seconds after it there is no other.
    pub async fn run_now(&self, patience: Duration) -> Demand {
        let quarantine = self.state().next.and_then(|next| next.quarantine);
        self.demands.make(quarantine.map(|quarantine| quarantine.demand_from), patience).await
    }

    /// Waits until somebody requests a run.
    pub async fn demanded(&self) {
        self.demands.made().await;
    }

    /// Says that the request which [`Self::demanded`] reported has not led to a run yet.
    pub fn demand_again(&self) {
        self.demands.remind();
    }

    /// Publishes what the guest was refused since the last call of this method.
    fn tell_denials(&self) {
        for why in self.usage.denials.take_new() {
            self.tell(EventKind::Denied, why);
        }
    }

    /// Publishes an event of this check, as long as it is on the board.
    pub fn tell(&self, kind: EventKind, message: String) {
        let (check, origin) = (self.key.clone(), self.origin());
        let event = Event { at: Timestamp::now(), check, origin, kind, message };
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = &*events {
            // Sending fails only without listeners, which is no error.
            let _ = events.send(Arc::new(event));
        }
        if kind == EventKind::Removed {
            *events = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
