//! The life of a check: init, polls until the round ends, cleanup, and again; pure.
//!
//! Time is the daemon's uptime. Ask [`Lifecycle::next`] what to do, do it, and say how it went.

#[cfg(test)]
mod tests;

use crate::{
    outcome::{Status, Verdict},
    schedule::backoff,
};
use std::time::Duration;

/// How long a round without a `ttl` lasts, and up to ten minutes more. So a guest that leaks becomes fresh
/// again.
pub const DEFAULT_TTL: Duration = Duration::from_secs(60 * 60);

/// How many breakdowns of the guest in a row lead to quarantine.
const MOST_BREAKDOWNS: u32 = 5;
/// How long the first quarantine lasts; each further one is twice as long.
const SHORTEST_QUARANTINE: Duration = Duration::from_secs(60);
const LONGEST_QUARANTINE: Duration = Duration::from_secs(60 * 60);
/// How long after a breakdown a run on demand may break the quarantine. Asking again and again gets no more.
const DEMAND_PAUSE: Duration = Duration::from_secs(60);

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Start a round: make a fresh guest live and call its init.
    Init,
    /// Call the guest's poll once.
    Poll,
    /// End the round: call the guest's cleanup.
    Cleanup,
    /// Do nothing before this uptime.
    Wait(Duration),
}

/// The state of a check's life, from which its next step follows.
#[derive(Debug)]
pub struct Lifecycle {
    ttl: Duration,
    grace: Duration,
    spread: u64,
    phase: Phase,
    failures: u32,
    /// The uptime of the first bad run since the latest good one; none while all is well.
    failing_since: Option<Duration>,
    breakdowns: u32,
    /// The uptime of the latest breakdown of the guest.
    broken_down: Duration,
}

/// The pause of a check whose guest broke down again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quarantine {
    /// How many times in a row the guest broke down.
    pub breakdowns: u32,
    /// The uptime before which no round begins by itself.
    pub until: Duration,
    /// The uptime before which no round begins on demand.
    pub demand_from: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No round is under way, and none starts before this uptime.
    Idle(Duration),
    /// A round has been under way since this uptime.
    Live { since: Duration, polled: bool },
    /// A round is over and cleanup is owed.
    Owing,
}

impl Lifecycle {
    /// The lifecycle of a check that starts at once. `spread` keeps equal checks from acting in step.
    pub fn new(ttl: Option<Duration>, grace: Duration, spread: u64) -> Self {
        let ttl = ttl.unwrap_or(DEFAULT_TTL + Duration::from_secs(spread % 600));
        Self {
            ttl,
            grace,
            spread,
            phase: Phase::Idle(Duration::ZERO),
            failures: 0,
            failing_since: None,
            breakdowns: 0,
            broken_down: Duration::ZERO,
        }
    }

    /// What to do at uptime `now`, when the next poll is due at uptime `due`.
    pub fn next(&mut self, now: Duration, due: Duration) -> Step {
        // A round ends only after its first poll, or it would have been for nothing.
        let end = match self.phase {
            Phase::Live { since, polled: true } => since + self.ttl,
            _ => Duration::MAX,
        };
        if now >= end {
            self.phase = Phase::Owing;
        }
        match self.phase {
            // A guest that is likely to break down is not held live until its poll is due.
            Phase::Idle(from) if self.quarantine().is_some() && now < from.max(due) => {
                Step::Wait(from.max(due))
            }
            Phase::Idle(from) if now >= from => Step::Init,
            Phase::Idle(from) => Step::Wait(from),
            Phase::Owing => Step::Cleanup,
            Phase::Live { .. } if now >= due => Step::Poll,
            Phase::Live { .. } => Step::Wait(due.min(end)),
        }
    }

    /// Takes note of the verdict of an init or poll, before how it ended is told. Any outcome ends a row of
    /// breakdowns.
    pub fn judged(&mut self, now: Duration, verdict: &Verdict) {
        match verdict {
            Ok(_) => self.breakdowns = 0,
            Err(fault) if fault.reason.is_breakdown() => {
                self.breakdowns = self.breakdowns.saturating_add(1);
                self.broken_down = now;
            }
            Err(_) => {}
        }
        match verdict {
            Ok(outcome) if outcome.status != Status::Fail => self.failing_since = None,
            _ => self.failing_since = self.failing_since.or(Some(now)),
        }
    }

    /// The quarantine that the check is in, if any.
    pub fn quarantine(&self) -> Option<Quarantine> {
        let doublings = self.breakdowns.checked_sub(MOST_BREAKDOWNS)?;
        let pause = (SHORTEST_QUARANTINE * (1 << doublings.min(6))).min(LONGEST_QUARANTINE);
        // The seconds added keep checks that broke down together from coming back together.
        let until = self.broken_down + pause + Duration::from_secs(self.spread % 10);
        let demand_from = self.broken_down + DEMAND_PAUSE;
        Some(Quarantine { breakdowns: self.breakdowns, until, demand_from })
    }

    /// Takes note that init ended. After a failure cleanup is owed, and the next init backs off.
    pub fn initialised(&mut self, now: Duration, well: bool) {
        if well {
            self.phase = Phase::Live { since: now, polled: false };
        } else {
            self.lost();
        }
    }

    /// Takes note that no guest could be made live. Nothing was begun that would have to be cleaned up.
    pub fn unavailable(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        self.rest(now + backoff(self.failures, self.spread));
    }

    /// Takes note that a poll ended. If it lost its instance, the round is over.
    pub fn polled(&mut self, lost: bool) {
        if lost {
            return self.lost();
        }
        self.failures = 0;
        if let Phase::Live { polled, .. } = &mut self.phase {
            *polled = true;
        }
    }

    fn lost(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Owing;
    }

    /// Takes note that cleanup was done, or tried often enough.
    pub fn cleaned(&mut self, now: Duration) {
        self.rest(now + backoff(self.failures, self.spread));
    }

    /// Lets no round begin before the uptime `from`, nor before the end of the quarantine.
    fn rest(&mut self, from: Duration) {
        self.phase = Phase::Idle(from.max(self.quarantined_until()));
    }

    fn quarantined_until(&self) -> Duration {
        self.quarantine().map_or(Duration::ZERO, |quarantine| quarantine.until)
    }

    /// Whether a poll that failed at `now` does not count, because its round has only begun.
    /// Over all rounds, failures are excused no longer than the startup grace after the first of them. So a
    /// round that begins because of a failure has no grace of its own.
    pub fn excuses(&self, now: Duration) -> bool {
        let is_within = |since: Duration| now < since + self.grace;
        matches!(self.phase, Phase::Live { since, .. } if is_within(since))
            && self.failing_since.is_none_or(is_within)
    }

    /// Lets a new round begin now, as somebody asks for a run. In quarantine it still waits until a run on
    /// demand is allowed.
    pub fn hurry(&mut self) {
        let soonest = self.quarantine().map_or(Duration::ZERO, |quarantine| quarantine.demand_from);
        if let Phase::Idle(from) = &mut self.phase {
            *from = soonest.min(*from);
        }
    }

    /// The uptime before which the check does not run, because it backs off.
    pub fn not_before(&self) -> Duration {
        match self.phase {
            Phase::Idle(from) => from,
            Phase::Owing => self.quarantined_until(),
            Phase::Live { .. } => Duration::ZERO,
        }
    }

    /// Whether a round is open or its cleanup is owed.
    pub fn owes_cleanup(&self) -> bool {
        !matches!(self.phase, Phase::Idle(_))
    }
}
