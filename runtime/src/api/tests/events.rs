use super::*;
use crate::api::events::MAX_LISTENERS;
use futures_util::StreamExt;

/// The next piece of the stream.
async fn piece(response: &mut Response) -> Option<String> {
    let frame = response.body_mut().frame().await?.expect("a frame");
    Some(String::from_utf8(frame.into_data().expect("data").to_vec()).expect("text"))
}

#[tokio::test]
async fn events_are_told_with_their_kind_and_data() {
    let board = board();
    let mut stream = send(&board, Method::GET, "/api/v1/events", "*/*").await;
    assert_eq!(header_of(&stream, header::CONTENT_TYPE), "text/event-stream");
    let entry = enter(&board, check("a/b"));
    record(&entry, outcome(Status::Fail, "no\nway"));
    let loaded = piece(&mut stream).await.expect("an event");
    assert!(loaded.starts_with("event: loaded\nid: "), "{loaded}");
    let changed = piece(&mut stream).await.expect("an event");
    let data = changed.lines().find_map(|line| line.strip_prefix("data: ")).expect("data");
    let data: serde_json::Value = serde_json::from_str(data).expect("JSON in one line");
    assert_eq!((&data["check"], &data["kind"]), (&"a/b".into(), &"changed".into()));
    assert_eq!(
        (&data["from"], &data["to"], &data["message"]),
        (&"unknown".into(), &"fail".into(), &"no\nway".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_is_kept_alive() {
    let board = board();
    let mut stream = send(&board, Method::GET, "/api/v1/events", "*/*").await;
    let start = Instant::now();
    assert_eq!(piece(&mut stream).await.expect("a comment"), ":\n\n");
    assert_eq!(start.elapsed(), Duration::from_secs(15));
}

#[tokio::test]
async fn a_slow_listener_is_told_how_much_it_missed() {
    let board = board();
    let mut stream = send(&board, Method::GET, "/api/v1/events", "*/*").await;
    for index in 0..1024 + 6 {
        enter(&board, check(&format!("a/{index}")));
    }
    let lagged = piece(&mut stream).await.expect("an event");
    assert_eq!(lagged, "event: lagged\ndata: {\"missed\":6}\n\n");
    assert!(piece(&mut stream).await.expect("an event").contains("a/6"));
}

#[tokio::test]
async fn too_many_listeners_are_refused_until_one_leaves() {
    let router = router(board(), CancellationToken::new());
    let listen = || {
        let request = Request::get("/api/v1/events").body(Body::empty()).expect("a request");
        router.clone().oneshot(request)
    };
    let mut streams: Vec<Response> = futures_util::stream::iter(0..MAX_LISTENERS)
        .then(|_| listen())
        .map(|answer| answer.expect("an answer"))
        .collect()
        .await;
    assert_eq!(listen().await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(streams.pop());
    assert_eq!(listen().await.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test]
async fn streams_end_at_shutdown() {
    let shutdown = CancellationToken::new();
    let request = Request::get("/api/v1/events").body(Body::empty()).expect("a request");
    let mut stream = router(board(), shutdown.clone()).oneshot(request).await.expect("an answer");
    shutdown.cancel();
    assert_eq!(piece(&mut stream).await, None);
}
