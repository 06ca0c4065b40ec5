//! The cgroup that holds containerd, its shims and all pods. What is in it is ours to end.

use crate::{process, wait};
use anyhow::{Context, Result, bail};
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

const MOUNT: &str = "/sys/fs/cgroup";
/// The path of the cgroup, as it is told to the kubelet.
pub(crate) const ROOT: &str = "/aviary";
/// The files that version 1 wants filled in before a process may enter.
const CPUSET: [&str; 2] = ["cpuset.mems", "cpuset.cpus"];
const LIMIT: Duration = Duration::from_secs(20);

/// Makes the directory of the cgroup in every hierarchy.
pub(crate) fn create() -> Result<()> {
    for hierarchy in hierarchies()? {
        for directory in [ours(&hierarchy), daemons(&hierarchy)] {
            fs::create_dir_all(&directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
            for file in CPUSET.iter().filter(|file| hierarchy.join(file).exists()) {
                fs::write(directory.join(file), fs::read(hierarchy.join(file))?)?;
            }
        }
    }
    Ok(())
}

/// Puts a process, and with it all that it will start, below the cgroup.
pub(crate) fn enter(pid: i32) -> Result<()> {
    for hierarchy in hierarchies()? {
        let file = daemons(&hierarchy).join("cgroup.procs");
        fs::write(&file, pid.to_string()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

/// Whether containerd, one of its shims or a pod still runs.
pub(crate) fn has_processes() -> Result<bool> {
    Ok(!processes()?.is_empty())
}

/// Kills everything below the cgroup and waits until it is gone.
pub(crate) fn end_processes() -> Result<()> {
    let gone = wait::until(LIMIT, || {
        let pids = processes().unwrap_or_default();
        pids.iter().for_each(|pid| process::kill(*pid));
        pids.is_empty()
    });
    if !gone {
        bail!("processes in the cgroup {ROOT} were killed and are still there");
    }
    Ok(())
}

/// Removes the empty directories of the cgroup.
pub(crate) fn remove() -> Result<()> {
    for hierarchy in hierarchies()? {
        for directory in below(&ours(&hierarchy)) {
            fs::remove_dir(&directory).with_context(|| format!("cannot remove {}", directory.display()))?;
        }
    }
    Ok(())
}

fn processes() -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    for hierarchy in hierarchies()? {
        for directory in below(&ours(&hierarchy)) {
            let listed = fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            pids.extend(listed.lines().filter_map(|pid| pid.parse::<i32>().ok()));
        }
    }
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

fn ours(hierarchy: &Path) -> PathBuf {
    hierarchy.join(ROOT.trim_start_matches('/'))
}

fn daemons(hierarchy: &Path) -> PathBuf {
    ours(hierarchy).join("daemons")
}

/// The paths of the hierarchies: one in version 2, one for each controller in version 1.
fn hierarchies() -> Result<Vec<PathBuf>> {
    let is_hierarchy = |path: &PathBuf| path.join("cgroup.procs").is_file();
    let mount = PathBuf::from(MOUNT);
    if is_hierarchy(&mount) {
        return Ok(vec![mount]);
    }
    let entries = fs::read_dir(&mount).with_context(|| format!("cannot read {MOUNT}"))?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    Ok(paths.filter(is_hierarchy).filter(|path| !path.is_symlink()).collect())
}

/// A directory and all below it, the deepest first; none if it does not exist.
fn below(directory: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let children = entries.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| path.is_dir());
    let mut all: Vec<PathBuf> = children.flat_map(|child| below(&child)).collect();
    all.push(directory.to_owned());
    all
}
