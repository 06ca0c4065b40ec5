//! The directory of one cluster: what is where, and who may touch it.

use anyhow::{Context, Result};
use std::{
    fs::{self, File, Permissions},
    io::ErrorKind,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// The directory with everything that a cluster of ours writes. It is gone after `down`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let absolute = std::path::absolute(path);
        Ok(Self(absolute.with_context(|| format!("cannot tell where {} is", path.display()))?))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.path("kubeconfig")
    }

    pub(crate) fn log(&self, process: &str) -> PathBuf {
        self.path("logs").join(process).with_extension("log")
    }

    pub(crate) fn processes(&self) -> PathBuf {
        self.path("processes")
    }

    pub(crate) fn exists(&self) -> bool {
        self.0.exists()
    }

    /// Makes the directory. Only its owner may enter, as an administrator's token lies in it.
    pub(crate) fn create(&self) -> Result<()> {
        for path in [self.path("logs"), self.processes()] {
            let created = fs::create_dir_all(&path);
            created.with_context(|| format!("cannot create {}", path.display()))?;
        }
        let closed = fs::set_permissions(&self.0, Permissions::from_mode(0o700));
        closed.with_context(|| format!("cannot close {} to others", self.0.display()))
    }

    pub(crate) fn write(&self, name: &str, content: &str) -> Result<()> {
        let path = self.path(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))
    }

    pub(crate) fn read(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_dir_all(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot remove {}", self.0.display()))
            }
            _ => Ok(()),
        }
    }

    /// Waits until nobody else starts or stops this cluster. The lock ends with the file.
    pub(crate) fn lock(&self) -> Result<File> {
        lock(&self.0.with_extension("lock"))
    }
}

/// Waits until nobody else holds the lock on this file, which is made if it is missing.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let parent = path.parent().context("a lock needs a directory")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    let file = File::create(path).with_context(|| format!("cannot create {}", path.display()))?;
    if file.try_lock().is_err() {
        eprintln!("waiting for another process that holds {}", path.display());
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}
