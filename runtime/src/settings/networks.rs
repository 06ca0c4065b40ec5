//! Networks, by ranges of IP addresses.

use ipnet::IpNet;
use std::{net::IpAddr, str::FromStr, sync::Arc};

/// A network such as `10.0.0.0/8`, or a single IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

/// A list of networks. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Networks(Arc<[Network]>);

/// The text is neither a network nor an IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a network such as `10.0.0.0/8` or `fd00::/8`, or an address")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let address = || text.parse().map(|address: IpAddr| IpNet::from(address));
        text.parse().or_else(|_| address()).map(Self).map_err(|_| NetworkError)
    }
}

impl FromIterator<Network> for Networks {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        Self(networks.into_iter().collect())
    }
}

impl Networks {
    /// Whether one of the networks contains every address, at least of IPv4 or of IPv6.
    pub(crate) fn contain_all(&self) -> bool {
        self.0.iter().any(|Network(network)| network.prefix_len() == 0)
    }

    /// Whether one of the networks contains this address.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|Network(network)| network.contains(&address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_with_a_length_or_alone() {
        for text in ["10.0.0.0/8", "10.1.2.3", "fd00::/8", "::1", "10.1.2.3/8"] {
            assert!(text.parse::<Network>().is_ok(), "{text}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0", "example.com", "*", "10.0.0.0/8,::1"] {
            assert_eq!(text.parse::<Network>(), Err(NetworkError), "{text}");
        }
    }
}
