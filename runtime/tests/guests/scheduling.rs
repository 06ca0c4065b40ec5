//! The check rc-scheduler in a real cluster, with or without nodes.

use crate::cluster::Stage;
use aviary::outcome::Outcome;
use k8s_openapi::api::core::v1::{Pod, ReplicationController};
use kube::api::ListParams;
use serde_json::json;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The grants of the check, no more than its README asks for.
const GRANTS: &str = "[{ apiGroups: [''], resources: [replicationcontrollers], verbs: [create, get, delete] }, \
                      { apiGroups: [''], resources: [pods], verbs: [list] }]";

#[tokio::test]
async fn pods_without_a_node_are_told_by_name_and_go_with_the_round() {
    let Some(stage) = Stage::set("scheduling").await else { return };
    let nowhere = json!({ "example.com/nowhere": "true" });
    let settings = json!({ "namespace": stage.namespace, "count": 2, "nodeSelector": nowhere });
    let subject = stage.load(crate::CHECK_RC_SCHEDULER, GRANTS, &settings).await;
    let mut instance = subject.live().await;
    instance.init().await.done().expect("a round");
    let is_told = |outcome: &Outcome| {
        outcome.targets.len() == 2
            && outcome.targets.iter().all(|target| target.message.starts_with("Unschedulable: "))
    };
    let deadline = Stage::deadline();
    loop {
        let outcome = subject.poll(&mut instance).await.expect("an outcome");
        assert!(outcome.message.starts_with("0 of 2 pods are running; "), "{}", outcome.message);
        if is_told(&outcome) {
            break;
        }
        assert!(Instant::now() < deadline, "{outcome:?}");
        sleep(Duration::from_millis(50)).await;
    }
    instance.cleanup().await.done().expect("clean");
    let all = ListParams::default();
    while !stage.api::<Pod>().list(&all).await.expect("a list").items.is_empty() {
        assert!(Instant::now() < deadline, "the pods stay");
        sleep(Duration::from_millis(50)).await;
    }
    let controllers = stage.api::<ReplicationController>().list(&all).await.expect("a list");
    assert!(controllers.items.is_empty(), "{controllers:?}");
    stage.strike().await;
}
