//! Tests of the entry of one check on the board.

use super::*;
use crate::{
    manifest::Severity,
    outcome::{Outcome, Reason, Status},
    value::{Digest, Limit, Origin},
};

fn module() -> Module {
    Module {
        name: "m.wasm".into(),
        digest: Digest::of(b""),
        size: 0,
        signer: None,
        imports: Vec::new(),
        loaded: Timestamp::UNIX_EPOCH,
    }
}

fn check() -> Check {
    Check::bare("a/b".parse().expect("a key"), "m.wasm".parse().expect("a module"))
}

fn entry() -> Entry {
    entry_over(broadcast::Sender::new(1))
}

fn entry_over(events: broadcast::Sender<Arc<Event>>) -> Entry {
    Entry::new(Arc::new(check()), Arc::new(Origin::File("m.yaml".into())), None, events)
}

fn record(entry: &Entry, verdict: Verdict) {
    let next = Next { run: Timestamp::MAX, fresh_until: Instant::now(), quarantine: None };
    entry.record(Timestamp::now(), Duration::ZERO, verdict, next);
}

#[tokio::test(start_paused = true)]
async fn cleanups_that_fail_do_not_fill_the_log() {
    let entry = entry();
    let lines = check().program.limits.get(Limit::LogLines);
    for _ in 0..lines + 5 {
        entry.record_failed_cleanup(&Ok(Outcome::fail("cleanup: no")));
    }
    assert_eq!(entry.usage.hits.get(Limit::LogLines), 5);
}

#[tokio::test(start_paused = true)]
async fn a_failed_cleanup_is_counted_and_is_no_run() {
    let entry = entry();
    record(&entry, Ok(Outcome { status: Status::Pass, ..Outcome::fail("well") }));
    entry.record_failed_cleanup(&Ok(Outcome::fail("cleanup: no")));
    entry.record_failed_cleanup(&Err(Fault::new(Reason::Trap, "cleanup trapped")));
    let view = entry.view();
    assert_eq!((view.standing, view.consecutive_failures), (CheckState::Pass, 0));
    assert_eq!((view.counts.runs, view.counts.failed_cleanups), ([1, 0, 0, 0], 2));
    assert_eq!(view.counts.faults[Reason::Trap as usize], 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_guest_was_refused_in_a_run_is_told_once_and_before_the_run() {
    let events = broadcast::Sender::new(8);
    let entry = entry_over(events.clone());
    let mut told = events.subscribe();
    for _ in 0..2 {
        entry.usage.deny("http a: not granted");
        record(&entry, Ok(Outcome::fail("down")));
    }
    let told: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).map(|event| event.kind).collect();
    let changed = EventKind::Changed { from: CheckState::Unknown, to: CheckState::Fail };
    assert_eq!(told, [EventKind::Denied, changed]);
}

#[tokio::test(start_paused = true)]
async fn what_a_manifest_says_that_needs_no_module_is_taken_in_and_the_rest_is_not() {
    let entry = entry();
    entry.accept(Arc::new(check()), module());
    record(&entry, Ok(Outcome::fail("down")));
    let newer = Check { severity: Severity::Warning, owner: Some("us".into()), retries: 3, ..check() };
    entry.adopt(&Arc::new(newer));
    let View { check, standing, .. } = entry.view();
    assert_eq!((check.severity, check.owner.as_deref()), (Severity::Warning, Some("us")));
    assert_eq!((check.retries, standing), (0, CheckState::Fail));
}

#[tokio::test(start_paused = true)]
async fn a_check_at_rest_shows_nothing_of_former_runs_not_even_of_the_one_that_ended_then() {
    let entry = entry();
    record(&entry, Ok(Outcome::fail("down")));
    entry.adopt(&Arc::new(Check { suspend: true, ..check() }));
    for _ in 0..2 {
        let view = entry.view();
        assert!(view.standing == CheckState::Suspended && view.latest.is_none() && view.next_run.is_none());
        assert_eq!((view.words().as_str(), view.consecutive_failures), ("", 0));
        record(&entry, Ok(Outcome::fail("still down")));
    }
    assert_eq!((entry.history().len(), entry.view().counts.runs[2]), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn a_check_that_is_resumed_is_unknown_until_it_runs() {
    let entry = entry();
    entry.adopt(&Arc::new(Check { suspend: true, ..check() }));
    entry.adopt(&Arc::new(check()));
    let view = entry.view();
    assert!(view.standing == CheckState::Unknown && view.module.is_none() && view.settling);
    entry.reject(Fault::new(Reason::Module, "no good"));
    assert_eq!(entry.view().error(), "no good");
}
