//! Tests of requests through the operator's proxy.

use super::*;
use crate::capability::{
    dial::NetworkOptions,
    testing::{Authority, NOW, name_server},
};
use hickory_resolver::proto::rr::{RData, rdata::A};
use tokio_rustls::TlsAcceptor;

const GRANTS: &str = "http: [{ hosts: [\"http://www.test\", \"https://www.test\", \"http://unknown.test\", \
    \"http://127.0.0.1:*\"] }]";

/// The network of a cluster with a proxy, in which `www.test` has a public address.
async fn behind(proxy: SocketAddr) -> Network {
    let public = RData::A(A([8, 8, 8, 8].into()));
    let options = NetworkOptions {
        name_server: Some(name_server(vec![("www.test.", public)]).await),
        egress_proxy: Some(format!("http://ops:s3cr3t@{proxy}").parse().expect("a proxy")),
        ..NetworkOptions::default()
    };
    Network::new(&options).expect("a network")
}

/// Sends a request as far as [`GRANTS`] allow it.
async fn through(network: &Network, request: Request) -> Result<Response, Error> {
    send(network, &authorization(GRANTS), &Connections::default(), request, soon()).await
}

/// Starts a proxy that answers with the head of the request.
async fn telling() -> SocketAddr {
    listen(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{head}", head.len());
        let _ = stream.write_all(answer.as_bytes()).await;
    })
    .await
}

#[tokio::test]
async fn public_addresses_and_names_that_nobody_here_knows_go_through_the_proxy() {
    let network = behind(telling().await).await;
    for url in ["http://www.test/x?y", "http://unknown.test/x?y"] {
        let response = through(&network, get(url)).await.expect("a response");
        let seen = text(&response);
        assert!(seen.starts_with(&format!("GET {url} HTTP/1.1\r\n")), "{seen}");
        assert!(seen.contains("proxy-authorization: Basic b3BzOnMzY3IzdA==\r\n"), "{seen}");
    }
}

#[tokio::test]
async fn private_addresses_are_dialled_directly_and_see_nothing_of_the_proxy() {
    let network = behind(crate::capability::testing::closed_port()).await;
    let address = telling().await;
    let response = through(&network, get(format!("http://{address}/x"))).await.expect("a response");
    assert!(text(&response).starts_with("GET /x HTTP/1.1\r\n") && !text(&response).contains("proxy-"));
}

#[tokio::test]
async fn a_grant_is_needed_as_without_a_proxy() {
    let network = behind(telling().await).await;
    let refused = through(&network, get("http://other.test/")).await;
    assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
}

#[tokio::test]
async fn https_goes_through_a_tunnel_and_trusts_the_server_and_not_the_proxy() {
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(authority.server("www.test", NOW, &["http/1.1"]));
    let proxy = listen(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            let head = read_head(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await;
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            let first = head.lines().next().unwrap_or_default();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{first}", first.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.read_u8().await;
        }
    })
    .await;
    let network = behind(proxy).await;
    let request = Request { tls: authority.trusted(), ..get("https://www.test/x") };
    let response = through(&network, request).await.expect("a response");
    assert_eq!(text(&response), "CONNECT www.test:443 HTTP/1.1");
    assert_eq!(response.certificate.expect("a certificate").names, ["www.test"]);
}

#[tokio::test]
async fn a_proxy_that_refuses_hangs_up_or_is_not_there_is_named_without_its_password() {
    let refusing = script("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await;
    let silent = listen(|stream| async move { drop(stream) }).await;
    let absent = crate::capability::testing::closed_port();
    for (proxy, words) in [
        (refusing, "opened no tunnel to www.test:443: it answered 403"),
        (silent, "opened no tunnel to www.test:443"),
        (absent, "cannot be reached"),
    ] {
        let result = through(&behind(proxy).await, get("https://www.test/")).await;
        let Err(Error::Io(message)) = result else { panic!("{result:?}") };
        assert!(message.contains(words) && message.contains(&proxy.to_string()), "{message}");
        assert!(!message.contains("s3cr3t"), "{message}");
    }
}
