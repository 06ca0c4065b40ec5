//! Tests with servers that refuse, hang, drip, flood or babble.

use super::*;
use crate::capability::testing::{Authority, NOW, closed_port, within};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

#[tokio::test]
async fn a_closed_port_is_refused() {
    let address = closed_port();
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
    let authorization = authorization("http: [{ hosts: [\"http://a.test\"] }]");
    let result =
        send(&network, &authorization, &Connections::default(), get("http://a.test/"), within(50)).await;
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
    let many: String = (0..1_025).map(|number| format!("x-{number}: 1\r\n")).collect();
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
async fn an_endless_head_or_tail_costs_neither_memory_nor_time() {
    const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let (trailers, extension) = (format!("{CHUNKED}0\r\n"), format!("{CHUNKED}1;"));
    for (start, again, how) in [
        ("HTTP/1.1 200 OK\r\n", "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", Caught),
        ("", "HTTP/1.1 100 Continue\r\n\r\n", Endured),
        ("", "\r\n", Caught),
        (trailers.as_str(), "x: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n", Caught),
        (extension.as_str(), "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy", Caught),
        (CHUNKED, "00000000", Endured),
    ] {
        let start = start.to_owned();
        let address = listen(move |mut stream| {
            let start = start.clone();
            async move {
                read_head(&mut stream).await;
                let _ = stream.write_all(start.as_bytes()).await;
                while stream.write_all(again.as_bytes()).await.is_ok() {}
            }
        })
        .await;
        assert_fails(get(format!("http://{address}")), again, how).await;
    }
}

/// What the client makes of a server's flood.
#[derive(Clone, Copy, Debug)]
enum Flood {
    /// The flood breaks a limit and ends the request.
    Caught,
    /// The flood goes on until the deadline, and costs nothing but time.
    Endured,
}
use Flood::{Caught, Endured};

async fn assert_fails(request: Request, what: &str, flood: Flood) {
    let since = Instant::now();
    let patience = if matches!(flood, Caught) { soon() } else { within(100) };
    let result = fetch_until(request, patience).await;
    let is_so = match &result {
        Err(Error::Protocol(_)) => matches!(flood, Caught),
        Err(Error::Timeout(Phase::Wait | Phase::Transfer)) => matches!(flood, Endured),
        _ => false,
    };
    assert!(is_so, "{what} should be {flood:?}: {result:?}");
    assert!(since.elapsed() < Duration::from_millis(1500), "{what}: {:?}", since.elapsed());
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).expect("short").to_be_bytes();
    [&length, &[kind, flags, 0, 0, 0, stream][..], payload].concat()
}

#[tokio::test]
async fn floods_of_http2_cost_neither_memory_nor_time() {
    const END_HEADERS: u8 = 4;
    // The status 200 as its number in the static table.
    let (head, unfinished) = (frame(1, END_HEADERS, 1, &[0x88]), frame(1, 0, 1, &[0x88]));
    // One long header goes into the table, and is then repeated thousands of times with a byte each.
    let mut bomb = [&[0x88, 0x40, 1, b'x', 0x7f, 0x81, 0x1e][..], &[b'y'; 4000]].concat();
    bomb.extend([0xbe; 12_000]);
    for (what, start, again, how) in [
        ("settings", vec![], frame(4, 0, 0, &[]), Endured),
        ("pings", vec![], frame(6, 0, 0, &[0; 8]), Endured),
        ("windows", vec![], frame(8, 0, 0, &[0, 0, 0, 1]), Endured),
        ("resets", vec![], frame(3, 0, 1, &[0, 0, 0, 8]), Caught),
        ("unknown frames", vec![], frame(0xff, 0, 0, &[]), Endured),
        ("promises", vec![], frame(5, END_HEADERS, 1, &[0, 0, 0, 2, 0x88]), Caught),
        ("empty continuations", unfinished.clone(), frame(9, 0, 1, &[]), Caught),
        ("continuations", unfinished, frame(9, 0, 1, &[0x88; 16_000]), Caught),
        ("interim heads", vec![], frame(1, END_HEADERS, 1, &[0x08, 3, b'1', b'0', b'3']), Endured),
        ("empty data", head, frame(0, 0, 1, &[]), Caught),
        ("a bomb of headers", vec![], frame(1, END_HEADERS, 1, &bomb), Caught),
    ] {
        let authority = Authority::new();
        let acceptor = TlsAcceptor::from(authority.server("127.0.0.1", NOW, &["h2"]));
        let start = [frame(4, 0, 0, &[]), start].concat();
        let address = listen(move |stream| {
            let (acceptor, start, again) = (acceptor.clone(), start.clone(), again.clone());
            async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let (mut incoming, mut outgoing) = tokio::io::split(stream);
                let heard = async {
                    let _ = tokio::io::copy(&mut incoming, &mut tokio::io::sink()).await;
                };
                let said = async {
                    let _ = outgoing.write_all(&start).await;
                    // The frames are about the stream that the request opens.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    while outgoing.write_all(&again).await.is_ok() {}
                };
                tokio::join!(heard, said);
            }
        })
        .await;
        let request = Request { tls: authority.trusted(), ..get(format!("https://{address}/")) };
        assert_fails(request, what, how).await;
    }
}

#[tokio::test]
async fn an_encoded_body_arrives_as_it_was_sent() {
    // The start of a gzip stream that would swell to a gigabyte.
    let bomb = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0xed; 2000]].concat();
    for encoding in ["gzip", "deflate", "br", "zstd", "gzip, gzip, gzip"] {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {}\r\n\r\n",
            bomb.len()
        );
        let address = script([head.as_bytes(), &bomb].concat()).await;
        let response = fetch(get(format!("http://{address}"))).await.expect("a response");
        assert_eq!((response.body == bomb, header(&response, "content-encoding")), (true, Some(encoding)));
    }
}
