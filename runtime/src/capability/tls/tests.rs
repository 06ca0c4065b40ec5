//! Tests of handshakes with real servers on this machine.

use super::*;
use crate::capability::{
    bindings::aviary::check::tls::{ClientCertificate, TlsOptions},
    testing::{listen, soon},
};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
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

#[tokio::test]
async fn an_authority_that_has_expired_is_told_from_the_certificate_itself() {
    let root = root("root", (2010, 2080));
    let between = root.issue(params("between", (2000, 2001), true));
    let leaf = between.issue(params("leaf", (2020, 2050), false));
    let refused = shake(serve(&leaf, &[&between], None).await, &root.options()).await.map(|_| ());
    let Err(TlsError::BadCertificate(words)) = refused else { panic!("{refused:?}") };
    assert_eq!(words, "the certificate of its authority CN=between has expired");
}

#[tokio::test]
async fn a_certificate_that_is_not_meant_for_servers_is_refused_in_words() {
    let root = root("root", (2010, 2080));
    let mut client = params("leaf", (2020, 2050), false);
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let mut authority = params("leaf", (2020, 2050), false);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    for (params, wanted) in [(client, "not meant for servers"), (authority, "not of a server")] {
        let leaf = root.issue(params);
        let refused = shake(serve(&leaf, &[], None).await, &root.options()).await.map(|_| ());
        assert!(
            matches!(&refused, Err(TlsError::BadCertificate(words)) if words.contains(wanted)),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_wants_a_client_certificate_gets_it_or_is_understood() {
    let (root, clients) = (root("root", (2010, 2080)), root("clients", (2010, 2080)));
    let leaf = root.issue(params("leaf", (2020, 2050), false));
    let client = clients.issue(params("client", (2020, 2050), false));
    let address = serve(&leaf, &[], Some(&clients)).await;
    let own = ClientCertificate { chain: client.certificate.pem(), key: client.issuer.key().serialize_pem() };
    let with = TlsClient { client_certificate: Some(own), ..root.options() };
    let (mut stream, _) = shake(address, &with).await.expect("a session");
    let mut hello = [0; 5];
    stream.read_exact(&mut hello).await.expect("a greeting");
    assert_eq!(&hello, b"hello");
    // In TLS 1.3 the server refuses only after the client's handshake is over.
    let refused = shake(address, &root.options()).await.map(drop);
    let Err(TlsError::Handshake(words)) = refused else { panic!("{refused:?}") };
    assert_eq!(words, "the server wants a client certificate: give one with `tls.clientCertificate`");
}

#[tokio::test]
async fn a_client_certificate_that_the_server_does_not_trust_is_refused_before_anything_is_said() {
    let (root, clients) = (root("root", (2010, 2080)), root("clients", (2010, 2080)));
    let leaf = root.issue(params("leaf", (2020, 2050), false));
    let stranger = root.issue(params("stranger", (2020, 2050), false));
    let address = serve(&leaf, &[], Some(&clients)).await;
    let own =
        ClientCertificate { chain: stranger.certificate.pem(), key: stranger.issuer.key().serialize_pem() };
    let with = TlsClient { client_certificate: Some(own), ..root.options() };
    let refused = shake(address, &with).await.map(drop);
    let Err(TlsError::Handshake(words)) = refused else { panic!("{refused:?}") };
    assert!(words.contains("refuses the client certificate"), "{words}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_client_certificate_and_goes_on_without_is_not_lost_a_word_of() {
    let (root, clients) = (root("root", (2010, 2080)), root("clients", (2010, 2080)));
    let leaf = root.issue(params("leaf", (2020, 2050), false));
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.der()).expect("a root");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let verifier = verifier.allow_unauthenticated().build().expect("a verifier");
    for (tickets, says) in [(2, true), (0, true), (0, false)] {
        let config = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let config = config.with_safe_default_protocol_versions().expect("versions");
        let config = config.with_client_cert_verifier(Arc::clone(&verifier));
        let mut config = config.with_single_cert(vec![leaf.der()], leaf.key()).expect("a pair");
        config.send_tls13_tickets = tickets;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let address = listen(move |stream| {
            let acceptor = acceptor.clone();
            async move {
                let mut stream = acceptor.accept(stream).await.expect("a handshake");
                if !says {
                    let _ = stream.read_u8().await;
                }
                let _ = stream.write_all(b"hello").await;
            }
        })
        .await;
        let (mut stream, _) = shake(address, &root.options()).await.expect("a session");
        if !says {
            stream.write_all(b"?").await.expect("sent");
            stream.flush().await.expect("sent");
        }
        let mut hello = [0; 5];
        stream.read_exact(&mut hello).await.expect("a greeting");
        assert_eq!(&hello, b"hello", "{tickets} tickets");
    }
}

#[test]
fn an_alert_that_ends_a_stream_later_has_words_too() {
    use rustls::{AlertDescription, Error};
    use std::io;
    let alert = Error::AlertReceived(AlertDescription::CertificateRequired);
    let ended = error_of_stream(&io::Error::new(io::ErrorKind::InvalidData, alert));
    assert!(
        matches!(&ended, Some(TlsError::Handshake(words)) if words.contains("`tls.clientCertificate`")),
        "{ended:?}"
    );
    assert!(error_of_stream(&io::Error::from(io::ErrorKind::ConnectionReset)).is_none());
}

#[tokio::test]
async fn a_server_of_an_older_version_that_wants_a_client_certificate_is_understood_as_well() {
    let (root, clients) = (root("root", (2010, 2080)), root("clients", (2010, 2080)));
    let leaf = root.issue(params("leaf", (2020, 2050), false));
    let provider = Arc::new(ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(clients.der()).expect("a root");
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_protocol_versions(&[&rustls::version::TLS12]).expect("a version");
    let config = config.with_client_cert_verifier(verifier.expect("a verifier"));
    let acceptor =
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![leaf.der()], leaf.key()).expect("a pair")));
    let address = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let _ = acceptor.accept(stream).await;
        }
    })
    .await;
    let refused = shake(address, &root.options()).await.map(|_| ());
    let Err(TlsError::Handshake(words)) = refused else { panic!("{refused:?}") };
    assert!(words.contains("client certificate"), "{words}");
}

#[tokio::test]
async fn the_names_of_a_certificate_for_others_are_told_in_so_far_as_a_message_has_room() {
    let root = root("root", (2010, 2080));
    let named = |names: Vec<String>| {
        let mut params = CertificateParams::new(names).expect("names");
        params.distinguished_name.push(DnType::CommonName, "localhost");
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2050, 1, 1));
        root.issue(params)
    };
    let many = (1..=200).map(|number| format!("a{number}.example")).collect();
    for (names, wanted) in [
        (
            many,
            "it is for a1.example, a2.example, a3.example, a4.example, a5.example and 195 more, and not for",
        ),
        (Vec::new(), "it has no alternative names, and its common name does not count"),
    ] {
        let refused = shake(serve(&named(names), &[], None).await, &root.options()).await.map(drop);
        let Err(TlsError::BadCertificate(words)) = refused else { panic!("{refused:?}") };
        assert!(words.starts_with(wanted) && words.contains("localhost"), "{words}");
    }
}

#[test]
fn authorities_that_cannot_be_read_are_refused_without_words_of_a_library() {
    let pem = root("root", (2010, 2080)).certificate.pem();
    let configs = TlsConfigs::new(None).expect("roots");
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (ca, wanted) in [
        ("hello".to_owned(), "the CA certificates hold no PEM block `CERTIFICATE`"),
        (pem[..200].to_owned(), "the CA certificates are no PEM: block 1 is cut off, or is no base64"),
        (
            empty.replace("AAAA", "!!!!"),
            "the CA certificates are no PEM: block 1 is cut off, or is no base64",
        ),
        (format!("{pem}{empty}"), "CA certificate 2 cannot be read: take it anew from its authority, as PEM"),
    ] {
        let client = TlsClient::from(TlsOptions { ca: Some(ca), verify: true });
        assert_eq!(configs.get(Some(&client), Alpn::None).map(drop), Err(wanted.to_owned()));
    }
}

#[test]
fn a_client_certificate_that_cannot_be_used_is_refused_and_its_key_not_shown() {
    let (root, other) = (root("root", (2010, 2080)), root("other", (2010, 2080)));
    let (chain, key) = (root.certificate.pem(), root.issuer.key().serialize_pem());
    let configs = TlsConfigs::new(None).expect("roots");
    for (chain, key, wanted) in [
        (chain.clone(), other.issuer.key().serialize_pem(), "does not fit"),
        (chain.clone(), "s3cr3t".to_owned(), "holds no PEM block `PRIVATE KEY`"),
        (chain.clone(), key.replace("PRIVATE", "ENCRYPTED PRIVATE"), "is encrypted"),
        (String::new(), key.clone(), "holds no PEM block `CERTIFICATE`"),
        (key.clone(), key.clone(), "holds no PEM block `CERTIFICATE`"),
    ] {
        let own = ClientCertificate { chain, key: key.clone() };
        let client = TlsClient { client_certificate: Some(own), ..root.options() };
        let error = configs.get(Some(&client), Alpn::Http).expect_err(wanted);
        assert!(error.contains(wanted) && !error.contains("s3cr3t"), "{error}");
    }
}

#[tokio::test]
async fn a_server_without_the_minimum_version_is_refused_in_words() {
    let root = root("root", (2010, 2080));
    let leaf = root.issue(params("leaf", (2020, 2050), false));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_protocol_versions(&[&rustls::version::TLS12]).expect("a version");
    let config = config.with_no_client_auth().with_single_cert(vec![leaf.der()], leaf.key()).expect("a pair");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let address = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.read_u8().await;
            }
        }
    })
    .await;
    let (_, session) = shake(address, &root.options()).await.expect("a session");
    assert_eq!(session.version, TlsVersion::Tls12);
    let strict = TlsClient { minimum_version: Some(TlsVersion::Tls13), ..root.options() };
    let refused = shake(address, &strict).await.map(|_| ());
    let Err(TlsError::Handshake(words)) = refused else { panic!("{refused:?}") };
    assert_eq!(words, "the server does not speak TLS 1.3, which is the minimum here");
}

#[tokio::test]
async fn a_server_name_of_the_guest_is_asked_for_and_proved() {
    let root = root("root", (2010, 2080));
    let leaf = root.issue(params("leaf", (2020, 2050), false));
    let address = serve(&leaf, &[], None).await;
    let named = |name: &str| TlsClient { server_name: Some(name.to_owned()), ..root.options() };
    assert!(shake(address, &named("localhost")).await.is_ok());
    let refused = shake(address, &named("shop.example")).await.map(|_| ());
    let Err(TlsError::BadCertificate(words)) = refused else { panic!("{refused:?}") };
    assert!(words.starts_with("it is for localhost, and not for shop.example: "), "{words}");
    assert!(server_name(Some(&named("not a name")), &Host::Domain("localhost")).is_err());
}
