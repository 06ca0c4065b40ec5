//! Servers and options that are refused, in words.

use super::*;
use rcgen::ExtendedKeyUsagePurpose;

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
    assert!(matches!(refused, Err(TlsError::WrongName)), "{refused:?}");
    assert!(server_name(Some(&named("not a name")), &Host::Domain("localhost")).is_err());
}
