//! Tests with an API server that cannot be reached.

use crate::{
    PASSES,
    given::PATIENCE,
    over_cluster,
    support::{Aviary, Files, Proxy},
};
use aviary::{
    board::{Board, CheckState},
    cluster,
    ledger::{Ledger, ObjectLocation},
    value::Key,
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, api::PostParams};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

#[tokio::test(flavor = "multi_thread")]
async fn checks_go_on_while_the_source_is_cut_off_and_what_happened_meanwhile_is_noticed() {
    over_cluster!(cluster);
    let namespace = cluster.namespace("outages").await;
    let (stays, goes, comes) =
        (format!("{namespace}/stays"), format!("{namespace}/goes"), format!("{namespace}/comes"));
    cluster.apply(&namespace, "stays", &Files::new().manifest("stays").module("web.wasm", PASSES)).await;
    cluster.apply(&namespace, "goes", &Files::new().manifest("goes").module("web.wasm", PASSES)).await;
    let proxy = Proxy::to(&cluster).await;
    let aviary = Aviary::start(cluster.over(&proxy), &[&namespace]);
    for check in [&stays, &goes] {
        aviary.until(check, "passes", |view| view.standing == CheckState::Pass).await;
    }
    let before = aviary.until_source("answers", |source| source.connected).await;

    proxy.cut();
    let cut = aviary.until_source("is cut off", |source| !source.connected).await;
    assert!(
        cut.since > before.since && cut.error.contains(&format!("cannot list configmaps in {namespace}"))
    );
    cluster.delete(&namespace, "goes").await;
    cluster.apply(&namespace, "comes", &Files::new().manifest("comes").module("web.wasm", PASSES)).await;
    let runs = aviary.view(&goes).expect("it goes on").counts.runs[0];
    for check in [&stays, &goes] {
        aviary.until(check, "goes on running", |view| view.counts.runs[0] > runs + 3).await;
    }
    assert_eq!(aviary.board.sources()[0].since, cut.since, "it says since when");

    proxy.mend();
    aviary.until_source("answers again", |source| source.connected).await;
    aviary.until_gone(&goes).await;
    aviary.until(&comes, "passes", |view| view.standing == CheckState::Pass).await;
    assert!(aviary.view(&stays).is_some_and(|view| view.standing == CheckState::Pass));
    aviary.stop().await;
    cluster.clear(&[&namespace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_starts_cut_off_is_not_ready_and_begins_when_it_can() {
    over_cluster!(cluster);
    let namespace = cluster.namespace("outages").await;
    cluster.apply(&namespace, "checks", &Files::web(PASSES)).await;
    let proxy = Proxy::to(&cluster).await;
    proxy.cut();
    let aviary = Aviary::start(cluster.over(&proxy), &[&namespace]);
    aviary.until_source("says why", |source| source.error.contains("cannot list")).await;
    assert!(!aviary.board.is_ready());
    proxy.mend();
    aviary.until(&format!("{namespace}/web"), "passes", |view| view.standing == CheckState::Pass).await;
    aviary.until(&format!("{namespace}/web"), "is ready", |_| aviary.board.is_ready()).await;
    aviary.stop().await;
    cluster.clear(&[&namespace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_round_leaves_behind_during_an_outage_is_shown_and_goes_after_it() {
    over_cluster!(cluster);
    let namespace = cluster.namespace("outages").await;
    let proxy = Proxy::to(&cluster).await;
    let mut config = cluster.through(&proxy);
    config.default_namespace.clone_from(&namespace);
    let reached = Arc::new(cluster::Cluster::new(config).expect("a cluster"));
    let (board, stop) = (Arc::new(Board::default()), CancellationToken::new());
    let ledger = Ledger::lasting(reached, Arc::clone(&board.leftovers), Arc::clone(&board.logs));
    let _keeping = stop.clone().drop_guard();
    tokio::spawn(Arc::clone(&ledger).keep(stop));

    let key = Key::new(&namespace, "leaves").expect("a key");
    let round = ledger.open(&key);
    let mut left = json!({ "metadata": { "name": "left" } });
    round.mark().put_on(&mut left);
    let place = ObjectLocation {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: Some(namespace.clone()),
        account: None,
    };
    round.enter(place).await.expect("noted");
    let maps: Api<ConfigMap> = Api::namespaced(cluster.client.clone(), &namespace);
    let left = serde_json::from_value(left).expect("a ConfigMap");
    maps.create(&PostParams::default(), &left).await.expect("made");

    proxy.cut();
    drop(round);
    until("it is shown", async || board.leftovers.all().get(&key) == Some(&1)).await;
    assert!(maps.get_opt("left").await.expect("an answer").is_some());
    proxy.mend();
    until("it is gone", async || maps.get_opt("left").await.expect("an answer").is_none()).await;
    until("nothing is shown", async || board.leftovers.all().is_empty()).await;
    cluster.clear(&[&namespace]).await;
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let look = async {
        while !is_so().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("never: {what}"));
}
