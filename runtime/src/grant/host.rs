//! The patterns for hosts and ports that grants are made of.

use super::address::Reach;
use std::{fmt, net::IpAddr, str::FromStr};
use url::Host;

/// A pattern for the hosts that a grant names: `*`, `*.example.com`, `example.com`, or an address.
/// `*.example.com` means any depth below, and not the name itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum HostPattern {
    Any,
    Below(String),
    Name(String),
    Address(IpAddr),
}

/// A pattern for the ports that a grant names: `443`, `8000-9000`, or `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PortPattern {
    first: u16,
    last: u16,
}

impl HostPattern {
    /// How far a grant for this pattern reaches for `host`; none if the pattern does not mean that host.
    pub(super) fn reach(&self, host: &Host<&str>) -> Option<Reach> {
        let address = match host {
            Host::Domain(name) => return self.reach_name(trim(name)),
            Host::Ipv4(address) => IpAddr::V4(*address),
            Host::Ipv6(address) => IpAddr::V6(*address),
        };
        match self {
            Self::Any => Some(Reach::Public),
            Self::Address(granted) => (*granted == address.to_canonical()).then_some(Reach::Literal),
            Self::Below(_) | Self::Name(_) => None,
        }
    }

    fn reach_name(&self, name: &str) -> Option<Reach> {
        match self {
            Self::Any => Some(Reach::Public),
            Self::Below(parent) => is_below(name, parent).then_some(Reach::Public),
            Self::Name(granted) if !granted.eq_ignore_ascii_case(name) => None,
            Self::Name(granted) if granted == "localhost" => Some(Reach::Loopback),
            Self::Name(_) => Some(Reach::Private),
            Self::Address(_) => None,
        }
    }
}

/// The name without the dot that may end an absolute name.
pub(crate) fn trim(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether a name has an empty label.
fn has_gap(name: &str) -> bool {
    name.split('.').any(str::is_empty)
}

/// Whether a name lies in the zone `parent`, at any depth below it.
pub(crate) fn is_below(name: &str, parent: &str) -> bool {
    let (name, parent) = (name.as_bytes(), parent.as_bytes());
    name.len() > parent.len() + 1
        && name[name.len() - parent.len() - 1] == b'.'
        && name[name.len() - parent.len()..].eq_ignore_ascii_case(parent)
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(parent) => (true, parent),
            None => (false, text),
        };
        if has_gap(trim(name)) || name.contains('*') {
            return Err(format!(
                "`{text}` is no host: write `example.com`, `*.example.com`, `*` or an address"
            ));
        }
        // The URL parser reads every spelling of an address as the address that is dialled.
        let host = Host::parse(trim(name)).map_err(|error| format!("`{text}` is no host: {error}"))?;
        match host {
            // Such a name could be an address, if its last dots were taken away.
            Host::Domain(name) if has_gap(&name) => {
                Err(format!("`{text}` is no host: between two dots there is a name"))
            }
            Host::Domain(name) if below => Ok(Self::Below(name)),
            Host::Domain(name) => Ok(Self::Name(name)),
            _ if below => Err(format!("`{text}` is no host: an address has nothing below it")),
            Host::Ipv4(address) => Ok(Self::Address(address.into())),
            Host::Ipv6(address) => Ok(Self::Address(IpAddr::V6(address).to_canonical())),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => out.write_str("*"),
            Self::Below(parent) => write!(out, "*.{parent}"),
            Self::Name(name) => out.write_str(name),
            Self::Address(IpAddr::V4(address)) => address.fmt(out),
            Self::Address(IpAddr::V6(address)) => write!(out, "[{address}]"),
        }
    }
}

impl PortPattern {
    pub(super) fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }

    pub(super) fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

impl FromStr for PortPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self { first: 1, last: u16::MAX });
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self { first, last }),
            _ => Err(format!("`{text}` is no port: write `443`, `8000-9000` or `*`")),
        }
    }
}

impl fmt::Display for PortPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.first, self.last) {
            (1, u16::MAX) => out.write_str("*"),
            (first, last) if first == last => first.fmt(out),
            (first, last) => write!(out, "{first}-{last}"),
        }
    }
}

/// Splits `host:ports` into host and ports; the colons within brackets belong to an IPv6 address.
pub(super) fn split_ports(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((host, ports)) if !ports.contains(']') => (host, Some(ports)),
        _ => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(pattern: &str, host: &str) -> Option<Reach> {
        let pattern: HostPattern = pattern.parse().expect("a pattern");
        let host = Host::parse(host).expect("a host");
        let host = match &host {
            Host::Domain(name) => Host::Domain(name.as_str()),
            Host::Ipv4(address) => Host::Ipv4(*address),
            Host::Ipv6(address) => Host::Ipv6(*address),
        };
        pattern.reach(&host)
    }

    #[test]
    fn a_listed_name_reaches_private_addresses_and_a_wildcard_does_not() {
        assert_eq!(reach("db.prod.svc", "DB.prod.svc."), Some(Reach::Private));
        assert_eq!(reach("*.prod.svc", "db.prod.svc"), Some(Reach::Public));
        assert_eq!(reach("*", "db.prod.svc"), Some(Reach::Public));
        assert_eq!(reach("localhost", "localhost"), Some(Reach::Loopback));
        assert_eq!(reach("db.prod.svc", "db2.prod.svc"), None);
    }

    #[test]
    fn a_name_with_nothing_between_two_dots_is_none() {
        for text in ["127.0.%2E", "127.0..", "a..b", ".a", "*..a"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text}");
        }
        assert!("example.com.".parse::<HostPattern>().is_ok());
    }

    #[test]
    fn below_a_name_is_any_depth_but_not_the_name_nor_its_neighbours() {
        assert_eq!(reach("*.example.com", "a.b.example.com"), Some(Reach::Public));
        for other in ["example.com", "badexample.com", "example.com.evil.test", "10.0.0.1"] {
            assert_eq!(reach("*.example.com", other), None, "{other}");
        }
    }

    #[test]
    fn every_spelling_of_an_address_is_the_same_address() {
        for spelling in ["127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]"] {
            assert_eq!(reach("127.0.0.1", spelling), Some(Reach::Literal), "{spelling}");
            assert_eq!(reach("*", spelling), Some(Reach::Public), "{spelling}");
        }
        assert_eq!(reach("[::1]", "[0:0:0:0:0:0:0:1]"), Some(Reach::Literal));
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for text in ["", "*.", "a*b", "*.*", "*.10.0.0.1", "a b", "[::1", "exa\nmple.com", "a/b", "a@b"] {
            assert!(text.parse::<HostPattern>().is_err(), "{text:?}");
        }
        for text in ["", "0", "65536", "9-8", "a", "-", "1-", "443 "] {
            assert!(text.parse::<PortPattern>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn patterns_are_printed_as_they_are_written() {
        for text in ["*", "*.example.com", "example.com", "10.0.0.1", "[fd00::1]"] {
            assert_eq!(text.parse::<HostPattern>().expect("a pattern").to_string(), text);
        }
        for text in ["*", "443", "8000-9000"] {
            assert_eq!(text.parse::<PortPattern>().expect("ports").to_string(), text);
        }
    }
}
