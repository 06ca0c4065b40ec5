//! What one check may reach. Pure: judging a grant needs neither the network nor a guest.

pub mod address;
mod dns;
mod host;
mod http;
mod tcp;

pub use dns::{DnsGrant, NamePattern, ServerPattern};
pub use http::{HttpGrant, Method, OriginPattern};
pub use tcp::{TargetPattern, TcpGrant};

use crate::capability::Capability;
use address::{Class, Reach};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use url::{Host, Url};

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
}

pub struct Access<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub namespace: Option<&'a str>,
    pub name: Option<&'a str>,
}

/// The grant is missing; the text says what was attempted, and the YAML that would grant it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denied(String);

impl Grants {
    /// Whether a module that imports this capability may be started.
    pub fn covers(&self, capability: Capability) -> bool {
        match capability {
            Capability::Dns => self.dns.is_some(),
            Capability::Http => !self.http.is_empty(),
            Capability::Tcp => !self.tcp.is_empty(),
            Capability::Kubernetes => false,
            // Secrets are granted by the manifest's own list of them.
            Capability::Log | Capability::Metrics | Capability::Secrets => true,
        }
    }

    /// How far a request may reach.
    pub fn http(&self, method: Method, url: &Url) -> Result<Reach, Denied> {
        let reach = self.http.iter().filter_map(|grant| grant.reach(method, url)).max();
        reach.ok_or_else(|| http::denied(method, url))
    }

    /// How far a connection to `host:port` may reach.
    pub fn tcp(&self, host: &Host<&str>, port: u16) -> Result<Reach, Denied> {
        let reach = self.tcp.iter().filter_map(|grant| grant.reach(host, port)).max();
        reach.ok_or_else(|| tcp::denied(host, port))
    }

    /// Whether a name may be looked up, at that server or (none) the cluster's own. The name is in ASCII.
    pub fn dns(&self, name: &str, server: Option<SocketAddr>) -> Result<(), Denied> {
        let granted = self.dns.as_ref().is_some_and(|grant| grant.allows(name, server));
        granted.then_some(()).ok_or_else(|| dns::denied(name, server))
    }
}

impl Denied {
    /// The URL is granted, but not the address that its host has.
    pub fn http_address(method: Method, url: &Url, address: IpAddr) -> Self {
        http::denied_address(method, url, address)
    }

    /// The host and port are granted, but not the address that the host has.
    pub fn tcp_address(host: &Host<&str>, port: u16, address: IpAddr) -> Self {
        tcp::denied_address(host, port, address)
    }

    fn new(attempt: &str, line: &str) -> Self {
        Self(format!("not granted: {attempt}; grant it with `{line}`"))
    }

    fn address(attempt: &str, address: IpAddr, line: &str) -> Self {
        let class = Class::of(address);
        let advice = match class {
            Class::Public | Class::Private => "grant it with",
            _ => "which has to be asked for and granted by itself, with",
        };
        Self(format!("not granted: {attempt} is at {address}, {}, {advice} `{line}`", class.describe()))
    }
}

/// An example of what grants these capabilities, as one line of YAML under `spec` for each key; empty
/// if none needs a grant.
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
        Capability::Kubernetes | Capability::Log | Capability::Metrics | Capability::Secrets => None,
    }
}

/// Gives a type that is written as text its conversions for serde.
macro_rules! text {
    ($type:ty) => {
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> Self {
                value.to_string()
            }
        }
    };
}
use text;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_grants_what_it_is_for() {
        for capability in [Capability::Dns, Capability::Http, Capability::Tcp] {
            let yaml = example(capability).expect("an example");
            let grants: Grants = serde_saphyr::from_str(yaml).expect("valid grants");
            assert!(grants.covers(capability) && !Grants::default().covers(capability), "{yaml}");
        }
    }

    #[test]
    fn grants_are_printed_as_they_are_written() {
        let text = "{\"dns\":{\"names\":[\"*\"],\"servers\":[\"cluster\",\"10.0.0.10\",\"[fd00::a]:5353\"]},\
            \"http\":[{\"hosts\":[\"https://*.example.com:8443\"],\"methods\":[\"GET\",\"POST\"],\"private\":true}],\
            \"tcp\":[{\"targets\":[\"db.prod.svc:5432\"]}]}";
        let grants: Grants = serde_json::from_str(text).expect("valid grants");
        assert_eq!(serde_json::to_string(&grants).expect("json"), text);
    }

    #[test]
    fn patterns_are_texts_in_the_schema() {
        let schema = schemars::schema_for!(Grants);
        for pattern in ["OriginPattern", "TargetPattern", "NamePattern", "ServerPattern"] {
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
