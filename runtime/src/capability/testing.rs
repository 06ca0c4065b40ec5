//! Real servers on this machine, for the tests of the capabilities.

use super::{
    bindings::aviary::check::tls::TlsOptions,
    dial::{Network, NetworkOptions},
};
pub(super) use crate::grant::testing::authorization;
use hickory_resolver::proto::rr::{LowerName, Name, RData, Record, rdata::SOA};
use hickory_server::{
    Server,
    store::in_memory::InMemoryZoneHandler,
    zone_handler::{AxfrPolicy, Catalog, ZoneType},
};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivateKeyDer};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    time::Instant,
};

/// A deadline in three seconds, which no test reaches unless something hangs.
pub(super) fn soon() -> Instant {
    within(3000)
}

/// A deadline in `milliseconds` from now.
pub(super) fn within(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

/// The network that all guests share, with the resolver of this machine.
pub(super) fn network() -> Network {
    Network::new(&NetworkOptions::default()).expect("a network")
}

/// The network that all guests share, with names from this server.
pub(super) fn network_with(name_server: SocketAddr) -> Network {
    Network::new(&NetworkOptions { name_server: Some(name_server), ..NetworkOptions::default() })
        .expect("a network")
}

/// Listens on a free port of this machine, and gives every connection to `serve` in a task of its own.
pub(super) async fn listen<F: Future<Output = ()> + Send>(
    serve: impl Fn(TcpStream) -> F + Clone + Send + 'static,
) -> SocketAddr {
    listen_at("127.0.0.1:0", serve).await
}

/// Listens on this address, and gives every connection to `serve` in a task of its own.
pub(super) async fn listen_at<F: Future<Output = ()> + Send>(
    address: &str,
    serve: impl Fn(TcpStream) -> F + Clone + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind(address).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serve = serve.clone();
            tokio::spawn(async move { serve(stream).await });
        }
    });
    address
}

/// An address where nobody listens. Its port is low, so that no client of another test can have it by chance.
pub(super) fn closed_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1))
}

/// Starts a name server for the zone `test.` with these records.
pub(super) async fn name_server(records: Vec<(&str, RData)>) -> SocketAddr {
    let origin = Name::from_ascii("test.").expect("a name");
    let mut zone: InMemoryZoneHandler =
        InMemoryZoneHandler::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny);
    let soa = SOA::new(origin.clone(), origin.clone(), 7, 1, 2, 3, 4);
    zone.upsert_mut(Record::from_rdata(origin.clone(), 60, RData::SOA(soa)), 0);
    for (name, data) in records {
        zone.upsert_mut(Record::from_rdata(Name::from_ascii(name).expect("a name"), 60, data), 0);
    }
    let mut catalog = Catalog::new();
    catalog.upsert(LowerName::from(origin), vec![Arc::new(zone)]);
    let mut server = Server::new(catalog);
    let (udp, tcp) = both_sockets().await;
    let address = udp.local_addr().expect("an address");
    server.register_socket(udp);
    server.register_listener(tcp, Duration::from_secs(1), 16);
    tokio::spawn(async move { server.block_until_done().await });
    address
}

/// Opens a UDP and a TCP socket on the same port.
pub(super) async fn both_sockets() -> (UdpSocket, TcpListener) {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
        if let Ok(tcp) = TcpListener::bind(udp.local_addr().expect("an address")).await {
            return (udp, tcp);
        }
    }
}

/// The certificate authority of a test.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// TLS options that trust this authority.
    pub(super) fn trusted(&self) -> Option<TlsOptions> {
        Some(TlsOptions { ca: Some(self.pem.clone()), verify: true })
    }

    /// The TLS configuration of a server that proves to be `name` between the start of these years.
    pub(super) fn server(&self, name: &str, years: (i32, i32), alpn: &[&str]) -> Arc<ServerConfig> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        tls_server(&certificate, &key, alpn)
    }
}

/// The TLS configuration of a server with a self-signed certificate, and that certificate as PEM.
pub(super) fn self_signed(name: &str) -> (Arc<ServerConfig>, String) {
    let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    (tls_server(&certificate, &key, &[]), certificate.pem())
}

fn tls_server(certificate: &Certificate, key: &KeyPair, alpn: &[&str]) -> Arc<ServerConfig> {
    let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    let mut config = config.with_single_cert(vec![certificate.der().clone()], key).expect("a pair");
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// The first and last year of a certificate that is valid now.
pub(super) const NOW: (i32, i32) = (2020, 2090);
