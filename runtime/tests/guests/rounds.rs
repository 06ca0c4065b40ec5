//! Rounds: what is called when, and what becomes of an instance.

use crate::{
    self as guests,
    support::{Subject, outcome},
};
use aviary::outcome::{Outcome, Reason, Status};

#[tokio::test]
async fn an_instance_lives_from_poll_to_poll() {
    let subject = Subject::load(guests::PASSES, "").await.expect("loaded");
    let mut instance = subject.live().await;
    instance.init().await.done().expect("a round");
    for number in 1..=3 {
        let outcome = subject.poll(&mut instance).await.expect("an outcome");
        assert_eq!(outcome.message, format!("poll {number}"));
    }
    assert!(instance.memory() > 0);
    instance.cleanup().await.done().expect("cleaned up");
}

#[tokio::test]
async fn an_error_from_poll_is_a_fail_and_the_instance_lives_on() {
    let subject = Subject::load(guests::RETURNS_ERROR, "").await.expect("loaded");
    let mut instance = subject.live().await;
    instance.init().await.done().expect("a round");
    for _ in 0..2 {
        let outcome = subject.poll(&mut instance).await.expect("an outcome");
        assert_eq!((outcome.status, outcome.message.as_str()), (Status::Fail, "the guest gives up"));
    }
}

#[tokio::test]
async fn settings_steer_the_guest() {
    let spec = "  settings: { status: warn, message: careful, targets: 2 }";
    let outcome = outcome(guests::FAILS_ON_SETTINGS, spec).await;
    assert_eq!(
        (outcome.status, outcome.message.as_str(), outcome.targets.len()),
        (Status::Warn, "careful", 2)
    );
}

#[tokio::test]
async fn a_refusal_to_start_is_the_guests_own_message() {
    let subject =
        Subject::load(guests::FAILS_INIT, "  settings: { message: no licence }").await.expect("loaded");
    let refusal = subject.live().await.init().await.done().expect_err("refused");
    assert_eq!(refusal, Ok(Outcome::fail("no licence")));
}

#[tokio::test]
async fn after_a_trap_a_fresh_instance_can_clean_up() {
    let subject = Subject::load(guests::COUNTS, "  settings: { trapAt: 2 }").await.expect("loaded");
    let mut instance = subject.live().await;
    instance.init().await.done().expect("a round");
    subject.poll(&mut instance).await.expect("an outcome");
    assert_eq!(subject.poll(&mut instance).await.expect_err("a fault").reason, Reason::Trap);
    drop(instance);
    subject.live().await.cleanup().await.done().expect("cleaned up");
}
