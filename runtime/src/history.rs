//! The history of one check: its latest runs.

mod target_quota;

use crate::{
    outcome::{Fault, Outcome, Verdict},
    quota::Quota,
    text::cut_to,
    usage::LimitHits,
};
use jiff::Timestamp;
use std::{collections::VecDeque, sync::Arc, time::Duration};
use target_quota::TargetQuota;

/// The most runs that are kept of one check.
pub const CAPACITY: usize = 100;
/// The most bytes of all messages of one check's runs together; the latest one is kept whole.
const MOST_BYTES: usize = 128 * 1024;
/// How many bytes are kept of an old message when all together are too many.
const SHORT: usize = 256;

/// One finished run.
#[derive(Clone, Debug)]
pub struct Run {
    /// When the run started.
    pub started: Timestamp,
    /// How long the run took, with its retries.
    pub duration: Duration,
    /// What came of the run.
    pub verdict: Arc<Verdict>,
    /// Whether the run failed within the startup grace of its round, and so does not count.
    pub excused: bool,
}

impl Run {
    /// When the run ended.
    pub fn ended(&self) -> Timestamp {
        // A sum fails only for a clock at the end of all time.
        self.started.checked_add(self.duration).unwrap_or(self.started)
    }
}

/// The latest runs of one check, oldest first.
#[derive(Debug, Default)]
pub struct History {
    runs: VecDeque<Run>,
    /// How many bytes the messages take, each of them counted once.
    bytes: usize,
    /// How many of the oldest runs have a shortened message.
    shortened: usize,
    counted: Option<Run>,
    excused: Option<Run>,
    room: TargetQuota,
}

impl History {
    /// A history without runs. Targets that are dropped for want of room count in `hits`.
    pub(crate) fn counting(hits: Arc<LimitHits>) -> Self {
        Self { room: TargetQuota { hits, ..TargetQuota::default() }, ..Self::default() }
    }

    /// Makes the targets of later runs count in the namespace's quota as well.
    pub(crate) fn share(&mut self, shared: Option<Arc<Quota>>) {
        self.room.shared = shared;
    }

    /// Adds a run, and drops the oldest beyond [`CAPACITY`]. A verdict equal to the one before shares its
    /// memory: most checks say the same thing for days. Targets are kept for the latest run, and for those
    /// before it that said the same.
    pub fn push(&mut self, started: Timestamp, duration: Duration, verdict: Verdict) -> &Run {
        (self.counted, self.excused, self.room.counted) = (None, None, None);
        let run = self.keep(started, duration, verdict, false);
        self.room.counted.clone_from(&self.room.latest);
        self.counted.insert(run)
    }

    /// Adds a run that does not count, and otherwise does as [`Self::push`].
    pub fn excuse(&mut self, started: Timestamp, duration: Duration, verdict: Verdict) {
        self.excused = None;
        let run = self.keep(started, duration, verdict, true);
        self.excused = Some(run);
    }

    /// Makes none of the runs until now the latest any more: they say nothing about how the check is.
    pub(crate) fn close(&mut self) {
        (self.counted, self.excused) = (None, None);
        (self.room.counted, self.room.latest) = (None, None);
        self.forget_targets();
    }

    fn keep(&mut self, started: Timestamp, duration: Duration, verdict: Verdict, excused: bool) -> Run {
        let verdict = self.room.fit(verdict);
        let verdict = match self.runs.back() {
            Some(last) if *last.verdict == verdict => Arc::clone(&last.verdict),
            _ => {
                self.forget_targets();
                self.bytes += message(&verdict).len();
                Arc::new(verdict)
            }
        };
        if self.runs.len() == CAPACITY {
            self.forget_oldest();
        }
        let run = Run { started, duration, verdict, excused };
        let kept = self.runs.len();
        if kept == self.runs.capacity() {
            // The list grows as usual, but not beyond its capacity, or it would have room for 28 runs that
            // never come.
            self.runs.reserve_exact(kept.max(4).min(CAPACITY - kept));
        }
        self.runs.push_back(run.clone());
        while self.bytes > MOST_BYTES && self.shorten_oldest() {}
        run
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.runs.pop_front() else { return };
        self.shortened = self.shortened.saturating_sub(1);
        if self.runs.front().is_none_or(|next| !Arc::ptr_eq(&next.verdict, &oldest.verdict)) {
            self.bytes -= message(&oldest.verdict).len();
        }
    }

    /// Shortens the oldest message that is whole; false if that is the latest one.
    fn shorten_oldest(&mut self) -> bool {
        let (Some(oldest), Some(latest)) = (self.runs.get(self.shortened), self.runs.back()) else {
            return false;
        };
        if Arc::ptr_eq(&oldest.verdict, &latest.verdict) {
            return false;
        }
        let long = Arc::clone(&oldest.verdict);
        let short = Arc::new(shortened(&long));
        self.bytes = self.bytes - message(&long).len() + message(&short).len();
        for run in self.runs.range_mut(self.shortened..).take_while(|run| Arc::ptr_eq(&run.verdict, &long)) {
            run.verdict = Arc::clone(&short);
            self.shortened += 1;
        }
        true
    }

    fn forget_targets(&mut self) {
        let Some(last) = self.runs.back().map(|run| Arc::clone(&run.verdict)) else { return };
        let Ok(Outcome { status, message, targets }) = last.as_ref() else { return };
        if targets.is_empty() {
            return;
        }
        let shorter =
            Arc::new(Ok(Outcome { status: *status, message: message.clone(), targets: Vec::new() }));
        for run in self.runs.iter_mut().rev().take_while(|run| Arc::ptr_eq(&run.verdict, &last)) {
            run.verdict = Arc::clone(&shorter);
        }
    }

    /// The latest run that counts; none before the first one.
    pub fn latest(&self) -> Option<&Run> {
        self.counted.as_ref()
    }

    /// The latest run, if it does not count.
    pub fn excused(&self) -> Option<&Run> {
        self.excused.as_ref()
    }

    /// The runs that are kept, oldest first.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.iter()
    }
}

fn message(verdict: &Verdict) -> &str {
    match verdict {
        Ok(outcome) => &outcome.message,
        Err(fault) => &fault.message,
    }
}

fn shortened(verdict: &Verdict) -> Verdict {
    let message = match message(verdict) {
        long if long.len() > SHORT => format!("{}…", cut_to(long, SHORT - '…'.len_utf8())),
        short => short.to_owned(),
    };
    match verdict {
        Ok(Outcome { status, targets, .. }) => {
            Ok(Outcome { status: *status, message, targets: targets.clone() })
        }
        Err(fault) => Err(Fault { message, ..fault.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Status, Target};

    fn push(history: &mut History, message: &str) {
        let outcome = Outcome { status: Status::Pass, message: message.into(), targets: Vec::new() };
        history.push(Timestamp::UNIX_EPOCH, Duration::ZERO, Ok(outcome));
    }

    #[test]
    fn a_full_history_has_no_room_to_spare() {
        let mut history = History::default();
        for _ in 0..2 * CAPACITY {
            history.push(Timestamp::now(), Duration::ZERO, Ok(Outcome::fail("no")));
        }
        assert_eq!((history.runs.len(), history.runs.capacity()), (CAPACITY, CAPACITY));
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

    fn lengths(history: &History) -> Vec<usize> {
        history.runs().map(|run| message(&run.verdict).len()).collect()
    }

    #[test]
    fn the_oldest_messages_are_shortened_where_all_take_too_much_and_the_latest_is_whole() {
        let mut history = History::default();
        let long = |number: usize| format!("{number:05}{}", "x".repeat(16 * 1024));
        for number in 0..3 * CAPACITY {
            push(&mut history, &long(number));
        }
        let lengths = lengths(&history);
        assert_eq!((lengths.len(), lengths[0], lengths[CAPACITY - 1]), (CAPACITY, SHORT, long(0).len()));
        let all: usize = lengths.iter().sum();
        assert!(all <= MOST_BYTES && all + long(0).len() > MOST_BYTES, "{all} bytes");
        assert_eq!(history.bytes, all);
        let oldest = history.runs().next().expect("a run");
        assert!(message(&oldest.verdict).starts_with("00200x") && message(&oldest.verdict).ends_with('…'));
    }

    #[test]
    fn what_is_the_same_again_and_again_counts_once_and_stays_whole() {
        let mut history = History::default();
        for text in ["a", "b"] {
            for _ in 0..CAPACITY {
                push(&mut history, &text.repeat(16 * 1024));
            }
            assert_eq!(history.bytes, 16 * 1024);
        }
        assert_eq!(lengths(&history), [16 * 1024; CAPACITY]);
        for _ in 0..CAPACITY {
            push(&mut history, "c");
        }
        assert_eq!(history.bytes, 1);
    }

    #[test]
    fn an_excused_run_is_kept_beside_the_latest_that_counts() {
        let mut history = History::default();
        push(&mut history, "counts");
        for _ in 0..CAPACITY {
            history.excuse(Timestamp::UNIX_EPOCH, Duration::ZERO, Ok(Outcome::fail("not yet")));
        }
        assert!(history.runs().all(|run| run.excused) && history.excused().is_some());
        let latest = history.latest().expect("a run that counts");
        assert_eq!(latest.verdict.as_ref().as_ref().expect("an outcome").message, "counts");
        push(&mut history, "counts again");
        assert!(history.excused().is_none());
    }

    #[test]
    fn runs_that_are_closed_stay_and_are_not_the_latest_any_more() {
        let mut history = History::default();
        let target =
            Target { name: "t".into(), status: Status::Fail, message: String::new(), labels: Vec::new() };
        let outcome = Outcome { targets: vec![target], ..Outcome::fail("down") };
        history.push(Timestamp::UNIX_EPOCH, Duration::ZERO, Ok(outcome));
        history.excuse(Timestamp::UNIX_EPOCH, Duration::ZERO, Ok(Outcome::fail("not yet")));
        history.close();
        assert!(history.latest().is_none() && history.excused().is_none());
        let messages: Vec<_> = history.runs().map(|run| message(&run.verdict)).collect();
        assert_eq!(messages, ["down", "not yet"]);
    }

    #[test]
    fn equal_verdicts_in_a_row_share_their_memory() {
        let mut history = History::default();
        push(&mut history, "same");
        push(&mut history, "same");
        let verdicts: Vec<_> = history.runs().map(|run| Arc::as_ptr(&run.verdict)).collect();
        assert_eq!(verdicts[0], verdicts[1]);
    }

    #[test]
    fn only_the_latest_verdict_keeps_its_targets() {
        let mut history = History::default();
        let target =
            Target { name: "t".into(), status: Status::Pass, message: String::new(), labels: Vec::new() };
        for message in ["one", "one", "two"] {
            let outcome =
                Outcome { status: Status::Pass, message: message.into(), targets: vec![target.clone()] };
            history.push(Timestamp::UNIX_EPOCH, Duration::ZERO, Ok(outcome));
        }
        let targets = |run: &Run| run.verdict.as_ref().as_ref().map_or(0, |outcome| outcome.targets.len());
        assert_eq!(history.runs().map(targets).collect::<Vec<_>>(), [0, 0, 1]);
    }
}
