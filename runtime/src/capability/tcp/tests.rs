//! Tests of connections to real servers on this machine.

use super::{connection::LARGEST_SENT, *};
use crate::{
    capability::{
        bindings::aviary::check::tls::TlsError,
        testing::{Authority, NOW, authorization, closed_port, listen, listen_at, network, soon, within},
    },
    fair_semaphore::FairSemaphore,
    grant::{Authorization, Ceiling},
};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

const ALL: &str = "tcp: [{ targets: [\"127.0.0.1:*\", \"[::1]:*\", \"localhost:*\"] }]";

async fn connect(address: impl ToString) -> Result<Connection, Error> {
    Connection::connect(&network(), &authorization(ALL), &address.to_string(), IpFamily::Any, soon()).await
}

fn named(trust: &TlsOptions, server: &str) -> TlsClient {
    TlsClient { server_name: Some(server.to_owned()), ..trust.clone().into() }
}

async fn connected(address: SocketAddr) -> Connection {
    connect(address).await.expect("a connection")
}

async fn echo(mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin) {
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
        let _ = stream.write_all(&buffer[..length]).await;
    }
}

#[tokio::test]
async fn bytes_go_there_and_back() {
    let address = listen(echo).await;
    let mut connection = connected(address).await;
    assert_eq!(connection.address, address);
    assert!(!connection.took.is_zero());
    connection.send(b"hello", soon()).await.expect("sent");
    assert_eq!(connection.receive(2, soon()).await.expect("bytes"), b"he");
    assert_eq!(connection.receive(u32::MAX, soon()).await.expect("bytes"), b"llo");
}

#[tokio::test]
async fn names_and_ipv6_addresses_are_dialled() {
    let address = listen(echo).await;
    assert!(connect(format!("localhost:{}", address.port())).await.is_ok());
    let address = listen_at("[::1]:0", echo).await;
    assert!(connect(address).await.is_ok());
}

#[tokio::test]
async fn what_is_not_granted_or_no_address_is_refused() {
    for address in ["example.com:80", "169.254.169.254:80", "127.0.0.2:80"] {
        let result = connect(address).await;
        assert!(matches!(result, Err(Error::Denied(text)) if text.contains(address)), "{address}");
    }
    for address in [
        "",
        "localhost",
        "localhost:",
        "localhost:0",
        "localhost:99999",
        "localhost:80:80",
        "localhost:80/",
        "http://localhost:80",
        "user@localhost:80",
        "localhost\r\n:80",
        ":80",
        "[::1",
        "::1:80",
        "[fe80::1%2]:80",
        "[fe80::1%25eth0]:80",
        "256.0.0.1:80",
        "a b:80",
        "*:80",
        "*.test:80",
    ] {
        assert!(matches!(connect(address).await, Err(Error::Invalid(_))), "{address}");
    }
    let wildcard = authorization("tcp: [{ targets: [\"*:*\"], private: true }]");
    for address in [
        "localhost:80",
        "127.1:80",
        "%31%32%37.0.0.1:80",
        "0xa9fea9fe:80",
        "0251.0376.0251.0376:80",
        "2852039166:80",
        "[::ffff:169.254.169.254]:80",
        "[64:ff9b::a9fe:a9fe]:80",
        "[2002:a9fe:a9fe::]:80",
        "[fe80::1]:80",
    ] {
        let result = Connection::connect(&network(), &wildcard, address, IpFamily::Any, soon()).await;
        assert!(matches!(result, Err(Error::Denied(_))), "{address}");
    }
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    assert!(matches!(connect(closed_port()).await, Err(Error::Refused)));
}

#[tokio::test]
async fn a_silent_peer_times_out_and_the_connection_lives_on() {
    let mut connection = connected(listen(echo).await).await;
    assert!(matches!(connection.receive(1, within(20)).await, Err(Error::Timeout)));
    connection.send(b"x", soon()).await.expect("sent");
    assert_eq!(connection.receive(1, soon()).await.expect("a byte"), b"x");
}

#[tokio::test]
async fn a_peer_that_does_not_read_cannot_hold_the_guest() {
    let address = listen(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let mut connection = connected(address).await;
    let chunk = vec![0; LARGEST_SENT];
    let failure = loop {
        if let Err(error) = connection.send(&chunk, within(30)).await {
            break error;
        }
    };
    assert!(matches!(failure, Error::Timeout));
    assert!(
        matches!(connection.send(b"x", soon()).await, Err(Error::Closed)),
        "nobody knows how much arrived"
    );
}

#[tokio::test]
async fn the_end_of_the_stream_is_empty_and_misuse_is_invalid() {
    let mut connection = connected(listen(|stream| async move { drop(stream) }).await).await;
    assert!(connection.receive(10, soon()).await.expect("the end").is_empty());
    assert!(matches!(connection.receive(0, soon()).await, Err(Error::Invalid(_))));
    let large = vec![0; LARGEST_SENT + 1];
    assert!(matches!(connection.send(&large, soon()).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn tls_can_be_started_once_and_reports_the_certificate() {
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(authority.server("db.test", NOW, &[]));
    let address = listen(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(stream) = acceptor.accept(stream).await {
                echo(stream).await;
            }
        }
    })
    .await;
    let trust = authority.trusted().expect("options");
    let network = network();
    let mut connection = connected(address).await;
    let session = connection.secure(&network, &named(&trust, "db.test"), soon()).await.expect("trust");
    assert_eq!(session.certificate.names, ["db.test"]);
    connection.send(b"secret", soon()).await.expect("sent");
    assert_eq!(connection.receive(64, soon()).await.expect("bytes"), b"secret");
    let again = connection.secure(&network, &named(&trust, "db.test"), soon()).await;
    assert!(matches!(again, Err(Error::Invalid(_))));
    connection.send(b"x", soon()).await.expect("it still works");
    let mut connection = connected(address).await;
    let result = connection.secure(&network, &named(&trust, "other.test"), soon()).await;
    assert!(matches!(result, Err(Error::Tls(TlsError::WrongName))));
    assert!(matches!(connection.send(b"x", soon()).await, Err(Error::Closed)));
}

#[tokio::test]
async fn plain_text_that_nobody_read_before_tls_is_a_failure_and_not_said_within_it() {
    let authority = Authority::new();
    let acceptor = TlsAcceptor::from(authority.server("mail.test", NOW, &[]));
    let address = listen(move |mut stream| {
        let acceptor = acceptor.clone();
        async move {
            stream.write_all(b"220 ready\r\n250 injected\r\n").await.expect("sent");
            if let Ok(stream) = acceptor.accept(stream).await {
                echo(stream).await;
            }
        }
    })
    .await;
    let (network, trust) = (network(), authority.trusted().expect("options"));
    let start = async |read: u32| {
        let mut connection = connected(address).await;
        connection.receive(read, soon()).await.expect("bytes");
        connection.secure(&network, &named(&trust, "mail.test"), soon()).await.map(drop)
    };
    assert!(start(64).await.is_ok(), "a guest that has read all of it knows what was said before TLS");
    let surplus = start(11).await;
    assert!(
        matches!(&surplus, Err(Error::Tls(TlsError::Handshake(text))) if text.contains("250 injected")),
        "{surplus:?}"
    );
}

#[tokio::test]
async fn a_namespace_has_so_many_sockets_and_who_wants_more_waits_for_one_of_its_own() {
    let address = listen(echo).await;
    let mut network = network();
    network.sockets = FairSemaphore::new(2, 1);
    let connect = async |namespace: &str, patience| {
        let grants =
            serde_json::from_value(serde_json::json!({ "tcp": [{ "targets": [address.to_string()] }] }));
        let authorization = Authorization::new(namespace, grants.expect("grants"), None, &Ceiling::open())
            .expect("an authorization");
        Connection::connect(&network, &authorization, &address.to_string(), IpFamily::Any, within(patience))
            .await
    };
    let first = connect("team-a", 1_000).await.expect("a connection");
    assert!(matches!(connect("team-a", 50).await, Err(Error::Timeout)));
    connect("team-b", 1_000).await.expect("another namespace has its own");
    drop(first);
    connect("team-a", 1_000).await.expect("a connection");
}

#[tokio::test]
async fn a_peer_that_waits_for_the_end_answers_after_it() {
    let address = listen(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.expect("the end");
        let _ = stream.write_all(format!("{} bytes", all.len()).as_bytes()).await;
    })
    .await;
    let mut connection = connected(address).await;
    connection.send(b"hello", soon()).await.expect("sent");
    connection.finish_sending(soon()).await.expect("finished");
    assert_eq!(connection.receive(64, soon()).await.expect("bytes"), b"5 bytes");
    assert!(connection.receive(64, soon()).await.expect("the end").is_empty());
}

#[tokio::test]
async fn only_addresses_of_the_wanted_family_are_dialled() {
    let address = listen(echo).await;
    let connect = async |family| {
        Connection::connect(&network(), &authorization(ALL), &address.to_string(), family, soon())
            .await
            .map(drop)
    };
    assert!(connect(IpFamily::Ipv4).await.is_ok());
    assert!(matches!(connect(IpFamily::Ipv6).await, Err(Error::Resolve(_))));
}
