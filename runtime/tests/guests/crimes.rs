//! What hostile guests do, and who is blamed for what.

use crate::{
    self as guests,
    support::{Subject, check_in, fault, outcome, run, sandbox},
};
use aviary::{
    grant::Capability,
    outcome::{Blame, Reason, Status},
    policy::Policy,
    sandbox::Ended,
    usage::CallResult,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;

#[tokio::test]
async fn a_poll_that_spins_spends_its_processor_time_and_is_blamed() {
    let (reason, message) = fault(guests::SPINS_IN_POLL, "  limits: { cpu: 50ms }").await;
    assert_eq!((reason, reason.blame()), (Reason::Cpu, Blame::Guest));
    assert_eq!(message, "poll used up its 50ms of processor time");
}

#[tokio::test]
async fn an_init_that_spins_is_stopped_by_the_wall_clock_at_the_latest() {
    let (reason, message) = fault(guests::SPINS_IN_INIT, "  timeout: 100ms").await;
    assert_eq!(reason, Reason::Timeout);
    assert!(message.starts_with("init timed out after 100ms"), "{message}");
}

#[tokio::test]
async fn a_cleanup_that_spins_is_stopped() {
    let subject = Subject::load(guests::SPINS_IN_CLEANUP, "  limits: { cpu: 50ms }").await.expect("loaded");
    let ended = subject.live().await.cleanup().await;
    assert!(matches!(ended, Ended::Fault(fault) if fault.reason == Reason::Cpu));
}

#[test]
fn guests_that_spin_on_every_core_leave_time_for_their_neighbours() {
    let runtime = aviary::daemon::runtime().expect("a runtime");
    let cores = std::thread::available_parallelism().expect("a number").get();
    let spin = || runtime.spawn(fault(guests::SPINS_IN_POLL, "  limits: { cpu: 500ms }"));
    let spinning: Vec<_> = (0..cores + 1).map(|_| spin()).collect();
    let neighbour = runtime.spawn(async {
        let mut waits = Vec::new();
        for _ in 0..50 {
            let begun = Instant::now();
            tokio::time::sleep(Duration::from_millis(10)).await;
            waits.push(begun.elapsed());
        }
        waits.sort();
        waits[waits.len() / 2]
    });
    let median = runtime.block_on(neighbour).expect("no panic");
    assert!(median < Duration::from_millis(100), "a neighbour waited for {median:?}");
    for guest in spinning {
        assert_eq!(runtime.block_on(guest).expect("no panic").0, Reason::Cpu);
    }
}

#[test]
fn guests_of_a_tenant_that_spin_leave_processors_to_other_namespaces() {
    let runtime = aviary::daemon::runtime().expect("a runtime");
    let sandbox = Arc::new(sandbox());
    let policy = Policy::new(None, "cluster.local");
    let load = |namespace, guest, spec| {
        let check = check_in(namespace, spec, &policy.ceiling_for(namespace));
        runtime.block_on(Subject::load_in(Arc::clone(&sandbox), check, guest)).expect("loaded")
    };
    let spinning = (0..40).map(|_| load("loud", guests::SPINS_IN_POLL, "  limits: { cpu: 1m }"));
    let spinning: Vec<_> = spinning.map(|check| runtime.spawn(async move { check.run().await })).collect();
    let quiet: Vec<_> = (0..8).map(|_| load("quiet", guests::PASSES, "")).collect();
    let due = tokio::time::Instant::now() + Duration::from_secs(2);
    let neighbour = |check: Subject| async move {
        let mut instance = check.live().await;
        instance.init().await.done().expect("a round");
        tokio::time::sleep_until(due).await;
        check.poll(&mut instance).await.expect("an outcome");
        due.elapsed()
    };
    let neighbours: Vec<_> = quiet.into_iter().map(|check| runtime.spawn(neighbour(check))).collect();
    let ended = neighbours.into_iter().map(|ended| runtime.block_on(ended).expect("no panic"));
    let mut waits: Vec<_> = ended.collect();
    waits.sort();
    assert!(waits[4] < Duration::from_millis(60), "checks of another namespace waited for {waits:?}");
    spinning.iter().for_each(JoinHandle::abort);
}

#[tokio::test]
async fn memory_ends_at_the_limit() {
    let outcome = outcome(guests::GROWS_MEMORY, "  limits: { memory: 16Mi }").await;
    let got: u32 =
        outcome.message.trim_matches(|letter: char| !letter.is_ascii_digit()).parse().expect("a number");
    assert!((10..16).contains(&got), "{}", outcome.message);
}

#[tokio::test]
async fn a_guest_that_cannot_live_without_more_memory_is_blamed_for_it() {
    let (reason, message) = fault(guests::HUGE_MESSAGE, "  limits: { memory: 4Mi }").await;
    assert_eq!(reason, Reason::Memory);
    assert!(message.contains("more than its 4 MiB of memory"), "{message}");
}

#[tokio::test]
async fn recursion_without_an_end_is_a_trap() {
    let (reason, message) = fault(guests::RECURSES, "").await;
    assert_eq!(reason, Reason::Trap);
    assert!(message.contains("stack"), "{message}");
}

#[tokio::test]
async fn a_panic_tells_its_message() {
    let (reason, message) = fault(guests::TRAPS, "").await;
    assert_eq!(reason, Reason::Trap);
    assert!(message.starts_with("poll trapped: ") && message.contains("panicked at"), "{message}");
    let (reason, message) = fault(guests::TRAPS_IN_INIT, "").await;
    assert_eq!(reason, Reason::Trap);
    assert!(message.starts_with("init trapped: "), "{message}");
}

#[tokio::test]
async fn a_guest_that_exits_is_blamed_and_the_daemon_lives_on() {
    let (reason, message) = fault(guests::EXITS, "").await;
    assert_eq!((reason, message.as_str()), (Reason::Trap, "poll trapped: the guest exited with code 1"));
}

#[tokio::test]
async fn sleeping_beyond_the_deadline_is_the_guests_fault() {
    let (reason, message) = fault(guests::SLEEPS_FOREVER, "  timeout: 100ms").await;
    assert_eq!(reason, Reason::Timeout);
    assert!(message.contains("without waiting for host calls most of the time"), "{message}");
}

#[tokio::test]
async fn a_million_log_lines_cost_the_guest_and_not_the_log() {
    let subject =
        Subject::load(guests::FLOODS_LOG, "  timeout: 30s\n  limits: { cpu: 30s }").await.expect("loaded");
    assert_eq!(subject.run().await.expect("an outcome").status, Status::Pass);
    assert_eq!(subject.entry.usage.calls.get(Capability::Log, CallResult::Ok), 1_000_000);
}

#[tokio::test]
async fn whatever_is_printed_hurts_nobody() {
    assert_eq!(outcome(guests::PRINTS, "").await.status, Status::Pass);
}

#[tokio::test]
async fn an_answer_beyond_what_a_call_may_hand_over_is_a_fault_of_the_guest() {
    let (reason, message) = fault(guests::HUGE_MESSAGE, "  limits: { memory: 256Mi, cpu: 10s }").await;
    assert_eq!((reason, reason.blame()), (Reason::Protocol, Blame::Guest));
    assert!(message.starts_with("poll trapped: "), "{message}");
}

#[tokio::test]
async fn a_long_answer_is_cut_and_nothing_in_it_moves_a_cursor() {
    let outcome = outcome(guests::LONG_MESSAGE, "").await;
    assert!(outcome.message.len() < 5_000 && outcome.message.ends_with(" more targets are not shown)"));
    assert!((1..200).contains(&outcome.targets.len()));
    let target = &outcome.targets[0];
    assert!(!format!("{target:?}").chars().any(char::is_control), "{target:?}");
}

#[tokio::test]
async fn calls_beyond_the_limit_do_not_reach_the_network() {
    let spec = "  limits: { hostCalls: 3, cpu: 200ms }\n  grants: { dns: { names: [x.test], servers: ['127.0.0.1:1'] } }\n  settings: { name: x.test, server: '127.0.0.1:1' }";
    let subject = Subject::load(guests::FLOODS_CALLS, spec).await.expect("loaded");
    assert_eq!(subject.run().await.expect_err("a fault").reason, Reason::Cpu);
    let count = |result| subject.entry.usage.calls.get(Capability::Dns, result);
    assert_eq!(count(CallResult::Error), 3);
    assert!(count(CallResult::Limited) > 100);
}

#[tokio::test]
async fn nothing_of_the_machine_is_within_reach() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let outcome =
        outcome(guests::READS_ENVIRONMENT, &format!("  settings: {{ address: '{address}' }}")).await;
    assert_eq!(outcome.status, Status::Pass, "{:?}", outcome.targets);
    assert!(outcome.targets.len() > 5);
}

#[tokio::test]
async fn a_capability_without_a_grant_is_refused_with_the_yaml_that_would_grant_it() {
    for (guest, yaml) in [
        (guests::LOOKUP, "`grants: { dns: { names: ["),
        (guests::PAGE, "`grants: { http: [{ hosts: ["),
        (guests::CALLS_TCP, "`grants: { tcp: [{ targets: ["),
        (guests::CALLS_KUBERNETES, "`grants: { kubernetes: [{ apiGroups: ["),
    ] {
        let (reason, message) = fault(guest, "").await;
        assert_eq!(reason, Reason::Module);
        assert!(message.contains(yaml), "{message}");
    }
}

#[tokio::test]
async fn clocks_and_random_numbers_work() {
    assert_eq!(outcome(guests::NEEDS_TIME_AND_RANDOM, "").await.status, Status::Pass);
}

#[tokio::test]
async fn modules_that_are_no_checks_are_told_what_they_lack() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("x.wasm");
    let component = b"\0asm\x0d\0\x01\0";
    let module = std::fs::read(guests::PASSES).expect("a guest");
    for (bytes, says) in [
        (&b""[..], "is empty"),
        (b"not wasm", "is not WebAssembly"),
        (b"\0asm\x01\0\0\0", "core module"),
        (component, "exports nothing, and lacks aviary:check/lifecycle"),
        (&module[..module.len() / 2], "does not compile"),
    ] {
        std::fs::write(&path, bytes).expect("written");
        let fault = run(&path.to_string_lossy(), "").await.expect_err("refused");
        assert_eq!(fault.reason, Reason::Module);
        assert!(
            fault.message.starts_with("subject.wasm ") && fault.message.contains(says),
            "{}",
            fault.message
        );
    }
}

#[tokio::test]
async fn another_digest_than_the_pinned_one_is_refused() {
    let pin = format!("  digest: sha256:{}", "0".repeat(64));
    let (reason, message) = fault(guests::PASSES, &pin).await;
    assert_eq!(reason, Reason::Module);
    assert!(message.contains("the manifest pins sha256:0000"), "{message}");
}
