//! The ReplicationController of a round: what is asked for, and what it says about itself. Pure.

use aviary_guest::json::{Value, json};
use serde::Deserialize;

use crate::pod::Condition;
use crate::settings::Settings;

/// The label that tells the pods of one round from all others.
pub(crate) const INSTANCE: &str = "app.kubernetes.io/instance";

/// A ReplicationController of this name as JSON, with pods that cost next to nothing and may do nothing.
#[must_use]
pub fn body(settings: &Settings, name: &str) -> Value {
    let labels = json!({ "app.kubernetes.io/name": "rc-scheduler", INSTANCE: name });
    json!({
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": { "name": name, "labels": labels },
        "spec": {
            "replicas": settings.count,
            "selector": labels,
            "template": { "metadata": { "labels": labels }, "spec": pod(settings) },
        },
    })
}

fn pod(settings: &Settings) -> Value {
    json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        // A pause container has nothing to finish. Only a pod without a grace period goes before its node has
        // confirmed it.
        "terminationGracePeriodSeconds": 0,
        "nodeSelector": settings.node_selector,
        "tolerations": settings.tolerations,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65_535,
            "runAsGroup": 65_535,
            "seccompProfile": { "type": "RuntimeDefault" },
        },
        "containers": [{
            "name": "pause",
            "image": settings.image,
            // The limits leave something for runc itself, which needs it while it starts the container.
            "resources": {
                "requests": { "cpu": "1m", "memory": "4Mi" },
                "limits": { "cpu": "100m", "memory": "32Mi" },
            },
            "securityContext": {
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": { "drop": ["ALL"] },
            },
        }],
    })
}

/// What a ReplicationController says about itself.
#[derive(Debug, Default, Deserialize)]
pub struct Controller {
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Default, Deserialize)]
struct Status {
    #[serde(default)]
    conditions: Vec<Condition>,
}

impl Controller {
    /// Why the controller cannot make its pods, such as a quota or an admission rule; none if it can.
    #[must_use]
    pub fn obstacle(&self) -> Option<String> {
        let failure = self.status.conditions.iter().find(|condition| condition.is("ReplicaFailure", "True"));
        failure.map(Condition::text)
    }
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::from_value;

    use super::*;

    #[test]
    fn the_controller_selects_the_pods_of_its_round_and_no_others() {
        let settings = from_value(json!({
            "namespace": "canary", "count": 3, "image": "pause:1", "nodeSelector": {"disk": "fast"},
            "tolerations": [{"operator": "Exists"}],
        }));
        let body = body(&settings.expect("valid"), "rc-1");
        assert_eq!(body["spec"]["replicas"], 3);
        assert_eq!(body["spec"]["selector"], body["spec"]["template"]["metadata"]["labels"]);
        assert_eq!(body["spec"]["selector"][INSTANCE], "rc-1");
        let pod = &body["spec"]["template"]["spec"];
        assert_eq!(pod["containers"][0]["image"], "pause:1");
        assert_eq!(pod["nodeSelector"]["disk"], "fast");
        assert_eq!(pod["tolerations"][0]["operator"], "Exists");
    }

    #[test]
    fn the_pods_pass_the_restricted_pod_security_standard() {
        let settings = from_value(json!({"namespace": "canary"})).expect("valid");
        let pod = &body(&settings, "rc-1")["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["capabilities"]["drop"][0], "ALL");
        assert_eq!(pod["automountServiceAccountToken"], false);
    }

    #[test]
    fn a_quota_is_an_obstacle() {
        let controller: Controller = from_value(json!({"status": {"replicas": 0, "conditions": [{
            "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: pods",
        }]}}))
        .expect("a controller");
        assert_eq!(controller.obstacle().as_deref(), Some("FailedCreate: exceeded quota: pods"));
        assert_eq!(Controller::default().obstacle(), None);
    }
}
