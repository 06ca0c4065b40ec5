//! The latest runs of one check.

use crate::outcome::Verdict;
use jiff::Timestamp;
use std::{collections::VecDeque, sync::Arc, time::Duration};

/// How many runs are kept per check.
pub const CAPACITY: usize = 100;

/// One finished run.
#[derive(Clone, Debug)]
pub struct Run {
    /// When it started.
    pub started: Timestamp,
    /// How long it took, with its retries.
    pub duration: Duration,
    /// What came of it.
    pub verdict: Arc<Verdict>,
}

/// The latest runs, oldest first.
#[derive(Debug, Default)]
pub struct History(VecDeque<Run>);

impl History {
    /// Adds a run and drops the oldest beyond the capacity. A verdict equal to the one before
    /// shares its memory: most checks say the same thing for days.
    pub fn push(&mut self, started: Timestamp, duration: Duration, verdict: Verdict) -> &Run {
        let verdict = match self.0.back() {
            Some(last) if *last.verdict == verdict => Arc::clone(&last.verdict),
            _ => Arc::new(verdict),
        };
        if self.0.len() == CAPACITY {
            self.0.pop_front();
        }
        self.0.push_back(Run { started, duration, verdict });
        &self.0[self.0.len() - 1]
    }

    /// The latest run.
    pub fn latest(&self) -> Option<&Run> {
        self.0.back()
    }

    /// The runs, oldest first.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Status};

    fn push(history: &mut History, message: &str) {
        let outcome = Outcome { status: Status::Pass, message: message.into(), targets: Vec::new() };
        history.push(Timestamp::UNIX_EPOCH, Duration::ZERO, Ok(outcome));
    }

    #[test]
    fn only_the_latest_hundred_runs_are_kept() {
        let mut history = History::default();
        for number in 0..CAPACITY + 5 {
            push(&mut history, &number.to_string());
        }
        assert_eq!(history.runs().count(), CAPACITY);
        let oldest = history.runs().next().expect("a run");
        assert_eq!(oldest.verdict.as_ref().as_ref().expect("an outcome").message, "5");
    }

    #[test]
    fn equal_verdicts_in_a_row_share_their_memory() {
        let mut history = History::default();
        push(&mut history, "same");
        push(&mut history, "same");
        let verdicts: Vec<_> = history.runs().map(|run| Arc::as_ptr(&run.verdict)).collect();
        assert_eq!(verdicts[0], verdicts[1]);
    }
}
