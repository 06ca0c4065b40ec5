//! Checks of tenants in a real cluster: they act as an account of their namespace, and stay in it.

use crate::{self as guests, cluster::Stage};
use aviary::grant::Ceiling;
use k8s_openapi::api::{
    core::v1::{ConfigMap, Secret},
    rbac::v1::{Role, RoleBinding},
};
use kube::api::PostParams;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{fmt::Debug, sync::Arc};

const EVERYTHING: &str =
    "  grants: { kubernetes: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'], namespaces: ['*'] }] }\n";

fn tenant(stage: &Stage) -> Arc<Ceiling> {
    Ceiling::tenant(&stage.namespace, "cluster.local", Arc::default())
}

async fn create<K>(stage: &Stage, object: Value)
where
    K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + serde::Serialize,
{
    let object = serde_json::from_value(object).expect("an object");
    stage.api::<K>().create(&PostParams::default(), &object).await.expect("created");
}

/// Grants `aviary-check` this verb on this resource.
async fn allow(stage: &Stage, resource: &str, verb: &str) {
    allow_named(stage, resource, verb, json!([])).await;
}

/// Grants `aviary-check` this verb on the objects of these names; an empty list stands for all.
async fn allow_named(stage: &Stage, resource: &str, verb: &str, names: Value) {
    let role = format!("{resource}-{verb}-{}", names.as_array().map_or(0, Vec::len));
    let rules =
        json!([{ "apiGroups": [""], "resources": [resource], "verbs": [verb], "resourceNames": names }]);
    create::<Role>(stage, json!({ "metadata": { "name": role }, "rules": rules })).await;
    let role_ref = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role });
    let account = json!({ "kind": "ServiceAccount", "name": "aviary-check", "namespace": stage.namespace });
    let binding = json!({ "metadata": { "name": role }, "roleRef": role_ref, "subjects": [account] });
    create::<RoleBinding>(stage, binding).await;
}

async fn run(stage: &Stage, step: Value) -> String {
    let script = json!({ "poll": [step] });
    let spec = format!("{EVERYTHING}  settings: {script}");
    let subject = stage.load_under(&tenant(stage), guests::CALLS_KUBERNETES, &spec).await;
    subject.run().await.expect("an outcome").message
}

#[tokio::test]
async fn a_tenants_check_has_the_rights_of_its_account_and_no_others() {
    let Some(stage) = Stage::set("tenant").await else { return };
    let list = || json!({ "list": { "kind": "ConfigMap", "namespace": stage.namespace, "limit": 1, "labels": "none=such" } });
    let forbidden = run(&stage, list()).await;
    assert!(forbidden.starts_with("forbidden by the API server: "), "{forbidden}");
    let account = format!("system:serviceaccount:{}:aviary-check", stage.namespace);
    assert!(forbidden.contains(&account) && forbidden.contains("configmaps"), "{forbidden}");
    allow(&stage, "configmaps", "list").await;
    assert_eq!(run(&stage, list()).await, "0 truncated=false []");
    stage.strike().await;
}

#[tokio::test]
async fn a_tenants_check_stays_in_its_namespace_whatever_its_manifest_grants() {
    let Some(stage) = Stage::set("confined").await else { return };
    for step in [
        json!({ "list": { "kind": "Secret", "namespace": "kube-system" } }),
        json!({ "list": { "kind": "Secret" } }),
        json!({ "get": { "kind": "Node", "name": "any" } }),
        json!({ "get": { "kind": "Namespace", "name": stage.namespace } }),
        json!({ "create": { "namespace": "default", "body": crate::cluster::config_map("a") } }),
        json!({ "logs": { "namespace": "kube-system", "pod": "any" } }),
    ] {
        let denied = run(&stage, step.clone()).await;
        assert!(denied.starts_with("denied: ") && denied.contains("policy"), "{step}: {denied}");
    }
    stage.strike().await;
}

#[tokio::test]
async fn a_secret_of_the_namespace_is_read_with_the_rights_of_the_check() {
    let Some(stage) = Stage::set("secrets").await else { return };
    create::<Secret>(
        &stage,
        json!({ "metadata": { "name": "shop" }, "stringData": { "token": "s3cret\n" } }),
    )
    .await;
    let spec = |key: &str| {
        format!(
            "  secrets: [{{ name: token, secretKeyRef: {{ name: shop, key: {key} }} }}]\n  settings: {{ name: token }}"
        )
    };
    let read = async |ceiling: Arc<Ceiling>, key: &str| {
        let subject = stage.load_under(&ceiling, guests::READS_SECRET, &spec(key)).await;
        subject.run().await.expect("an outcome").message
    };
    assert_eq!(read(Ceiling::open(), "token").await, "\"s3cret\"");
    let missing = read(Ceiling::open(), "other").await;
    assert!(missing.contains("other of the Secret") && missing.contains("no such key"), "{missing}");
    let forbidden = read(tenant(&stage), "token").await;
    assert!(forbidden.contains("aviary-check") && forbidden.contains("secrets"), "{forbidden}");
    allow(&stage, "secrets", "get").await;
    assert_eq!(read(tenant(&stage), "token").await, "\"s3cret\"");
    stage.strike().await;
}

#[tokio::test]
async fn a_check_makes_objects_only_where_its_account_can_list_and_delete_them() {
    let Some(stage) = Stage::set("provable").await else { return };
    let step = || json!({ "create": { "body": crate::cluster::config_map("made") } });
    let lacks = |verb: &str| {
        let rule =
            format!("lacks the rule {{ apiGroups: [\"\"], resources: [configmaps], verbs: [{verb}] }}");
        let place = format!("{rule} in {}: ", stage.namespace);
        move |said: &str| said.starts_with("forbidden by the API server: ") && said.contains(&place)
    };
    allow(&stage, "configmaps", "create").await;
    until_said(&stage, &step, lacks("list")).await;
    allow(&stage, "configmaps", "list").await;
    until_said(&stage, &step, lacks("delete")).await;
    allow_named(&stage, "configmaps", "delete", json!(["made"])).await;
    until_said(&stage, &step, lacks("delete")).await;
    assert!(stage.config_maps().await.is_empty());
    allow(&stage, "configmaps", "delete").await;
    until_said(&stage, &step, |said| said.contains("\"name\":\"made\"")).await;
    assert!(stage.ledger.settle(Stage::deadline()).await);
    assert!(stage.config_maps().await.is_empty());
    stage.strike().await;
}

/// Runs a step until this is said, as rules take a moment to be known everywhere.
async fn until_said(stage: &Stage, step: impl Fn() -> Value, is_so: impl Fn(&str) -> bool) {
    let mut said = String::new();
    for _ in 0..50 {
        said = run(stage, step()).await;
        if is_so(&said) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    panic!("never said, but {said}");
}

#[tokio::test]
async fn a_question_that_leaves_nothing_behind_needs_no_right_to_delete() {
    let Some(stage) = Stage::set("review").await else { return };
    let attributes = json!({ "verb": "get", "resource": "pods", "namespace": stage.namespace });
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "LocalSubjectAccessReview",
        "metadata": { "namespace": stage.namespace },
        "spec": { "user": "somebody", "resourceAttributes": attributes },
    });
    let said = stage.step(json!({ "create": { "body": review } })).await.message;
    assert!(said.contains("\"allowed\":false"), "{said}");
    assert!(stage.api::<ConfigMap>().get_opt("aviary-ledger").await.expect("an answer").is_none());
    stage.strike().await;
}
