//! What a node changes in a machine, outside of its own directory: recorded first, then taken back.

use crate::directory::Directory;
use anyhow::{Context, Result};
use rustix::mount::{UnmountFlags, unmount};
use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

const RECORD: &str = "traces";
/// What the kubelet sets to its liking.
const SETTINGS: [&str; 6] = [
    "/proc/sys/kernel/keys/root_maxbytes",
    "/proc/sys/kernel/keys/root_maxkeys",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/panic_on_oom",
];
/// What the kubelet, containerd and the network plugins create wherever they are told to work.
const DIRECTORIES: [&str; 7] = [
    super::KUBELET,
    "/run/containerd",
    "/run/mount",
    "/var/lib/cni",
    "/var/log/containers",
    "/var/log/pods",
    "/run/netns",
];

/// Notes the settings as they are, and the directories that are not there yet.
pub(crate) fn record(directory: &Directory) -> Result<()> {
    let mut record = String::new();
    for setting in SETTINGS {
        if let Ok(value) = fs::read_to_string(setting) {
            writeln!(record, "{setting} {}", value.trim())?;
        }
    }
    for absent in DIRECTORIES.iter().filter(|path| !Path::new(path).exists()) {
        writeln!(record, "{absent}")?;
    }
    directory.write(RECORD, &record)
}

pub(crate) fn are_recorded(directory: &Directory) -> bool {
    directory.path(RECORD).exists()
}

/// Sets the settings as they were and removes the directories that were not there.
pub(crate) fn restore(directory: &Directory) -> Result<()> {
    for line in directory.read(RECORD)?.lines() {
        match line.split_once(' ') {
            Some((setting, value)) => {
                fs::write(setting, value).with_context(|| format!("cannot write {setting}"))?;
            }
            None if Path::new(line).exists() => {
                fs::remove_dir_all(line).with_context(|| format!("cannot remove {line}"))?;
            }
            None => {}
        }
    }
    Ok(())
}

/// Unmounts what pods left mounted, lest removing the directory reaches into it.
pub(crate) fn unmount_below(directory: &Directory) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read what is mounted")?;
    let roots = [directory.path(""), PathBuf::from(super::KUBELET)];
    for mount in mounted_below(&mounts, &roots) {
        unmount(&mount, UnmountFlags::DETACH)
            .with_context(|| format!("cannot unmount {}", mount.display()))?;
    }
    Ok(())
}

/// The latest mount first, as one may lie upon another.
fn mounted_below(mounts: &str, roots: &[PathBuf]) -> Vec<PathBuf> {
    let points = mounts.lines().rev().filter_map(|line| line.split(' ').nth(1));
    let points = points.map(|point| PathBuf::from(point.replace("\\040", " ")));
    points.filter(|point| roots.iter().any(|root| point.starts_with(root))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_mounted_below_is_found_and_the_latest_first() {
        let mounts = "proc /proc proc rw 0 0\ntmpfs /a/b/one tmpfs rw 0 0\ntmpfs /a/b\\040c tmpfs rw 0 0\n\
                      overlay /a/b/one/two overlay rw 0 0\n";
        let found = mounted_below(mounts, &["/a/b".into()]);
        assert_eq!(found, ["/a/b/one/two", "/a/b/one"].map(PathBuf::from));
    }
}
