//! The client of a request, for limits per client.

use crate::settings::Networks;
use axum::{
    extract::FromRequestParts,
    http::{Extensions, HeaderMap, request::Parts},
};
use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr},
};

/// The header `X-Forwarded-For`, to which each proxy appends the address that it got the request from.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// A client for limits: an IPv4 address, or a /64 network of IPv6, as one machine may have all addresses of
/// it. The address is that of the connection, or the one that a trusted proxy names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client(IpAddr);

impl Client {
    /// The client of a request whose sender is not known.
    const UNKNOWN: Self = Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED));

    /// The client of a request, from the request's extensions.
    pub(super) fn of_request(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or(Self::UNKNOWN)
    }

    /// The client to which this address belongs.
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = u128::from(address) >> 64 << 64;
                IpAddr::V6(network.into())
            }
            address => address,
        })
    }
}

/// The proxies whose `X-Forwarded-For` is trusted.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Networks);

impl TrustedProxies {
    /// Trusts every proxy whose address is in one of these networks.
    pub fn new(networks: Networks) -> Self {
        Self(networks)
    }

    /// Whether this is the address of a trusted proxy.
    pub(super) fn trusts(&self, address: IpAddr) -> bool {
        self.0.contain(address.to_canonical())
    }

    /// The client of a request over a connection from this address. Behind trusted proxies, it is the last
    /// address in `X-Forwarded-For` that is not a trusted proxy's. A client can forge only the addresses
    /// before its own.
    pub(super) fn client(&self, address: IpAddr, headers: &HeaderMap) -> Client {
        if !self.trusts(address) {
            return Client::of(address);
        }
        let lines = headers.get_all(FORWARDED_FOR).into_iter().filter_map(|line| line.to_str().ok());
        let added: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
        let mut client = address;
        for word in added.into_iter().rev() {
            let Some(address) = parse_address(word) else { break };
            client = address;
            if !self.trusts(address) {
                break;
            }
        }
        Client::of(client)
    }
}

/// Reads an address of `X-Forwarded-For`, with or without a port. None if it is not valid.
fn parse_address(word: &str) -> Option<IpAddr> {
    let with_port = || word.parse().ok().map(|address: std::net::SocketAddr| address.ip());
    word.parse().ok().or_else(with_port)
}

impl<S: Send + Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of_request(&parts.extensions))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> Client {
        Client::of(text.parse().expect("an address"))
    }

    /// The client for a peer address and these `X-Forwarded-For` headers, where 10.0.0.0/8 and
    /// 2001:db8:1::/48 are proxies.
    fn behind(address: &str, lines: &[&str]) -> Client {
        let networks = "10.0.0.0/8,2001:db8:1::/48".split(',').map(|text| text.parse().expect("a network"));
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, line.parse().expect("a header"));
        }
        let proxies = TrustedProxies::new(networks.collect());
        proxies.client(address.parse().expect("an address"), &headers)
    }

    #[test]
    fn a_trusted_proxy_tells_who_asks() {
        assert_eq!(behind("10.0.0.1", &["192.0.2.1"]), client("192.0.2.1"));
        assert_eq!(behind("::ffff:10.0.0.1", &["192.0.2.1, 10.9.9.9"]), client("192.0.2.1"));
        assert_eq!(behind("2001:db8:1::1", &["[2001:db8::7]:4711"]), client("2001:db8::7"));
        assert_eq!(behind("10.0.0.1", &["192.0.2.1:4711"]), client("192.0.2.1"));
        assert_eq!(behind("10.0.0.1", &["192.0.2.7", "192.0.2.1", "10.9.9.9"]), client("192.0.2.1"));
        assert_eq!(behind("10.0.0.1", &[]), client("10.0.0.1"));
    }

    #[test]
    fn nobody_else_is_believed_about_who_asks() {
        assert_eq!(behind("192.0.2.1", &["198.51.100.1"]), client("192.0.2.1"));
        assert_eq!(
            behind("10.0.0.1", &["198.51.100.1, 192.0.2.1"]),
            client("192.0.2.1"),
            "forged by 192.0.2.1"
        );
        assert_eq!(behind("10.0.0.1", &["198.51.100.1, rubbish, 10.9.9.9"]), client("10.9.9.9"));
        assert_eq!(behind("10.0.0.1", &["rubbish"]), client("10.0.0.1"));
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_client() {
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1:2:3"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
    }

    #[test]
    fn an_ipv4_address_is_one_client_however_it_is_written() {
        assert_eq!(client("::ffff:10.0.0.1"), client("10.0.0.1"));
        assert_ne!(client("10.0.0.1"), client("10.0.0.2"));
    }
}
