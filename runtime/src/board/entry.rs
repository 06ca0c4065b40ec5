//! What is known about one check.

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

/// Of an error, as much goes into the log.
const LONGEST_LINE: usize = 512;

/// One check on the board: its task writes, everybody else reads.
#[derive(Debug)]
pub struct Entry {
    /// The check's identity.
    pub key: Key,
    /// What the check has used, which its guests write.
    pub usage: Arc<Usage>,
    state: Mutex<State>,
    demands: Demands,
    /// Nothing once it is off the board.
    events: Mutex<Option<broadcast::Sender<Arc<Event>>>>,
}

impl Entry {
    pub(super) fn new(
        check: Arc<Check>,
        origin: Arc<Origin>,
        settled: Option<Instant>,
        events: broadcast::Sender<Arc<Event>>,
    ) -> Self {
        let usage = Usage::new(check.key.clone(), &check.limits);
        let history = History::counting(Arc::clone(&usage.hits));
        Self {
            key: check.key.clone(),
            usage: Arc::new(usage),
            state: Mutex::new(State::new(check, origin, settled, history)),
            demands: Demands::default(),
            events: Mutex::new(Some(events)),
        }
    }

    /// What its metrics, its targets and its lines in the log take counts in these as well.
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

    /// The check as it stands now.
    pub fn view(&self) -> View {
        self.state().view(Instant::now())
    }

    /// Where its newest manifest lies, whether that could be used or not.
    pub fn origin(&self) -> Arc<Origin> {
        Arc::clone(&self.state().origin)
    }

    /// Its newest manifest lies there, whether that can be used or not.
    pub fn set_origin(&self, origin: &Arc<Origin>) {
        self.state().origin = Arc::clone(origin);
    }

    /// Whether its manifest names this owner.
    pub fn is_of(&self, owner: &str) -> bool {
        self.state().check.owner.as_deref() == Some(owner)
    }

    /// The latest runs, oldest first.
    pub fn history(&self) -> Vec<Run> {
        self.state().history.runs().cloned().collect()
    }

    /// A manifest has been read. What it says that needs no module is in force, whatever becomes of its module; where
    /// none was ever good, all that it says.
    pub fn adopt(&self, check: &Arc<Check>) {
        self.state().adopt(check);
    }

    /// A new manifest and module are in force.
    pub fn accept(&self, check: Arc<Check>, module: Module) {
        self.tell_denials();
        let message = module.is_live();
        self.usage.allow(&check.limits);
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

    /// The newest manifest or module is no good; whatever ran before goes on.
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

    /// The check has a plan.
    pub fn expect_run(&self, next: Next) {
        self.tell_denials();
        self.state().expect_run(next);
    }

    /// A run has finished.
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

    /// A run has finished that does not count, because its round has only begun.
    pub fn excuse(&self, started: Timestamp, duration: Duration, verdict: Verdict, next: Next) {
        self.tell_denials();
        self.state().excuse(started, duration, verdict, next);
        self.demands.fulfil();
    }

    /// The first fault in a row, where the check stands as it did before.
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
        if self.usage.log.admits(line.len()) {
            tracing::warn!(check = %self.key, "quarantined: {line}");
        }
        self.tell(EventKind::Quarantined, error);
    }

    /// A cleanup failed. That is no run: the check stands where its runs have brought it.
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

    /// Publishes what the guest was refused since the last time.
    fn tell_denials(&self) {
        for why in self.usage.denials.take_new() {
            self.tell(EventKind::Denied, why);
        }
    }

    /// Publishes something that happened to this check, as long as it is on the board.
    pub fn tell(&self, kind: EventKind, message: String) {
        let (check, origin) = (self.key.clone(), self.origin());
        let event = Event { at: Timestamp::now(), check, origin, kind, message };
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = &*events {
            // Without listeners there is nobody to tell, which is no error.
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
