//! Checks of tenants in a real cluster: they act as an account of their namespace, and stay in it.

use crate::{self as guests, cluster::Stage};
use aviary::grant::Ceiling;
use k8s_openapi::api::{
    core::v1::Secret,
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

/// Lets `aviary-check` do this with that.
async fn allow(stage: &Stage, resource: &str, verb: &str) {
    let rules = json!([{ "apiGroups": [""], "resources": [resource], "verbs": [verb] }]);
    create::<Role>(stage, json!({ "metadata": { "name": resource }, "rules": rules })).await;
    let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": resource });
    let account = json!({ "kind": "ServiceAccount", "name": "aviary-check", "namespace": stage.namespace });
    let binding = json!({ "metadata": { "name": resource }, "roleRef": role, "subjects": [account] });
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
