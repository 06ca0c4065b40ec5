//! The life of a check: init, polls until the round ends, cleanup, and again; pure.
//!
//! Time is the daemon's uptime. Ask [`Lifecycle::next`] what to do, do it, and say how it went.

use crate::schedule::backoff;
use std::time::Duration;

/// A round without a `ttl` ends after this long, so that a guest that leaks becomes fresh again.
const LONGEST_ROUND: Duration = Duration::from_secs(60 * 60);
/// After so many failed cleanups in a row the next round starts regardless.
const CLEANUP_ATTEMPTS: u32 = 3;

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
        Self { ttl, grace, spread, phase: Phase::Idle(Duration::ZERO), failures: 0, failed_cleanups: 0 }
    }

    /// What to do now, when the next poll is due at `due`.
    pub fn next(&mut self, now: Duration, due: Duration) -> Step {
        if let Phase::Live(since) = self.phase
            && now >= since + self.ttl
        {
            self.phase = Phase::Owing(now);
        }
        match self.phase {
            Phase::Idle(from) if now >= from => Step::Init,
            Phase::Owing(from) if now >= from => Step::Cleanup,
            Phase::Idle(from) | Phase::Owing(from) => Step::Wait(from),
            Phase::Live(_) if now >= due => Step::Poll,
            Phase::Live(since) => Step::Wait(due.min(since + self.ttl)),
        }
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
        self.phase = Phase::Idle(now + backoff(self.failures, self.spread));
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
        self.phase = Phase::Idle(now + pause);
    }

    /// Whether a poll that fails now still belongs to the start of its round and does not count.
    pub fn in_grace(&self, now: Duration) -> bool {
        matches!(self.phase, Phase::Live(since) if now < since + self.grace)
    }

    /// Somebody asks for a run: a new round need not wait any longer.
    pub fn hurry(&mut self) {
        if let Phase::Idle(from) = &mut self.phase {
            *from = Duration::ZERO;
        }
    }

    /// The uptime before which nothing happens, because of backing off.
    pub fn not_before(&self) -> Duration {
        match self.phase {
            Phase::Idle(from) | Phase::Owing(from) => from,
            Phase::Live(_) => Duration::ZERO,
        }
    }

    /// Whether a round is open or its cleanup is owed.
    pub fn owes_cleanup(&self) -> bool {
        !matches!(self.phase, Phase::Idle(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u32) -> Duration {
        SECOND * seconds
    }

    fn life(ttl: Option<u32>, grace: u32) -> Lifecycle {
        Lifecycle::new(ttl.map(at), at(grace), 7)
    }

    #[test]
    fn a_life_begins_with_init_and_polls_when_due() {
        let mut life = life(None, 0);
        assert_eq!(life.next(at(5), at(5)), Step::Init);
        life.initialised(at(5), true);
        assert_eq!(life.next(at(5), at(5)), Step::Poll);
        assert_eq!(life.next(at(6), at(10)), Step::Wait(at(10)));
    }

    #[test]
    fn a_round_ends_at_its_ttl_and_the_next_begins_after_cleanup() {
        let mut life = life(Some(60), 0);
        life.initialised(at(0), true);
        assert_eq!(life.next(at(50), at(90)), Step::Wait(at(60)));
        assert_eq!(life.next(at(60), at(60)), Step::Cleanup);
        life.cleaned(at(61), true);
        assert_eq!(life.next(at(61), at(90)), Step::Init);
    }

    #[test]
    fn cleanup_follows_a_failed_init_and_the_next_init_backs_off() {
        let mut life = life(None, 0);
        life.initialised(at(1), false);
        assert_eq!(life.next(at(1), at(1)), Step::Cleanup);
        life.cleaned(at(1), true);
        assert!(matches!(life.next(at(1), at(1)), Step::Wait(until) if until > at(1)));
    }

    #[test]
    fn nothing_is_cleaned_up_where_no_guest_could_be_made_live() {
        let mut life = life(None, 0);
        life.unavailable(at(1));
        assert!(!life.owes_cleanup());
        assert!(matches!(life.next(at(1), at(1)), Step::Wait(until) if until > at(1)));
    }

    #[test]
    fn cleanup_follows_a_lost_poll() {
        let mut life = life(None, 0);
        life.initialised(at(0), true);
        life.polled(at(3), true);
        assert_eq!(life.next(at(3), at(9)), Step::Cleanup);
    }

    #[test]
    fn a_failed_cleanup_is_tried_again_but_never_blocks_for_ever() {
        let mut life = life(None, 0);
        life.initialised(at(0), false);
        let mut cleanups = 0;
        let mut now = at(0);
        loop {
            match life.next(now, at(0)) {
                Step::Cleanup => {
                    cleanups += 1;
                    life.cleaned(now, false);
                }
                Step::Wait(until) => now = until,
                step => break assert_eq!(step, Step::Init),
            }
        }
        assert_eq!(cleanups, CLEANUP_ATTEMPTS);
    }

    #[test]
    fn a_good_poll_ends_the_backing_off() {
        let mut life = life(Some(10), 0);
        life.initialised(at(0), false);
        life.cleaned(at(0), true);
        life.initialised(at(5), true);
        life.polled(at(5), false);
        assert_eq!(life.next(at(15), at(15)), Step::Cleanup);
        life.cleaned(at(15), true);
        assert_eq!(life.next(at(15), at(15)), Step::Init);
    }

    #[test]
    fn only_the_start_of_a_round_is_in_grace() {
        let mut life = life(None, 10);
        assert!(!life.in_grace(at(0)));
        life.initialised(at(100), true);
        assert!(life.in_grace(at(109)));
        assert!(!life.in_grace(at(110)));
    }

    #[test]
    fn a_round_without_ttl_still_ends() {
        let mut life = life(None, 0);
        life.initialised(at(0), true);
        let step = life.next(LONGEST_ROUND + at(600), at(0));
        assert_eq!(step, Step::Cleanup);
    }

    #[test]
    fn cleanup_is_owed_from_init_until_it_was_done() {
        let mut life = life(None, 0);
        assert!(!life.owes_cleanup());
        life.initialised(at(0), true);
        assert!(life.owes_cleanup());
        life.next(at(0) + LONGEST_ROUND * 2, at(0));
        life.cleaned(at(1), true);
        assert!(!life.owes_cleanup());
    }

    #[test]
    fn somebody_who_asks_for_a_run_need_not_wait_for_the_backoff() {
        let mut life = life(None, 0);
        life.initialised(at(1), false);
        life.cleaned(at(1), true);
        life.hurry();
        assert_eq!(life.next(at(1), at(1)), Step::Init);
    }
}
