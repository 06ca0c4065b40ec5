//! Servers that refuse, hang, drip, flood or babble.

use super::*;
use crate::capability::testing::{closed_port, within};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Notify;

#[tokio::test]
async fn a_closed_port_is_refused() {
    let address = closed_port().await;
    assert!(matches!(fetch(get(format!("http://{address}"))).await, Err(Error::Refused)));
}

#[tokio::test]
async fn a_silent_server_times_out_in_the_phase_that_was_waited_for() {
    let silent = listen(|stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let since = Instant::now();
    let waiting = fetch_until(get(format!("http://{silent}")), within(50)).await;
    assert!(matches!(waiting, Err(Error::Timeout(Phase::Wait))), "{waiting:?}");
    let greeting = fetch_until(get(format!("https://{silent}")), within(50)).await;
    assert!(matches!(greeting, Err(Error::Timeout(Phase::Tls))), "{greeting:?}");
    assert!(since.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn a_silent_resolver_times_out_while_resolving() {
    let silent = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let network = crate::capability::testing::network_with(silent.local_addr().expect("an address"));
    let permit = permit("http: [{ hosts: [\"http://a.test\"] }]");
    let result = send(&network, &permit, &Connections::default(), get("http://a.test/"), within(50)).await;
    assert!(matches!(result, Err(Error::Timeout(Phase::Resolve))), "{result:?}");
}

#[tokio::test]
async fn a_dripping_server_costs_no_more_than_the_deadline() {
    let address = listen(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n").await;
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let since = Instant::now();
    let result = fetch_until(get(format!("http://{address}")), within(60)).await;
    assert!(matches!(result, Err(Error::Timeout(Phase::Transfer))), "{result:?}");
    assert!(since.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn an_answer_of_two_gigabytes_is_cut_and_the_connection_dropped() {
    const LENGTH: usize = 2 << 30;
    let sent = Arc::new(AtomicUsize::new(0));
    let gone = Arc::new(Notify::new());
    let (counter, signal) = (Arc::clone(&sent), Arc::clone(&gone));
    let address = listen(move |mut stream| {
        let (sent, gone) = (Arc::clone(&counter), Arc::clone(&signal));
        async move {
            read_head(&mut stream).await;
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
            let chunk = vec![b'x'; 64 * 1024];
            while sent.load(Relaxed) < LENGTH && stream.write_all(&chunk).await.is_ok() {
                sent.fetch_add(chunk.len(), Relaxed);
            }
            gone.notify_one();
        }
    })
    .await;
    let response = fetch(get(format!("http://{address}"))).await.expect("a response");
    assert_eq!((response.body.len(), response.truncated), (1024 * 1024, true));
    tokio::time::timeout(Duration::from_secs(2), gone.notified()).await.expect("the connection is dropped");
    assert!(sent.load(Relaxed) < 64 << 20, "{sent:?}");
}

#[tokio::test]
async fn a_connection_that_ends_early_is_closed() {
    let at_once = listen(|stream| async move { drop(stream) }).await;
    let in_the_head = script("HTTP/1.1 200 OK\r\nContent-").await;
    let in_the_body = script("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf").await;
    for address in [at_once, in_the_head, in_the_body] {
        let result = fetch(get(format!("http://{address}"))).await;
        assert!(matches!(result, Err(Error::Closed)), "{result:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_a_protocol_error() {
    let many: String = (0..101).map(|number| format!("x-{number}: 1\r\n")).collect();
    for answer in [
        "SSH-2.0-OpenSSH_9.9\r\n\r\n".to_owned(),
        "HTTP/1.1 2000 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(80 * 1024)),
    ] {
        let address = script(answer.as_str()).await;
        let result = fetch(get(format!("http://{address}"))).await;
        let result = result.map(|response| response.status);
        assert!(matches!(result, Err(Error::Protocol(_))), "{}: {result:?}", &answer[..20]);
    }
}

#[tokio::test]
async fn an_endless_head_costs_neither_memory_nor_time() {
    for line in ["x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let address = listen(move |mut stream| async move {
            read_head(&mut stream).await;
            if line.starts_with('x') {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
            }
            while stream.write_all(line.as_bytes()).await.is_ok() {}
        })
        .await;
        let since = Instant::now();
        let result = fetch_until(get(format!("http://{address}")), within(100)).await;
        assert!(
            matches!(result, Err(Error::Protocol(_) | Error::Timeout(Phase::Wait))),
            "{line}: {result:?}"
        );
        assert!(since.elapsed() < Duration::from_millis(500));
    }
}
