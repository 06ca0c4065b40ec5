//! Grants for DNS lookups.

use super::{
    Denied,
    host::{HostPattern, trim},
};
use crate::value::text_conversions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
};
use url::Host;

/// Lookups that a check may make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DnsGrant {
    /// The names that may be asked for: `example.com`, `*.svc.cluster.local`, `*`. An address means its reverse name.
    pub names: Vec<NamePattern>,
    /// The servers that may be asked: `cluster` (the daemon's own name server), `10.0.0.10` or `10.0.0.10:5353`.
    #[serde(default = "cluster")]
    pub servers: Vec<ServerPattern>,
}

/// A name, `*.` and a name, `*`, or an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct NamePattern(HostPattern);

/// `cluster`, or the address of a name server; port 53 unless told otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct ServerPattern(Option<SocketAddr>);

impl DnsGrant {
    /// Whether `name` may be looked up at `server`; none is the cluster's own.
    pub(super) fn allows(&self, name: &str, server: Option<SocketAddr>) -> bool {
        let canonical = server.map(canonical);
        self.servers.iter().any(|granted| granted.0 == canonical)
            && self.names.iter().any(|pattern| pattern.matches(trim(name)))
    }
}

impl NamePattern {
    fn matches(&self, name: &str) -> bool {
        match &self.0 {
            HostPattern::Address(address) => reverse_name(*address).eq_ignore_ascii_case(name),
            pattern => pattern.reach(&Host::Domain(name)).is_some(),
        }
    }
}

/// The name of an address in the reverse zones, without a final dot.
fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}.")).collect::<String>() + "ip6.arpa"
        }
    }
}

fn canonical(server: SocketAddr) -> SocketAddr {
    SocketAddr::new(server.ip().to_canonical(), server.port())
}

fn cluster() -> Vec<ServerPattern> {
    vec![ServerPattern(None)]
}

pub(super) fn denied(name: &str, server: Option<SocketAddr>) -> Denied {
    let (name, server) = (trim(name), ServerPattern(server));
    let at = server.0.map(|_| format!(" at {server}")).unwrap_or_default();
    let line = format!("dns: {{ names: [\"{name}\"], servers: [\"{server}\"] }}");
    Denied::new(format!("a lookup of {name}{at}"), line)
}

impl FromStr for NamePattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = text.parse::<IpAddr>().map(|address| HostPattern::Address(address.to_canonical()));
        address.or_else(|_| text.parse()).map(Self)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            HostPattern::Address(address) => address.fmt(out),
            pattern => pattern.fmt(out),
        }
    }
}

impl FromStr for ServerPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "cluster" {
            return Ok(Self(None));
        }
        let server = text.parse().or_else(|_| text.parse().map(|address| SocketAddr::new(address, 53)));
        let error = || format!("`{text}` is no DNS server: write `cluster`, `10.0.0.10` or `10.0.0.10:5353`");
        match server {
            // A scope id names a link of this machine, and no grant says anything about it.
            Ok(SocketAddr::V6(server)) if server.scope_id() != 0 => Err(error()),
            Ok(server) => Ok(Self(Some(canonical(server)))),
            Err(_) => Err(error()),
        }
    }
}

impl fmt::Display for ServerPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => out.write_str("cluster"),
            Some(server) if server.port() == 53 => server.ip().fmt(out),
            Some(server) => server.fmt(out),
        }
    }
}

text_conversions!(NamePattern);
text_conversions!(ServerPattern);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::testing::authorization;

    fn judge(grants: &str, name: &str, server: Option<&str>) -> Result<(), String> {
        let server = server.map(|server| server.parse().expect("an address and port"));
        authorization(grants).dns(name, server).map_err(|denied| denied.to_string())
    }

    #[test]
    fn names_match_without_regard_to_case_and_final_dot() {
        let grants = "dns: { names: [\"*.svc.cluster.local.\", Example.com] }";
        for name in ["Kubernetes.default.SVC.cluster.local.", "example.COM", "example.com."] {
            assert_eq!(judge(grants, name, None), Ok(()), "{name}");
        }
        for name in ["svc.cluster.local", "www.example.com", "example.org"] {
            assert!(judge(grants, name, None).is_err(), "{name}");
        }
    }

    #[test]
    fn only_listed_servers_may_be_asked_and_the_clusters_own_is_the_default() {
        assert!(judge("dns: { names: [\"*\"] }", "a.b", Some("10.0.0.10:53")).is_err());
        let grants = "dns: { names: [\"*\"], servers: [10.0.0.10, \"[fd00::a]:5353\"] }";
        for server in ["10.0.0.10:53", "[::ffff:10.0.0.10]:53", "[fd00::a]:5353"] {
            assert_eq!(judge(grants, "a.b", Some(server)), Ok(()), "{server}");
        }
        assert!(judge(grants, "a.b", None).is_err());
        assert!(judge(grants, "a.b", Some("10.0.0.10:54")).is_err());
        for text in
            ["dns.example", "10.0.0.10:99999", "[fe80::1%2]:53", "fe80::1%2", "010.0.0.10", "0x0a.0.0.1"]
        {
            assert!(text.parse::<ServerPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_stands_for_its_reverse_name() {
        let grants = "dns: { names: [10.1.2.3, \"fd00::1\"] }";
        assert_eq!(judge(grants, "3.2.1.10.in-addr.arpa.", None), Ok(()));
        let reverse = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
        assert_eq!(judge(grants, reverse, None), Ok(()));
        assert!(judge(grants, "4.2.1.10.in-addr.arpa", None).is_err());
    }

    #[test]
    fn the_refusal_holds_the_line_that_would_allow_it() {
        for server in [None, Some("10.0.0.10:5353"), Some("[fd00::a]:53")] {
            let refusal = judge("{}", "Example.com.", server).expect_err("no grant");
            let (_, line) = refusal.split_once(" `").expect("a line in backticks");
            let line = line.trim_end_matches('`');
            assert_eq!(judge(line, "example.com", server), Ok(()), "{refusal}");
        }
    }
}
