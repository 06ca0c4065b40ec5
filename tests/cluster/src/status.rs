//! The status of a cluster.

use crate::{
    api::{Api, version_in},
    cluster::given,
    directory::Directory,
    process, program,
};
use anyhow::Result;
use std::{fmt::Write, path::Path, process::Command};

/// The status of the cluster in this directory, or of the given one, in lines for people.
/// They tell where its kubeconfig is, the version of its API server, and the processes.
///
/// # Errors
/// When the directory cannot be read.
pub fn status(directory: &Path) -> Result<String> {
    if let Some(kubeconfig) = given() {
        return Ok(format!(
            "the cluster of AVIARY_TEST_KUBECONFIG\nkubeconfig  {}\nAPI server  {}\n",
            kubeconfig.display(),
            told(given_version(&kubeconfig))
        ));
    }
    let directory = Directory::at(directory)?;
    let mut processes = process::recorded(&directory)?;
    if processes.is_empty() {
        return Ok("no cluster was started here\n".to_owned());
    }
    processes.reverse();
    let mut lines = format!("kubeconfig  {}\n", directory.kubeconfig().display());
    let version = Api::of(&directory).and_then(|api| api.version());
    writeln!(lines, "API server  {}", told(version))?;
    for process in processes {
        let state = if process.is_alive() { "runs" } else { "has ended" };
        let log = directory.log(&process.name);
        writeln!(lines, "{:24} {state} as process {}, log {}", process.name, process.pid, log.display())?;
    }
    Ok(lines)
}

fn given_version(kubeconfig: &Path) -> Result<String> {
    let mut kubectl = Command::new("kubectl");
    kubectl.arg("--kubeconfig").arg(kubeconfig).args(["--request-timeout=5s", "get", "--raw", "/version"]);
    version_in(&program::read("ask for the version", &mut kubectl)?)
}

fn told(version: Result<String>) -> String {
    version.unwrap_or_else(|error| format!("does not answer: {error:#}"))
}
