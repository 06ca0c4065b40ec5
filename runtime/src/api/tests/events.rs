use super::*;
use crate::api::{
    client::Client,
    events::{LISTENERS_EACH, MAX_LISTENERS},
};

/// The next piece of the response's event stream; none at the end.
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
    record(&entry, outcome(Status::Warn, "slowly"));
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
    let better = piece(&mut stream).await.expect("an event");
    assert!(better.contains(r#""from":"fail","to":"warn","message":"slowly""#), "{better}");
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

/// Opens an event stream as the client with this number.
async fn listen(router: &axum::Router, client: usize) -> Response {
    let mut request = Request::get("/api/v1/events").body(Body::empty()).expect("a request");
    request.extensions_mut().insert(Client::of((client as u32).to_be_bytes().into()));
    router.clone().oneshot(request).await.expect("an answer")
}

#[tokio::test]
async fn one_client_has_a_few_streams_and_leaves_the_others_to_others() {
    let router = router(board(), CancellationToken::new());
    let mut streams = Vec::new();
    for _ in 0..LISTENERS_EACH {
        streams.push(listen(&router, 1).await);
        assert_eq!(streams.last().map(Response::status), Some(StatusCode::OK));
    }
    let refused = listen(&router, 1).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        text(refused).await,
        "{\"error\":\"8 streams go to this address already; close one of them\"}\n"
    );
    assert_eq!(listen(&router, 2).await.status(), StatusCode::OK);
    streams.pop();
    assert_eq!(listen(&router, 1).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn too_many_listeners_are_refused_until_one_leaves() {
    let router = router(board(), CancellationToken::new());
    let mut streams = Vec::new();
    for number in 0..MAX_LISTENERS {
        streams.push(listen(&router, number).await);
    }
    assert_eq!(listen(&router, MAX_LISTENERS).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    streams.pop();
    assert_eq!(listen(&router, MAX_LISTENERS).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn streams_end_at_shutdown() {
    let shutdown = CancellationToken::new();
    let request = Request::get("/api/v1/events").body(Body::empty()).expect("a request");
    let mut stream = router(board(), shutdown.clone()).oneshot(request).await.expect("an answer");
    shutdown.cancel();
    assert_eq!(piece(&mut stream).await, None);
}
