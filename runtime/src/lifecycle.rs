//! The life of a check: init, polls until the round ends, cleanup, and again; pure.
//!
//! Time is the daemon's uptime. Ask [`Lifecycle::next`] what to do, do it, and say how it went.

#[cfg(test)]
mod tests;

use crate::{outcome::Verdict, schedule::backoff};
use std::time::Duration;

/// A round without a `ttl` ends after this long, so that a guest that leaks becomes fresh again.
const LONGEST_ROUND: Duration = Duration::from_secs(60 * 60);
/// After so many failed cleanups in a row the next round starts regardless.
const CLEANUP_ATTEMPTS: u32 = 3;

/// So many breakdowns of the guest in a row lead to quarantine.
const MOST_BREAKDOWNS: u32 = 5;
/// The first quarantine; each further one is twice as long.
const SHORTEST_QUARANTINE: Duration = Duration::from_secs(60);
const LONGEST_QUARANTINE: Duration = Duration::from_secs(60 * 60);
/// How long after a breakdown a run on demand may break the quarantine: whoever asks again and again gets no more.
const DEMAND_PAUSE: Duration = Duration::from_secs(60);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start a round.
    Init,
    /// Judge once.
    Poll,
    /// End the round.
    Cleanup,
    /// Nothing before this uptime.
    Wait(Duration),
}

/// Where a check is in its life.
#[derive(Debug)]
pub struct Lifecycle {
    ttl: Duration,
    grace: Duration,
    spread: u64,
    phase: Phase,
    failures: u32,
    failed_cleanups: u32,
    breakdowns: u32,
    /// The uptime of the latest breakdown.
    broken_down: Duration,
}

/// The rest of a check whose guest broke down again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// Breakdowns in a row.
    pub breakdowns: u32,
    /// The uptime before which no round begins by itself.
    pub until: Duration,
    /// The uptime before which none begins on demand.
    pub demand_from: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No round is under way, and none starts before this uptime.
    Idle(Duration),
    /// A round has been under way since this uptime.
    Live(Duration),
    /// A round is over and cleanup is owed, but not tried before this uptime.
    Owing(Duration),
}

impl Lifecycle {
    /// A life that starts at once. `spread` keeps equal checks from acting in step.
    pub fn new(ttl: Option<Duration>, grace: Duration, spread: u64) -> Self {
        let ttl = ttl.unwrap_or(LONGEST_ROUND + Duration::from_secs(spread % 600));
        Self {
            ttl,
            grace,
            spread,
            phase: Phase::Idle(Duration::ZERO),
            failures: 0,
            failed_cleanups: 0,
            breakdowns: 0,
            broken_down: Duration::ZERO,
        }
    }

    /// What to do now, when the next poll is due at `due`.
    pub fn next(&mut self, now: Duration, due: Duration) -> Step {
        if let Phase::Live(since) = self.phase
            && now >= since + self.ttl
        {
            self.phase = Phase::Owing(now);
        }
        match self.phase {
            // A guest that is likely to break down is not held live until its poll is due.
            Phase::Idle(from) if self.quarantine().is_some() && now < from.max(due) => {
                Step::Wait(from.max(due))
            }
            Phase::Idle(from) if now >= from => Step::Init,
            Phase::Owing(from) if now >= from => Step::Cleanup,
            Phase::Idle(from) | Phase::Owing(from) => Step::Wait(from),
            Phase::Live(_) if now >= due => Step::Poll,
            Phase::Live(since) => Step::Wait(due.min(since + self.ttl)),
        }
    }

    /// An init or poll came to this; to be told before how it ended. Any outcome ends a row of breakdowns.
    pub fn judged(&mut self, now: Duration, verdict: &Verdict) {
        match verdict {
            Ok(_) => self.breakdowns = 0,
            Err(fault) if fault.reason.is_breakdown() => {
                self.breakdowns = self.breakdowns.saturating_add(1);
                self.broken_down = now;
            }
            Err(_) => {}
        }
    }

    /// The quarantine, if the check is in one.
    pub fn quarantine(&self) -> Option<Quarantine> {
        let doublings = self.breakdowns.checked_sub(MOST_BREAKDOWNS)?;
        let pause = (SHORTEST_QUARANTINE * (1 << doublings.min(6))).min(LONGEST_QUARANTINE);
        // Checks that broke down together do not come back together.
        let until = self.broken_down + pause + Duration::from_secs(self.spread % 10);
        let demand_from = self.broken_down + DEMAND_PAUSE;
        Some(Quarantine { breakdowns: self.breakdowns, until, demand_from })
    }

    /// Init ended; after a failure cleanup is owed, and the next init backs off.
    pub fn initialised(&mut self, now: Duration, well: bool) {
        if well {
            self.phase = Phase::Live(now);
        } else {
            self.failures = self.failures.saturating_add(1);
            self.phase = Phase::Owing(now);
        }
    }

    /// No guest could be made live, so nothing was begun that would have to be cleaned up.
    pub fn unavailable(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.rest(now + backoff(self.failures, self.spread));
    }

    /// A poll ended; if it lost its instance, the round is over.
    pub fn polled(&mut self, now: Duration, lost: bool) {
        if lost {
            self.failures = self.failures.saturating_add(1);
            self.phase = Phase::Owing(now);
        } else {
            self.failures = 0;
        }
    }

    /// Cleanup ended; after a failure it is tried again, a few times.
    pub fn cleaned(&mut self, now: Duration, well: bool) {
        self.failed_cleanups = if well { 0 } else { self.failed_cleanups + 1 };
        if !well && self.failed_cleanups < CLEANUP_ATTEMPTS {
            self.phase = Phase::Owing(now + backoff(self.failed_cleanups, self.spread));
            return;
        }
        self.failed_cleanups = 0;
        let pause = if self.failures == 0 { Duration::ZERO } else { backoff(self.failures, self.spread) };
        self.rest(now + pause);
    }

    /// No round begins before this, nor before the end of the quarantine.
    fn rest(&mut self, from: Duration) {
        self.phase = Phase::Idle(from.max(self.quarantined_until()));
    }

    fn quarantined_until(&self) -> Duration {
        self.quarantine().map_or(Duration::ZERO, |quarantine| quarantine.until)
    }

    /// Whether a poll that fails now still belongs to the start of its round and does not count.
    pub fn in_grace(&self, now: Duration) -> bool {
        matches!(self.phase, Phase::Live(since) if now < since + self.grace)
    }

    /// Somebody asks for a run: a new round need not wait any longer, or not as long if there is a quarantine.
    pub fn hurry(&mut self) {
        let soonest = self.quarantine().map_or(Duration::ZERO, |quarantine| quarantine.demand_from);
        if let Phase::Idle(from) = &mut self.phase {
            *from = soonest.min(*from);
        }
    }

    /// The uptime before which the check does not run, because of backing off.
    pub fn not_before(&self) -> Duration {
        match self.phase {
            Phase::Idle(from) => from,
            Phase::Owing(from) => from.max(self.quarantined_until()),
            Phase::Live(_) => Duration::ZERO,
        }
    }

    /// Whether a round is open or its cleanup is owed.
    pub fn owes_cleanup(&self) -> bool {
        !matches!(self.phase, Phase::Idle(_))
    }
}
