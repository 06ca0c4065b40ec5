//! The labels that say who made an object.

use crate::spec::Key;
use kube::core::ObjectMeta;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What the daemon's own labels start with; guests cannot write such.
pub const PREFIX: &str = "aviary.dev/";

const DAEMON: &str = "aviary.dev/daemon";
const NAMESPACE: &str = "aviary.dev/check-namespace";
const NAME: &str = "aviary.dev/check";
const ROUND: &str = "aviary.dev/round";

/// Where controllers keep the metadata of the pods that they make.
const TEMPLATES: [&str; 2] = ["/spec/template", "/spec/jobTemplate/spec/template"];

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

    /// Marks an object and the pods that it makes, which can outlive it. True if it makes pods.
    pub fn put_on(&self, object: &mut Value) -> bool {
        self.label(object);
        let mut makes_pods = false;
        for path in TEMPLATES {
            if let Some(template) = object.pointer_mut(path).filter(|template| template.is_object()) {
                self.label(template);
                makes_pods = true;
            }
        }
        makes_pods
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
        assert!(!mark().put_on(&mut object));
        let labels = &object["metadata"]["labels"];
        assert_eq!(labels["aviary.dev/check"], "pods");
        assert_eq!(labels["aviary.dev/round"], "r1");
        assert_eq!((&labels["app"], &labels["aviary.dev/anything"]), (&json!("web"), &Value::Null));
    }

    #[test]
    fn pods_that_an_object_makes_are_marked_as_well() {
        let mut job = json!({ "spec": { "template": { "metadata": { "labels": { "a": "b" } } } } });
        assert!(mark().put_on(&mut job));
        assert_eq!(job.pointer("/spec/template/metadata/labels/a"), Some(&json!("b")));
        assert!(job.pointer("/spec/template/metadata/labels/aviary.dev~1round").is_some());
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
