//! Several claims to one check.

use crate::{
    PASSES, RETURNS_ERROR, over_cluster,
    support::{Aviary, Files},
};
use aviary::board::CheckState;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_keeps_a_name_and_the_newer_takes_over_when_it_goes() {
    over_cluster!(cluster);
    let namespace = cluster.namespace("clashes").await;
    let check = format!("{namespace}/web");
    cluster.apply(&namespace, "z-old", &Files::web(PASSES)).await;
    // Kubernetes counts the age of objects in seconds.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    cluster.apply(&namespace, "a-new", &Files::web(RETURNS_ERROR)).await;
    let aviary = Aviary::start(cluster.client.clone(), &[&namespace]);
    aviary.until(&check, "passes", |view| view.standing == CheckState::Pass).await;
    cluster.until_event(&namespace, "a-new", "ModuleRejected", "is wanted by the ConfigMap").await;
    let view = aviary.until(&check, "passes", |view| view.standing == CheckState::Pass).await;
    assert!(view.rejected.is_none(), "the innocent one is not blamed");
    cluster.delete(&namespace, "z-old").await;
    aviary.until(&check, "is taken over", |view| view.standing == CheckState::Fail).await;
    aviary.stop().await;
    cluster.clear(&[&namespace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_manifest_cannot_reach_into_another_namespace() {
    over_cluster!(cluster);
    let (namespace, victim) = (cluster.namespace("clashes").await, cluster.namespace("clashes").await);
    let manifest = format!("web, namespace: {victim}");
    let files = Files::new().manifest(&manifest).module("web.wasm", PASSES);
    cluster.apply(&namespace, "checks", &files).await;
    let aviary = Aviary::start(cluster.client.clone(), &[&namespace, &victim]);
    cluster.until_event(&namespace, "checks", "ModuleRejected", "cannot be in another").await;
    assert!(aviary.view(&format!("{victim}/web")).is_none());
    let view = aviary.until(&format!("{namespace}/web"), "is rejected", |view| view.rejected.is_some()).await;
    assert!(view.module.is_none());
    aviary.stop().await;
    cluster.clear(&[&namespace, &victim]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configmap_with_too_many_checks_is_refused_until_it_has_fewer() {
    over_cluster!(cluster);
    let namespace = cluster.namespace("clashes").await;
    let checks =
        |count| (0..count).fold(Files::new(), |files, nth| files.text(&format!("c{nth}.wasm"), "rubbish"));
    cluster.apply(&namespace, "many", &checks(501)).await;
    let aviary = Aviary::start(cluster.client.clone(), &[&namespace]);
    cluster.until_event(&namespace, "many", "ModuleRejected", "which may have 500").await;
    aviary.until(&format!("{namespace}/many"), "is refused", |view| view.rejected.is_some()).await;
    assert!(aviary.view(&format!("{namespace}/c0")).is_none());
    cluster.apply(&namespace, "many", &checks(3)).await;
    aviary.until(&format!("{namespace}/c2"), "is tried", |view| view.rejected.is_some()).await;
    aviary.until_gone(&format!("{namespace}/many")).await;
    aviary.stop().await;
    cluster.clear(&[&namespace]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_directory_comes_first() {
    over_cluster!(cluster);
    let namespace = cluster.namespace("clashes").await;
    let check = format!("{namespace}/web");
    cluster.apply(&namespace, "checks", &Files::web(PASSES)).await;
    let aviary = Aviary::start(cluster.client.clone(), &[&namespace]);
    aviary.until(&check, "passes", |view| view.standing == CheckState::Pass).await;
    aviary.taken.send_if_modified(|taken| taken.take([check.parse().expect("a key")].iter()));
    cluster.until_event(&namespace, "checks", "ModuleRejected", "comes first").await;
    cluster.apply(&namespace, "checks", &Files::web(RETURNS_ERROR)).await;
    cluster.apply(&namespace, "other", &Files::new().module("other.wasm", PASSES)).await;
    aviary.until(&format!("{namespace}/other"), "passes", |view| view.standing == CheckState::Pass).await;
    let view = aviary.view(&check).expect("left to the directory");
    assert_eq!(view.standing, CheckState::Pass);
    aviary.taken.send_if_modified(|taken| taken.keep(|_| false));
    aviary.until(&check, "comes back", |view| view.standing == CheckState::Fail).await;
    aviary.stop().await;
    cluster.clear(&[&namespace]).await;
}
