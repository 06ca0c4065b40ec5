//! Tests of TLS: whom to trust, and what is seen of the certificate.

use super::*;
use crate::capability::{
    bindings::aviary::check::tls::{TlsError, TlsOptions},
    testing::{Authority, NOW, self_signed},
};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use rustls::ServerConfig;
use std::{convert::Infallible, sync::Arc};
use tokio_rustls::TlsAcceptor;

async fn https(config: Arc<ServerConfig>) -> SocketAddr {
    listen(move |stream| {
        let acceptor = TlsAcceptor::from(Arc::clone(&config));
        async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let hello = service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                let text = format!("{:?}", request.version());
                Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from(text))))
            });
            let _ =
                auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), hello).await;
        }
    })
    .await
}

fn trusting(url: String, tls: Option<TlsOptions>) -> Request {
    Request { tls, ..get(url) }
}

#[tokio::test]
async fn a_trusted_server_is_reached_over_http2_and_its_certificate_reported() {
    let authority = Authority::new();
    let address = https(authority.server("localhost", NOW, &["h2", "http/1.1"])).await;
    let url = format!("https://localhost:{}/", address.port());
    let response = fetch(trusting(url.clone(), authority.trusted())).await.expect("a response");
    assert_eq!((text(&response), response.protocol), ("HTTP/2.0", Protocol::Http2));
    assert!(response.timings.tls_ns > 0);
    let certificate = response.certificate.expect("a certificate");
    assert_eq!(certificate.names, ["localhost"]);
    assert!(certificate.issuer.contains("CN=test authority"), "{certificate:?}");
    assert_eq!(certificate.not_before, 1_577_836_800);
    let mut request = trusting(url, authority.trusted());
    request.method = Method::Post;
    request.body = Some(vec![b'x'; 200_000]);
    assert_eq!(fetch(request).await.expect("a response").status, 200);
}

#[tokio::test]
async fn http1_is_spoken_where_http2_is_not() {
    let authority = Authority::new();
    for alpn in [&["http/1.1"][..], &[]] {
        let address = https(authority.server("127.0.0.1", NOW, alpn)).await;
        let response =
            fetch(trusting(format!("https://{address}/"), authority.trusted())).await.expect("a response");
        assert_eq!((text(&response), response.protocol), ("HTTP/1.1", Protocol::Http11));
    }
}

#[tokio::test]
async fn http2_connections_are_reused_and_bodies_of_any_size_cut() {
    let authority = Authority::new();
    let address = https(authority.server("127.0.0.1", NOW, &["h2"])).await;
    let (network, authorization, connections) = (network(), authorization(ALL), Connections::default());
    for first in [true, false] {
        let mut request = trusting(format!("https://{address}/"), authority.trusted());
        request.reuse_connection = true;
        let response =
            send(&network, &authorization, &connections, request, soon()).await.expect("a response");
        assert_eq!((response.timings.tls_ns > 0, response.protocol), (first, Protocol::Http2));
        assert!(response.certificate.is_some());
    }
    let mut request = trusting(format!("https://{address}/"), authority.trusted());
    request.body_limit = Some(3);
    let response = send(&network, &authorization, &connections, request, soon()).await.expect("a response");
    assert_eq!((text(&response), response.truncated), ("HTT", true));
}

#[tokio::test]
async fn every_reason_for_distrust_has_its_name() {
    let authority = Authority::new();
    let other = Authority::new();
    let trusted = authority.trusted();
    type IsExpected = fn(&TlsError) -> bool;
    let cases: [(_, _, IsExpected); 4] = [
        (authority.server("127.0.0.1", (2000, 2001), &[]), &trusted, |error| {
            matches!(error, TlsError::Expired)
        }),
        (authority.server("127.0.0.1", (2089, 2090), &[]), &trusted, |error| {
            matches!(error, TlsError::NotYetValid)
        }),
        (authority.server("example.com", NOW, &[]), &trusted, |error| matches!(error, TlsError::WrongName)),
        (other.server("127.0.0.1", NOW, &[]), &trusted, |error| matches!(error, TlsError::UnknownIssuer)),
    ];
    for (config, trust, is_expected) in cases {
        let url = format!("https://{}/", https(config).await);
        let result = fetch(trusting(url.clone(), trust.clone())).await;
        assert!(matches!(&result, Err(Error::Tls(error)) if is_expected(error)), "{result:?}");
        let response =
            fetch(trusting(url, Some(TlsOptions { ca: None, verify: false }))).await.expect("a response");
        assert!(response.certificate.is_some_and(|certificate| certificate.names.len() == 1));
    }
    let url = format!("https://{}/", https(authority.server("127.0.0.1", NOW, &[])).await);
    let result = fetch(get(url)).await;
    assert!(matches!(&result, Err(Error::Tls(TlsError::UnknownIssuer))), "{result:?}");
}

#[tokio::test]
async fn a_certificate_that_vouches_for_itself_is_trusted_only_when_given() {
    let (config, pem) = self_signed("127.0.0.1");
    let url = format!("https://{}/", https(config).await);
    let result = fetch(get(url.clone())).await;
    assert!(matches!(&result, Err(Error::Tls(TlsError::UnknownIssuer))), "{result:?}");
    let given = Some(TlsOptions { ca: Some(pem), verify: true });
    assert_eq!(fetch(trusting(url, given)).await.expect("a response").status, 200);
}

#[tokio::test]
async fn a_server_without_tls_fails_the_handshake() {
    for answer in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
        let address = listen(move |mut stream| async move {
            let _ = stream.read_u8().await;
            let _ = stream.write_all(answer.as_bytes()).await;
        })
        .await;
        let result = fetch(get(format!("https://{address}/"))).await;
        assert!(matches!(&result, Err(Error::Tls(TlsError::Handshake(_)))), "{result:?}");
    }
}

#[tokio::test]
async fn certificates_that_are_none_are_invalid() {
    let address = https(Authority::new().server("127.0.0.1", NOW, &[])).await;
    for ca in ["", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let tls = Some(TlsOptions { ca: Some(ca.to_owned()), verify: true });
        let result = fetch(trusting(format!("https://{address}/"), tls)).await;
        assert!(matches!(&result, Err(Error::Invalid(_))), "{ca}: {result:?}");
    }
}
