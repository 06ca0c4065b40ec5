//! The runtime of containers.

use super::{cgroup, network};
use crate::{binaries::Binaries, directory::Directory, process::Process, program};
use anyhow::{Context, Result};
use std::{fs, path::Path, process::Command, time::Duration};

/// The name of the image of every pod's first container, which is nothing but a process that waits.
pub(crate) const PAUSE: &str = "localhost/pause:1";
const LIMIT: Duration = Duration::from_secs(60);

/// Starts containerd and waits until it answers.
pub(crate) fn start(directory: &Directory, binaries: &Binaries) -> Result<()> {
    let program = binaries.require("containerd")?;
    let programs = Path::new(&program).parent().context("a program is in a directory")?;
    fs::create_dir_all(directory.path("cni"))?;
    directory.write("cni/aviary.conflist", &network::cni(&directory.path("addresses")))?;
    directory.write("containerd.toml", &configuration(directory, programs))?;
    let command = vec![program, "--config".to_owned(), directory.text("containerd.toml")];
    let containerd = Process::start(directory, "containerd", command)?;
    cgroup::enter(containerd.pid)?;
    containerd.wait(directory, "containerd to answer", LIMIT, || {
        ask(directory, binaries, "version", &["version"]).is_ok()
    })
}

/// Asks containerd something with its own command-line tool, and returns the answer.
pub(crate) fn ask(
    directory: &Directory,
    binaries: &Binaries,
    what: &str,
    arguments: &[&str],
) -> Result<String> {
    let mut ctr = Command::new(binaries.require("ctr")?);
    ctr.args(["--address", &socket(directory), "--namespace", "k8s.io"]).args(arguments);
    program::read(what, &mut ctr)
}

pub(crate) fn socket(directory: &Directory) -> String {
    directory.text("containerd.sock")
}

fn configuration(directory: &Directory, programs: &Path) -> String {
    let path = |name: &str| directory.path(name);
    // A root in a container lacks the capability to lower a score of the out-of-memory killer.
    format!(
        r#"version = 2
root = {root:?}
state = {state:?}
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
address = {socket:?}

[plugins."io.containerd.internal.v1.opt"]
path = {opt:?}

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {PAUSE:?}
restrict_oom_score_adj = true
tolerate_missing_hugetlb_controller = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {programs:?}
conf_dir = {cni:?}

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = {runc:?}
SystemdCgroup = false
"#,
        root = path("containerd/root"),
        state = path("containerd/state"),
        socket = socket(directory),
        opt = path("containerd/opt"),
        cni = path("cni"),
        runc = programs.join("runc"),
    )
}
