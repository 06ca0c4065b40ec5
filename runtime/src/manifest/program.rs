//! The program of a check: what it runs, and with which rights.

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
    /// The file name of the module.
    pub module: Module,
    /// The only digest that the module may have; without it, any.
    pub digest: Option<Digest>,
    /// The settings that the guest's init gets: the text of a JSON object, 64 KiB at most.
    pub settings: Arc<str>,
    /// The secrets that the guest may read; no name twice.
    pub secrets: Vec<Secret>,
    /// What the guest may reach, and as which service account.
    pub authorization: Authorization,
    /// What the guest may spend.
    pub limits: Arc<Limits>,
    /// The most wall-clock time of one call of the guest, and of one run with all its retries.
    pub timeout: Duration,
}

impl Program {
    /// The program of a module in this namespace, without settings, secrets or grants, and with the default limits.
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

    /// The namespace of the check.
    pub fn namespace(&self) -> &str {
        self.authorization.namespace()
    }
}
