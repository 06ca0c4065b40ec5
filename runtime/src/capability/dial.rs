//! Connections to other machines: find the addresses of a host, drop those that are not granted, dial exactly
//! the others.

use super::{
    bindings::aviary::check::http::IpFamily,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capability::testing::name_server;
    use hickory_resolver::proto::rr::{
        Name, RData,
        rdata::{A, CNAME},
    };
    use std::time::Duration;

    /// The network of a cluster whose names are in the domain `test`.
    async fn cluster() -> Network {
        let a = |address: [u8; 4]| RData::A(A(address.into()));
        let alias = |name: &str| RData::CNAME(CNAME(Name::from_ascii(name).expect("a name")));
        let records = vec![
            ("db.team-a.svc.test.", a([10, 0, 0, 5])),
            ("db.other.svc.test.", a([10, 0, 0, 6])),
            ("alias.team-a.svc.test.", alias("db.other.svc.test.")),
            ("chain.team-a.svc.test.", alias("alias.team-a.svc.test.")),
            ("public.team-a.svc.test.", alias("www.test.")),
            ("www.test.", a([8, 8, 8, 8])),
        ]
        .into_iter()
        // The name has hundreds of addresses, and machines are at few of them.
        .chain((0..200).map(|number| ("many.test.", a([127, 0, 0, number]))))
        .chain((0..200).map(|number| ("many.test.", a([9, 0, 0, number]))))
        .collect();
        let name_server = Some(name_server(records).await);
        let cluster_domain = Some("test".to_owned());
        Network::new(&NetworkOptions { name_server, cluster_domain, ..NetworkOptions::default() })
            .expect("a network")
    }

    async fn resolve(name: &str, reach: Reach) -> Result<String, DialError> {
        let addresses = cluster().await.resolve("team-a", &Host::Domain(name), IpFamily::Any, reach).await?;
        Ok(addresses.iter().map(ToString::to_string).collect())
    }

    #[tokio::test]
    async fn a_services_name_is_looked_up_in_the_domain_of_the_cluster() {
        for name in ["db.team-a.svc", "db.team-a.svc.", "db.team-a.svc.test", "DB.team-a.svc.TEST."] {
            let found = resolve(name, Reach::Service).await;
            assert!(found.as_deref().is_ok_and(|found| found == "10.0.0.5"), "{name}: {found:?}");
        }
        for reach in [Reach::Internet, Reach::Private] {
            let found = resolve("db.team-a.svc", reach).await;
            assert!(matches!(found, Err(DialError::Resolve(_))), "{found:?}");
        }
    }

    #[tokio::test]
    async fn a_service_that_is_an_alias_leads_to_public_addresses_only() {
        for name in ["alias.team-a.svc", "chain.team-a.svc"] {
            let found = resolve(name, Reach::Service).await;
            assert!(matches!(found, Err(DialError::Forbidden(_))), "{name}: {found:?}");
        }
        let found = resolve("public.team-a.svc", Reach::Service).await;
        assert!(found.as_deref().is_ok_and(|found| found == "8.8.8.8"), "{found:?}");
        let found = resolve("alias.team-a.svc.test", Reach::Private).await;
        assert!(found.as_deref().is_ok_and(|found| found == "10.0.0.6"), "{found:?}");
    }

    #[tokio::test]
    async fn of_many_addresses_a_few_are_dialled_and_only_those_that_are_allowed() {
        let (network, many) = (cluster().await, Host::Domain("many.test"));
        for reach in [Reach::Internet, Reach::Public, Reach::Private] {
            let found = network.resolve("team-a", &many, IpFamily::Any, reach).await.expect("addresses");
            assert_eq!(found.len(), MOST_ADDRESSES);
            assert!(found.iter().all(|address| Class::of(*address) == Class::Public), "{found:?}");
        }
    }

    #[tokio::test]
    async fn a_namespace_has_so_many_lookups_and_leaves_the_others_theirs() {
        let network = Network { lookups: FairSemaphore::new(2, 1), ..cluster().await };
        let _held = network.lookups.take("loud").await;
        let (name, address) = (Host::Domain("www.test"), Host::Ipv4(Ipv4Addr::new(8, 8, 8, 8)));
        let look = |namespace, host| network.resolve(namespace, host, IpFamily::Any, Reach::Internet);
        assert!(timeout(Duration::from_millis(100), look("loud", &name)).await.is_err(), "waits");
        assert!(look("loud", &address).await.is_ok(), "an address needs no lookup");
        assert!(look("quiet", &name).await.is_ok());
    }

    #[tokio::test]
    async fn names_are_complete_where_search_domains_would_lead_inside() {
        let network = cluster().await;
        assert_eq!(network.in_full("db.other", Reach::Internet), "db.other.");
        assert_eq!(network.in_full("db.other.", Reach::Internet), "db.other.");
        assert_eq!(network.in_full("db.team-a.svc", Reach::Service), "db.team-a.svc.test.");
        assert_eq!(network.in_full("db.other", Reach::Public), "db.other");
    }
}
