//! Grants: what one check may reach. Pure: judging a grant needs neither the network nor a guest.

mod account;
pub mod address;
mod authorization;
mod capability;
mod ceiling;
mod dns;
mod host;
mod http;
mod kubernetes;
mod tcp;
mod territory;

pub use account::Account;
pub use authorization::Authorization;
pub use capability::Capability;
pub(crate) use ceiling::mentioned;
pub use ceiling::{ACCOUNT, Bounds, Ceiling, MostGrants, SecretKind};
pub use dns::{DnsGrant, NamePattern, ServerPattern};
pub(crate) use host::{is_below, trim};
pub use http::{HttpGrant, Method, OriginPattern};
pub use kubernetes::{
    Access, ApiGroupPattern, KubernetesGrant, NamespacePattern, ObjectName, ResourcePattern, VerbPattern,
};
pub use tcp::{TargetPattern, TcpGrant};

use address::{Class, Reach};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};
use url::{Host, Url};

/// The usual domain of a cluster's names, without a final dot.
pub const CLUSTER_DOMAIN: &str = "cluster.local";

/// What a check may reach; nothing, unless it is granted here.
///
/// Hosts are granted by pattern: `example.com` (that name), `*.example.com` (every name below it, at any depth,
/// but not itself), `*` (every host), or an address (`10.0.0.5`, `[fd00::5]`). Private addresses are reached
/// through names that are listed without a wildcard, or with `private: true`. Loopback, link-local, metadata,
/// multicast and reserved addresses are reached only where that very address is listed; `localhost` stands for
/// the loopback addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Grants {
    /// DNS lookups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsGrant>,
    /// HTTP requests.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpGrant>,
    /// TCP connections.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<TcpGrant>,
    /// Calls to the Kubernetes API.
    #[serde(default, deserialize_with = "kubernetes::grants", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub kubernetes: Vec<KubernetesGrant>,
}

/// A refusal, because one of the two keys is missing. Its text says what was attempted, and the YAML that
/// would allow it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Denied {
    attempt: String,
    line: String,
    missing: Missing,
}

/// The thing that is missing for an attempt to be allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Missing {
    /// A grant in the manifest.
    Grant,
    /// A grant in the manifest for this very place, which is so delicate that no other grant includes it.
    OwnGrant,
    /// The permission of the policy for this namespace.
    Policy(String),
    /// No permission: a name of the cluster is an alias of something else.
    Straightness,
}

impl Grants {
    /// Whether a module that imports this capability may be started.
    pub fn covers(&self, capability: Capability) -> bool {
        match capability {
            Capability::Dns => self.dns.is_some(),
            Capability::Http => !self.http.is_empty(),
            Capability::Tcp => !self.tcp.is_empty(),
            Capability::Kubernetes => !self.kubernetes.is_empty(),
            // Secrets are granted by the manifest's own list of secrets.
            Capability::Log | Capability::Metrics | Capability::Secrets => true,
        }
    }

    fn http(&self, method: Method, url: &Url) -> Option<Reach> {
        self.http.iter().filter_map(|grant| grant.reach(method, url)).max()
    }

    fn tcp(&self, host: &Host<&str>, port: u16) -> Option<Reach> {
        self.tcp.iter().filter_map(|grant| grant.reach(host, port)).max()
    }

    fn dns(&self, name: &str, server: Option<SocketAddr>) -> bool {
        self.dns.as_ref().is_some_and(|grant| grant.allows(name, server))
    }

    fn kubernetes(&self, own: &str, access: &Access<'_>) -> bool {
        self.kubernetes.iter().any(|grant| grant.allows(own, access))
    }
}

impl Denied {
    fn new(attempt: String, line: String) -> Self {
        Self { attempt, line, missing: Missing::Grant }
    }

    fn address(attempt: &str, address: IpAddr, line: String) -> Self {
        let class = Class::of(address);
        let missing = match class {
            Class::Public | Class::Private => Missing::Grant,
            _ => Missing::OwnGrant,
        };
        Self { attempt: format!("{attempt} at {address}, {}", class.describe()), line, missing }
    }

    fn by_policy(self, namespace: &str) -> Self {
        Self { missing: Missing::Policy(namespace.to_owned()), ..self }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempt, line, missing } = self;
        match missing {
            Missing::Grant => write!(out, "not granted: {attempt}; grant it with `{line}`"),
            Missing::OwnGrant => write!(
                out,
                "not granted: {attempt}, which has to be asked for and granted by itself, with `{line}`"
            ),
            Missing::Policy(namespace) => write!(
                out,
                "the policy for namespace {namespace} does not allow {attempt}; the operator's --policy would have to, \
                 with `{line}`"
            ),
            Missing::Straightness => {
                write!(
                    out,
                    "not granted: {attempt}, which the name only leads to as an alias; name the Service itself"
                )
            }
        }
    }
}

/// Examples of grants for these capabilities: one line of YAML under `spec` for each key. Empty if none needs
/// a grant.
pub fn examples(capabilities: &[Capability]) -> Vec<String> {
    let grants: Vec<&str> = capabilities.iter().filter_map(|capability| example(*capability)).collect();
    let mut lines = Vec::new();
    if !grants.is_empty() {
        lines.push(format!("grants: {{ {} }}", grants.join(", ")));
    }
    if capabilities.contains(&Capability::Secrets) {
        lines.push("secrets: [{ name: token, file: /run/secrets/token }]".to_owned());
    }
    lines
}

fn example(capability: Capability) -> Option<&'static str> {
    match capability {
        Capability::Dns => Some("dns: { names: [\"*.svc.cluster.local\"], servers: [cluster] }"),
        Capability::Http => Some("http: [{ hosts: [\"https://api.example.com\"], methods: [GET] }]"),
        Capability::Tcp => Some("tcp: [{ targets: [\"db.prod.svc:5432\"] }]"),
        Capability::Kubernetes => {
            Some("kubernetes: [{ apiGroups: [\"\"], resources: [pods], verbs: [get, list] }]")
        }
        Capability::Log | Capability::Metrics | Capability::Secrets => None,
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
pub(crate) mod testing {
    use super::{Authorization, Ceiling};

    /// The authorization of a trusted manifest in the namespace `default` with these grants.
    pub(crate) fn authorization(grants: &str) -> Authorization {
        permit_in("default", grants)
    }

    /// The authorization of a trusted manifest in `namespace` with these grants.
    pub(crate) fn permit_in(namespace: &str, grants: &str) -> Authorization {
        let grants = serde_saphyr::from_str(grants).expect("valid grants");
        Authorization::new(namespace, grants, None, &Ceiling::open()).expect("no account was asked for")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_grants_what_it_is_for() {
        for capability in [Capability::Dns, Capability::Http, Capability::Kubernetes, Capability::Tcp] {
            let yaml = example(capability).expect("an example");
            let grants: Grants = serde_saphyr::from_str(yaml).expect("valid grants");
            assert!(grants.covers(capability) && !Grants::default().covers(capability), "{yaml}");
        }
    }

    #[test]
    fn grants_are_printed_as_they_are_written() {
        let text = "{\"dns\":{\"names\":[\"*\"],\"servers\":[\"cluster\",\"10.0.0.10\",\"[fd00::a]:5353\"]},\
            \"http\":[{\"hosts\":[\"https://*.example.com:8443\"],\"methods\":[\"GET\",\"POST\"],\"private\":true}],\
            \"tcp\":[{\"targets\":[\"db.prod.svc:5432\"]}],\
            \"kubernetes\":[{\"apiGroups\":[\"\"],\"resources\":[\"pods/log\"],\"verbs\":[\"get\"]}]}";
        let grants: Grants = serde_json::from_str(text).expect("valid grants");
        assert_eq!(serde_json::to_string(&grants).expect("json"), text);
    }

    #[test]
    fn patterns_are_texts_in_the_schema() {
        let schema = schemars::schema_for!(Grants);
        for pattern in [
            "OriginPattern",
            "TargetPattern",
            "NamePattern",
            "ServerPattern",
            "ApiGroupPattern",
            "VerbPattern",
        ] {
            let kind = schema.pointer(&format!("/$defs/{pattern}/type"));
            assert_eq!(kind, Some(&serde_json::Value::from("string")), "{pattern}");
        }
    }

    #[test]
    fn an_unknown_key_is_refused() {
        for text in
            ["{\"htp\":[]}", "{\"http\":[{\"hosts\":[],\"method\":[\"GET\"]}]}", "{\"dns\":{\"name\":[]}}"]
        {
            let error = serde_json::from_str::<Grants>(text).expect_err("an unknown key");
            assert!(error.to_string().contains("unknown field"), "{error}");
        }
    }
}
