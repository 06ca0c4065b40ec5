//! Tests of manifests whose module is refused.

use crate::{
    self as guests,
    inventory::{Aviary, message},
};
use aviary::{board::CheckState, manifest::Severity};

#[tokio::test]
async fn a_refused_version_changes_who_is_told_and_not_what_runs() {
    let aviary = Aviary::start();
    aviary.put_manifest("  interval: 20ms\n");
    aviary.put_guest("subject.wasm", guests::PASSES);
    let before = aviary.until("passing", |view| view.standing == CheckState::Pass).await.check;
    aviary.put("subject.wasm", "rubbish");
    aviary.until("rejected", |view| view.rejected.is_some()).await;
    aviary.put_manifest(
        "  interval: 40ms\n  severity: warning\n  owner: team\n  failureThreshold: 3\n  settings: { a: 1 }\n",
    );
    let view = aviary.until("warning", |view| view.check.severity == Severity::Warning).await;
    assert_eq!((view.check.owner.as_deref(), view.check.failure_threshold.get()), (Some("team"), 3));
    assert_eq!(
        (&view.check.schedule, &view.check.program.settings),
        (&before.schedule, &before.program.settings)
    );
    let runs = view.counts.runs[0];
    let view = aviary.until("running on", |view| view.counts.runs[0] > runs + 2).await;
    assert!(view.rejected.is_some() && view.check.severity == Severity::Warning);
    aviary.stop().await;
}

#[tokio::test]
async fn a_refused_version_suspends_a_check_and_one_that_is_to_resume_it_is_not_well() {
    let aviary = Aviary::start();
    aviary.put_manifest("  interval: 20ms\n  timeout: 20ms\n");
    aviary.put_guest("subject.wasm", guests::PASSES);
    aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    aviary.put("subject.wasm", "rubbish");
    aviary.until("rejected", |view| view.rejected.is_some()).await;
    aviary.put_manifest("  interval: 20ms\n  timeout: 20ms\n  suspend: true\n");
    aviary.until("suspended", |view| view.standing == CheckState::Suspended).await;
    aviary.put_manifest("  interval: 20ms\n  timeout: 20ms\n  suspend: false\n");
    let view = aviary.until("not run", |view| view.standing == CheckState::Unknown).await;
    assert!(view.rejected.is_some());
    aviary.put_guest("subject.wasm", guests::PASSES);
    let view = aviary.until("passing", |view| view.standing == CheckState::Pass).await;
    assert_eq!((message(&view).starts_with("poll"), view.rejected.is_none()), (true, true));
    aviary.stop().await;
}
