//! Tests of what the API server does not let the daemon do.

use crate::{
    PASSES, over_cluster,
    support::{Aviary, Files, Proxy},
};
use aviary::board::CheckState;

#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_may_not_be_looked_at_is_told_of_and_others_go_on() {
    over_cluster!(cluster);
    let (open, closed) = (cluster.namespace("rights").await, cluster.namespace("rights").await);
    for namespace in [&open, &closed] {
        cluster.apply(namespace, "checks", &Files::web(PASSES)).await;
    }
    cluster.grant(&open, &open).await;
    let proxy = Proxy::to(&cluster).await;
    let aviary = Aviary::start(cluster.as_account(&open, &proxy), &[&open, &closed]);
    aviary.until(&format!("{open}/web"), "passes", |view| view.standing == CheckState::Pass).await;
    let source = aviary.until_source("tells", |source| source.error.contains("forbidden")).await;
    assert!(!source.connected && source.error.contains(&format!("cannot list configmaps in {closed}: ")));
    aviary.until(&format!("{open}/web"), "is ready", |_| aviary.board.is_ready()).await;

    cluster.grant(&open, &closed).await;
    aviary.until(&format!("{closed}/web"), "passes", |view| view.standing == CheckState::Pass).await;
    aviary.until_source("is well", |source| source.connected).await;
    aviary.stop().await;
    cluster.clear(&[&open, &closed]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_taken_away_stop_no_check() {
    over_cluster!(cluster);
    let namespace = cluster.namespace("rights").await;
    let check = format!("{namespace}/web");
    cluster.apply(&namespace, "checks", &Files::web(PASSES)).await;
    cluster.grant(&namespace, &namespace).await;
    let proxy = Proxy::to(&cluster).await;
    let aviary = Aviary::start(cluster.as_account(&namespace, &proxy), &[&namespace]);
    aviary.until(&check, "passes", |view| view.standing == CheckState::Pass).await;
    cluster.revoke(&namespace).await;
    // The API server looks at the rights when a watch begins.
    proxy.cut();
    aviary.until_source("is cut off", |source| !source.connected).await;
    proxy.mend();
    let source = aviary.until_source("tells", |source| source.error.contains("forbidden")).await;
    assert!(source.error.contains("grant the daemon get, list and watch there"), "{}", source.error);
    let runs = aviary.view(&check).expect("it goes on").counts.runs[0];
    aviary.until(&check, "goes on running", |view| view.counts.runs[0] > runs + 3).await;
    aviary.stop().await;
    cluster.clear(&[&namespace]).await;
}
