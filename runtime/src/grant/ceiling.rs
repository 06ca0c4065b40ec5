//! The ceiling, which is the second key: the most that checks of one place may reach, whatever their
//! manifests grant.

#[cfg(test)]
mod tests;

use super::{
    Access, Denied, DnsGrant, HttpGrant, KubernetesGrant, Method, TcpGrant,
    address::{Class, Reach},
    host::{is_below, trim},
    territory::{NameOwner, Territory},
};
use crate::{
    grant::Account,
    value::{Limit, Limits, Size},
};
use serde::{Deserialize, Deserializer};
use std::{net::SocketAddr, sync::Arc};
use url::{Host, Url};

/// The name of the service account of tenants' checks, unless the policy names another.
pub const ACCOUNT: &str = "aviary-check";

/// The most memory of all guests of a tenant's namespace together, unless the policy says otherwise.
/// It is enough for some 500 guests of 1.2 MiB, as Rust makes them, and room to grow.
const MOST_MEMORY: Size = Size::mebibytes(768);

/// The most bytes that all metrics made by checks of a tenant's namespace take together in `/metrics`.
/// It is enough for 500 checks with ten numbers and a histogram each.
const MOST_SERIES: Size = Size::mebibytes(4);

/// The most memory of the targets of the latest runs of all checks of a tenant's namespace together.
/// It is enough for 500 checks with a hundred targets of a few labels each.
const MOST_TARGETS: Size = Size::mebibytes(16);

/// The DNS zones that hold the names of addresses.
const REVERSE_ZONES: [&str; 2] = ["in-addr.arpa", "ip6.arpa"];

/// The most that checks of one place may reach. It grants nothing by itself.
#[derive(Debug, PartialEq)]
pub struct Ceiling {
    home: Option<String>,
    tenant: Option<Tenant>,
}

/// A tenant: a namespace in which somebody writes checks who is not the operator.
#[derive(Debug, PartialEq)]
struct Tenant {
    namespace: String,
    territory: Territory,
    bounds: Arc<Bounds>,
}

/// What a rule of the policy says about a tenant. What it does not mention is as without a rule.
#[derive(Debug, Default, PartialEq)]
pub struct Bounds {
    /// The most that manifests of the tenant can grant.
    pub grants: MostGrants,
    /// The names of the service accounts that may be impersonated; the first is the default.
    pub accounts: Option<Vec<String>>,
    /// The kinds of places that secrets may come from.
    pub secrets: Option<Vec<SecretKind>>,
    /// The largest limits that manifests can ask for, the timeout among them.
    pub limits: Option<Limits>,
    /// The most memory of all guests of the namespace together.
    pub memory: Option<Size>,
}

/// The most that manifests can grant, by capability. Where a key is absent, it is as without a rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MostGrants {
    /// The DNS lookups that can be granted.
    #[serde(default, deserialize_with = "mentioned")]
    pub dns: Option<DnsGrant>,
    /// The HTTP requests that can be granted.
    #[serde(default, deserialize_with = "mentioned")]
    pub http: Option<Vec<HttpGrant>>,
    /// The TCP connections that can be granted.
    #[serde(default, deserialize_with = "mentioned")]
    pub tcp: Option<Vec<TcpGrant>>,
    /// The calls to the Kubernetes API that can be granted.
    #[serde(default, deserialize_with = "mentioned")]
    pub kubernetes: Option<Vec<KubernetesGrant>>,
}

/// The kind of place where the value of a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SecretKind {
    /// A file of the daemon's machine.
    File,
    /// A variable of the daemon's environment.
    Env,
    /// A key of a Secret in the check's namespace.
    SecretKeyRef,
}

impl Ceiling {
    /// The open ceiling, which limits nothing: the operator wrote the check.
    pub fn open() -> Arc<Self> {
        Arc::new(Self { home: None, tenant: None })
    }

    /// The open ceiling for the checks of this namespace: the operator vouches for who writes there.
    pub fn trusted(namespace: &str) -> Arc<Self> {
        Arc::new(Self { home: Some(namespace.to_owned()), tenant: None })
    }

    /// The ceiling for the checks of a tenant's namespace. `domain` is that of the cluster's names.
    pub fn tenant(namespace: &str, domain: &str, bounds: Arc<Bounds>) -> Arc<Self> {
        let territory = Territory::new(namespace, domain);
        let tenant = Tenant { namespace: namespace.to_owned(), territory, bounds };
        Arc::new(Self { home: Some(namespace.to_owned()), tenant: Some(tenant) })
    }

    /// The only namespace that checks under this ceiling can be in; none where they can be in any.
    pub fn home(&self) -> Option<&str> {
        self.home.as_deref()
    }

    /// Whether the ceiling limits nothing: the operator vouches for who writes there.
    pub fn is_open(&self) -> bool {
        self.tenant.is_none()
    }

    /// The service account that a check's calls to the Kubernetes API impersonate; none for the daemon's own
    /// identity.
    /// `named` is the account that the manifest names.
    pub fn account(&self, namespace: &str, named: Option<&str>) -> Result<Option<Account>, Denied> {
        let account = |name: &str| Account { namespace: namespace.to_owned(), name: name.to_owned() };
        match &self.tenant {
            Some(tenant) => tenant.account(named).map(|name| Some(account(name))),
            None => Ok(named.map(account)),
        }
    }

    /// Whether a secret may come from this kind of place.
    pub fn secret(&self, kind: SecretKind) -> Result<(), Denied> {
        self.tenant.as_ref().map_or(Ok(()), |tenant| tenant.secret(kind))
    }

    /// The most of this limit that a check may have, in the limit's unit.
    pub fn most(&self, limit: Limit) -> u64 {
        let Some(tenant) = &self.tenant else { return *limit.range().end() };
        match &tenant.bounds.limits {
            Some(limits) => limits.get(limit),
            None => Limits::most_of_tenants().get(limit),
        }
    }

    /// Whether a check may have this amount of the limit.
    pub fn limit(&self, limit: Limit, amount: u64) -> Result<(), Denied> {
        match &self.tenant {
            Some(tenant) if amount > self.most(limit) => {
                let asked = format!("{} of {}", limit.path(), limit.written(amount));
                Err(Denied::new(asked, limit.line(amount)).by_policy(&tenant.namespace))
            }
            _ => Ok(()),
        }
    }

    /// The most memory, code included, that all guests of the namespace may hold together; none where there
    /// is no limit.
    pub fn memory(&self) -> Option<Size> {
        self.tenant.as_ref().map(|tenant| tenant.bounds.memory.unwrap_or(MOST_MEMORY))
    }

    /// The most bytes that all metrics made by checks of the namespace may take together; none where there is
    /// no limit.
    pub fn series(&self) -> Option<Size> {
        self.tenant.as_ref().map(|_| MOST_SERIES)
    }

    /// The most bytes that the targets of all checks of the namespace may hold together; none where there is
    /// no limit.
    pub fn targets(&self) -> Option<Size> {
        self.tenant.as_ref().map(|_| MOST_TARGETS)
    }

    pub(super) fn http(&self, method: Method, url: &Url) -> Option<Reach> {
        self.tenant.as_ref().map_or(Some(Reach::Literal), |tenant| tenant.http(method, url))
    }

    pub(super) fn tcp(&self, host: &Host<&str>, port: u16) -> Option<Reach> {
        self.tenant.as_ref().map_or(Some(Reach::Literal), |tenant| tenant.tcp(host, port))
    }

    pub(super) fn dns(&self, name: &str, server: Option<SocketAddr>) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| tenant.dns(name, server))
    }

    pub(super) fn kubernetes(&self, own: &str, access: &Access<'_>) -> bool {
        self.tenant.as_ref().is_none_or(|tenant| tenant.kubernetes(own, access))
    }
}

impl Tenant {
    fn http(&self, method: Method, url: &Url) -> Option<Reach> {
        let most = self.bounds.grants.http.as_ref();
        let most = most.map(|most| most.iter().filter_map(|grant| grant.reach(method, url)).max());
        self.reach(&url.host()?, most)
    }

    fn tcp(&self, host: &Host<&str>, port: u16) -> Option<Reach> {
        let most = self.bounds.grants.tcp.as_ref();
        let most = most.map(|most| most.iter().filter_map(|grant| grant.reach(host, port)).max());
        self.reach(host, most)
    }

    /// How far a host may be reached, given the reach that a rule allows, if there is a rule.
    /// Without a rule it is the tenant's own Services, and what the Internet offers to everybody. Tenants can
    /// make a Service an alias, so their names are never followed further.
    fn reach(&self, host: &Host<&str>, rule: Option<Option<Reach>>) -> Option<Reach> {
        let place = match host {
            Host::Domain(name) => self.territory.place(name),
            Host::Ipv4(_) | Host::Ipv6(_) => NameOwner::Outside,
        };
        match (rule, place) {
            (Some(rule), NameOwner::Own) => rule.map(|reach| reach.min(Reach::Service)),
            (Some(rule), _) => rule,
            (None, NameOwner::Own) => Some(Reach::Service),
            (None, NameOwner::Cluster) => None,
            (None, NameOwner::Outside) => Some(Reach::Internet),
        }
    }

    /// Whether a name may be looked up. Without a rule, these are the tenant's own names and those outside of
    /// the cluster.
    fn dns(&self, name: &str, server: Option<SocketAddr>) -> bool {
        if let Some(most) = &self.bounds.grants.dns {
            return most.allows(name, server);
        }
        let name = trim(name);
        let reverse = |zone: &&str| name.eq_ignore_ascii_case(zone) || is_below(name, zone);
        server.is_none_or(|server| Class::of(server.ip()) == Class::Public)
            && self.territory.place(name) != NameOwner::Cluster
            && !REVERSE_ZONES.iter().any(reverse)
    }

    /// Whether the Kubernetes API may be called like this. Without a rule, it may within the tenant's own
    /// namespace, where the account's rights decide.
    fn kubernetes(&self, own: &str, access: &Access<'_>) -> bool {
        match &self.bounds.grants.kubernetes {
            Some(most) => most.iter().any(|grant| grant.allows(own, access)),
            None => access.namespace == Some(&*self.namespace),
        }
    }

    fn account<'a>(&'a self, named: Option<&'a str>) -> Result<&'a str, Denied> {
        let listed = self.bounds.accounts.as_deref().unwrap_or_default();
        let default = listed.first().map_or(ACCOUNT, String::as_str);
        match named {
            Some(name) if name != default && !listed.iter().any(|listed| listed == name) => {
                let line = format!("serviceAccounts: [{name}]");
                Err(Denied::new(format!("the service account {name}"), line).by_policy(&self.namespace))
            }
            named => Ok(named.unwrap_or(default)),
        }
    }

    fn secret(&self, kind: SecretKind) -> Result<(), Denied> {
        let allowed = self.bounds.secrets.as_deref().unwrap_or(&[SecretKind::SecretKeyRef]);
        if allowed.contains(&kind) {
            return Ok(());
        }
        let line = format!("secrets: [{}]", kind.name());
        Err(Denied::new(format!("secrets from `{}`", kind.name()), line).by_policy(&self.namespace))
    }
}

impl SecretKind {
    /// The key of this kind of place in a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Env => "env",
            Self::SecretKeyRef => "secretKeyRef",
        }
    }
}

/// Deserializes a value that has to be there: a key without a value is a mistake, and does not mean the
/// default.
pub(crate) fn mentioned<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
