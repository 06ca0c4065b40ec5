//! The settings of the check: which pods to start, and where.

use aviary_guest::json::{Map, Value};
use serde::Deserialize;

/// The most pods that can be asked for. More would be a load test and no health check.
const MOST_PODS: u32 = 500;

/// The settings of the check.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The namespace to start the pods in.
    pub namespace: String,
    /// The number of pods to start.
    #[serde(default = "one")]
    pub count: u32,
    /// The image of the pods, which has to wait for ever as a user other than root.
    #[serde(default = "pause")]
    pub image: String,
    /// The labels of the nodes that may have the pods; without any, every node may.
    #[serde(default)]
    pub node_selector: Map<String, Value>,
    /// The taints that the pods tolerate, written as in a pod.
    #[serde(default)]
    pub tolerations: Vec<Value>,
    /// The state of the round that is under way.
    #[serde(skip)]
    pub(crate) round: Round,
}

/// The state of a round, from init to cleanup.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// The name of the controller; empty before there is one.
    pub(crate) name: String,
    /// Whether all pods have been running at the same time.
    pub(crate) was_complete: bool,
}

impl Settings {
    /// Checks the settings. The error names the key and says what to do.
    pub(crate) fn validate(&self) -> Result<(), String> {
        if self.namespace.is_empty() {
            Err("settings.namespace: name the namespace to start the pods in".into())
        } else if self.count == 0 || self.count > MOST_PODS {
            Err(format!("settings.count: {} is not from 1 to {MOST_PODS}", self.count))
        } else if self.image.is_empty() {
            Err("settings.image: name an image, or leave the key out".into())
        } else {
            Ok(())
        }
    }
}

fn one() -> u32 {
    1
}

fn pause() -> String {
    "registry.k8s.io/pause:3.10".into()
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{from_value, json};

    use super::*;

    fn settings(value: Value) -> Settings {
        from_value(value).expect("valid shape")
    }

    #[test]
    fn a_namespace_is_enough() {
        let settings = settings(json!({"namespace": "canary"}));
        assert_eq!(settings.validate(), Ok(()));
        assert_eq!((settings.count, settings.image.as_str()), (1, "registry.k8s.io/pause:3.10"));
    }

    #[test]
    fn settings_that_make_no_sense_are_refused_by_key() {
        let refusal = |value| settings(value).validate().expect_err("invalid");
        assert!(refusal(json!({"namespace": ""})).starts_with("settings.namespace"));
        assert!(refusal(json!({"namespace": "a", "image": ""})).starts_with("settings.image"));
        for count in [0, 501] {
            let refused = refusal(json!({"namespace": "a", "count": count}));
            assert_eq!(refused, format!("settings.count: {count} is not from 1 to 500"));
        }
    }

    #[test]
    fn there_is_no_namespace_by_default_and_no_other_key() {
        assert!(from_value::<Settings>(json!({})).is_err());
        assert!(from_value::<Settings>(json!({"namespace": "a", "replicas": 3})).is_err());
    }
}
