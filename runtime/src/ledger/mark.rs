//! The labels on an object that say which check made it.

use crate::value::Key;
use kube::core::ObjectMeta;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The prefix of the daemon's own labels, which guests cannot write.
pub const PREFIX: &str = "aviary.dev/";

const DAEMON: &str = "aviary.dev/daemon";
const NAMESPACE: &str = "aviary.dev/check-namespace";
const NAME: &str = "aviary.dev/check";
const ROUND: &str = "aviary.dev/round";

/// The templates in which objects keep the metadata of what their controllers make.
pub const TEMPLATES: [Template; 4] = [
    Template { path: "/spec/template", makes: ("v1", "Pod") },
    Template { path: "/spec/jobTemplate", makes: ("batch/v1", "Job") },
    Template { path: "/spec/jobTemplate/spec/template", makes: ("v1", "Pod") },
    Template { path: "/spec/volumeClaimTemplates/*", makes: ("v1", "PersistentVolumeClaim") },
];

/// A template: a part of an object from which a controller makes other objects.
pub struct Template {
    /// The JSON pointer to the template, in which `*` stands for each item of a list.
    pub path: &'static str,
    /// The apiVersion and kind of the objects that are made from it.
    makes: (&'static str, &'static str),
}

/// The daemon, check and round that an object belongs to.
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

    /// Labels an object and its templates, as what is made from these can outlive it. Returns the apiVersions
    /// and kinds of what is made from them.
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
        // A ReplicaSet has the labels of the pods' template.
        if object["kind"] == "Deployment" {
            made.insert(("apps/v1", "ReplicaSet"));
        }
        made
    }

    /// Whether an object was made by this check of this daemon, in any round.
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
    /// The JSON pointers to all places in an object that fit this template's path.
    pub fn pointers(&self, object: &Value) -> Vec<String> {
        let Some(list) = self.path.strip_suffix("/*") else { return vec![self.path.to_owned()] };
        let count = object.pointer(list).and_then(Value::as_array).map_or(0, Vec::len);
        (0..count).map(|index| format!("{list}/{index}")).collect()
    }
}

/// The label selector for all objects that a check of this daemon made.
pub(super) fn selector(daemon: &str, key: &Key) -> String {
    format!("{DAEMON}={daemon},{NAMESPACE}={},{NAME}={}", key.namespace(), key.name())
}

/// The round that made an object; empty if its label is missing.
pub(super) fn round(labels: Option<&BTreeMap<String, String>>) -> &str {
    labels.and_then(|labels| labels.get(ROUND)).map_or("", String::as_str)
}

/// The map under a key of another map, which is put there if it is missing.
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
