//! The state of one check on the board.

use super::{
    Next, SETTLING,
    health::{CheckState, Health, Thresholds},
    view::{Counts, Module, View},
};
use crate::{
    history::History,
    manifest::Check,
    outcome::{Fault, Verdict},
    value::Origin,
};
use jiff::Timestamp;
use std::{num::NonZeroU32, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Everything that is known about one check.
#[derive(Debug)]
pub(super) struct State {
    pub(super) check: Arc<Check>,
    pub(super) origin: Arc<Origin>,
    pub(super) module: Option<Arc<Module>>,
    pub(super) rejected: Option<Arc<Fault>>,
    pub(super) history: History,
    pub(super) counts: Counts,
    pub(super) next: Option<Next>,
    pub(super) memory: usize,
    health: Health,
    last_success: Option<Timestamp>,
    /// When the check should have begun to run; none if it has no such time.
    settled: Option<Instant>,
}

/// What a run has changed.
pub(super) struct Recorded {
    /// The former state of the check, if a run has changed it.
    pub(super) former: Option<CheckState>,
    /// The state of the check after the run.
    pub(super) standing: CheckState,
    /// How many runs in a row had no good outcome.
    pub(super) failures: u32,
    /// Whether the check is in quarantine now and was not before.
    pub(super) quarantined: bool,
}

impl State {
    pub(super) fn new(
        check: Arc<Check>,
        origin: Arc<Origin>,
        settled: Option<Instant>,
        history: History,
    ) -> Self {
        Self {
            check,
            origin,
            module: None,
            rejected: None,
            history,
            counts: Counts::default(),
            next: None,
            memory: 0,
            health: Health::unknown(Timestamp::now()),
            last_success: None,
            settled,
        }
    }

    pub(super) fn view(&self, now: Instant) -> View {
        let standing = match self.next {
            _ if self.check.suspend => CheckState::Suspended,
            Some(next) if next.fresh_until < now => CheckState::Stale,
            _ => self.health.standing,
        };
        View {
            check: Arc::clone(&self.check),
            standing,
            since: self.health.since,
            consecutive_failures: self.health.consecutive_failures,
            latest: self.history.latest().cloned(),
            excused: self.history.excused().cloned(),
            next_run: self.next.map(|next| next.run),
            quarantine: self.next.and_then(|next| next.quarantine),
            settling: self.history.latest().is_none() && self.settled.is_some_and(|settled| now < settled),
            last_success: self.last_success,
            module: self.module.clone(),
            rejected: self.rejected.clone(),
            counts: self.counts,
            memory: self.memory,
        }
    }

    /// Takes over what a manifest says that needs no module. Without a module, takes over all of it.
    pub(super) fn adopt(&mut self, check: &Arc<Check>) {
        if check.suspend != self.check.suspend {
            self.begin_anew();
        }
        if self.check.suspend && !check.suspend {
            // Nothing runs until a module is accepted.
            (self.module, self.settled) = (None, Some(Instant::now() + SETTLING));
        }
        self.check = match self.module {
            None => Arc::clone(check),
            Some(_) => Arc::new(self.check.amended_by(check)),
        };
    }

    /// Forgets what runs said before a suspension began or ended: it tells nothing of how the check is after
    /// that.
    fn begin_anew(&mut self) {
        self.health = Health::unknown(Timestamp::now());
        self.history.close();
        self.next = None;
    }

    /// Takes note of when the check runs next, unless it is suspended.
    pub(super) fn expect_run(&mut self, next: Next) {
        self.next = Some(next).filter(|_| !self.check.suspend);
    }

    /// Takes note of a run that has finished.
    pub(super) fn record(
        &mut self,
        started: Timestamp,
        duration: Duration,
        verdict: Verdict,
        next: Next,
    ) -> Recorded {
        let now = Timestamp::now();
        let before = self.next.and_then(|next| next.quarantine);
        self.expect_run(next);
        if self.check.suspend {
            // The run was under way when the check was suspended.
            self.counts.add(self.history.push(started, duration, verdict));
            self.history.close();
            return Recorded {
                former: None,
                standing: CheckState::Suspended,
                failures: 0,
                quarantined: false,
            };
        }
        // In quarantine there are no further runs that could reach the threshold.
        let failure = next.quarantine.map_or(self.check.failure_threshold, |_| NonZeroU32::MIN);
        let thresholds = Thresholds { failure, success: self.check.success_threshold };
        let former = self.health.record(&verdict, thresholds, now);
        self.counts.add(self.history.push(started, duration, verdict));
        if self.health.consecutive_failures == 0 {
            self.last_success = Some(now);
        }
        Recorded {
            former,
            standing: self.health.standing,
            failures: self.health.consecutive_failures,
            quarantined: before.is_none() && next.quarantine.is_some(),
        }
    }

    /// Takes note of a run that has finished and does not count.
    pub(super) fn excuse(&mut self, started: Timestamp, duration: Duration, verdict: Verdict, next: Next) {
        self.expect_run(next);
        self.history.excuse(started, duration, verdict);
        if self.check.suspend {
            self.history.close();
        }
    }
}
