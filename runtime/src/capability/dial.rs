//! Reaching out: find the addresses of a host, drop those that are not granted, dial exactly the others.

use super::{bindings::aviary::check::http::IpFamily, tls::TlsConfigs};
use crate::grant::address::{Class, Reach};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use url::Host;

/// How many of a host's addresses are tried.
const MOST_ADDRESSES: usize = 4;
/// How many lookups may be under way over one connection to a name server.
const CONCURRENT_LOOKUPS: usize = 4096;

/// What an operator can set about reaching out.
#[derive(Clone, Debug, Default)]
pub struct NetworkOptions {
    /// PEM certificates to trust beside the system's.
    pub ca: Option<String>,
    /// The name server to use instead of those of `/etc/resolv.conf`.
    pub name_server: Option<SocketAddr>,
}

/// What all guests share for reaching out. Proxies in the environment are not used.
pub struct Network {
    /// The name server that manifests call `cluster`.
    pub(super) cluster: SocketAddr,
    /// How to trust.
    pub(super) tls: TlsConfigs,
    resolver: TokioResolver,
}

/// Why the daemon cannot reach out.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The operator's CA certificates cannot be used.
    #[error("cannot trust the extra CA certificates: {0}")]
    Ca(String),
    /// There is no resolver.
    #[error("cannot set up the resolver: {0}")]
    Resolver(String),
}

/// Why no connection was made.
#[derive(Debug)]
pub enum DialError {
    /// The name has no address; the text is the resolver's.
    Resolve(String),
    /// The host may be reached, but not at this address, which is the best it has.
    Forbidden(IpAddr),
    /// Nothing came in time.
    Timeout,
    /// Nobody listens there.
    Refused,
    /// No way leads there.
    Unreachable,
    /// Anything else the system said.
    Io(String),
}

impl Network {
    /// Reads the system's resolver configuration, hosts file and root certificates.
    pub fn new(options: &NetworkOptions) -> Result<Self, NetworkError> {
        let tls = TlsConfigs::new(options.ca.as_deref()).map_err(NetworkError::Ca)?;
        let (config, mut resolver_options) = match options.name_server {
            Some(server) => (only(server), Default::default()),
            None => system_resolver(),
        };
        // A check sees what the name server says now.
        resolver_options.cache_size = 0;
        resolver_options.max_active_requests = CONCURRENT_LOOKUPS;
        let first = config.name_servers().first();
        let port =
            first.and_then(|server| server.connections.first()).map_or(53, |connection| connection.port);
        let cluster = SocketAddr::new(first.map_or(Ipv4Addr::LOCALHOST.into(), |server| server.ip), port);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = resolver.with_options(resolver_options).build();
        let resolver = resolver.map_err(|error| NetworkError::Resolver(error.to_string()))?;
        Ok(Self { cluster, tls, resolver })
    }

    /// The addresses of `host` that may be dialled, at most four and at least one.
    pub async fn resolve(
        &self,
        host: &Host<&str>,
        family: IpFamily,
        reach: Reach,
    ) -> Result<Vec<IpAddr>, DialError> {
        let (mut addresses, name) = match host {
            Host::Ipv4(address) => (vec![IpAddr::V4(*address)], ""),
            Host::Ipv6(address) => (vec![IpAddr::V6(*address)], ""),
            Host::Domain(name) => {
                let found = self.resolver.lookup_ip(*name).await;
                (found.map_err(|error| DialError::Resolve(in_words(&error)))?.iter().collect(), *name)
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
}

/// Connects to the first of `addresses` that answers; each gets its share of the time that is left.
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
                // A peer that is gone already shows at the first read.
                let _ = stream.set_nodelay(true);
                return Ok((stream, address));
            }
            Ok(Err(error)) => error.into(),
            Err(_) => DialError::Timeout,
        };
    }
    Err(failure)
}

/// The library's own words hold its data structures.
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
