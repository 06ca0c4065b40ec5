//! In whose name a check calls the API server.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A service account that guests' calls impersonate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl fmt::Display for Account {
    /// The user name that the API server knows it by.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}
