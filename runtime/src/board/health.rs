//! The state of a check after its runs, with its thresholds applied. Pure.

use crate::outcome::{Status, Verdict};
use jiff::Timestamp;
use serde::Serialize;
use std::num::NonZeroU32;

/// The state of a check.
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
    /// Whether the check neither fails nor is in doubt.
    pub fn is_ok(self) -> bool {
        matches!(self, Self::Pass | Self::Warn | Self::Suspended)
    }

    /// The state in lower case, as answers and metric labels have it.
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

/// How many runs in a row it takes to change the state of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// How many runs without a good outcome change the state to a bad one.
    pub failure: NonZeroU32,
    /// How many good runs change the state to a good one.
    pub success: NonZeroU32,
}

/// The state of a check, since when it has it, and how its latest runs went.
#[derive(Clone, Copy, Debug)]
pub(super) struct Health {
    /// The state of the check; never `stale` or `suspended`, which only a reader can tell.
    pub(super) standing: CheckState,
    /// When the check got this state.
    pub(super) since: Timestamp,
    /// How many runs in a row had no good outcome.
    pub(super) consecutive_failures: u32,
    consecutive_successes: u32,
}

impl Health {
    /// The health of a check of which nothing is known yet.
    pub(super) fn unknown(now: Timestamp) -> Self {
        Self { standing: CheckState::Unknown, since: now, consecutive_failures: 0, consecutive_successes: 0 }
    }

    /// Takes note of a run, and returns the former state if it changed.
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
