//! Guests that call the API of a real cluster.

use crate::cluster::{Stage, config_map};
use aviary::{cluster::code, outcome::Status};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

#[tokio::test]
async fn objects_are_made_read_changed_and_deleted() {
    let Some(stage) = Stage::set("verbs").await else { return };
    let of = json!({ "kind": "ConfigMap", "name": "one" });
    let script = json!({ "poll": [
            { "create": { "body": config_map("one") } },
            { "patch": { "of": of, "merge": { "data": { "a": "1" } } } },
            { "patch": { "of": of, "json": [{ "op": "add", "path": "/data/b", "value": "2" }] } },
            { "apply": { "body": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "two" }, "data": { "c": "3" } } } },
            { "get": of },
        ] });
    let (instance, verdict) = stage.play(None, &script).await;
    let message = verdict.expect("an outcome").message;
    let read: Value = serde_json::from_str(&message).expect("JSON");
    assert_eq!(read["data"], json!({ "a": "1", "b": "2" }), "{message}");
    assert_eq!(read["metadata"]["managedFields"], Value::Null);
    assert_eq!(stage.config_maps().await, ["one", "two"]);
    let gone = stage.step(json!({ "delete": { "of": { "kind": "ConfigMap", "name": "two" } } })).await;
    assert_eq!(gone.message, "deleted");
    assert_eq!(
        stage.step(json!({ "delete": { "of": { "kind": "ConfigMap", "name": "two" } } })).await.message,
        "deleted"
    );
    drop(instance);
    stage.strike().await;
}

#[tokio::test]
async fn lists_are_selected_masked_and_limited() {
    let Some(stage) = Stage::set("lists").await else { return };
    let labelled = |name: &str, app: &str| {
        let mut map = config_map(name);
        map["metadata"]["labels"] = json!({ "app": app });
        json!({ "create": { "body": map } })
    };
    let list = json!({ "list": { "kind": "ConfigMap", "namespace": stage.namespace, "labels": "app=a", "keep": ".metadata.name", "limit": 1 } });
    let script = json!({ "poll": [labelled("x", "a"), labelled("y", "a"), labelled("z", "b"), list] });
    let (_instance, verdict) = stage.play(None, &script).await;
    let message = verdict.expect("an outcome").message;
    assert_eq!(message, r#"1 truncated=true [{"metadata":{"name":"x"}}]"#);
    stage.strike().await;
}

#[tokio::test]
async fn every_failure_has_its_word() {
    let Some(stage) = Stage::set("failures").await else { return };
    let cases = [
        (json!({ "get": { "kind": "ConfigMap", "name": "none" } }), "not found: "),
        (json!({ "get": { "kind": "Nonsense", "name": "none" } }), "not found: "),
        (json!({ "get": { "kind": "example.com/v1/Nonsense", "name": "none" } }), "not found: "),
        (
            json!({ "create": { "body": { "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "a" } } } }),
            "refused by the API server: ",
        ),
        (json!({ "create": { "body": { "kind": "Pod" } } }), "refused by the API server: "),
        (
            json!({ "wait": { "of": { "kind": "ConfigMap", "name": "none" }, "path": ".data", "millis": 150 } }),
            "timed out",
        ),
        (
            json!({ "get": { "kind": "Node", "namespace": "default", "name": "x" } }),
            "refused by the API server: ",
        ),
    ];
    for (step, word) in cases {
        let outcome = stage.step(step.clone()).await;
        assert_eq!(outcome.status, Status::Fail, "{step}");
        assert!(outcome.message.starts_with(word), "{step}: {}", outcome.message);
    }
    let twice = json!({ "poll": [{ "create": { "body": config_map("a") } }, { "create": { "body": config_map("a") } }] });
    let (_instance, verdict) = stage.play(None, &twice).await;
    let message = verdict.expect("an outcome").message;
    assert!(message.starts_with("conflict: "), "{message}");
    stage.strike().await;
}

#[tokio::test]
async fn a_condition_that_comes_true_ends_the_wait() {
    let Some(stage) = Stage::set("waits").await else { return };
    let script = json!({ "poll": [
        { "create": { "body": { "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "state": "done" } } } },
        { "wait": { "of": { "kind": "ConfigMap", "name": "a" }, "path": "{.data.state}", "value": "done", "millis": 3000 } },
    ] });
    let (_instance, verdict) = stage.play(None, &script).await;
    assert!(verdict.expect("an outcome").message.contains(r#""state":"done""#));
    stage.strike().await;
}

#[tokio::test]
async fn a_guest_can_neither_forge_nor_remove_whose_an_object_is() {
    let Some(stage) = Stage::set("forgery").await else { return };
    let mut forged = config_map("a");
    forged["metadata"]["labels"] = json!({ "aviary.dev/check": "other", "aviary.dev/daemon": "elsewhere" });
    let of = json!({ "kind": "ConfigMap", "name": "a" });
    let (_instance, verdict) = stage.play(None, &json!({ "poll": [{ "create": { "body": forged } }] })).await;
    assert_eq!(verdict.expect("an outcome").status, Status::Pass);
    for patch in [
        json!({ "of": of, "merge": { "metadata": { "labels": null } } }),
        json!({ "of": of, "json": [{ "op": "remove", "path": "/metadata/labels/aviary.dev~1round" }] }),
        json!({ "of": of, "merge": { "metadata": { "finalizers": ["a.example/b"] } } }),
    ] {
        let refused = stage.step(json!({ "patch": patch })).await;
        assert!(refused.message.starts_with("refused by the API server: "), "{}", refused.message);
    }
    let labels =
        stage.api::<ConfigMap>().get("a").await.expect("still there").metadata.labels.expect("labels");
    assert_eq!(labels["aviary.dev/check"], "subject");
    assert_eq!(labels["aviary.dev/daemon"], stage.namespace);
    stage.strike().await;
}

/// What an apply over an object of others counts on.
#[tokio::test]
async fn an_apply_with_the_uid_of_what_is_gone_makes_nothing() {
    let Some(stage) = Stage::set("vanished").await else { return };
    let mut gone = config_map("gone");
    gone["metadata"]["uid"] = json!("2d9e6a1c-9d4e-4f6c-8a53-0c7b1f2f7a11");
    let applied =
        stage.api::<ConfigMap>().patch("gone", &PatchParams::apply("test"), &Patch::Apply(&gone)).await;
    assert_eq!(code(&applied.expect_err("refused")), Some(409));
    assert!(stage.config_maps().await.is_empty());
    stage.strike().await;
}

#[tokio::test]
async fn what_is_not_granted_is_denied_with_the_line_that_would_grant_it() {
    let Some(stage) = Stage::set("denied").await else { return };
    let grants = "[{ apiGroups: [''], resources: [configmaps], verbs: [get] }]";
    let script = json!({ "poll": [{ "list": { "kind": "Secret", "namespace": "kube-system" } }] });
    let (_instance, verdict) = stage.play(Some(grants), &script).await;
    let message = verdict.expect("an outcome").message;
    assert!(message.starts_with("denied: ") && message.contains("secrets"), "{message}");
    stage.strike().await;
}
