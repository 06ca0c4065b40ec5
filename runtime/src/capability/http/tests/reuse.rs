//! Tests of connections that stay open, and those that do not.

use super::*;
use futures_util::future::join_all;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::{sync::mpsc, time::timeout_at};

/// Starts a server that answers with the number of the connection, and takes `requests_each` requests on
/// each.
async fn counting(requests_each: usize) -> SocketAddr {
    let connections = Arc::new(AtomicUsize::new(0));
    listen(move |mut stream| {
        let number = connections.fetch_add(1, Relaxed) + 1;
        async move {
            for _ in 0..requests_each {
                if read_head(&mut stream).await.is_empty() {
                    return;
                }
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{number}");
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        }
    })
    .await
}

async fn numbers(connections: &Connections, address: SocketAddr, reuse: [bool; 3]) -> Vec<String> {
    let network = network();
    let mut numbers = Vec::new();
    for reuse_connection in reuse {
        let request = Request { reuse_connection, ..get(format!("http://{address}/")) };
        let response =
            send(&network, &authorization(ALL), connections, request, soon()).await.expect("a response");
        assert_eq!(
            response.timings.connect_ns == 0,
            !numbers.is_empty() && reuse_connection && numbers.contains(&text(&response).to_owned())
        );
        numbers.push(text(&response).to_owned());
    }
    numbers
}

#[tokio::test]
async fn connections_are_fresh_unless_told_otherwise() {
    let connections = Connections::default();
    assert_eq!(numbers(&connections, counting(9).await, [false; 3]).await, ["1", "2", "3"]);
    assert_eq!(numbers(&connections, counting(9).await, [true; 3]).await, ["1", "1", "1"]);
    assert_eq!(numbers(&connections, counting(9).await, [true, false, true]).await, ["1", "2", "1"]);
}

#[tokio::test]
async fn a_connection_that_the_server_closed_meanwhile_is_not_missed() {
    assert_eq!(numbers(&Connections::default(), counting(1).await, [true; 3]).await, ["1", "2", "3"]);
}

#[tokio::test]
async fn a_connection_with_a_rest_of_a_body_is_not_used_again() {
    let connections = Connections::default();
    let (network, authorization) = (network(), authorization(ALL));
    let address = counting(9).await;
    for expected in ["1", "2"] {
        let mut request = Request { reuse_connection: true, ..get(format!("http://{address}/")) };
        let response =
            send(&network, &authorization, &connections, request, soon()).await.expect("a response");
        assert_eq!(text(&response), expected);
        request =
            Request { reuse_connection: true, body_limit: Some(0), ..get(format!("http://{address}/")) };
        let response =
            send(&network, &authorization, &connections, request, soon()).await.expect("a response");
        assert!(response.truncated);
    }
}

#[tokio::test]
async fn connections_are_not_shared_between_origins_trusts_and_families() {
    let connections = Connections::default();
    let address = counting(9).await;
    let mut requests: Vec<_> = (0..4).map(|_| get(format!("http://{address}/"))).collect();
    requests[1].ip_family = IpFamily::Ipv4;
    requests[2].tls =
        Some(crate::capability::bindings::aviary::check::tls::TlsOptions { ca: None, verify: false });
    requests[3].url = format!("http://localhost:{}/", address.port());
    for (index, request) in requests.into_iter().enumerate() {
        let request = Request { reuse_connection: true, ..request };
        let response =
            send(&network(), &authorization(ALL), &connections, request, soon()).await.expect("a response");
        assert_eq!(text(&response), (index + 1).to_string());
    }
}

#[tokio::test]
async fn a_connection_reaches_no_further_than_the_grant_it_is_used_under() {
    let port = counting(9).await.port();
    let authorization = authorization(&format!(
        "http: [{{ hosts: [\"http://localhost:{port}\"] }}, {{ hosts: [\"http://*:*\"], methods: [PUT] }}]"
    ));
    let (network, connections) = (network(), Connections::default());
    let ask = async |method| {
        let url = format!("http://localhost:{port}/");
        let request = Request { method, reuse_connection: true, ..get(url) };
        send(&network, &authorization, &connections, request, soon()).await.map(|response| response.status)
    };
    assert!(matches!(ask(Method::Get).await, Ok(200)));
    let result = ask(Method::Put).await;
    assert!(matches!(result, Err(Error::Denied(_))), "{result:?}");
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_not_taken_for_the_next() {
    let answer = |text: &str| format!("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{text}");
    let forged = answer("good") + &answer("evil");
    let address = script(forged).await;
    let connections = Connections::default();
    for _ in 0..3 {
        let request = Request { reuse_connection: true, ..get(format!("http://{address}/")) };
        let response =
            send(&network(), &authorization(ALL), &connections, request, soon()).await.expect("a response");
        assert_eq!(text(&response), "good");
    }
}

#[tokio::test]
async fn connections_of_a_check_that_rests_are_closed_after_a_while() {
    let (close, mut closed) = mpsc::channel(4);
    let address = listen(move |mut stream| {
        let close = close.clone();
        async move {
            while !read_head(&mut stream).await.is_empty() {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            }
            let _ = close.send(()).await;
        }
    })
    .await;
    let (network, authorization, connections) = (network(), authorization(ALL), Connections::default());
    let requests = (0..4).map(|_| {
        let request = Request { reuse_connection: true, ..get(format!("http://{address}/")) };
        send(&network, &authorization, &connections, request, soon())
    });
    assert!(join_all(requests).await.iter().all(Result::is_ok));
    tokio::time::pause();
    let patience = Instant::now() + Duration::from_secs(40);
    for number in 0..4 {
        assert_eq!(timeout_at(patience, closed.recv()).await, Ok(Some(())), "{number} were closed");
    }
}
