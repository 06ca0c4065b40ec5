//! The Kubernetes service account in whose name a check calls the API server.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A service account that the Kubernetes calls of guests impersonate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Account {
    /// The namespace of the service account.
    pub namespace: String,
    /// The name of the service account.
    pub name: String,
}

impl fmt::Display for Account {
    /// Writes the user name of the account at the API server: `system:serviceaccount:namespace:name`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "system:serviceaccount:{}:{}", self.namespace, self.name)
    }
}
