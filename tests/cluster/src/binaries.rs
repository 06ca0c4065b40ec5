//! The programs of Kubernetes, and where they come from.

use crate::{build, program};
use anyhow::{Context, Result, bail};
use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

/// A directory with at least `etcd` and `kube-apiserver`.
#[derive(Debug)]
pub(crate) struct Binaries(PathBuf);

impl Binaries {
    /// Finds the programs in `KUBEBUILDER_ASSETS`, or else those that are built once and kept.
    pub(crate) fn find() -> Result<Self> {
        match env::var_os("KUBEBUILDER_ASSETS") {
            Some(assets) if !assets.is_empty() => Self::given(Path::new(&assets)),
            _ => Ok(Self(build::cached()?)),
        }
    }

    fn given(assets: &Path) -> Result<Self> {
        let assets = std::path::absolute(assets)?;
        for name in ["etcd", "kube-apiserver"] {
            if !assets.join(name).is_file() {
                bail!(
                    "KUBEBUILDER_ASSETS is {} and has no {name}; fill it with `setup-envtest use`, or unset it",
                    assets.display()
                );
            }
        }
        Ok(Self(assets))
    }

    /// The path of a program, if there is one of this name.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        let path = self.0.join(name);
        path.exists().then(|| path.to_string_lossy().into_owned())
    }

    pub(crate) fn require(&self, name: &str) -> Result<String> {
        let missing =
            || format!("there is no {name} in {}; unset KUBEBUILDER_ASSETS to build one", self.0.display());
        self.get(name).with_context(missing)
    }

    /// The minor version of the API server, which is 20 for `v1.20.2`.
    pub(crate) fn minor(&self) -> Result<u32> {
        let program = self.require("kube-apiserver")?;
        let version = program::read("ask for the version", Command::new(program).arg("--version"))?;
        minor_of(&version).with_context(|| format!("this is no version of Kubernetes 1: {version}"))
    }
}

fn minor_of(version: &str) -> Option<u32> {
    let (minor, _) = version.trim().strip_prefix("Kubernetes v1.")?.split_once('.')?;
    minor.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_minor_version_is_read() {
        assert_eq!(minor_of("Kubernetes v1.20.2\n"), Some(20));
        assert_eq!(minor_of("Kubernetes v1.34.0-alpha.1"), Some(34));
        assert_eq!(minor_of("etcd Version: 3.4.23"), None);
    }

    #[test]
    fn given_binaries_must_be_there() {
        let assets = tempfile::tempdir().expect("a directory");
        let error = Binaries::given(assets.path()).expect_err("it is empty");
        assert!(error.to_string().contains("has no etcd"), "{error}");
        for name in ["etcd", "kube-apiserver"] {
            std::fs::write(assets.path().join(name), "").expect("a file");
        }
        let binaries = Binaries::given(assets.path()).expect("both are there");
        assert!(binaries.get("etcd").is_some());
        assert!(binaries.get("kubelet").is_none());
    }
}
