//! What guests make in a real cluster goes with their round, however that ends.

use crate::cluster::{Stage, config_map};
use aviary::ledger::Ledger;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

fn keep(ledger: &Arc<Ledger>) -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn(Arc::clone(ledger).keep(stop.clone()));
    stop
}

#[tokio::test]
async fn what_a_round_leaves_behind_is_deleted_when_its_guest_goes() {
    let Some(stage) = Stage::set("leftover").await else { return };
    let _keeping = keep(&stage.ledger).drop_guard();
    let script = json!({ "init": [{ "create": { "body": config_map("a") } }], "poll": [{ "create": { "body": config_map("b") } }] });
    let (mut instance, verdict) = stage.play(None, &script).await;
    verdict.expect("an outcome");
    assert_eq!(stage.config_maps().await, ["a", "b"]);
    instance.cleanup().await.expect("cleanup returns").expect("and is content");
    drop(instance);
    stage.until_config_maps_are(&[]).await;
    stage.strike().await;
}

#[tokio::test]
async fn a_round_that_goes_on_keeps_what_it_made_while_another_is_swept() {
    let Some(stage) = Stage::set("neighbours").await else { return };
    let _keeping = keep(&stage.ledger).drop_guard();
    let making = |name: &str| json!({ "poll": [{ "create": { "body": config_map(name) } }] });
    let (first, _) = stage.play(None, &making("first")).await;
    let (_second, _) = stage.play(None, &making("second")).await;
    drop(first);
    stage.until_config_maps_are(&["second"]).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.config_maps().await, ["second"]);
    stage.strike().await;
}

#[tokio::test]
async fn a_trap_leaves_nothing_behind() {
    let Some(stage) = Stage::set("trap").await else { return };
    let script = json!({ "poll": [{ "create": { "body": config_map("a") } }, "trap"] });
    let (instance, verdict) = stage.play(None, &script).await;
    assert!(verdict.is_err());
    assert_eq!(stage.config_maps().await, ["a"]);
    drop(instance);
    assert!(stage.ledger.settle(Stage::deadline()).await);
    assert!(stage.config_maps().await.is_empty() && stage.board.leftovers.all().is_empty());
    stage.strike().await;
}

#[tokio::test]
async fn a_daemon_that_was_killed_finds_what_it_left_behind() {
    let Some(stage) = Stage::set("killed").await else { return };
    let script = json!({ "init": [{ "create": { "body": config_map("a") } }] });
    let (instance, _) = stage.play(None, &script).await;
    std::mem::forget(instance);
    let _keeping = keep(&stage.reborn()).drop_guard();
    stage.until_config_maps_are(&[]).await;
    stage.strike().await;
}

#[tokio::test]
async fn what_others_made_is_not_taken_for_the_rounds_own() {
    let Some(stage) = Stage::set("foreign").await else { return };
    let post = kube::api::PostParams::default();
    let foreign = serde_json::from_value(config_map("foreign")).expect("a ConfigMap");
    stage.api::<k8s_openapi::api::core::v1::ConfigMap>().create(&post, &foreign).await.expect("made");
    let mut changed = config_map("foreign");
    changed["data"] = json!({ "seen": "yes" });
    let script =
        json!({ "poll": [{ "apply": { "body": changed } }, { "create": { "body": config_map("own") } }] });
    let (instance, verdict) = stage.play(None, &script).await;
    assert!(verdict.expect("an outcome").message.contains("own"));
    drop(instance);
    assert!(stage.ledger.settle(Stage::deadline()).await);
    assert_eq!(stage.config_maps().await, ["foreign"]);
    stage.strike().await;
}

#[tokio::test]
async fn a_creation_that_is_carried_out_after_its_round_is_found_all_the_same() {
    let Some(stage) = Stage::set("late").await else { return };
    let _keeping = keep(&stage.ledger).drop_guard();
    let (instance, _) =
        stage.play(None, &json!({ "poll": [{ "create": { "body": config_map("a") } }] })).await;
    let maps = stage.api::<k8s_openapi::api::core::v1::ConfigMap>();
    let mut late = maps.get("a").await.expect("a ConfigMap");
    drop(instance);
    stage.until_config_maps_are(&[]).await;
    // By now it is known that nothing is left.
    tokio::time::sleep(Duration::from_secs(2)).await;
    late.metadata = kube::api::ObjectMeta {
        name: Some("late".to_owned()),
        labels: late.metadata.labels,
        ..kube::api::ObjectMeta::default()
    };
    maps.create(&kube::api::PostParams::default(), &late).await.expect("made");
    stage.until_config_maps_are(&[]).await;
    stage.strike().await;
}
