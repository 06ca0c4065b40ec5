//! Connections to other machines: find the addresses of a host, drop those that are not granted, dial exactly
//! the others.

#[cfg(test)]
mod tests;

use super::{
    bindings::aviary::check::{http::IpFamily, types::AddressFamily},
    http::decodings,
    sockets::{lookups, sockets},
    tls::TlsConfigs,
};
use crate::{
    fair_semaphore::FairSemaphore,
    grant::{
        CLUSTER_DOMAIN,
        address::{Class, Reach},
        is_below, trim,
    },
    value::Proxy,
};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    lookup_ip::LookupIp,
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::RecordType,
};
use std::{
    borrow::Cow,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use url::Host;

/// The most addresses of a host that are tried.
const MOST_ADDRESSES: usize = 4;
/// The most lookups that may be under way over one connection to a name server.
const CONCURRENT_LOOKUPS: usize = 4096;

/// The operator's settings for connections to other machines.
#[derive(Clone, Debug, Default)]
pub struct NetworkOptions {
    /// Certificates to trust beside those of the system, as PEM.
    pub ca: Option<String>,
    /// The name server to use; without it, those of `/etc/resolv.conf`.
    pub name_server: Option<SocketAddr>,
    /// The domain of the cluster's names, without a final dot; without it, `cluster.local`.
    pub cluster_domain: Option<String>,
    /// The proxy for HTTP requests to public addresses; without it, they go there directly.
    pub egress_proxy: Option<Proxy>,
}

/// What all guests share for connections to other machines. Proxies in the environment are not used.
pub struct Network {
    /// The name server that manifests call `cluster`.
    pub(super) cluster: SocketAddr,
    /// The TLS configurations, which say whom to trust.
    pub(super) tls: TlsConfigs,
    /// The permits for open sockets, by namespace.
    pub(super) sockets: FairSemaphore,
    /// The permits for decoding bodies of HTTP responses, by namespace.
    pub(super) decodings: FairSemaphore,
    /// The permits for lookups of names, by namespace.
    lookups: FairSemaphore,
    cluster_domain: String,
    egress_proxy: Option<Proxy>,
    resolver: TokioResolver,
}

/// Why the network cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The operator's CA certificates cannot be used.
    #[error("cannot trust the extra CA certificates: {0}")]
    Ca(String),
    /// The configuration of the system's resolver cannot be used.
    #[error("cannot set up the resolver: {0}")]
    Resolver(String),
}

/// Why no connection was made.
#[derive(Debug)]
pub enum DialError {
    /// The name has no address; the text is the resolver's.
    Resolve(String),
    /// The host may be reached, but not at this address, which is the least delicate it has.
    Forbidden(IpAddr),
    /// The connection was not made in time.
    Timeout,
    /// The machine refused the connection, as nobody listens there.
    Refused,
    /// The network knows no way to the address.
    Unreachable,
    /// The system reported another error.
    Io(String),
}

impl Network {
    /// Sets up the network from the system's resolver configuration, hosts file and root certificates.
    pub fn new(options: &NetworkOptions) -> Result<Self, NetworkError> {
        let tls = TlsConfigs::new(options.ca.as_deref()).map_err(NetworkError::Ca)?;
        let (config, mut resolver_options) = match options.name_server {
            Some(server) => (only(server), Default::default()),
            None => system_resolver(),
        };
        // No cache, so that a check sees what the name server says now.
        resolver_options.cache_size = 0;
        // The chain of aliases is needed, as aliases are judged.
        resolver_options.preserve_intermediates = true;
        resolver_options.max_active_requests = CONCURRENT_LOOKUPS;
        let first = config.name_servers().first();
        let port =
            first.and_then(|server| server.connections.first()).map_or(53, |connection| connection.port);
        let cluster = SocketAddr::new(first.map_or(Ipv4Addr::LOCALHOST.into(), |server| server.ip), port);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = resolver.with_options(resolver_options).build();
        let resolver = resolver.map_err(|error| NetworkError::Resolver(error.to_string()))?;
        let cluster_domain = options.cluster_domain.as_deref().unwrap_or(CLUSTER_DOMAIN).to_owned();
        Ok(Self {
            cluster,
            tls,
            sockets: sockets(),
            decodings: decodings(),
            lookups: lookups(),
            cluster_domain,
            egress_proxy: options.egress_proxy.clone(),
            resolver,
        })
    }

    /// The addresses of `host` that may be dialled, at least one and at most four. A lookup waits for a
    /// permit of its namespace.
    pub async fn resolve(
        &self,
        namespace: &str,
        host: &Host<&str>,
        family: IpFamily,
        mut reach: Reach,
    ) -> Result<Vec<IpAddr>, DialError> {
        let (mut addresses, name) = match host {
            Host::Ipv4(address) => (vec![IpAddr::V4(*address)], ""),
            Host::Ipv6(address) => (vec![IpAddr::V6(*address)], ""),
            Host::Domain(name) => {
                let _permit = self.lookups.take(namespace).await;
                let found = self.resolver.lookup_ip(self.in_full(name, reach).as_ref()).await;
                let found = found.map_err(|error| DialError::Resolve(in_words(&error)))?;
                if reach == Reach::Service && is_alias(&found) {
                    reach = Reach::Internet;
                }
                (found.iter().collect(), trim(name))
            }
        };
        addresses.retain(|address| match family {
            IpFamily::Any => true,
            IpFamily::Ipv4 => address.is_ipv4(),
            IpFamily::Ipv6 => address.is_ipv6(),
        });
        let Some(best) = addresses.iter().copied().min_by_key(|address| Class::of(*address)) else {
            return Err(DialError::Resolve(
                format!("{name} has no address of that family").trim().to_owned(),
            ));
        };
        addresses.retain(|address| reach.allows(Class::of(*address)));
        addresses.truncate(MOST_ADDRESSES);
        if addresses.is_empty() { Err(DialError::Forbidden(best)) } else { Ok(addresses) }
    }

    /// The proxy for a host with these addresses; none if it is dialled directly. Through the proxy go public addresses,
    /// and names that cannot be looked up here, as the proxy may know them.
    pub fn proxy_for(&self, addresses: &Result<Vec<IpAddr>, DialError>) -> Option<&Proxy> {
        let proxied = match addresses {
            Ok(addresses) => addresses.iter().all(|address| Class::of(*address) == Class::Public),
            Err(error) => matches!(error, DialError::Resolve(_)),
        };
        self.egress_proxy.as_ref().filter(|_| proxied)
    }

    /// The name to ask for. The search domains are the daemon's, so only names that may reach what it reaches
    /// get them.
    fn in_full<'a>(&self, name: &'a str, reach: Reach) -> Cow<'a, str> {
        let complete = trim(name);
        match reach {
            Reach::Service if !is_below(complete, &self.cluster_domain) => {
                format!("{complete}.{}.", self.cluster_domain).into()
            }
            Reach::Service | Reach::Internet => format!("{complete}.").into(),
            _ => name.into(),
        }
    }
}

impl From<AddressFamily> for IpFamily {
    fn from(family: AddressFamily) -> Self {
        match family {
            AddressFamily::Any => Self::Any,
            AddressFamily::Ipv4 => Self::Ipv4,
            AddressFamily::Ipv6 => Self::Ipv6,
        }
    }
}

fn is_alias(found: &LookupIp) -> bool {
    found.as_lookup().answers().iter().any(|record| record.record_type() == RecordType::CNAME)
}

/// Connects to the first of `addresses` that answers. Each gets its share of the time that is left.
pub async fn connect(
    addresses: &[IpAddr],
    port: u16,
    deadline: Instant,
) -> Result<(TcpStream, SocketAddr), DialError> {
    let mut failure = DialError::Timeout;
    for (index, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - index).unwrap_or(1);
        let share = deadline.saturating_duration_since(Instant::now()) / left;
        let address = SocketAddr::new(*address, port);
        failure = match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // This fails only for a peer that is gone, which the first read shows.
                let _ = stream.set_nodelay(true);
                return Ok((stream, address));
            }
            Ok(Err(error)) => error.into(),
            Err(_) => DialError::Timeout,
        };
    }
    Err(failure)
}

/// The error in words, as the library's own would show its data structures.
fn in_words(error: &NetError) -> String {
    match error {
        error if error.is_nx_domain() => "there is no such name".to_owned(),
        error if error.is_no_records_found() => "the name has no address".to_owned(),
        error => error.to_string(),
    }
}

impl From<io::Error> for DialError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::TimedOut => Self::Timeout,
            io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::AddrNotAvailable => Self::Unreachable,
            _ => Self::Io(error.to_string()),
        }
    }
}

fn system_resolver() -> (ResolverConfig, hickory_resolver::config::ResolverOpts) {
    hickory_resolver::system_conf::read_system_conf().unwrap_or_else(|error| {
        let local = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53);
        tracing::warn!("cannot read /etc/resolv.conf: {error}; names are looked up at {local}");
        (only(local), Default::default())
    })
}

fn only(server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.into());
    ResolverConfig::from_name_servers(vec![server])
}
