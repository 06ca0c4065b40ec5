//! Several requests at a time.

use super::*;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

async fn fetch_all(booked: Vec<Booked>) -> Vec<Result<Response, Error>> {
    let room = Room { at_once: 8, bodies: MOST_KEPT_TOGETHER };
    send_all(&network(), &permit(ALL), &Connections::default(), booked, room).await
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
    let results = fetch_all(booked).await;
    for (number, result) in results[..19].iter().enumerate() {
        assert_eq!(text(result.as_ref().expect("a response")), format!("/{number}"));
    }
    assert!(matches!(&results[19], Err(Error::Denied(text)) if text == "enough"));
    assert_eq!(peak.load(SeqCst), 8);
}

#[test]
fn requests_beyond_a_hundred_are_not_held() {
    let admitted = admit((0..102).map(|_| get("http://127.0.0.1:1/")).collect());
    assert_eq!(admitted.iter().filter(|request| request.is_ok()).count(), 100);
    assert_eq!(admitted.len(), 100);
}

#[test]
fn requests_that_are_held_until_all_are_answered_take_no_more_than_eight_megabytes_together() {
    let mut large = get("http://127.0.0.1:1/");
    large.body = Some(vec![b'x'; 256 * 1024]);
    let mut empty_headers = get("http://127.0.0.1:1/");
    empty_headers.headers = vec![(String::new(), String::new()); 8 * 1024];
    for request in [large, empty_headers] {
        let admitted = admit(vec![request; 40]);
        let held: usize = admitted.iter().flatten().map(size).sum();
        assert!(held <= MOST_KEPT_TOGETHER && held > MOST_KEPT_TOGETHER / 2, "{held} bytes");
        assert!(matches!(&admitted[39], Err(Error::Invalid(why)) if why.contains("together")));
    }
}

#[tokio::test]
async fn the_bodies_that_are_kept_share_eight_megabytes() {
    let body = || async { vec![b'x'; 1024 * 1024] };
    let address = serve(Router::new().route("/", routing::get(body))).await;
    let booked = (0..16).map(|_| Ok((get(format!("http://{address}/")), soon()))).collect();
    let results = fetch_all(booked).await;
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
