//! What a check runs, and with which rights.

use crate::{
    grant::Authorization,
    manifest::Secret,
    value::{Digest, Limit, Limits, Module},
};
use std::{sync::Arc, time::Duration};

/// A module with all that its guests get: settings, secrets, rights and limits. The sandbox runs programs, and knows
/// nothing else of a check.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The module.
    pub module: Module,
    /// The only digest that the module may have.
    pub digest: Option<Digest>,
    /// What the guest's init gets: the text of a JSON object, 64 KiB at most.
    pub settings: Arc<str>,
    /// What it may read as secrets; no name twice.
    pub secrets: Vec<Secret>,
    /// What it may reach, and as which service account.
    pub authorization: Authorization,
    /// What it may spend.
    pub limits: Arc<Limits>,
    /// The wall clock for one call of the guest, and for one run with all its retries.
    pub timeout: Duration,
}

impl Program {
    /// A module of a check in this namespace: no settings, no secrets, no grants, the default limits.
    pub fn bare(namespace: &str, module: Module) -> Self {
        Self {
            module,
            digest: None,
            settings: "{}".into(),
            secrets: Vec::new(),
            authorization: Authorization::nothing(namespace),
            limits: Limits::shared(),
            timeout: Duration::from_millis(Limit::Timeout.default()),
        }
    }

    /// The namespace of its check.
    pub fn namespace(&self) -> &str {
        self.authorization.namespace()
    }
}
