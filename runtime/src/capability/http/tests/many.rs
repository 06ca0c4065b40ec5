//! Tests of several requests at a time.

use super::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

async fn send_all(requests: Vec<Result<(Request, Instant), Error>>) -> Vec<Result<Response, Error>> {
    let booked =
        requests.into_iter().map(|request| request.map(|(request, deadline)| (request.into(), deadline)));
    let limits = BatchLimits { at_once: 8, bodies: MOST_KEPT_TOGETHER };
    let received = Guest::new(0).client().receive_all(booked.collect(), limits).await;
    received.into_iter().map(|result| result.map(Response::from)).collect()
}

#[tokio::test]
async fn answers_keep_the_order_of_their_requests_and_eight_are_sent_at_a_time() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let peak = Arc::clone(&most);
    let address = listen(move |mut stream| {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        async move {
            most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
            let head = read_head(&mut stream).await;
            let path = head.split(' ').nth(1).unwrap_or_default();
            tokio::time::sleep(Duration::from_millis(10)).await;
            now.fetch_sub(1, SeqCst);
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    let mut booked: Vec<_> =
        (0..20).map(|number| Ok((get(format!("http://{address}/{number}")), soon()))).collect();
    booked[19] = Err(Error::Denied("enough".to_owned()));
    let results = send_all(booked).await;
    for (number, result) in results[..19].iter().enumerate() {
        assert_eq!(text(result.as_ref().expect("a response")), format!("/{number}"));
    }
    assert!(matches!(&results[19], Err(Error::Denied(text)) if text == "enough"));
    assert_eq!(peak.load(SeqCst), 8);
}

#[tokio::test]
async fn the_bodies_that_are_kept_share_eight_megabytes() {
    let body = || async { vec![b'x'; 1024 * 1024] };
    let address = serve(Router::new().route("/", routing::get(body))).await;
    let booked = (0..16).map(|_| Ok((get(format!("http://{address}/")), soon()))).collect();
    let results = send_all(booked).await;
    for result in results {
        let response = result.expect("a response");
        assert_eq!((response.body.len(), response.truncated), (512 * 1024, true));
    }
}

#[test]
fn secrets_in_a_url_stay_out_of_messages() {
    assert_eq!(target("https://user:pw@a.test/path?token=1#x"), "https://a.test/path");
    assert_eq!(target("\u{1b}"), "an invalid URL");
}
