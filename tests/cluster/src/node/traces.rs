//! What a node changes in a machine, outside of the directory of its cluster: recorded first, then taken back.

use crate::directory::Directory;
use anyhow::{Context, Result};
use rustix::mount::{UnmountFlags, unmount};
use std::{
    fmt::Write as _,
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::{Path, PathBuf},
};

/// The directory of the record. It outlives a restart of the machine, as the kubelet's directory does.
const RECORD: &str = "/var/lib/aviary-test-node";
/// The kernel settings that the kubelet changes.
const SETTINGS: [&str; 6] = [
    "/proc/sys/kernel/keys/root_maxbytes",
    "/proc/sys/kernel/keys/root_maxkeys",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/panic_on_oom",
];
/// The directories that the kubelet, containerd and the network plugins create wherever they are told to
/// work.
const DIRECTORIES: [&str; 7] = [
    super::KUBELET,
    "/run/containerd",
    "/run/mount",
    "/var/lib/cni",
    "/var/log/containers",
    "/var/log/pods",
    "/run/netns",
];

/// Notes whose node the machine becomes, the settings as they are, and the directories that are not there yet.
///
/// The record lies outside of the cluster's directory: so a later cluster can take back what a killed one left, even if
/// that one's directory is gone.
pub(crate) fn record(directory: &Directory) -> Result<()> {
    let mut record = format!("{}\n", directory.text(""));
    for setting in SETTINGS {
        if let Ok(value) = fs::read_to_string(setting) {
            writeln!(record, "{setting} {}", value.trim())?;
        }
    }
    for absent in DIRECTORIES.iter().filter(|path| !Path::new(path).exists()) {
        writeln!(record, "{absent}")?;
    }
    let mut file = File::create_new(RECORD).with_context(|| format!("cannot create {RECORD}"))?;
    file.write_all(record.as_bytes()).with_context(|| format!("cannot write {RECORD}"))
}

/// The directory of the cluster that has made this machine its node.
pub(crate) fn owner() -> Result<Option<Directory>> {
    let Some(record) = read()? else { return Ok(None) };
    Directory::at(Path::new(record.lines().next().unwrap_or_default())).map(Some)
}

/// Sets the settings as they were, and removes the directories that were not there and the record.
pub(crate) fn restore() -> Result<()> {
    for line in read()?.unwrap_or_default().lines().skip(1) {
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
    fs::remove_file(RECORD).with_context(|| format!("cannot remove {RECORD}"))
}

fn read() -> Result<Option<String>> {
    match fs::read_to_string(RECORD) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => read.map(Some).with_context(|| format!("cannot read {RECORD}")),
    }
}

/// Unmounts what pods left mounted, so that removing the directory does not reach into it.
pub(crate) fn unmount_below(directory: &Directory) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("cannot read what is mounted")?;
    let roots = [directory.path(""), PathBuf::from(super::KUBELET)];
    for mount in mounted_below(&mounts, &roots) {
        unmount(&mount, UnmountFlags::DETACH)
            .with_context(|| format!("cannot unmount {}", mount.display()))?;
    }
    Ok(())
}

/// The mount points below these roots, the latest first, as one may lie upon another.
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
