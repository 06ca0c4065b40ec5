//! The kubelet, which runs pods.

use super::{cgroup, containerd, network};
use crate::{api::Api, binaries::Binaries, credentials::NODE, directory::Directory, process::Process};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(120);

/// Starts the kubelet and waits until its node takes pods.
pub(crate) fn start(directory: &Directory, binaries: &Binaries) -> Result<()> {
    directory.write("kubelet.json", &configuration(directory).to_string())?;
    let command = [vec![binaries.require("kubelet")?], arguments(directory)].concat();
    let kubelet = Process::start(directory, "kubelet", command)?;
    let api = Api::of(directory)?;
    let path = format!("/api/v1/nodes/{NODE}");
    kubelet
        .wait(directory, "the node to be ready", LIMIT, || api.get(&path).is_ok_and(|node| takes_pods(&node)))
}

fn arguments(directory: &Directory) -> Vec<String> {
    let file = |name: &str| directory.text(name);
    vec![
        format!("--config={}", file("kubelet.json")),
        format!("--kubeconfig={}", file("kubelet.kubeconfig")),
        format!("--root-dir={}", file("kubelet")),
        format!("--cert-dir={}", file("kubelet-certificates")),
        format!("--volume-plugin-dir={}", file("volume-plugins")),
        format!("--hostname-override={NODE}"),
        format!("--node-ip={}", network::NODE),
        "--container-runtime=remote".to_owned(),
        format!("--container-runtime-endpoint=unix://{}", containerd::socket(directory)),
    ]
}

fn configuration(directory: &Directory) -> Value {
    let never = ["imagefs.available", "memory.available", "nodefs.available", "nodefs.inodesFree"];
    let never: serde_json::Map<String, Value> =
        never.into_iter().map(|signal| (signal.to_owned(), json!("0%"))).collect();
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network::NODE,
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": false},
            "x509": {"clientCAFile": directory.text("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        // Nobody answers there unless a test does, and a refusal is faster than silence.
        "clusterDNS": [network::NODE],
        "clusterDomain": "cluster.local",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup::ROOT,
        // A root in a container may not lower it, as in `containerd.toml`.
        "oomScoreAdj": 0,
        "failSwapOn": false,
        "makeIPTablesUtilChains": false,
        // With the defaults a node is ready 10 s late, and changed ConfigMaps arrive after a minute.
        "nodeStatusUpdateFrequency": "1s",
        "syncFrequency": "2s",
        // The disk and the memory of a build machine are no reason to end pods.
        "evictionHard": never,
        "imageGCHighThresholdPercent": 100,
    })
}

/// Whether a node is ready and the controllers have taken notice.
fn takes_pods(node: &str) -> bool {
    let Ok(node) = serde_json::from_str::<Value>(node) else { return false };
    let conditions = node["status"]["conditions"].as_array().into_iter().flatten();
    let is_ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    conditions.into_iter().any(is_ready) && node["spec"]["taints"].is_null()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_pods_when_it_is_ready_and_untainted() {
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        assert!(takes_pods(&json!({"spec": {}, "status": ready}).to_string()));
        let taints = json!([{"key": "node.kubernetes.io/not-ready"}]);
        assert!(!takes_pods(&json!({"spec": {"taints": taints}, "status": ready}).to_string()));
        assert!(!takes_pods(&json!({"spec": {}, "status": {}}).to_string()));
        assert!(!takes_pods("not found"));
    }
}
