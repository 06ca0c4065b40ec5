//! Where the manifest of a check lies.

use std::{fmt, path::PathBuf};

/// Where the manifest of a check lies, or its module if it has no manifest. Whoever has something to tell the author of
/// the check tells it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A file in a directory of the daemon's machine.
    File(PathBuf),
    /// A ConfigMap of the cluster.
    ConfigMap {
        /// Its namespace and name.
        name: ConfigMapName,
        /// Its uid, which no other one of this name has had before.
        uid: String,
    },
}

/// The namespace and name of a ConfigMap; shown as `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfigMapName {
    /// The namespace.
    pub namespace: String,
    /// The name within the namespace.
    pub name: String,
}

impl fmt::Display for ConfigMapName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}
