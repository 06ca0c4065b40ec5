//! A node for real pods: a network, containerd and a kubelet. It needs root, and there is one per machine.

mod cgroup;
mod containerd;
mod image;
mod kubelet;
mod network;
mod traces;

pub(crate) use image::load;

use crate::{binaries::Binaries, control_plane, directory::Directory};
use anyhow::{Result, bail};
use std::path::Path;

/// Where a kubelet keeps its sockets, whatever it is told.
const KUBELET: &str = "/var/lib/kubelet";

/// Starts a control plane that pods can reach, and a node, and waits until pods can be scheduled.
pub(crate) fn start(directory: &Directory, binaries: &Binaries) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("a node needs root; without --node the cluster does not");
    }
    if network::exists() || Path::new(KUBELET).exists() {
        bail!(
            "this machine is a node already: of another cluster of ours, which wants `cluster down`, or of a real one"
        );
    }
    traces::record(directory)?;
    network::create()?;
    cgroup::create()?;
    control_plane::start(directory, binaries, network::API)?;
    containerd::start(directory, binaries)?;
    image::load_pause(directory, binaries)?;
    kubelet::start(directory, binaries)
}

/// Ends all pods and takes back what the node changed in the machine. Containerd and the kubelet must be gone.
pub(crate) fn undo(directory: &Directory) -> Result<()> {
    if !traces::are_recorded(directory) {
        return Ok(());
    }
    cgroup::end_processes()?;
    traces::unmount_below(directory)?;
    network::remove()?;
    cgroup::remove()?;
    traces::restore(directory)
}
