//! kubectl, as an operator uses it.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// The program kubectl for one cluster.
#[derive(Debug)]
pub struct Kubectl {
    kubeconfig: PathBuf,
}

impl Kubectl {
    /// The program kubectl for the cluster of a kubeconfig.
    pub fn new(kubeconfig: &Path) -> Self {
        Self { kubeconfig: kubeconfig.to_owned() }
    }

    /// Whether kubectl is installed.
    pub fn is_there() -> bool {
        Command::new("kubectl").args(["version", "--client"]).output().is_ok()
    }

    /// Runs a command and returns what it prints.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        self.run_with(arguments, "")
    }

    /// Applies documents on the server.
    pub fn apply(&self, documents: &str) -> Result<()> {
        self.run_with(&["apply", "--server-side", "--force-conflicts", "--filename", "-"], documents)?;
        Ok(())
    }

    /// The JSON that a command prints.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let arguments = [arguments, &["--output", "json"]].concat();
        Ok(serde_json::from_str(&self.run(&arguments)?)?)
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Result<String> {
        let mut kubectl = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start kubectl; is it installed?")?;
        kubectl.stdin.take().context("kubectl takes no input")?.write_all(input.as_bytes())?;
        let Output { status, stdout, stderr } = kubectl.wait_with_output()?;
        let stderr = String::from_utf8_lossy(&stderr);
        ensure!(status.success(), "kubectl {}: {}", arguments.join(" "), stderr.trim());
        Ok(String::from_utf8(stdout)?)
    }
}
