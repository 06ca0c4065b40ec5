//! Grants for TCP connections.

use super::{
    Denied, Reach,
    address::Class,
    host::{HostPattern, PortPattern, split_ports},
    is_false,
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

/// Connections that a check may open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TcpGrant {
    /// The targets of the connections: `db.prod.svc:5432`, `*.prod.svc:8000-9000`, `10.0.0.5:*`.
    pub targets: Vec<TargetPattern>,
    /// Whether wildcards reach private addresses as well.
    #[serde(default, skip_serializing_if = "is_false")]
    pub private: bool,
}

/// A host pattern and ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct TargetPattern {
    host: HostPattern,
    ports: PortPattern,
}

impl TcpGrant {
    /// How far this grant reaches for a connection to `host:port`; none if it does not mean them.
    pub(super) fn reach(&self, host: &Host<&str>, port: u16) -> Option<Reach> {
        let meant = self.targets.iter().filter(|target| target.ports.contains(port));
        let reach = meant.filter_map(|target| target.host.reach(host)).max()?;
        Some(if self.private { reach.max(Reach::Private) } else { reach })
    }
}

pub(super) fn denied(host: &Host<&str>, port: u16) -> Denied {
    let target = format!("{host}:{port}");
    Denied::new(format!("a connection to {target}"), line(&target))
}

pub(super) fn denied_address(host: &Host<&str>, port: u16, address: IpAddr) -> Denied {
    let target = format!("{host}:{port}");
    let granted = match Class::of(address) {
        Class::Public | Class::Private => target.clone(),
        _ => SocketAddr::new(address, port).to_string(),
    };
    Denied::address(&target, address, line(&granted))
}

fn line(target: &str) -> String {
    format!("tcp: [{{ targets: [\"{target}\"] }}]")
}

impl FromStr for TargetPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match split_ports(text) {
            (host, Some(ports)) => Ok(Self { host: host.parse()?, ports: ports.parse()? }),
            (_, None) => Err(format!("`{text}` has no port: write `{text}:443`")),
        }
    }
}

impl fmt::Display for TargetPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.host, self.ports)
    }
}

text_conversions!(TargetPattern);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::testing::authorization;

    fn judge(grants: &str, host: &str, port: u16) -> Result<Reach, String> {
        let host = match host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => Host::Ipv4(address),
            Ok(IpAddr::V6(address)) => Host::Ipv6(address),
            Err(_) => Host::Domain(host),
        };
        authorization(grants).tcp(&host, port).map_err(|denied| denied.to_string())
    }

    #[test]
    fn host_and_port_have_to_be_granted() {
        let grants = "tcp: [{ targets: [\"db.prod.svc:5432\", \"*.example.com:8000-9000\", \"[::1]:*\"] }]";
        assert_eq!(judge(grants, "db.prod.svc", 5432), Ok(Reach::Private));
        assert_eq!(judge(grants, "a.example.com", 8500), Ok(Reach::Public));
        assert_eq!(judge(grants, "::1", 1), Ok(Reach::Literal));
        assert!(judge(grants, "db.prod.svc", 5433).is_err());
        assert!(judge(grants, "a.example.com", 80).is_err());
    }

    #[test]
    fn the_refusal_holds_the_line_that_would_allow_it() {
        for host in ["db.prod.svc", "10.0.0.5", "fd00::5"] {
            let refusal = judge("tcp: []", host, 5432).expect_err("no grant");
            let (_, line) = refusal.split_once(" `").expect("a line in backticks");
            let line = line.trim_end_matches('`');
            assert!(judge(line, host, 5432).is_ok(), "{refusal}");
        }
    }

    #[test]
    fn a_target_without_a_port_is_refused_with_advice() {
        assert_eq!("a.b".parse::<TargetPattern>(), Err("`a.b` has no port: write `a.b:443`".to_owned()));
        assert!("[::1]".parse::<TargetPattern>().is_err());
    }
}
