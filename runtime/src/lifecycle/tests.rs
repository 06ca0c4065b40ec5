//! Tests of rounds, their pauses, and quarantine.

use super::*;
use crate::outcome::{Fault, Outcome, Reason, Status};

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
    life.polled(false);
    assert_eq!(life.next(at(50), at(90)), Step::Wait(at(60)));
    assert_eq!(life.next(at(60), at(60)), Step::Cleanup);
    life.cleaned(at(61));
    assert_eq!(life.next(at(61), at(90)), Step::Init);
}

#[test]
fn cleanup_follows_a_failed_init_and_the_next_init_backs_off() {
    let mut life = life(None, 0);
    life.initialised(at(1), false);
    assert_eq!(life.next(at(1), at(1)), Step::Cleanup);
    life.cleaned(at(1));
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
    life.polled(true);
    assert_eq!(life.next(at(3), at(9)), Step::Cleanup);
}

#[test]
fn a_good_poll_ends_the_backing_off() {
    let mut life = life(Some(10), 0);
    life.initialised(at(0), false);
    life.cleaned(at(0));
    life.initialised(at(5), true);
    life.polled(false);
    assert_eq!(life.next(at(15), at(15)), Step::Cleanup);
    life.cleaned(at(15));
    assert_eq!(life.next(at(15), at(15)), Step::Init);
}

#[test]
fn a_round_lasts_until_it_has_been_polled() {
    let day = 24 * 3600;
    for ttl in [None, Some(60)] {
        let mut life = life(ttl, 0);
        life.initialised(at(0), true);
        assert_eq!(life.next(at(4000), at(day)), Step::Wait(at(day)));
        assert_eq!(life.next(at(day), at(day)), Step::Poll);
        life.polled(false);
        assert_eq!(life.next(at(day), at(2 * day)), Step::Cleanup);
    }
}

#[test]
fn only_failures_at_the_start_of_a_round_are_excused() {
    let mut life = life(None, 10);
    assert!(!life.excuses(at(0)));
    life.initialised(at(100), true);
    assert!(life.excuses(at(109)));
    assert!(!life.excuses(at(110)));
}

/// At which of these seconds the failures of a check are excused. It has a grace of ten seconds, and each
/// failure loses its instance.
fn excused(life: &mut Lifecycle, seconds: &[u32]) -> Vec<bool> {
    let fail = |second: &u32| {
        let now = at(*second);
        life.initialised(now, true);
        life.judged(now, &Ok(Outcome::fail("no")));
        let excused = life.excuses(now);
        life.polled(true);
        life.cleaned(now);
        excused
    };
    seconds.iter().map(fail).collect()
}

#[test]
fn a_round_that_begins_because_of_a_failure_has_no_grace_of_its_own() {
    let mut life = life(None, 10);
    assert_eq!(excused(&mut life, &[0, 5, 9, 10, 11, 500]), [true, true, true, false, false, false]);
    life.initialised(at(600), true);
    life.judged(at(600), &Ok(Outcome { status: Status::Warn, ..Outcome::fail("works") }));
    assert_eq!(excused(&mut life, &[700, 709, 710]), [true, true, false]);
}

#[test]
fn a_failed_init_and_a_fault_are_failures_that_the_grace_counts_from() {
    for verdict in [Ok(Outcome::fail("init: no")), fault(Reason::Resources)] {
        let mut life = life(None, 10);
        life.judged(at(0), &verdict);
        assert_eq!(excused(&mut life, &[9, 10]), [true, false]);
    }
}

#[test]
fn failures_from_the_end_of_one_grace_to_the_next_are_not_all_excused() {
    let mut life = life(Some(600), 599);
    life.initialised(at(0), true);
    life.judged(at(300), &Ok(Outcome::fail("no")));
    assert!(life.excuses(at(300)));
    life.polled(false);
    assert_eq!(life.next(at(600), at(630)), Step::Cleanup);
    life.cleaned(at(600));
    life.initialised(at(601), true);
    assert!(life.excuses(at(898)) && !life.excuses(at(899)));
}

#[test]
fn a_round_without_ttl_still_ends() {
    let mut life = life(None, 0);
    life.initialised(at(0), true);
    life.polled(false);
    let step = life.next(DEFAULT_TTL + at(600), at(0));
    assert_eq!(step, Step::Cleanup);
}

#[test]
fn cleanup_is_owed_from_init_until_it_was_done() {
    let mut life = life(None, 0);
    assert!(!life.owes_cleanup());
    life.initialised(at(0), true);
    assert!(life.owes_cleanup());
    life.cleaned(at(1));
    assert!(!life.owes_cleanup());
}

fn fault(reason: Reason) -> Verdict {
    Err(Fault::new(reason, "broken"))
}

/// The lifecycle after rounds with these verdicts, one in each second; their pauses are skipped.
fn after(verdicts: &[Verdict]) -> (Lifecycle, Duration) {
    let mut life = life(None, 0);
    let mut now = Duration::ZERO;
    for verdict in verdicts {
        now += SECOND;
        life.initialised(now, true);
        life.judged(now, verdict);
        life.polled(verdict.is_err());
        if verdict.is_err() {
            life.cleaned(now);
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
        life.cleaned(at(1));
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
    life.cleaned(at(1));
    life.hurry();
    assert_eq!(life.next(at(1), at(1)), Step::Init);
}
