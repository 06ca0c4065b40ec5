//! The pods of a round: what is read of them, and what is wrong with them. Pure.

use serde::Deserialize;

/// The parts of a pod that matter here.
#[derive(Debug, Deserialize)]
pub struct Pod {
    pub(crate) metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) name: String,
    #[serde(default)]
    deletion_timestamp: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    phase: String,
    reason: String,
    message: String,
    conditions: Vec<Condition>,
    container_statuses: Vec<Container>,
}

/// A condition of a pod or a controller.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Container {
    state: State,
    last_state: State,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    waiting: Option<Detail>,
    terminated: Option<Detail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Detail {
    reason: String,
    message: String,
    exit_code: i32,
}

impl Pod {
    /// Whether the controller counts the pod: it has neither ended nor is it being deleted.
    pub(crate) fn is_live(&self) -> bool {
        self.metadata.deletion_timestamp.is_none() && !self.is_over()
    }

    /// Why the pod does not run as it should; none if it is Running and Ready.
    pub(crate) fn trouble(&self) -> Option<String> {
        let status = &self.status;
        let is = |kind, value| status.conditions.iter().find(|condition| condition.is(kind, value));
        if self.metadata.deletion_timestamp.is_some() {
            Some("is being deleted".into())
        } else if self.is_over() {
            Some(joined(&[&status.phase, &status.reason, &status.message]))
        } else if status.phase == "Running" && is("Ready", "True").is_some() {
            None
        } else if let Some(unscheduled) = is("PodScheduled", "False") {
            Some(unscheduled.text())
        } else if let Some(trouble) = status.container_statuses.iter().find_map(Container::trouble) {
            Some(trouble)
        } else if status.phase == "Running" {
            Some("is Running, but not Ready".into())
        } else {
            Some(joined(&[&status.phase, &status.reason, &status.message]))
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.status.phase.as_str(), "Failed" | "Succeeded")
    }
}

impl Condition {
    pub(crate) fn is(&self, kind: &str, status: &str) -> bool {
        self.kind == kind && self.status == status
    }

    pub(crate) fn text(&self) -> String {
        joined(&[&self.reason, &self.message])
    }
}

impl Container {
    fn trouble(&self) -> Option<String> {
        let now = self.state.waiting.as_ref().map(|detail| joined(&[&detail.reason, &detail.message]));
        let now = now.or_else(|| self.state.terminated.as_ref().map(Detail::end))?;
        match &self.last_state.terminated {
            Some(last) => Some(format!("{now}; it ended before: {}", last.end())),
            None => Some(now),
        }
    }
}

impl Detail {
    fn end(&self) -> String {
        joined(&[&self.reason, &format!("exit code {}", self.exit_code), &self.message])
    }
}

fn joined(parts: &[&str]) -> String {
    let parts: Vec<_> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{Value, from_value, json};

    use super::*;

    fn trouble(status: &Value) -> Option<String> {
        let pod: Pod = from_value(json!({"metadata": {"name": "a"}, "status": status})).expect("a pod");
        pod.trouble()
    }

    #[test]
    fn a_pod_that_is_running_and_ready_is_well() {
        let ready = json!([{"type": "Ready", "status": "True"}]);
        assert_eq!(trouble(&json!({"phase": "Running", "conditions": ready})), None);
    }

    #[test]
    fn a_running_pod_that_is_not_ready_is_not_well() {
        let unready = json!([{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]);
        let text = trouble(&json!({"phase": "Running", "conditions": unready}));
        assert_eq!(text.as_deref(), Some("is Running, but not Ready"));
    }

    #[test]
    fn a_pod_without_a_node_says_what_the_scheduler_says() {
        let text = trouble(&json!({"phase": "Pending", "conditions": [{
            "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
            "message": "0/3 nodes are available: 3 Insufficient memory.",
        }]}));
        let expected = "Unschedulable: 0/3 nodes are available: 3 Insufficient memory.";
        assert_eq!(text.as_deref(), Some(expected));
    }

    #[test]
    fn an_image_that_cannot_be_pulled_is_named() {
        let waiting = json!({"reason": "ImagePullBackOff", "message": "Back-off pulling image \"pause:0\""});
        let text =
            trouble(&json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting": waiting}}]}));
        assert_eq!(text.as_deref(), Some("ImagePullBackOff: Back-off pulling image \"pause:0\""));
    }

    #[test]
    fn a_container_that_keeps_ending_says_how() {
        let text = trouble(&json!({"phase": "Running", "containerStatuses": [{
            "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
        }]}));
        assert_eq!(text.as_deref(), Some("CrashLoopBackOff; it ended before: OOMKilled: exit code 137"));
    }

    #[test]
    fn an_evicted_pod_is_over() {
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"});
        assert_eq!(trouble(&evicted).as_deref(), Some("Failed: Evicted: low on memory"));
    }

    #[test]
    fn a_pod_that_nobody_has_looked_at_is_pending() {
        assert_eq!(trouble(&json!({"phase": "Pending"})).as_deref(), Some("Pending"));
    }

    #[test]
    fn a_pod_on_its_way_out_does_not_count() {
        let metadata = json!({"name": "a", "deletionTimestamp": "2026-11-21T00:00:00Z"});
        let pod: Pod =
            from_value(json!({"metadata": metadata, "status": {"phase": "Running"}})).expect("a pod");
        assert!(!pod.is_live());
        assert_eq!(pod.trouble().as_deref(), Some("is being deleted"));
    }
}
