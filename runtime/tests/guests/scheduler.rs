//! The tasks of checks, with real guests and mostly on a paused clock.

use crate::{self as guests, support::Subject};
use aviary::{
    board::{CheckState, Entry},
    manifest::Check,
    outcome::Reason,
    scheduler::{Clock, Ready, Scheduler},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    time::{pause, sleep, timeout},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// A scheduler without checks.
fn scheduler() -> Scheduler {
    Scheduler::new(Arc::default(), Clock::start())
}

fn runs(entry: &Entry) -> u64 {
    entry.view().counts.runs.iter().sum()
}

/// Waits until something holds. On a paused clock, that costs no time.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let look = async {
        while !is_so() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE * 60, look).await.unwrap_or_else(|_| panic!("never {what}"));
}

/// Waits until this many cleanups have failed, and then longer than a pause between two attempts.
async fn until_cleanups_failed(entry: &Entry, times: u64) {
    until("cleaned up", || entry.view().counts.failed_cleanups == times).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(entry.view().counts.failed_cleanups, times);
}

#[tokio::test]
async fn a_cleanup_that_fails_is_tried_again_by_the_guest_that_knows_its_settings() {
    let spec = "  interval: 10s\n  ttl: 10s\n  settings: { attempts: 3 }";
    let subject = Subject::load(guests::FAILS_CLEANUP, spec).await.expect("loaded");
    pause();
    let mut scheduler = scheduler();
    scheduler.start(subject.ready());
    until_cleanups_failed(&subject.entry, 4).await;
    scheduler.start(subject.ready());
    until_cleanups_failed(&subject.entry, 6).await;
    assert!(scheduler.shutdown(PATIENCE).await, "the third attempt works then too");
    assert_eq!(subject.entry.view().counts.failed_cleanups, 8, "two in each round");
}

#[tokio::test]
async fn a_cleanup_that_never_works_is_tried_three_times_and_moves_no_threshold() {
    let subject = Subject::load(guests::FAILS_CLEANUP, "  interval: 10s\n  ttl: 10s").await.expect("loaded");
    pause();
    let mut scheduler = scheduler();
    scheduler.start(subject.ready());
    until_cleanups_failed(&subject.entry, 3).await;
    let (view, passed) = (subject.entry.view(), runs(&subject.entry));
    assert_eq!((view.standing, view.consecutive_failures), (CheckState::Pass, 0));
    assert_eq!(view.counts.runs, [passed, 0, 0, 0]);
    assert!(!scheduler.shutdown(PATIENCE).await, "not clean");
    assert_eq!(subject.entry.view().counts.failed_cleanups, 6);
}

#[tokio::test]
async fn what_was_due_while_there_was_no_round_was_not_skipped() {
    let spec = "  interval: 100ms\n  settings: { trapAt: 1 }";
    let subject = Subject::load(guests::COUNTS, spec).await.expect("loaded");
    pause();
    let mut scheduler = scheduler();
    scheduler.start(subject.ready());
    until("trapped often", || subject.entry.view().counts.faults[Reason::Trap as usize] == 4).await;
    assert_eq!(subject.entry.view().counts.skipped, 0);
    scheduler.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_check_whose_task_panics_is_told_as_a_fault_of_the_host_and_runs_again() {
    let subject = Subject::load(guests::PASSES, "  interval: 10s").await.expect("loaded");
    // No manifest can ask for this ttl, with which the end of a round cannot be computed.
    let check = Arc::new(Check { ttl: Some(Duration::MAX), ..Check::clone(&subject.check) });
    pause();
    let mut scheduler = scheduler();
    sleep(Duration::from_secs(1)).await;
    scheduler.start(Ready { check, ..subject.ready() });
    until("run again", || subject.entry.view().counts.runs[0] == 2).await;
    let view = subject.entry.view();
    assert!(view.counts.faults[Reason::Resources as usize] >= 1, "{view:?}");
    let told = |fault: &str| fault.contains("task for this check broke down") && fault.contains("overflow");
    let history = subject.entry.history();
    assert!(history.iter().any(|run| run.verdict.as_ref().as_ref().is_err_and(|fault| told(&fault.message))));
    scheduler.shutdown(PATIENCE).await;
}

#[tokio::test]
async fn a_page_that_never_answers_is_a_fail_in_each_run_whatever_the_retries() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("an address"));
    let spec = format!(
        "  interval: 300ms\n  timeout: 250ms\n  retries: 2\n  grants: {{ http: [{{ hosts: ['{url}'] }}] }}\n  \
         settings: {{ urls: ['{url}/'] }}"
    );
    let subject = Subject::load(guests::CHECK_HTTP, &spec).await.expect("loaded");
    let mut scheduler = scheduler();
    scheduler.start(subject.ready());
    until("run often", || runs(&subject.entry) == 8).await;
    let view = subject.entry.view();
    assert_eq!(view.counts.runs, [0, 0, 8, 0], "{:?}", subject.entry.history());
    scheduler.shutdown(PATIENCE).await;
}
