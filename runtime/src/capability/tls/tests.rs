//! Tests of handshakes with real servers on this machine.

mod client_certificates;
mod refused;

use super::*;
use crate::capability::{
    bindings::aviary::check::tls::{ClientCertificate, TlsOptions},
    testing::{listen, soon},
};
use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
};
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout_at,
};
use tokio_rustls::TlsAcceptor;

/// A certificate and its key, which can issue others.
struct Pair {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

fn params(name: &str, years: (i32, i32), is_ca: bool) -> CertificateParams {
    let names = if is_ca { Vec::new() } else { vec!["localhost".to_owned()] };
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    if is_ca {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    }
    params
}

fn root(name: &str, years: (i32, i32)) -> Pair {
    let (params, key) = (params(name, years, true), KeyPair::generate().expect("a key"));
    let certificate = params.self_signed(&key).expect("a certificate");
    Pair { issuer: Issuer::new(params, key), certificate }
}

impl Pair {
    fn issue(&self, params: CertificateParams) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn der(&self) -> CertificateDer<'static> {
        self.certificate.der().clone()
    }

    fn key(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::try_from(self.issuer.key().serialize_der()).expect("a key")
    }

    fn options(&self) -> TlsClient {
        TlsOptions { ca: Some(self.certificate.pem()), verify: true }.into()
    }
}

/// Starts a server with a certificate and others that it sends along, which may want a client certificate of `clients`.
async fn serve(own: &Pair, others: &[&Pair], clients: Option<&Pair>) -> SocketAddr {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    let builder = match clients {
        Some(clients) => {
            let mut roots = RootCertStore::empty();
            roots.add(clients.der()).expect("a root");
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.expect("a verifier"))
        }
        None => builder.with_no_client_auth(),
    };
    let chain = [own.der()].into_iter().chain(others.iter().map(|other| other.der())).collect();
    let config = Arc::new(builder.with_single_cert(chain, own.key()).expect("a pair"));
    listen(move |stream| {
        let acceptor = TlsAcceptor::from(Arc::clone(&config));
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.write_all(b"hello").await;
                let _ = stream.read_u8().await;
            }
        }
    })
    .await
}

async fn shake(address: SocketAddr, client: &TlsClient) -> Result<(Stream, TlsSession), TlsError> {
    let configs = TlsConfigs::new(None).expect("roots");
    let config = configs.get(Some(client), Alpn::None).expect("a configuration");
    let name = server_name(Some(client), &Host::Domain("localhost")).expect("a name");
    let stream = TcpStream::connect(address).await.expect("a connection");
    timeout_at(soon(), handshake(&config, name, stream)).await.expect("an end")
}

fn year(seconds: i64) -> i64 {
    1970 + seconds / 31_556_952
}

#[tokio::test]
async fn the_life_of_a_certificate_is_that_of_its_path() {
    let root = root("root", (2010, 2080));
    let between = root.issue(params("between", (2021, 2040), true));
    let leaf = between.issue(params("leaf", (2020, 2050), false));
    let address = serve(&leaf, &[&between], None).await;
    let (_, session) = shake(address, &root.options()).await.expect("a session");
    assert_eq!(session.certificate.subject, "CN=leaf");
    assert_eq!(
        (session.first_to_end.subject.as_str(), year(session.first_to_end.not_after)),
        ("CN=between", 2040)
    );
    assert_eq!(
        (session.last_to_begin.subject.as_str(), year(session.last_to_begin.not_before)),
        ("CN=between", 2021)
    );
    assert_eq!(session.version, TlsVersion::Tls13);
    assert!(session.cipher_suite.starts_with("TLS13_"), "{}", session.cipher_suite);
}

#[tokio::test]
async fn a_root_that_ends_first_is_named() {
    let root = root("root", (2010, 2030));
    let leaf = root.issue(params("leaf", (2020, 2050), false));
    let (_, session) = shake(serve(&leaf, &[], None).await, &root.options()).await.expect("a session");
    assert_eq!(session.first_to_end.subject, "CN=root");
    assert_eq!(session.last_to_begin.subject, "CN=leaf");
}

#[tokio::test]
async fn an_expired_certificate_that_the_path_does_not_need_does_not_count() {
    let (root, old) = (root("root", (2010, 2080)), root("old", (2000, 2080)));
    let cross = old.issue(params("root", (2000, 2001), true));
    let leaf = root.issue(params("leaf", (2020, 2050), false));
    let address = serve(&leaf, &[&cross], None).await;
    let (_, session) = shake(address, &root.options()).await.expect("a session");
    assert_eq!(session.first_to_end.subject, "CN=leaf");
    let any = TlsClient::from(TlsOptions { ca: None, verify: false });
    let (_, session) = shake(address, &any).await.expect("a session");
    assert_eq!(
        (session.first_to_end.subject.as_str(), year(session.first_to_end.not_after)),
        ("CN=root", 2001)
    );
}
