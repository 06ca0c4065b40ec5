//! The daemon's pod: how to deploy it, ask it, and kill it.

use crate::{Kubectl, until};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    process::Command,
    time::Duration,
};

const NAMESPACE: &str = "aviary";
const LABEL: &str = "app.kubernetes.io/name=aviary";
const PORT: u16 = 10_002;
const STARTING: Duration = Duration::from_secs(90);
const ANSWERING: Duration = Duration::from_secs(5);

/// The daemon of `deploy/` in its pod.
#[derive(Debug)]
pub struct Daemon {
    address: String,
}

impl Daemon {
    /// Applies a kustomization with another image, and waits until the daemon is ready.
    pub fn deploy(kubectl: &Kubectl, kustomization: &str, image: &str) -> Result<Self> {
        let documents = kubectl.run(&["kustomize", kustomization])?;
        let line = documents.lines().find(|line| line.trim_start().starts_with("image: aviary:"));
        let line = line.context("the Deployment names no image of aviary")?;
        let named = line.trim_start().trim_start_matches("image: ");
        let documents = documents.replace(named, image);
        let known = kubectl.run(&["api-versions"])?;
        let is_known = |document: &&str| {
            let version = document.lines().find_map(|line| line.strip_prefix("apiVersion: "));
            version.is_some_and(|version| known.lines().any(|known| known == version))
        };
        // An old cluster does not know policy/v1, and the budget matters little here.
        let documents: Vec<&str> = documents.split("\n---\n").filter(is_known).collect();
        kubectl.apply(&documents.join("\n---\n"))?;
        Self::ready(kubectl)
    }

    /// Waits until the daemon is ready and finds its pod.
    pub fn ready(kubectl: &Kubectl) -> Result<Self> {
        let timeout = format!("--timeout={}s", STARTING.as_secs());
        kubectl.run(&["--namespace", NAMESPACE, "rollout", "status", "deployment/aviary", &timeout])?;
        let find = || {
            // The namespace has pods that checks made as well.
            let pods = kubectl.json(&["--namespace", NAMESPACE, "get", "pods", "--selector", LABEL]).ok()?;
            let ready = pods["items"].as_array()?.iter().find(|pod| is_ready(pod))?;
            Some(format!("{}:{PORT}", ready["status"]["podIP"].as_str()?))
        };
        let (address, _) = until("a pod of the daemon is ready", STARTING, find)?;
        Ok(Self { address })
    }

    /// The status and body of an answer of the daemon.
    pub fn get(&self, path: &str) -> Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(ANSWERING))?;
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("no answer of HTTP")?;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).context("no status")?;
        Ok((status, body.to_owned()))
    }

    /// The description of a check by the API; null if there is none.
    pub fn check(&self, key: &str) -> Value {
        let answer = self.get(&format!("/api/v1/checks/{key}"));
        answer.ok().and_then(|(_, body)| serde_json::from_str(&body).ok()).unwrap_or_default()
    }

    /// Kills the daemon's process as the kernel does when memory runs out.
    pub fn kill(&self) -> Result<()> {
        for entry in fs::read_dir("/proc")? {
            let path = entry?.path();
            let is_daemon =
                fs::read(path.join("cmdline")).is_ok_and(|line| line.starts_with(b"/aviary\0run\0"));
            if is_daemon && let Some(pid) = path.file_name().and_then(|name| name.to_str()) {
                ensure!(Command::new("kill").args(["-KILL", pid]).status()?.success(), "cannot kill {pid}");
            }
        }
        Ok(())
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let is_ready = |condition: &Value| condition["type"] == "Ready" && condition["status"] == "True";
    pod["metadata"]["deletionTimestamp"].is_null() && conditions.is_some_and(|all| all.iter().any(is_ready))
}
