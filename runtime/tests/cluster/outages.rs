//! An API server that cannot be reached.

use crate::{
    PASSES, over_cluster,
    support::{Aviary, Files, Proxy},
};
use aviary::board::Standing;

#[tokio::test(flavor = "multi_thread")]
async fn checks_go_on_while_the_source_is_cut_off_and_what_happened_meanwhile_is_noticed() {
    over_cluster!(cluster);
    let namespace = cluster.namespace().await;
    let (stays, goes, comes) =
        (format!("{namespace}/stays"), format!("{namespace}/goes"), format!("{namespace}/comes"));
    cluster.apply(&namespace, "stays", &Files::new().manifest("stays").module("web.wasm", PASSES)).await;
    cluster.apply(&namespace, "goes", &Files::new().manifest("goes").module("web.wasm", PASSES)).await;
    let proxy = Proxy::to(&cluster).await;
    let aviary = Aviary::start(cluster.over(&proxy), &[&namespace]);
    for check in [&stays, &goes] {
        aviary.until(check, "passes", |view| view.standing == Standing::Pass).await;
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
    aviary.until(&comes, "passes", |view| view.standing == Standing::Pass).await;
    assert!(aviary.view(&stays).is_some_and(|view| view.standing == Standing::Pass));
    aviary.stop().await;
    cluster.clear(&[&namespace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_starts_cut_off_is_not_ready_and_begins_when_it_can() {
    over_cluster!(cluster);
    let namespace = cluster.namespace().await;
    cluster.apply(&namespace, "checks", &Files::web(PASSES)).await;
    let proxy = Proxy::to(&cluster).await;
    proxy.cut();
    let aviary = Aviary::start(cluster.over(&proxy), &[&namespace]);
    aviary.until_source("says why", |source| source.error.contains("cannot list")).await;
    assert!(!aviary.board.is_ready());
    proxy.mend();
    aviary.until(&format!("{namespace}/web"), "passes", |view| view.standing == Standing::Pass).await;
    aviary.until(&format!("{namespace}/web"), "is ready", |_| aviary.board.is_ready()).await;
    aviary.stop().await;
    cluster.clear(&[&namespace]).await;
}
