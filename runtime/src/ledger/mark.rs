//! The labels that say who made an object.

use crate::value::Key;
use kube::core::ObjectMeta;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What the daemon's own labels start with; guests cannot write such.
pub const PREFIX: &str = "aviary.dev/";

const DAEMON: &str = "aviary.dev/daemon";
const NAMESPACE: &str = "aviary.dev/check-namespace";
const NAME: &str = "aviary.dev/check";
const ROUND: &str = "aviary.dev/round";

/// Where controllers keep the metadata of what they make.
pub const TEMPLATES: [Template; 4] = [
    Template { path: "/spec/template", makes: ("v1", "Pod") },
    Template { path: "/spec/jobTemplate", makes: ("batch/v1", "Job") },
    Template { path: "/spec/jobTemplate/spec/template", makes: ("v1", "Pod") },
    Template { path: "/spec/volumeClaimTemplates/*", makes: ("v1", "PersistentVolumeClaim") },
];

/// A part of an object after which others are made.
pub struct Template {
    /// A JSON pointer, in which `*` stands for each item of a list.
    pub path: &'static str,
    /// The apiVersion and kind of what is made.
    makes: (&'static str, &'static str),
}

/// Whose an object is.
#[derive(Clone, Debug)]
pub struct Mark {
    daemon: String,
    key: Key,
    round: String,
}

impl Mark {
    pub(super) fn new(daemon: &str, key: Key, round: String) -> Self {
        Self { daemon: daemon.to_owned(), key, round }
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn round(&self) -> &str {
        &self.round
    }

    /// Marks an object and what is made after its templates, which can outlive it: tells the apiVersion and
    /// kind of that.
    pub fn put_on(&self, object: &mut Value) -> BTreeSet<(&'static str, &'static str)> {
        self.label(object);
        let mut made = BTreeSet::new();
        for template in &TEMPLATES {
            for pointer in template.pointers(object) {
                if let Some(part) = object.pointer_mut(&pointer).filter(|part| part.is_object()) {
                    self.label(part);
                    made.insert(template.makes);
                }
            }
        }
        // It has the labels of the pods.
        if object["kind"] == "Deployment" {
            made.insert(("apps/v1", "ReplicaSet"));
        }
        made
    }

    /// Whether an object was made by this check of this daemon, in whatever round.
    pub fn is_on(&self, metadata: &ObjectMeta) -> bool {
        metadata.labels.as_ref().is_some_and(|labels| {
            self.constant()
                .into_iter()
                .all(|(label, value)| labels.get(label).is_some_and(|own| own == value))
        })
    }

    fn label(&self, object: &mut Value) {
        let Value::Object(object) = object else { return };
        let labels = inner(inner(object, "metadata"), "labels");
        labels.retain(|label, _| !label.starts_with(PREFIX));
        let own = self.constant().into_iter().chain([(ROUND, self.round.as_str())]);
        labels.extend(own.map(|(label, value)| (label.to_owned(), value.into())));
    }

    fn constant(&self) -> [(&'static str, &str); 3] {
        [(DAEMON, &self.daemon), (NAMESPACE, self.key.namespace()), (NAME, self.key.name())]
    }
}

impl Template {
    /// Where an object may have it.
    pub fn pointers(&self, object: &Value) -> Vec<String> {
        let Some(list) = self.path.strip_suffix("/*") else { return vec![self.path.to_owned()] };
        let count = object.pointer(list).and_then(Value::as_array).map_or(0, Vec::len);
        (0..count).map(|index| format!("{list}/{index}")).collect()
    }
}

/// The label selector for all objects of a check.
pub(super) fn selector(daemon: &str, key: &Key) -> String {
    format!("{DAEMON}={daemon},{NAMESPACE}={},{NAME}={}", key.namespace(), key.name())
}

/// The round that made an object.
pub(super) fn round(labels: Option<&BTreeMap<String, String>>) -> &str {
    labels.and_then(|labels| labels.get(ROUND)).map_or("", String::as_str)
}

/// The map under a key, put there if there is none.
fn inner<'a>(map: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = map.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(inner) => inner,
        _ => unreachable!("it was made an object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn mark() -> Mark {
        Mark::new("aviary", "team-a/pods".parse().expect("a key"), "r1".to_owned())
    }

    #[test]
    fn a_guest_cannot_forge_whose_an_object_is() {
        let forged = json!({ "aviary.dev/check": "other", "aviary.dev/anything": "x", "app": "web" });
        let mut object = json!({ "kind": "Pod", "metadata": { "labels": forged } });
        assert!(mark().put_on(&mut object).is_empty());
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["aviary.dev/check"], "pods");
        assert_eq!(labels["aviary.dev/round"], "r1");
        assert_eq!((&labels["app"], &labels["aviary.dev/anything"]), (&json!("web"), &Value::Null));
    }

    #[test]
    fn what_an_object_makes_is_marked_as_well() {
        let pod = json!({ "metadata": { "labels": { "a": "b" } } });
        let claim = json!({ "metadata": { "name": "data" } });
        for (kind, spec, made) in [
            ("Job", json!({ "template": pod }), vec![("v1", "Pod")]),
            ("Deployment", json!({ "template": pod }), vec![("apps/v1", "ReplicaSet"), ("v1", "Pod")]),
            (
                "CronJob",
                json!({ "jobTemplate": { "spec": { "template": pod } } }),
                vec![("batch/v1", "Job"), ("v1", "Pod")],
            ),
            (
                "StatefulSet",
                json!({ "template": pod, "volumeClaimTemplates": [claim, claim] }),
                vec![("v1", "PersistentVolumeClaim"), ("v1", "Pod")],
            ),
        ] {
            let mut object = json!({ "kind": kind, "spec": spec });
            assert!(mark().put_on(&mut object).into_iter().eq(made), "{kind}");
            for pointer in TEMPLATES.iter().flat_map(|template| template.pointers(&object)) {
                let Some(part) = object.pointer(&pointer) else { continue };
                assert_eq!(part["metadata"]["labels"]["aviary.dev/round"], "r1", "{kind} {pointer}");
            }
        }
    }

    #[test]
    fn metadata_of_another_shape_is_replaced() {
        let mut object = json!({ "metadata": "none" });
        mark().put_on(&mut object);
        assert_eq!(object["metadata"]["labels"]["aviary.dev/daemon"], "aviary");
    }

    #[test]
    fn an_object_of_another_check_or_daemon_is_not_ours() {
        let labelled = |mark: Mark| {
            let mut object = json!({});
            mark.put_on(&mut object);
            serde_json::from_value::<ObjectMeta>(object["metadata"].clone()).expect("metadata")
        };
        let earlier = Mark { round: "r0".to_owned(), ..mark() };
        assert!(mark().is_on(&labelled(earlier)));
        assert!(!mark().is_on(&labelled(Mark { daemon: "elsewhere".to_owned(), ..mark() })));
        assert!(!mark().is_on(&labelled(Mark { key: "team-b/pods".parse().expect("a key"), ..mark() })));
        assert!(!mark().is_on(&ObjectMeta::default()));
    }
}
