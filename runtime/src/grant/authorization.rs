//! What one check may reach: the manifest grants it, and the policy for its namespace allows it.

use super::{
    Access, Ceiling, Denied, Grants, Method, Missing,
    address::{Class, Reach},
    dns, http, kubernetes, tcp,
};
use crate::{
    grant::{Account, Capability},
    value::Size,
};
use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};
use url::{Host, Url};

/// What one check may reach. Every judgement takes both keys: the grants of the manifest, and the ceiling of
/// the place where the manifest lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Authorization {
    namespace: String,
    grants: Grants,
    account: Option<Account>,
    ceiling: Arc<Ceiling>,
}

impl Authorization {
    /// The authorization of a check in `namespace` whose manifest has these `grants`, and `account` as its
    /// `serviceAccount`.
    ///
    /// # Errors
    /// When the check may not use that account.
    pub fn new(
        namespace: &str,
        grants: Grants,
        account: Option<&str>,
        ceiling: &Arc<Ceiling>,
    ) -> Result<Self, Denied> {
        let account = ceiling.account(namespace, account)?;
        Ok(Self { namespace: namespace.to_owned(), grants, account, ceiling: Arc::clone(ceiling) })
    }

    /// The authorization of a check in `namespace` that nothing is granted to.
    pub fn nothing(namespace: &str) -> Self {
        let (grants, ceiling) = (Grants::default(), Ceiling::open());
        Self { namespace: namespace.to_owned(), grants, account: None, ceiling }
    }

    /// The namespace of the check.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The grants of the manifest, to be shown.
    pub fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Whether a module that imports this capability may be started for the check.
    pub fn covers(&self, capability: Capability) -> bool {
        self.grants.covers(capability)
    }

    /// The service account that calls to the Kubernetes API impersonate; none for the daemon's own identity.
    pub fn account(&self) -> Option<&Account> {
        self.account.as_ref()
    }

    /// Whether the operator vouches for who wrote the check, so that nothing is shared with others of its namespace.
    pub fn is_trusted(&self) -> bool {
        self.ceiling.is_open()
    }

    /// Whether the manifest grants nothing at all.
    pub fn grants_nothing(&self) -> bool {
        self.grants == Grants::default()
    }

    /// The most memory, code included, that all guests of the check's namespace may hold together; none where
    /// there is no limit.
    pub fn memory(&self) -> Option<Size> {
        self.ceiling.memory()
    }

    /// The most bytes that all metrics made by checks of this namespace may take together; none where there
    /// is no limit.
    pub fn series(&self) -> Option<Size> {
        self.ceiling.series()
    }

    /// The most bytes that the targets of all checks of this namespace may hold together; none where there is
    /// no limit.
    pub fn targets(&self) -> Option<Size> {
        self.ceiling.targets()
    }

    /// How far an HTTP request may reach, or why it may not be sent.
    pub fn http(&self, method: Method, url: &Url) -> Result<Reach, Denied> {
        let (ceiling, granted) = (self.ceiling.http(method, url), self.grants.http(method, url));
        self.judge(ceiling, granted, || http::denied(method, url))
    }

    /// How far a TCP connection to `host:port` may reach, or why it may not be opened.
    pub fn tcp(&self, host: &Host<&str>, port: u16) -> Result<Reach, Denied> {
        let (ceiling, granted) = (self.ceiling.tcp(host, port), self.grants.tcp(host, port));
        self.judge(ceiling, granted, || tcp::denied(host, port))
    }

    /// Whether a name may be looked up at `server`; none is the cluster's own name server. The name is
    /// complete and in ASCII.
    pub fn dns(&self, name: &str, server: Option<SocketAddr>) -> Result<(), Denied> {
        let (ceiling, granted) = (self.ceiling.dns(name, server), self.grants.dns(name, server));
        self.judge(ceiling.then_some(()), granted.then_some(()), || dns::denied(name, server))
    }

    /// Whether the Kubernetes API may be called like this, as [`Self::account`].
    pub fn kubernetes(&self, access: &Access<'_>) -> Result<(), Denied> {
        let ceiling = self.ceiling.kubernetes(&self.namespace, access);
        let granted = self.grants.kubernetes(&self.namespace, access);
        let denied = || kubernetes::denied(&self.namespace, access);
        self.judge(ceiling.then_some(()), granted.then_some(()), denied)
    }

    /// The refusal of an HTTP request that may be sent, but not to this address of its host.
    pub fn http_address(&self, method: Method, url: &Url, address: IpAddr) -> Denied {
        let denied = http::denied_address(method, url, address);
        self.judge_address(self.ceiling.http(method, url), self.grants.http(method, url), address, denied)
    }

    /// The refusal of a TCP connection that may be opened, but not to this address of its host.
    pub fn tcp_address(&self, host: &Host<&str>, port: u16, address: IpAddr) -> Denied {
        let denied = tcp::denied_address(host, port, address);
        self.judge_address(self.ceiling.tcp(host, port), self.grants.tcp(host, port), address, denied)
    }

    /// What grant and ceiling both allow. The policy's refusal comes first, as a grant would not help there.
    fn judge<T: Ord>(
        &self,
        ceiling: Option<T>,
        granted: Option<T>,
        denied: impl FnOnce() -> Denied,
    ) -> Result<T, Denied> {
        match (ceiling, granted) {
            (None, _) => Err(denied().by_policy(&self.namespace)),
            (Some(_), None) => Err(denied()),
            (Some(ceiling), Some(granted)) => Ok(ceiling.min(granted)),
        }
    }

    fn judge_address(
        &self,
        ceiling: Option<Reach>,
        granted: Option<Reach>,
        address: IpAddr,
        denied: Denied,
    ) -> Denied {
        let class = Class::of(address);
        let allows = |reach: Option<Reach>| reach.is_some_and(|reach| reach.allows(class));
        match (allows(ceiling), allows(granted)) {
            (false, _) => denied.by_policy(&self.namespace),
            (true, false) => denied,
            // Both would allow the address, if it were the Service's own and not that of an alias.
            (true, true) => Denied { missing: Missing::Straightness, ..denied },
        }
    }
}
