//! Rounds, their pauses, and quarantine.

use super::*;
use crate::outcome::{Fault, Outcome, Reason};

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

fn fault(reason: Reason) -> Verdict {
    Err(Fault::new(reason, "broken"))
}

/// Rounds that end with these verdicts, one in each second; their pauses are skipped.
fn after(verdicts: &[Verdict]) -> (Lifecycle, Duration) {
    let mut life = life(None, 0);
    let mut now = Duration::ZERO;
    for verdict in verdicts {
        now += SECOND;
        life.initialised(now, true);
        life.judged(now, verdict);
        life.polled(now, verdict.is_err());
        if verdict.is_err() {
            life.cleaned(now, true);
        }
    }
    (life, now)
}

fn breakdowns(count: usize) -> (Lifecycle, Duration) {
    after(&vec![fault(Reason::Trap); count])
}

#[test]
fn the_fifth_breakdown_in_a_row_leads_to_quarantine_whatever_its_reason() {
    assert_eq!(breakdowns(4).0.quarantine(), None);
    let reasons = [Reason::Trap, Reason::Cpu, Reason::Memory, Reason::Protocol, Reason::Trap];
    let (mut life, now) = after(&reasons.map(fault));
    let quarantine = life.quarantine().expect("quarantined");
    assert_eq!((quarantine.breakdowns, quarantine.until), (5, now + at(60 + 7)));
    assert_eq!(life.next(now, now), Step::Wait(quarantine.until));
    assert_eq!((life.not_before(), life.owes_cleanup()), (quarantine.until, false));
    assert_eq!(life.next(quarantine.until, now), Step::Init);
}

#[test]
fn each_quarantine_is_twice_as_long_up_to_an_hour() {
    for (count, minutes) in [(5, 1), (6, 2), (7, 4), (10, 32), (11, 60), (40, 60)] {
        let (life, now) = breakdowns(count);
        assert_eq!(life.not_before(), now + at(minutes * 60 + 7), "{count}");
    }
}

#[test]
fn what_others_did_is_no_breakdown() {
    for verdict in [fault(Reason::Resources), fault(Reason::Timeout), fault(Reason::Module)] {
        assert_eq!(after(&vec![verdict; 9]).0.quarantine(), None);
    }
    assert_eq!(after(&vec![Ok(Outcome::fail("no")); 9]).0.quarantine(), None);
}

#[test]
fn any_outcome_ends_the_row_and_a_fault_of_the_host_does_not() {
    let row = |between: Verdict| {
        let mut verdicts = vec![fault(Reason::Trap); 4];
        verdicts.extend([between, fault(Reason::Trap)]);
        after(&verdicts).0.quarantine().is_some()
    };
    assert!(!row(Ok(Outcome::fail("no"))));
    assert!(row(fault(Reason::Resources)));
}

#[test]
fn a_quarantined_check_that_runs_rarely_begins_its_round_when_it_is_due() {
    let (mut life, now) = breakdowns(5);
    assert_eq!(life.next(now + at(120), at(7200)), Step::Wait(at(7200)));
    assert_eq!(life.next(at(7200), at(7200)), Step::Init);
}

#[test]
fn inits_that_break_down_count_too() {
    let mut life = life(None, 0);
    for _ in 0..5 {
        life.judged(at(1), &fault(Reason::Trap));
        life.initialised(at(1), false);
        life.cleaned(at(1), true);
    }
    assert!(matches!(life.next(at(2), at(2)), Step::Wait(until) if until >= at(61)));
}

#[test]
fn a_run_on_demand_shortens_a_quarantine_but_is_not_a_way_round_it() {
    let (mut life, now) = breakdowns(9);
    life.hurry();
    assert_eq!(life.next(now, now), Step::Wait(now + at(60)));
    assert_eq!(life.next(now + at(60), now), Step::Init);
}

#[test]
fn somebody_who_asks_for_a_run_need_not_wait_for_the_backoff() {
    let mut life = life(None, 0);
    life.initialised(at(1), false);
    life.cleaned(at(1), true);
    life.hurry();
    assert_eq!(life.next(at(1), at(1)), Step::Init);
}
