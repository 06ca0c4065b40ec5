//! Tests of fetches: what is read of a body, and what is said where it could not be.

use super::*;
use crate::capability::{
    http::{
        body::BodyEnd,
        client::{Content, Wanted},
        rest::Read,
    },
    testing::within,
};
use std::time::Duration;

/// A fetch that reads the body as text.
fn job(url: impl Into<String>) -> Job {
    let text = TextOptions { charset: None, pause_ms: None };
    Job { body: Wanted::Text(text), ..get(url).into() }
}

async fn receive(job: Job, deadline: Instant) -> Result<Received, Error> {
    Guest::new(1).client().receive(job, deadline, MOST_KEPT).await
}

fn read(received: Received) -> Read {
    match received.content {
        Content::Text(read, _) => read,
        Content::Unread | Content::Bytes(..) => panic!("no text"),
    }
}

/// The head and the body's end for a raw answer.
async fn received(answer: &[u8]) -> (Answer, Read) {
    let address = script(answer).await;
    let received = receive(job(format!("http://{address}/")), soon()).await.expect("an answer");
    let (answer, read, _) = received.into_answer();
    (answer, read)
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_the_head_and_what_has_come() {
    let (answer, read) = received(b"HTTP/1.1 503 Busy\r\nContent-Length: 100\r\n\r\nshort").await;
    assert_eq!((answer.status, read.text.as_str(), read.received), (503, "short", 5));
    assert!(matches!(read.end, BodyEnd::Broken(Error::Closed)));
}

#[tokio::test]
async fn a_body_without_a_length_ends_with_the_connection() {
    let (answer, read) = received(b"HTTP/1.1 200 OK\r\n\r\nall of it").await;
    assert_eq!((answer.status, read.text.as_str()), (200, "all of it"));
    assert!(matches!(read.end, BodyEnd::Complete));
}

#[tokio::test]
async fn who_wants_no_body_waits_for_none() {
    let address = listen(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\ndata: tick\n\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let job = Job { body: Wanted::Nothing, ..job(format!("http://{address}/")) };
    let (answer, read, _) = receive(job, soon()).await.expect("an answer").into_answer();
    assert_eq!((answer.status, read.received), (200, 0));
    assert!(matches!(read.end, BodyEnd::Unread));
}

#[tokio::test]
async fn an_endless_body_is_read_on_and_on_with_the_whole_text_each_time() {
    let address = listen(|mut stream| async move {
        read_head(&mut stream).await;
        let _ =
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nevent: a\n\n").await;
        while stream.write_all(b"event: b\n\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let text = TextOptions { charset: None, pause_ms: Some(30) };
    let job = Job { body: Wanted::Text(text), ..job(format!("http://{address}/")) };
    let received = receive(job, within(300)).await.expect("an answer");
    let Content::Text(first, Some(mut rest)) = received.content else { panic!("the body has ended") };
    assert!(matches!(first.end, BodyEnd::Paused));
    let (network, in_flight) = (network(), InFlightBytes::new(None, Arc::default()));
    let second = rest.read(&network, "default", Some(50), &in_flight).await;
    assert!(second.text.starts_with(&first.text) && second.text.len() > first.text.len(), "{}", second.text);
    assert!(second.text.starts_with("event: a\n\nevent: b\n\n"));
    let last = rest.read(&network, "default", None, &in_flight).await;
    assert!(matches!(last.end, BodyEnd::Broken(Error::Timeout(Phase::Transfer))));
    assert!(last.text.starts_with(&second.text));
}

#[tokio::test]
async fn a_guest_that_may_hold_no_more_bodies_waits_for_the_end() {
    let address = script(&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..]).await;
    let text = TextOptions { charset: None, pause_ms: Some(1) };
    let job = Job { body: Wanted::Text(text), ..job(format!("http://{address}/")) };
    let received = Guest::new(0).client().receive(job, soon(), MOST_KEPT).await.expect("an answer");
    assert!(matches!(read(received).end, BodyEnd::Complete));
}

#[tokio::test]
async fn a_body_is_decoded_and_what_cannot_be_is_told_with_the_head() {
    let (answer, read) = received(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=latin1\r\nContent-Length: 4\r\n\r\ncaf\xe9",
    )
    .await;
    assert_eq!((answer.status, read.text.as_str(), read.received), (200, "café", 4));
    let (answer, read) =
        received(b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain").await;
    assert_eq!((answer.status, read.text.as_str(), read.received), (500, "", 5));
    assert!(matches!(read.end, BodyEnd::Undecodable(reason) if reason.contains("it is no gzip")));
}

#[tokio::test]
async fn heads_are_read_as_browsers_read_them() {
    let many: String = (0..1_000).map(|number| format!("X-{number}: v\r\n")).collect();
    for (lines, name, value) in [
        ("X-A : b\r\n", "x-a", "b"),
        ("X-A: one\r\n two\r\n", "x-a", "one two"),
        ("this is no header\r\nX-A: b\r\n", "x-a", "b"),
        ("X(A): c\r\nX-A: b\r\n", "x-a", "b"),
        ("X-A:\r\n", "x-a", ""),
        (many.as_str(), "x-999", "v"),
        ("X-City: Köln\r\n", "x-city", "Köln"),
    ] {
        let (answer, _) =
            received(format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{lines}\r\n").as_bytes()).await;
        let found = answer.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        assert_eq!(found, Some(value), "{lines:.40}");
    }
    let (answer, _) = received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-City: K\xf6ln\r\n\r\n").await;
    assert!(answer.headers.contains(&("x-city".to_owned(), "Köln".to_owned())));
}

#[tokio::test]
async fn a_host_header_of_the_guest_is_sent_to_the_host_of_the_url_only() {
    let address = serve(Router::new().route("/", routing::get(echo))).await;
    let there = format!("http://{address}/");
    let elsewhere = serve(Router::new().route(
        "/",
        routing::get(move || async move { (axum::http::StatusCode::FOUND, [("location", there)]) }),
    ))
    .await;
    let own = |url: String| Job { host: Some("shop.example:8080".to_owned()), ..job(url) };
    let seen = read(receive(own(format!("http://{address}/")), soon()).await.expect("an answer")).text;
    assert!(seen.contains("host: shop.example:8080\n"), "{seen}");
    let mut redirected = own(format!("http://{elsewhere}/"));
    redirected.request.redirects = 1;
    let seen = read(receive(redirected, soon()).await.expect("an answer")).text;
    assert!(seen.contains(&format!("host: {address}\n")), "{seen}");
    for host in ["", "a b", "user@shop.example", "shop.example/x", "a\r\nx: y"] {
        let job = Job { host: Some(host.to_owned()), ..job(format!("http://{address}/")) };
        assert!(matches!(receive(job, soon()).await, Err(Error::Invalid(_))), "{host:?}");
    }
}

#[tokio::test]
async fn cookies_of_a_redirect_are_sent_on_only_if_the_guest_wants_them() {
    let routes = Router::new()
        .route(
            "/",
            routing::get(|| async {
                (
                    axum::http::StatusCode::FOUND,
                    [("location", "/in"), ("set-cookie", "session=s1; Path=/; HttpOnly")],
                )
            }),
        )
        .route("/in", routing::get(echo));
    let address = serve(routes).await;
    for (cookies, sent) in [(true, true), (false, false)] {
        let mut job = Job { cookies, ..job(format!("http://{address}/")) };
        job.request.redirects = 1;
        let seen = read(receive(job, soon()).await.expect("an answer")).text;
        assert_eq!(seen.contains("cookie: session=s1\n"), sent, "{seen}");
    }
}
