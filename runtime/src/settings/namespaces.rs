//! The setting that says in which namespaces checks are looked for.

use std::{collections::BTreeSet, fmt};

/// The namespaces in which ConfigMaps are looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Namespaces {
    /// All namespaces of the cluster.
    All,
    /// Only the namespaces of these names.
    Only(BTreeSet<String>),
}

impl fmt::Display for Namespaces {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => out.write_str("all namespaces"),
            Self::Only(names) => {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                out.write_str(&names.join(", "))
            }
        }
    }
}
