//! Judges the pods of a round. Pure.

use aviary_guest::{Outcome, Status, Target};

use crate::pod::Pod;

/// Whether the controller has made as many pods as are `wanted`.
#[must_use]
pub fn are_enough(wanted: u32, pods: &[Pod]) -> bool {
    pods.iter().filter(|pod| pod.is_live()).count() >= wanted as usize
}

/// The outcome of a poll. It passes without targets if exactly `wanted` pods are live, all Running and Ready.
/// Else each pod that does not run is a target. So is the controller if their number is wrong, with the
/// `obstacle` that it tells. `was_complete` says that all have been running earlier in this round.
#[must_use]
pub fn judge(wanted: u32, pods: &[Pod], was_complete: bool, obstacle: Option<&str>) -> Outcome {
    let live = pods.iter().filter(|pod| pod.is_live()).count();
    let running = pods.iter().filter(|pod| pod.trouble().is_none()).count();
    let numbers = format!("{running} of {wanted} pods are running");
    if running == wanted as usize && live == running {
        return Outcome::pass(numbers);
    }
    let controller = judge_number(wanted, live, obstacle).map(|text| Target::fail("controller", text));
    let troubled = pods.iter().filter_map(|pod| Some(Target::fail(&pod.metadata.name, pod.trouble()?)));
    let targets: Vec<_> = controller.into_iter().chain(troubled).collect();
    let before = if was_complete { ", though all were before" } else { "" };
    let reason = targets.first().map(|first| format!("; {}: {}", first.name, first.message));
    let message = format!("{numbers}{before}{}", reason.unwrap_or_default());
    Outcome { targets, ..Outcome::new(Status::Fail, message) }
}

fn judge_number(wanted: u32, live: usize, obstacle: Option<&str>) -> Option<String> {
    let reason = obstacle.map(|obstacle| format!(": {obstacle}")).unwrap_or_default();
    match live.cmp(&(wanted as usize)) {
        std::cmp::Ordering::Less => Some(format!("has only {live} of {wanted} pods{reason}")),
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(format!("has {live} pods, more than {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{from_value, json};

    use super::*;

    fn pod(name: &str, phase: &str) -> Pod {
        let ready = if phase == "Running" { "True" } else { "False" };
        let status = json!({"phase": phase, "conditions": [{"type": "Ready", "status": ready}]});
        from_value(json!({"metadata": {"name": name}, "status": status})).expect("a pod")
    }

    fn going(name: &str) -> Pod {
        let metadata = json!({"name": name, "deletionTimestamp": "2026-11-21T00:00:00Z"});
        from_value(json!({"metadata": metadata, "status": {"phase": "Running"}})).expect("a pod")
    }

    #[test]
    fn all_pods_running_pass_without_targets() {
        let outcome = judge(2, &[pod("a", "Running"), pod("b", "Running")], false, None);
        assert_eq!(outcome, Outcome::pass("2 of 2 pods are running"));
    }

    #[test]
    fn a_pending_pod_fails_by_name() {
        let outcome = judge(2, &[pod("a", "Running"), pod("b", "Pending")], false, None);
        assert_eq!(outcome.status, Status::Fail);
        assert_eq!(outcome.message, "1 of 2 pods are running; b: Pending");
        assert_eq!(outcome.targets, [Target::fail("b", "Pending")]);
    }

    #[test]
    fn a_pod_that_vanishes_after_all_ran_is_told_apart_from_a_slow_start() {
        let outcome = judge(2, &[pod("a", "Running")], true, None);
        let expected = "1 of 2 pods are running, though all were before; controller: has only 1 of 2 pods";
        assert_eq!(outcome.message, expected);
    }

    #[test]
    fn a_controller_that_cannot_make_pods_says_why() {
        let outcome = judge(3, &[], false, Some("FailedCreate: exceeded quota"));
        let expected =
            "0 of 3 pods are running; controller: has only 0 of 3 pods: FailedCreate: exceeded quota";
        assert_eq!(outcome.message, expected);
    }

    #[test]
    fn pods_that_were_replaced_do_not_matter() {
        let pods = [pod("new", "Running"), going("old"), pod("evicted", "Failed")];
        assert_eq!(judge(1, &pods, true, None).status, Status::Pass);
        assert!(are_enough(1, &pods) && !are_enough(2, &pods));
    }

    #[test]
    fn pods_that_go_without_a_replacement_are_told() {
        let outcome = judge(1, &[going("old")], true, None);
        assert_eq!(outcome.status, Status::Fail);
        assert_eq!(outcome.targets[1], Target::fail("old", "is being deleted"));
    }

    #[test]
    fn too_many_pods_fail() {
        let outcome = judge(1, &[pod("a", "Running"), pod("b", "Running")], false, None);
        assert_eq!(outcome.message, "2 of 1 pods are running; controller: has 2 pods, more than 1");
    }
}
