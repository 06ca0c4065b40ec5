//! Tests of what clients of the API see, through the router or over TCP.

mod checks;
mod demand;
mod events;
mod guard;
mod health;
mod metrics;
mod openapi;
mod promtool;
mod serve;
mod sources;
mod tls;

use super::{response_cache::MAX_UNSHARED, router};
use crate::{
    board::{Board, Entry, Module, Next},
    manifest::Check,
    outcome::{Outcome, Status, Verdict},
    value::{Digest, Origin},
};
use axum::{
    body::Body,
    http::{Method, Request, StatusCode, header},
    response::Response,
};
use http_body_util::BodyExt;
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// A board that is ready, as if all sources had been read.
fn board() -> Arc<Board> {
    let board = Arc::new(Board::default());
    board.set_ready(true);
    board
}

fn check(key: &str) -> Check {
    let module = "http.wasm".parse().expect("a module");
    Check::bare(key.parse().expect("a key"), module)
}

/// The origin of all checks in these tests.
fn origin() -> Arc<Origin> {
    Arc::new(Origin::File("checks.yaml".into()))
}

/// Puts a check on the board that has a module and has not run.
fn enter(board: &Board, check: Check) -> Arc<Entry> {
    let check = Arc::new(check);
    let entry = board.enter(&check, &origin());
    let module = Module {
        name: "http.wasm".to_owned(),
        digest: Digest::of(b"http"),
        size: 42,
        signer: None,
        imports: vec!["aviary:check/http@0.1.0".to_owned()],
        loaded: Timestamp::now(),
    };
    entry.accept(check, module);
    entry
}

fn outcome(status: Status, message: &str) -> Verdict {
    Ok(Outcome { status, message: message.to_owned(), targets: Vec::new() })
}

fn record(entry: &Entry, verdict: Verdict) {
    entry.record(Timestamp::now(), Duration::from_millis(12), verdict, in_an_hour());
}

fn in_an_hour() -> Next {
    let hour = Duration::from_secs(3600);
    Next { run: Timestamp::now() + hour, fresh_until: Instant::now() + hour, quarantine: None }
}

/// Puts a check on the board that has run once, with this verdict.
fn enter_with(board: &Board, key: &str, verdict: Verdict) -> Arc<Entry> {
    let entry = enter(board, check(key));
    record(&entry, verdict);
    entry
}

async fn send(board: &Arc<Board>, method: Method, uri: &str, accept: &str) -> Response {
    let request = Request::builder().method(method).uri(uri).header(header::ACCEPT, accept);
    let request = request.body(Body::empty()).expect("a request");
    router(Arc::clone(board), CancellationToken::new()).oneshot(request).await.expect("an answer")
}

async fn get(board: &Arc<Board>, uri: &str) -> (StatusCode, String) {
    let response = send(board, Method::GET, uri, "*/*").await;
    (response.status(), text(response).await)
}

async fn text(response: Response) -> String {
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    String::from_utf8(body.to_vec()).expect("text")
}

async fn json(board: &Arc<Board>, uri: &str) -> serde_json::Value {
    let (code, body) = get(board, uri).await;
    assert_eq!(code, StatusCode::OK, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

fn header_of(response: &Response, name: header::HeaderName) -> &str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

#[tokio::test]
async fn a_path_with_nothing_behind_it_says_where_to_look() {
    let (code, body) = get(&board(), "/nothing").await;
    assert_eq!(code, StatusCode::NOT_FOUND);
    assert!(body.contains("nothing at /nothing; try /health, /metrics, /api/v1/checks"), "{body}");
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    for (method, uri, allowed) in
        [(Method::POST, "/health", "GET,HEAD"), (Method::GET, "/api/v1/checks/a/b/run", "POST")]
    {
        let response = send(&board(), method, uri, "*/*").await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(header_of(&response, header::ALLOW), allowed);
        assert_eq!(header_of(&response, header::CONTENT_TYPE), "application/json");
        let error = format!("ask this path with {}", allowed.replace(',', " or "));
        let body: serde_json::Value = serde_json::from_str(&text(response).await).expect("JSON");
        assert_eq!(body, serde_json::json!({ "error": error }));
    }
}

#[tokio::test]
async fn every_answer_in_json_ends_its_line() {
    let board = board();
    enter_with(&board, "a/b", outcome(Status::Pass, ""));
    for uri in ["/health", "/health/a/b", "/nothing", "/api/v1/checks", "/api/v1/checks/a/b"] {
        let (_, body) = get(&board, uri).await;
        assert!(body.ends_with("}\n"), "{uri}: {body}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_so_many_large_answers_are_held_at_a_time() {
    let board = board();
    enter_with(&board, "a/b", outcome(Status::Pass, &"x".repeat(100_000)));
    let router = router(board, CancellationToken::new());
    let ask = || {
        let request = Request::get("/health/a/b").body(Body::empty()).expect("a request");
        router.clone().oneshot(request)
    };
    let mut held = Vec::new();
    for _ in 0..MAX_UNSHARED {
        held.push(ask().await.expect("an answer"));
    }
    assert_eq!(ask().await.expect("an answer").status(), StatusCode::SERVICE_UNAVAILABLE);
    held.clear();
    assert_eq!(ask().await.expect("an answer").status(), StatusCode::OK);
}
