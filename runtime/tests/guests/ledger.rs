//! What guests make in a real cluster goes with their round, however that ends.

use crate::{
    cluster::{Stage, config_map},
    given::PATIENCE,
};
use aviary::{
    grant::Account,
    ledger::{Ledger, ObjectLocation, Round},
    value::Key,
};
use k8s_openapi::{
    api::{
        core::v1::{ConfigMap, PersistentVolumeClaim},
        rbac::v1::{Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api,
    api::{
        ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch, PatchParams,
        PostParams,
    },
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

fn keep(ledger: &Arc<Ledger>) -> CancellationToken {
    let stop = CancellationToken::new();
    tokio::spawn(Arc::clone(ledger).keep(stop.clone()));
    stop
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    let look = async {
        while !is_so().await {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn what_a_round_leaves_behind_is_deleted_when_its_guest_goes() {
    let Some(stage) = Stage::set("leftover").await else { return };
    let _keeping = keep(&stage.ledger).drop_guard();
    let script = json!({ "init": [{ "create": { "body": config_map("a") } }], "poll": [{ "create": { "body": config_map("b") } }] });
    let (mut instance, verdict) = stage.play(None, &script).await;
    verdict.expect("an outcome");
    assert_eq!(stage.config_maps().await, ["a", "b"]);
    instance.cleanup().await.done().expect("and is content");
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
    sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.config_maps().await, ["second"]);
    stage.strike().await;
}

#[tokio::test]
async fn what_is_left_behind_is_found_among_many_objects_of_a_round_that_goes_on() {
    /// A number of objects that is more than are listed at once.
    const MANY: usize = 120;
    let Some(stage) = Stage::set("many").await else { return };
    let key = Key::new(&stage.namespace, "many").expect("a key");
    let (going_on, over) = (stage.ledger.open(&key), stage.ledger.open(&key));
    over.enter(place(&stage, None)).await.expect("noted");
    for number in 0..MANY {
        make(&stage, &going_on, &format!("a-{number}")).await;
    }
    make(&stage, &over, "z").await;
    drop(over);
    assert!(stage.ledger.settle(Stage::deadline()).await);
    let kept = stage.config_maps().await;
    assert!(kept.len() == MANY && !kept.contains(&"z".to_owned()), "{kept:?}");
    stage.strike().await;
}

/// ConfigMaps of the namespace, with the rights of an account.
fn place(stage: &Stage, account: Option<Account>) -> ObjectLocation {
    let namespace = Some(stage.namespace.clone());
    ObjectLocation { api_version: "v1".to_owned(), kind: "ConfigMap".to_owned(), namespace, account }
}

/// Makes a ConfigMap as a guest of the round would.
async fn make(stage: &Stage, round: &Round, name: &str) {
    let mut object = config_map(name);
    round.mark().put_on(&mut object);
    let object = serde_json::from_value(object).expect("a ConfigMap");
    stage.api::<ConfigMap>().create(&PostParams::default(), &object).await.expect("made");
}

/// Lets the account `sweeper` list ConfigMaps, and delete those with these names. Without names, all.
async fn let_delete(stage: &Stage, names: &[&str]) {
    let_delete_in(stage, &stage.namespace, names).await;
}

/// Lets the account `sweeper` of a namespace list ConfigMaps there, and delete those with these names.
/// Without names, all.
async fn let_delete_in(stage: &Stage, namespace: &str, names: &[&str]) {
    let rule = |verb: &str, names: &[&str]| json!({ "apiGroups": [""], "resources": ["configmaps"], "verbs": [verb], "resourceNames": names });
    let metadata = json!({ "name": "sweeper" });
    let role = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": [rule("list", &[]), rule("delete", names)] });
    let role_ref = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "sweeper" });
    let subject = json!({ "kind": "ServiceAccount", "name": "sweeper", "namespace": namespace });
    let binding = json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata, "roleRef": role_ref, "subjects": [subject] });
    let apply = PatchParams::apply("test");
    let roles: Api<Role> = Api::namespaced(stage.client(), namespace);
    roles.patch("sweeper", &apply, &Patch::Apply(&role)).await.expect("a role");
    let bindings: Api<RoleBinding> = Api::namespaced(stage.client(), namespace);
    bindings.patch("sweeper", &apply, &Patch::Apply(&binding)).await.expect("a binding");
}

#[tokio::test]
async fn one_object_that_cannot_be_deleted_does_not_keep_the_others() {
    let Some(stage) = Stage::set("undeletable").await else { return };
    let _keeping = keep(&stage.ledger).drop_guard();
    let key = Key::new(&stage.namespace, "made").expect("a key");
    let round = stage.ledger.open(&key);
    let account = Account { namespace: stage.namespace.clone(), name: "sweeper".to_owned() };
    let_delete(&stage, &[]).await;
    let place = place(&stage, Some(account));
    until("the rights are known", async || round.enter(place.clone()).await.is_ok()).await;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        make(&stage, &round, name).await;
    }
    let_delete(&stage, &["i", "j"]).await;
    let another = async || {
        stage.ledger.open(&Key::new(&stage.namespace, "b").expect("a key")).enter(place.clone()).await
    };
    until("the rights are gone", async || another().await.is_err()).await;
    drop(round);
    stage.until_config_maps_are(&["a", "b", "c", "d", "e", "f", "g", "h"]).await;
    until("the rest is shown", async || stage.board.leftovers.all().get(&key) == Some(&8)).await;
    let_delete(&stage, &[]).await;
    stage.until_config_maps_are(&[]).await;
    until("nothing is shown", async || stage.board.leftovers.all().is_empty()).await;
    stage.strike().await;
}

#[tokio::test]
async fn what_was_made_in_a_namespace_that_is_deleted_is_left_over_no_longer() {
    let Some(stage) = Stage::set("outlives").await else { return };
    let _keeping = keep(&stage.ledger).drop_guard();
    let namespace = stage.another_namespace("preview").await;
    let account = Account { namespace: namespace.clone(), name: "sweeper".to_owned() };
    let place = ObjectLocation { namespace: Some(namespace.clone()), ..place(&stage, Some(account)) };
    let_delete_in(&stage, &namespace, &[]).await;
    let key = Key::new(&stage.namespace, "made").expect("a key");
    let round = stage.ledger.open(&key);
    until("the rights are known", async || round.enter(place.clone()).await.is_ok()).await;
    let bindings: Api<RoleBinding> = Api::namespaced(stage.client(), &namespace);
    bindings.delete("sweeper", &DeleteParams::default()).await.expect("deleted");
    let another = async || stage.ledger.open(&key).enter(place.clone()).await;
    until("the rights are gone", async || another().await.is_err()).await;
    drop(round);
    until("it is shown", async || stage.board.leftovers.all().get(&key) == Some(&1)).await;
    stage.delete(&namespace).await;
    until("nothing is shown", async || stage.board.leftovers.all().is_empty()).await;
    assert!(stage.ledger.settle(Stage::deadline()).await);
    stage.strike().await;
}

#[tokio::test]
async fn a_ledger_that_somebody_deletes_is_written_again() {
    let Some(stage) = Stage::set("deleted").await else { return };
    let key = Key::new(&stage.namespace, "made").expect("a key");
    let round = stage.ledger.open(&key);
    round.enter(place(&stage, None)).await.expect("noted");
    make(&stage, &round, "a").await;
    let maps = stage.api::<ConfigMap>();
    maps.delete("aviary-ledger", &DeleteParams::default()).await.expect("deleted");
    let keeping = keep(&stage.ledger).drop_guard();
    until("it is there", async || maps.get_opt("aviary-ledger").await.expect("an answer").is_some()).await;
    drop(keeping);
    // Forgotten, as if the daemon had been killed.
    std::mem::forget(round);
    let _keeping = keep(&stage.reborn()).drop_guard();
    stage.until_config_maps_are(&[]).await;
    stage.strike().await;
}

#[tokio::test]
async fn objects_of_a_version_that_is_no_longer_served_are_found_in_another() {
    let Some(stage) = Stage::set("versions").await else { return };
    let group = format!("{}.example.com", stage.namespace);
    let definition = |old_is_served: bool| {
        let version = |name: &str, served: bool, storage: bool| json!({ "name": name, "served": served, "storage": storage, "schema": { "openAPIV3Schema": { "type": "object" } } });
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("birds.{group}") },
            "spec": {
                "group": group,
                "scope": "Namespaced",
                "names": { "plural": "birds", "singular": "bird", "kind": "Bird" },
                "versions": [version("v1", old_is_served, false), version("v2", true, true)],
            },
        })
    };
    let definitions: Api<CustomResourceDefinition> = Api::all(stage.client());
    let define = async |old_is_served: bool| {
        let (name, apply) = (format!("birds.{group}"), PatchParams::apply("test"));
        definitions.patch(&name, &apply, &Patch::Apply(definition(old_is_served))).await.expect("defined");
    };
    define(true).await;
    let bird = json!({ "apiVersion": format!("{group}/v1"), "kind": "Bird", "metadata": { "name": "tit" } });
    let created = async || stage.play(None, &json!({ "poll": [{ "create": { "body": bird } }] })).await;
    let mut alive = None;
    for _ in 0..100 {
        let (instance, verdict) = created().await;
        if verdict.expect("an outcome").message.contains("\"name\":\"tit\"") {
            alive = Some(instance);
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let resource = ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(&group, "v2", "Bird"), "birds");
    let birds: Api<DynamicObject> = Api::namespaced_with(stage.client(), &stage.namespace, &resource);
    assert!(birds.get_opt("tit").await.expect("an answer").is_some());
    std::mem::forget(alive.expect("a bird"));
    define(false).await;
    let unserved = async || stage.client().list_api_group_resources(&format!("{group}/v1")).await.is_err();
    until("the version is gone", unserved).await;
    let _keeping = keep(&stage.reborn()).drop_guard();
    until("the bird is gone", async || birds.get_opt("tit").await.expect("an answer").is_none()).await;
    definitions.delete(&format!("birds.{group}"), &DeleteParams::default()).await.expect("deleted");
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
async fn claims_that_outlive_their_stateful_set_go_with_the_round() {
    let Some(stage) = Stage::set("claims").await else { return };
    let labels = json!({ "app": "web" });
    let container = json!({ "name": "pause", "image": "pause" });
    let claim =
        json!({ "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Mi" } } });
    let set = json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "web" }, "spec": {
        "serviceName": "web",
        "selector": { "matchLabels": labels },
        "template": { "metadata": { "labels": labels }, "spec": { "containers": [container] } },
        "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": claim }],
    } });
    let (instance, verdict) = stage.play(None, &json!({ "poll": [{ "create": { "body": set } }] })).await;
    assert!(verdict.expect("an outcome").message.contains("volumeClaimTemplates"));
    let claims = stage.api::<PersistentVolumeClaim>();
    let count = async || claims.list(&ListParams::default()).await.expect("a list").items.len();
    until("there is a claim", async || count().await == 1).await;
    drop(instance);
    assert!(stage.ledger.settle(Stage::deadline()).await);
    assert_eq!(count().await, 0);
    stage.strike().await;
}

#[tokio::test]
async fn what_others_made_is_not_taken_for_the_rounds_own() {
    let Some(stage) = Stage::set("foreign").await else { return };
    let post = PostParams::default();
    let foreign = serde_json::from_value(config_map("foreign")).expect("a ConfigMap");
    stage.api::<ConfigMap>().create(&post, &foreign).await.expect("made");
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
    let maps = stage.api::<ConfigMap>();
    let mut late = maps.get("a").await.expect("a ConfigMap");
    drop(instance);
    stage.until_config_maps_are(&[]).await;
    // After this time it is known that nothing is left.
    sleep(Duration::from_secs(2)).await;
    late.metadata = kube::api::ObjectMeta {
        name: Some("late".to_owned()),
        labels: late.metadata.labels,
        ..kube::api::ObjectMeta::default()
    };
    maps.create(&PostParams::default(), &late).await.expect("made");
    stage.until_config_maps_are(&[]).await;
    stage.strike().await;
}
