//! Where a check stands after its runs, with its thresholds applied; pure.

use crate::outcome::{Status, Verdict};
use jiff::Timestamp;
use serde::Serialize;
use std::num::NonZeroU32;

/// Where a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckState {
    /// All is well.
    Pass,
    /// It works, and somebody should look.
    Warn,
    /// It does not work.
    Fail,
    /// Nothing can be said: it has not run yet, or could not be run.
    Unknown,
    /// It has not run for three intervals.
    Stale,
    /// Its manifest suspends it.
    Suspended,
}

impl CheckState {
    /// Neither failing nor in doubt.
    pub fn is_ok(self) -> bool {
        matches!(self, Self::Pass | Self::Warn | Self::Suspended)
    }

    /// The word for people.
    pub fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Unknown => "unknown",
            Self::Stale => "stale",
            Self::Suspended => "suspended",
        }
    }

    fn after(verdict: &Verdict) -> Self {
        match verdict {
            Ok(outcome) => match outcome.status {
                Status::Pass => Self::Pass,
                Status::Warn => Self::Warn,
                Status::Fail => Self::Fail,
            },
            Err(_) => Self::Unknown,
        }
    }
}

/// How many runs in a row it takes to change where a check stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Runs without a good outcome before the check counts as such.
    pub failure: NonZeroU32,
    /// Good runs before the check counts as good.
    pub success: NonZeroU32,
}

/// Where a check stands, since when, and how its latest runs went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    /// Where it stands; never `stale` or `suspended`, which only a reader can tell.
    pub(super) standing: CheckState,
    /// When it came to stand there.
    pub(super) since: Timestamp,
    /// Runs in a row without a good outcome.
    pub(super) consecutive_failures: u32,
    consecutive_successes: u32,
}

impl Health {
    /// Nothing is known yet.
    pub(super) fn unknown(now: Timestamp) -> Self {
        Self { standing: CheckState::Unknown, since: now, consecutive_failures: 0, consecutive_successes: 0 }
    }

    /// Takes in a run and tells the former standing if it changed.
    pub(super) fn record(
        &mut self,
        verdict: &Verdict,
        thresholds: Thresholds,
        now: Timestamp,
    ) -> Option<CheckState> {
        let next = CheckState::after(verdict);
        let settled = if next.is_ok() {
            self.consecutive_failures = 0;
            self.consecutive_successes = self.consecutive_successes.saturating_add(1);
            self.standing.is_ok() || self.consecutive_successes >= thresholds.success.get()
        } else {
            self.consecutive_successes = 0;
            self.consecutive_failures = self.consecutive_failures.saturating_add(1);
            self.consecutive_failures >= thresholds.failure.get()
        };
        if !settled || next == self.standing {
            return None;
        }
        self.since = now;
        Some(std::mem::replace(&mut self.standing, next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Fault, Outcome, Reason};

    fn outcome(status: Status) -> Verdict {
        Ok(Outcome { status, message: String::new(), targets: Vec::new() })
    }

    fn standings(failure: u32, success: u32, verdicts: &[Verdict]) -> Vec<CheckState> {
        let threshold = |count| NonZeroU32::new(count).expect("a positive threshold");
        let thresholds = Thresholds { failure: threshold(failure), success: threshold(success) };
        let mut health = Health::unknown(Timestamp::UNIX_EPOCH);
        let record = |verdict| {
            health.record(verdict, thresholds, Timestamp::UNIX_EPOCH);
            health.standing
        };
        verdicts.iter().map(record).collect()
    }

    #[test]
    fn each_outcome_counts_at_once_when_both_thresholds_are_one() {
        let runs = [outcome(Status::Pass), outcome(Status::Fail), outcome(Status::Warn)];
        assert_eq!(standings(1, 1, &runs), [CheckState::Pass, CheckState::Fail, CheckState::Warn]);
    }

    #[test]
    fn a_single_failure_below_the_threshold_changes_nothing() {
        let runs =
            [outcome(Status::Pass), outcome(Status::Fail), outcome(Status::Pass), outcome(Status::Fail)];
        assert_eq!(standings(2, 1, &runs), [CheckState::Pass; 4]);
    }

    #[test]
    fn faults_and_failures_add_up_and_the_last_one_decides() {
        let fault = Err(Fault::new(Reason::Trap, "unreachable"));
        let runs = [outcome(Status::Pass), outcome(Status::Fail), fault];
        assert_eq!(standings(2, 1, &runs), [CheckState::Pass, CheckState::Pass, CheckState::Unknown]);
    }

    #[test]
    fn a_recovery_needs_as_many_good_runs_as_the_success_threshold() {
        let runs = [outcome(Status::Fail), outcome(Status::Pass), outcome(Status::Pass)];
        assert_eq!(standings(1, 2, &runs), [CheckState::Fail, CheckState::Fail, CheckState::Pass]);
    }

    #[test]
    fn a_warning_replaces_a_pass_without_waiting() {
        let runs = [outcome(Status::Pass), outcome(Status::Pass), outcome(Status::Warn)];
        assert_eq!(standings(1, 2, &runs), [CheckState::Unknown, CheckState::Pass, CheckState::Warn]);
    }
}
