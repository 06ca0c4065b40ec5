//! Checks dropped into a directory, from the files to the board.

use crate::{
    self as guests,
    inventory::{Aviary, PATIENCE, message},
    support::{compiler, sandbox, sandbox_in},
};
use aviary::{
    board::{CheckState, Demand, EventKind, View},
    grant::{Bounds, Ceiling},
    history::Run,
    outcome::Reason,
    settings::CompilerConfig,
    signature::Keyring,
    value::Size,
};
use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    sync::Arc,
    time::Duration,
};
use tokio::{runtime::Handle, time::timeout};

#[tokio::test]
async fn a_module_that_is_dropped_in_runs_at_once() {
    let aviary = Aviary::start();
    aviary.put_guest("subject.wasm", guests::PASSES);
    let view = aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    assert_eq!(message(&view), "poll 1");
    assert!(aviary.board.is_ready());
    assert!(aviary.stop().await, "ended clean");
}

#[tokio::test]
async fn a_compiler_that_is_not_to_be_had_is_tried_again() {
    let elsewhere = tempfile::tempdir().expect("a directory");
    let program = elsewhere.path().join("aviary");
    let aviary = Aviary::start_in(
        sandbox_in(CompilerConfig { program: program.clone(), ..compiler() }),
        Keyring::default(),
        PATIENCE,
        Ceiling::open(),
    );
    aviary.put_guest("subject.wasm", guests::PASSES);
    let view = aviary.until("rejected", |view| view.rejected.is_some()).await;
    assert_eq!(view.rejected.map(|fault| fault.reason), Some(Reason::Resources));
    symlink(compiler().program, program).expect("linked");
    aviary.until("passing", |view| view.standing == CheckState::Pass && view.rejected.is_none()).await;
    assert!(aviary.stop().await, "ended clean");
}

#[tokio::test]
async fn a_daemon_that_stops_does_not_wait_for_a_compiler() {
    let elsewhere = tempfile::tempdir().expect("a directory");
    let program = elsewhere.path().join("hangs");
    fs::write(&program, "#!/bin/sh\nexec sleep 60\n").expect("written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("executable");
    let aviary = Aviary::start_in(
        sandbox_in(CompilerConfig { program, ..compiler() }),
        Keyring::default(),
        PATIENCE,
        Ceiling::open(),
    );
    aviary.put_guest("subject.wasm", guests::PASSES);
    aviary.until("loading", |_| true).await;
    timeout(PATIENCE / 4, aviary.stop()).await.expect("ended at once");
}

#[tokio::test]
async fn rubbish_keeps_the_former_module_and_a_good_one_replaces_it() {
    let aviary = Aviary::start();
    aviary.put_manifest("  interval: 20ms\n");
    aviary.put_guest("subject.wasm", guests::PASSES);
    aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    aviary.put("subject.wasm", "rubbish");
    let view = aviary.until("rejected", |view| view.rejected.is_some()).await;
    let runs = view.counts.runs[0];
    aviary.until("running on", |view| view.counts.runs[0] > runs + 2 && view.rejected.is_some()).await;
    aviary.put_guest("subject.wasm", guests::RETURNS_ERROR);
    let view = aviary.until("replaced", |view| view.standing == CheckState::Fail).await;
    assert!(view.rejected.is_none());
    assert_eq!(message(&view), "the guest gives up");
}

#[tokio::test]
async fn a_new_version_that_does_not_start_is_tried_beside_the_former_one() {
    let aviary = Aviary::start();
    aviary.put_manifest("  interval: 20ms\n");
    aviary.put_guest("subject.wasm", guests::PASSES);
    aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    aviary.put_guest("subject.wasm", guests::TRAPS_IN_INIT);
    let view = aviary.until("rejected", |view| view.rejected.is_some()).await;
    let fault = view.rejected.expect("a fault");
    assert_eq!(fault.reason, Reason::Trap);
    assert!(fault.message.starts_with("the new version does not start: init trapped"), "{}", fault.message);
    let again = view.counts.faults[Reason::Trap as usize];
    aviary.until("tried again", |view| view.counts.faults[Reason::Trap as usize] > again).await;
    assert_eq!(
        aviary.until("passing", |view| view.standing == CheckState::Pass).await.standing,
        CheckState::Pass
    );
}

#[tokio::test]
async fn a_check_that_is_deleted_leaves_the_board() {
    let aviary = Aviary::start();
    aviary.put_guest("subject.wasm", guests::PASSES);
    aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    let mut events = aviary.board.listen();
    fs::remove_file(aviary.directory.path().join("subject.wasm")).expect("removed");
    let removed = async { while events.recv().await.expect("an event").kind != EventKind::Removed {} };
    timeout(PATIENCE, removed).await.expect("removed");
    assert!(aviary.board.entries().is_empty());
}

#[tokio::test]
async fn a_suspended_check_rests_and_a_resumed_one_runs() {
    let aviary = Aviary::start();
    aviary.put_manifest("  suspend: true\n");
    aviary.put_guest("subject.wasm", guests::PASSES);
    let view = aviary.until("suspended", |view| view.module.is_some()).await;
    assert!(view.standing == CheckState::Suspended && view.latest.is_none());
    aviary.put_manifest("  suspend: false\n");
    aviary.until("passing", |view| view.standing == CheckState::Pass).await;
}

#[tokio::test]
async fn a_check_that_is_resumed_is_what_its_new_version_is_and_not_suspended() {
    for (module, standing, says) in [
        (fs::read(guests::TRAPS_IN_INIT).expect("a guest"), CheckState::Unknown, "init trapped"),
        (b"rubbish".to_vec(), CheckState::Unknown, "is not WebAssembly"),
    ] {
        let aviary = Aviary::start();
        aviary.put_manifest("  interval: 20ms\n");
        aviary.put_guest("subject.wasm", guests::PASSES);
        aviary.until("passing", |view| view.standing == CheckState::Pass).await;
        aviary.put_manifest("  suspend: true\n");
        aviary.until("suspended", |view| view.standing == CheckState::Suspended).await;
        aviary.put("subject.wasm", module);
        aviary.put_manifest("  suspend: false\n");
        let view = aviary.until("resumed", |view| view.error().contains(says)).await;
        assert_eq!(view.standing, standing);
    }
}

#[tokio::test]
async fn a_suspended_check_shows_nothing_of_its_former_runs_but_its_history() {
    let aviary = Aviary::start();
    let manifest = |suspend: bool| {
        let settings = "settings: { status: fail, message: down, targets: 2 }";
        aviary.put_manifest(&format!("  interval: 20ms\n  suspend: {suspend}\n  {settings}\n"));
    };
    manifest(false);
    aviary.put_guest("subject.wasm", guests::FAILS_ON_SETTINGS);
    let failing = aviary.until("failing", |view| view.standing == CheckState::Fail).await;
    manifest(true);
    let is_over = |view: &View| view.standing == CheckState::Suspended && view.memory == 0;
    let view = aviary.until("at rest", is_over).await;
    assert!(view.latest.is_none() && view.next_run.is_none() && view.since > failing.since, "{view:?}");
    assert_eq!((view.words().as_str(), view.consecutive_failures), ("", 0));
    assert!(!aviary.board.entries()[0].history().is_empty());
}

#[tokio::test]
async fn a_round_ends_at_its_ttl_and_begins_anew() {
    let aviary = Aviary::start();
    aviary.put_manifest("  interval: 20ms\n  ttl: 60ms\n");
    aviary.put_guest("subject.wasm", guests::PASSES);
    aviary.until("in a later poll", |view| message(view) == "poll 2").await;
    aviary
        .until("in the first poll of another round", |view| {
            message(view) == "poll 1" && view.counts.runs[0] > 2
        })
        .await;
}

#[tokio::test]
async fn a_trap_ends_the_round_and_the_next_one_begins() {
    let aviary = Aviary::start();
    aviary.put_manifest("  interval: 20ms\n  settings: { trapAt: 2 }\n");
    aviary.put_guest("subject.wasm", guests::COUNTS);
    let view = aviary.until("trapped twice", |view| view.counts.faults[Reason::Trap as usize] >= 2).await;
    assert!(view.counts.runs[0] >= 2, "a good poll comes before each trap");
}

#[tokio::test]
async fn a_guest_that_breaks_down_again_and_again_is_quarantined_until_a_new_version_comes() {
    let aviary = Aviary::start();
    let mut events = aviary.board.listen();
    aviary.put_manifest("  interval: 20ms\n  failureThreshold: 50\n");
    aviary.put_guest("subject.wasm", guests::TRAPS);
    let first = aviary.until("trapped", |view| view.counts.faults[Reason::Trap as usize] > 0).await;
    assert!(first.quarantine.is_none());
    let entry = aviary.board.get(&"default/subject".parse().expect("a key")).expect("the check");
    // Whoever asks for runs need not wait for the pauses before the quarantine.
    while entry.view().quarantine.is_none() {
        entry.run_now(PATIENCE).await;
    }
    let rests = |view: &View| view.memory == 0 && view.next_run > view.latest.as_ref().map(Run::ended);
    let view = aviary.until("resting", rests).await;
    assert_eq!((view.counts.faults[Reason::Trap as usize], view.standing), (5, CheckState::Unknown));
    assert!(view.error().contains("; quarantined until 20"), "{}", view.error());
    let told = async { while events.recv().await.expect("an event").kind != EventKind::Quarantined {} };
    timeout(PATIENCE, told).await.expect("told");
    assert!(matches!(entry.run_now(PATIENCE).await, Demand::TooSoon(_)), "not a way round");
    aviary.put_guest("subject.wasm", guests::PASSES);
    let view = aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    assert!(view.quarantine.is_none());
    assert_eq!(entry.view().counts.faults[Reason::Trap as usize], 5, "it was left alone");
    assert!(aviary.stop().await, "ended clean");
}

#[tokio::test]
async fn failures_soon_after_init_do_not_count() {
    let aviary = Aviary::start();
    aviary.put_manifest("  interval: 20ms\n  startupGrace: 200ms\n");
    aviary.put_guest("subject.wasm", guests::RETURNS_ERROR);
    let view = aviary.until("failing", |view| view.standing == CheckState::Fail).await;
    let first = view.latest.expect("a run").started;
    let grace = first.duration_since(view.module.expect("a module").loaded);
    assert!(grace.as_millis() >= 150, "counted after {grace:?}");
    let history = aviary.board.entries()[0].history();
    assert!(history[0].excused && history.iter().any(|run| !run.excused), "{history:?}");
}

#[tokio::test]
async fn a_run_on_demand_does_not_wait_for_the_interval() {
    let aviary = Aviary::start();
    aviary.put_manifest("  interval: 1h\n");
    aviary.put_guest("subject.wasm", guests::PASSES);
    aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    let entry = aviary.board.get(&"default/subject".parse().expect("a key")).expect("the check");
    let (one, other) = tokio::join!(entry.run_now(PATIENCE), entry.run_now(PATIENCE));
    assert!(matches!((one, other), (Demand::Done, Demand::Done)), "{one:?}, {other:?}");
    assert_eq!(entry.view().counts.runs[0], 2, "both were served by one run");
}

#[tokio::test]
async fn a_failed_cleanup_is_told() {
    let aviary = Aviary::start();
    aviary.put_guest("subject.wasm", guests::FAILS_CLEANUP);
    aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    let mut events = aviary.board.listen();
    assert!(!aviary.stop().await, "not clean");
    let event = events.recv().await.expect("an event");
    assert_eq!(
        (event.kind, event.message.as_str()),
        (EventKind::CleanupFailed, "cleanup: something stays behind")
    );
}

#[tokio::test]
async fn a_run_that_hangs_at_the_end_is_given_up_and_cleaned_up() {
    let aviary = Aviary::start_with(Duration::from_millis(400));
    aviary.put_manifest("  interval: 1h\n  timeout: 1h\n  limits: { cpu: 1m }\n");
    aviary.put_guest("subject.wasm", guests::SLEEPS_FOREVER);
    aviary.until("live", |view| view.module.is_some()).await;
    let begun = std::time::Instant::now();
    assert!(aviary.stop().await, "cleaned up");
    assert!(begun.elapsed() < Duration::from_secs(10), "not after its timeout");
}

#[tokio::test]
async fn of_many_versions_behind_a_long_run_only_the_newest_waits() {
    let aviary = Aviary::start_with(Duration::from_millis(400));
    aviary.put_manifest("  interval: 1h\n  timeout: 1h\n  limits: { cpu: 1m }\n");
    aviary.put_guest("subject.wasm", guests::SLEEPS_FOREVER);
    let first = aviary.until("live", |view| view.module.is_some() && view.next_run.is_some()).await;
    let mut events = aviary.board.listen();
    aviary.put_guest("subject.wasm", guests::FAILS_CLEANUP);
    aviary.until("accepted", |view| view.module != first.module).await;
    aviary.put_guest("subject.wasm", guests::PASSES);
    let left = async { while events.recv().await.expect("an event").kind != EventKind::CleanupFailed {} };
    timeout(PATIENCE, left).await.expect("the second version leaves beside the long run");
    let view = aviary.board.entries()[0].view();
    assert!(
        view.next_run == first.next_run && view.latest.is_none(),
        "the plan is that of the long run: {view:?}"
    );
    aviary.stop().await;
}

#[tokio::test]
async fn versions_behind_a_long_run_leave_nothing_behind() {
    let aviary = Aviary::start_with(Duration::from_millis(400));
    let manifest = |ttl: u64| {
        aviary.put_manifest(&format!(
            "  interval: 1h\n  timeout: 1h\n  ttl: {ttl}h\n  limits: {{ cpu: 1m }}\n"
        ));
    };
    manifest(1);
    aviary.put_guest("subject.wasm", guests::SLEEPS_FOREVER);
    aviary.until("live", |view| view.module.is_some()).await;
    let alive = || Handle::current().metrics().num_alive_tasks();
    let mut before = 0;
    for ttl in 2..12 {
        manifest(ttl);
        let ttl_is = |view: &View| view.check.ttl == Some(Duration::from_secs(ttl * 3600));
        aviary.until("accepted", ttl_is).await;
        if ttl == 4 {
            before = alive();
        }
    }
    assert!(alive() <= before + 2, "{before} tasks became {}", alive());
    aviary.stop().await;
}

#[tokio::test]
async fn a_missing_grant_stands_on_the_board() {
    let aviary = Aviary::start();
    aviary.put_guest("subject.wasm", guests::LOOKUP);
    let view = aviary.until("rejected", |view| view.rejected.is_some()).await;
    assert_eq!(view.standing, CheckState::Unknown);
    assert!(view.error().contains("grants:"), "{}", view.error());
}

#[tokio::test]
async fn a_failing_init_does_not_end_the_check() {
    let aviary = Aviary::start();
    aviary.put_manifest("  interval: 20ms\n  settings: { message: not yet }\n");
    aviary.put_guest("subject.wasm", guests::FAILS_INIT);
    let view = aviary.until("tried again", |view| view.counts.runs[2] >= 2).await;
    assert_eq!((view.standing, message(&view).as_str()), (CheckState::Fail, "init: not yet"));
}

#[tokio::test]
async fn the_code_of_a_tenants_modules_counts_as_memory_of_its_guests() {
    let bounds = Arc::new(Bounds { memory: Some(Size::bytes(64 << 10)), ..Bounds::default() });
    let ceiling = Ceiling::tenant("default", "cluster.local", bounds);
    let aviary = Aviary::start_in(sandbox(), Keyring::default(), PATIENCE, ceiling);
    aviary.put_guest("subject.wasm", guests::PASSES);
    let view = aviary.until("rejected", |view| view.rejected.is_some()).await;
    let fault = view.rejected.expect("rejected");
    assert_eq!(fault.reason, Reason::Memory, "{fault}");
    assert!(fault.message.contains("KiB when compiled, which is more than is left"), "{fault}");
}
