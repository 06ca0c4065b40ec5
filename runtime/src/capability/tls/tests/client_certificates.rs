//! Client certificates, asked for by real servers on this machine.

use super::*;
use rustls::{AlertDescription, Error};
use std::io;

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
