//! A node for real pods: a network, containerd and a kubelet. It needs root, and there is one per machine.

mod cgroup;
mod containerd;
mod image;
mod kubelet;
mod network;
mod traces;

pub(crate) use image::load;

use crate::{
    binaries::Binaries,
    control_plane,
    directory::Directory,
    process::{self, Process},
};
use anyhow::{Result, bail};
use std::path::Path;

/// The directory in which a kubelet keeps its sockets, whatever it is told.
const KUBELET: &str = "/var/lib/kubelet";

/// Starts a control plane that pods can reach, and a node, and waits until pods can be scheduled.
pub(crate) fn start(directory: &Directory, binaries: &Binaries) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("a node needs root; without --node the cluster does not");
    }
    free_the_machine()?;
    traces::record(directory)?;
    network::create()?;
    cgroup::create()?;
    control_plane::start(directory, binaries, network::API)?;
    containerd::start(directory, binaries)?;
    image::load_pause(directory, binaries)?;
    kubelet::start(directory, binaries)
}

/// Takes back what a killed cluster left in the machine. An error if the machine is a live node, or somebody
/// else's.
fn free_the_machine() -> Result<()> {
    if let Some(other) = traces::owner()? {
        if is_alive(&other)? {
            bail!(
                "the cluster in {} has its node here; stop it there with `cluster down`",
                other.path("").display()
            );
        }
        eprintln!("taking back what a killed cluster left of its node");
        undo(&other)?;
    }
    if network::exists() || Path::new(KUBELET).exists() {
        bail!(
            "this machine is a node already, of a cluster that `cluster up` did not start: {KUBELET} exists"
        );
    }
    Ok(())
}

/// Whether a process of the cluster in this directory still runs, on the node or beside it.
fn is_alive(directory: &Directory) -> Result<bool> {
    Ok(process::recorded(directory)?.iter().any(Process::is_alive) || cgroup::has_processes()?)
}

/// Ends all pods and takes back what the node changed in the machine. Containerd and the kubelet must be gone.
pub(crate) fn undo(directory: &Directory) -> Result<()> {
    if traces::owner()?.as_ref() != Some(directory) {
        return Ok(());
    }
    cgroup::end_processes()?;
    traces::unmount_below(directory)?;
    network::remove()?;
    cgroup::remove()?;
    traces::restore()
}
