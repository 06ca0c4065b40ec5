//! The life of a ConfigMap with a check.

use crate::{
    PASSES, RETURNS_ERROR, TRAPS,
    given::PATIENCE,
    over_cluster,
    support::{Aviary, Files},
};
use aviary::{board::CheckState, value::Digest};
use std::{
    fs,
    time::{Duration, Instant},
};

fn digest(guest: &str) -> Digest {
    Digest::of(&fs::read(guest).expect("a guest"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applied_configmap_runs_within_a_second() {
    over_cluster!(cluster);
    let namespace = cluster.namespace("configmaps").await;
    let aviary = Aviary::start(cluster.client.clone(), &[&namespace]);
    aviary.until_source("answers", |source| source.connected).await;
    let mut times = Vec::new();
    for number in 0..5 {
        let name = format!("web-{number}");
        let files = Files::new().manifest(&name).module("web.wasm", PASSES);
        cluster.apply(&namespace, &name, &files).await;
        let applied = Instant::now();
        let check = format!("{namespace}/{name}");
        aviary.until(&check, "runs", |view| view.standing == CheckState::Pass).await;
        times.push(applied.elapsed());
    }
    eprintln!("from apply to the first outcome: {times:.0?}");
    // Other tests use the machine too; one that had it for itself counts.
    assert!(times.iter().min() < Some(&Duration::from_secs(1)), "{times:?}");
    aviary.stop().await;
    cluster.clear(&[&namespace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_is_replaced_rubbish_leaves_the_last_good_one_and_deletion_ends_it() {
    over_cluster!(cluster);
    let namespace = cluster.namespace("configmaps").await;
    let check = format!("{namespace}/web");
    cluster.apply(&namespace, "checks", &Files::web(PASSES)).await;
    let aviary = Aviary::start(cluster.client.clone(), &[&namespace]);
    aviary.until(&check, "passes", |view| view.standing == CheckState::Pass).await;
    let loaded = cluster.until_event(&namespace, "checks", "ModuleLoaded", "web: web.wasm").await;
    assert_eq!(loaded.type_.as_deref(), Some("Normal"));

    cluster.apply(&namespace, "checks", &Files::web(RETURNS_ERROR)).await;
    let replaced = Instant::now();
    let is_new = digest(RETURNS_ERROR);
    aviary
        .until(&check, "is replaced", |view| {
            view.module.as_ref().is_some_and(|module| module.digest == is_new)
        })
        .await;
    eprintln!("from replace to the new digest: {:.0?}", replaced.elapsed());
    aviary.until(&check, "fails", |view| view.standing == CheckState::Fail).await;

    cluster.apply(&namespace, "checks", &Files::new().manifest("web").text("web.wasm", "rubbish")).await;
    let view = aviary.until(&check, "is rejected", |view| view.rejected.is_some()).await;
    assert_eq!(view.module.map(|module| module.digest), Some(is_new), "the last good one goes on");
    let rejected = cluster.until_event(&namespace, "checks", "ModuleRejected", "is not WebAssembly").await;
    assert_eq!(rejected.type_.as_deref(), Some("Warning"));

    cluster.delete(&namespace, "checks").await;
    let deleted = Instant::now();
    aviary.until_gone(&check).await;
    eprintln!("from delete to gone: {:.0?}", deleted.elapsed());
    aviary.stop().await;
    cluster.clear(&[&namespace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_wrote_a_check_that_is_quarantined_sees_it_in_one_event_on_the_configmap() {
    over_cluster!(cluster);
    let namespace = cluster.namespace("configmaps").await;
    let check = format!("{namespace}/web");
    cluster.apply(&namespace, "checks", &Files::web(TRAPS)).await;
    let aviary = Aviary::start(cluster.client.clone(), &[&namespace]);
    aviary.until(&check, "runs", |view| view.latest.is_some()).await;
    let entry = aviary.board.get(&check.parse().expect("a key")).expect("the check");
    // Whoever asks for runs need not wait for the pauses before the quarantine.
    while entry.view().quarantine.is_none() {
        entry.run_now(PATIENCE).await;
    }
    let quarantine = entry.view().quarantine.expect("a quarantine").to_string();
    let told = cluster.until_event(&namespace, "checks", "CheckQuarantined", &quarantine).await;
    assert_eq!(told.type_.as_deref(), Some("Warning"));
    assert!(told.message.is_some_and(|message| message.starts_with("web: poll trapped: ")));
    assert_eq!((told.count, told.involved_object.kind.as_deref()), (Some(1), Some("ConfigMap")));
    aviary.stop().await;
    cluster.clear(&[&namespace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_again_is_counted() {
    over_cluster!(cluster);
    let namespace = cluster.namespace("configmaps").await;
    cluster.apply(&namespace, "checks", &Files::new().text("web.wasm", "rubbish")).await;
    for count in 1..=2 {
        let aviary = Aviary::start(cluster.client.clone(), &[&namespace]);
        aviary.until(&format!("{namespace}/web"), "is rejected", |view| view.rejected.is_some()).await;
        cluster.until_event_like(&namespace, "checks", |event| event.count == Some(count)).await;
        aviary.stop().await;
    }
    cluster.clear(&[&namespace]).await;
}
