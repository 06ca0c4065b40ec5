//! Tests of how calls are counted, limited and told.

use super::*;
use tokio::time::advance;

fn calls(most: u64) -> Calls {
    with(Limit::HostCalls, most)
}

fn with(limit: Limit, most: u64) -> Calls {
    let mut limits = Limits::default();
    limits.set(limit, most).expect("in range");
    let usage = Usage::new("default/test".parse().expect("a key"), &limits);
    Calls::new(&Arc::new(limits), &Arc::new(usage), true)
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_before_its_run_does_so_that_the_guest_can_answer() {
    let mut calls = calls(1);
    let start = Instant::now();
    calls.start_run(start, start + Duration::from_secs(2));
    let deadline = calls.begin(Capability::Http, "x", None).expect("a first call");
    assert_eq!(deadline - start, Duration::from_millis(1900));
}

#[tokio::test(start_paused = true)]
async fn a_guest_can_shorten_a_call_but_not_stretch_it() {
    let mut calls = calls(2);
    let start = Instant::now();
    calls.start_run(start, start + Duration::from_secs(1));
    let short = calls.begin(Capability::Dns, "x", Some(Duration::from_millis(5))).expect("a call");
    let long = calls.begin(Capability::Dns, "x", Some(Duration::from_secs(9))).expect("a call");
    assert_eq!((short - start, long - start), (Duration::from_millis(5), Duration::from_millis(950)));
}

#[tokio::test(start_paused = true)]
async fn calls_beyond_the_limit_are_refused_until_the_next_run() {
    let mut calls = calls(1);
    calls.start_run(Instant::now(), Instant::now());
    assert!(calls.begin(Capability::Tcp, "a", None).is_ok());
    let spent = calls.begin(Capability::Tcp, "b", None).expect_err("one too many");
    assert_eq!(
        spent.to_string(),
        "this run has made its 1 host calls; `limits: { hostCalls: … }` in the manifest raises that"
    );
    assert_eq!(calls.usage.hits.get(Limit::HostCalls), 1);
    calls.start_run(Instant::now(), Instant::now());
    assert!(calls.begin(Capability::Tcp, "c", None).is_ok());
    assert_eq!(calls.usage.calls.get(Capability::Tcp, CallResult::Limited), 1);
}

#[tokio::test(start_paused = true)]
async fn all_calls_of_a_run_share_what_it_may_send() {
    let mut calls = with(Limit::BytesOut, 1024);
    calls.start_run(Instant::now(), Instant::now());
    assert_eq!(calls.send(Capability::Tcp, 1000), Ok(()));
    let spent = Spent { limit: Limit::BytesOut, amount: 1024 };
    assert_eq!(calls.send(Capability::Http, 25), Err(spent));
    assert_eq!(calls.send(Capability::Http, 24), Ok(()), "what was refused is not spent");
    assert_eq!(
        (calls.usage.hits.get(Limit::BytesOut), calls.usage.calls.get(Capability::Http, CallResult::Limited)),
        (1, 1)
    );
    calls.start_run(Instant::now(), Instant::now());
    assert_eq!(calls.send(Capability::Http, 1024), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_has_received_all_it_may_calls_nobody_any_more() {
    let mut calls = with(Limit::BytesIn, 1024);
    calls.start_run(Instant::now(), Instant::now());
    assert_eq!((calls.receive(1000), calls.room()), (Ok(()), 24));
    assert_eq!(calls.receive(24), Ok(()));
    assert_eq!((calls.room(), calls.usage.hits.get(Limit::BytesIn)), (0, 0));
    assert!(calls.begin(Capability::Dns, "x", None).is_err());
    assert!(calls.receive(1).is_err());
    assert_eq!(calls.usage.hits.get(Limit::BytesIn), 2);
}

#[tokio::test(start_paused = true)]
async fn calls_begun_together_are_each_counted() {
    let mut calls = calls(3);
    calls.start_run(Instant::now(), Instant::now());
    for target in ["a", "b", "c"] {
        calls.begin(Capability::Http, target, None).expect("a call");
    }
    calls.finish(CallResult::Error);
    assert_eq!(calls.abandon().expect("calls under way").target, "a");
    assert_eq!(calls.usage.calls.get(Capability::Http, CallResult::Error), 1);
    assert_eq!(calls.usage.calls.get(Capability::Http, CallResult::Timeout), 2);
    assert_eq!(calls.take_record()[0].target, "c");
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_call_is_named_and_counts_as_timed_out() {
    let mut calls = calls(1);
    calls.start_run(Instant::now(), Instant::now());
    calls.begin(Capability::Http, "https://example.com", None).expect("a call");
    assert_eq!(calls.abandon().expect("a call under way").target, "https://example.com");
    assert_eq!(calls.usage.calls.get(Capability::Http, CallResult::Timeout), 1);
    assert!(calls.abandon().is_none());
}

/// What a run of ten seconds waited for, after calls to these targets that took these seconds.
async fn waited_for(spent: &[(&str, u64)]) -> Option<String> {
    let mut calls = calls(9);
    let start = Instant::now();
    calls.start_run(start, start + Duration::from_secs(10));
    for (target, seconds) in spent {
        if !target.is_empty() {
            calls.begin(Capability::Http, *target, None).expect("a call");
        }
        advance(Duration::from_secs(*seconds)).await;
        if !target.is_empty() && start.elapsed() < Duration::from_secs(10) {
            calls.finish(CallResult::Error);
        }
    }
    calls.abandon().map(|waiting| waiting.target)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_waited_for_most_of_its_time_did_so_to_its_last_moment() {
    for (spent, waited) in [
        (vec![("a", 10)], Some("a")),
        (vec![("a", 3), ("b", 6), ("", 1)], Some("b")),
        (vec![("", 5), ("a", 5)], Some("a")),
        (vec![("", 6), ("a", 4)], None),
        (vec![("a", 4), ("", 6)], None),
        (vec![("", 10)], None),
    ] {
        assert_eq!(waited_for(&spent).await.as_deref(), waited, "{spent:?}");
    }
}
