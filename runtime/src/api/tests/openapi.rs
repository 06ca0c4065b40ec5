use super::{guard::reloading_file, *};
use crate::{
    api::{Basic, Guard},
    outcome::{Fault, Reason},
};
use axum::Router;
use serde_json::Value;
use std::{collections::BTreeSet, env, fs};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/openapi.json");

async fn described() -> Vec<(String, Vec<Method>)> {
    let description = json(&board(), "/api/v1/openapi.json").await;
    let paths = description["paths"].as_object().expect("paths");
    let methods = |operations: &Value| {
        let names = operations.as_object().expect("operations").keys();
        names.map(|name| name.to_uppercase().parse().expect("a method")).collect()
    };
    paths.iter().map(|(path, operations)| (path.clone(), methods(operations))).collect()
}

/// All operations of the OpenAPI description: the method, the path and the description of each.
async fn operations() -> Vec<(Method, String, Value)> {
    let description = json(&board(), "/api/v1/openapi.json").await;
    let mut all = Vec::new();
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("operations") {
            let method = method.to_uppercase().parse().expect("a method");
            all.push((method, path.clone(), operation.clone()));
        }
    }
    all
}

/// Requests every operation, and returns the status codes. Each has to be described with its media type.
async fn ask_for_everything(router: &Router, namespace: &str, query: &str) -> BTreeSet<u16> {
    let mut codes = BTreeSet::new();
    for (method, path, operation) in operations().await {
        let uri = path.replace("{namespace}", namespace).replace("{name}", "b") + query;
        let request =
            Request::builder().method(method.clone()).uri(uri).body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("an answer");
        let code = response.status().as_u16();
        let described = &operation["responses"][code.to_string()]["content"];
        let media_type = header_of(&response, header::CONTENT_TYPE);
        let mut known = described.as_object().into_iter().flat_map(|content| content.keys());
        assert!(
            known.any(|known| media_type.starts_with(known)),
            "{method} {path}{query}: {code} {media_type}"
        );
        codes.insert(code);
    }
    codes
}

#[tokio::test(start_paused = true)]
async fn every_answer_that_is_given_is_described() {
    let open = |board: &Arc<Board>| router(Arc::clone(board), CancellationToken::new());
    let starting = Arc::new(Board::default());
    assert_eq!(ask_for_everything(&open(&starting), "a", "").await, [200, 404, 503].into());
    let board = board();
    let entry = enter(&board, check("a/b"));
    for (verdict, codes) in [
        (outcome(Status::Pass, "fine"), &[200, 504][..]),
        (outcome(Status::Fail, "no"), &[200, 429, 503]),
        (Err(Fault::new(Reason::Trap, "unreachable")), &[200, 429, 500]),
    ] {
        record(&entry, verdict);
        assert_eq!(ask_for_everything(&open(&board), "a", "").await, codes.iter().copied().collect());
    }
    assert!(ask_for_everything(&open(&board), "a", "?nonsense").await.contains(&400));
    assert!(ask_for_everything(&open(&board), "%ff", "").await.contains(&400));
    enter(&board, Check { suspend: true, ..check("c/b") });
    assert!(ask_for_everything(&open(&board), "c", "").await.contains(&409));
}

#[tokio::test]
async fn refusals_of_who_may_not_ask_are_described_and_the_kubelet_gets_none() {
    let directory = tempfile::tempdir().expect("a directory");
    let board = board();
    enter_with(&board, "a/b", outcome(Status::Pass, ""));
    let open = || router(Arc::clone(&board), CancellationToken::new());
    let closed = Guard::new(None, Some(reloading_file::<Basic>(&directory, "a:b")), None).protect(open());
    assert_eq!(ask_for_everything(&closed, "a", "").await, [200, 401].into());
    let slow = Guard::new(
        None,
        Some(reloading_file::<Basic>(&directory, "a:b")),
        Some("1-D".parse().expect("a rate")),
    );
    assert_eq!(ask_for_everything(&slow.protect(open()), "a", "").await, [200, 401, 429].into());
    for (method, path, operation) in operations().await {
        let is_open = matches!(path.as_str(), "/livez" | "/readyz");
        assert_eq!(operation["security"].is_null(), is_open, "{method} {path}");
        assert_eq!(operation["responses"]["401"].is_null(), is_open, "{method} {path}");
    }
}

#[tokio::test]
async fn no_two_operations_share_a_name() {
    let operations = operations().await;
    let names: BTreeSet<_> =
        operations.iter().filter_map(|(.., operation)| operation["operationId"].as_str()).collect();
    assert_eq!(names.len(), operations.len(), "{names:?}");
}

async fn code(path: &str, method: &Method) -> u16 {
    let board = board();
    enter_with(&board, "a/b", outcome(Status::Pass, ""));
    let uri = path.replace("{namespace}", "a").replace("{name}", "b");
    send(&board, method.clone(), &uri, "*/*").await.status().as_u16()
}

#[tokio::test(start_paused = true)]
async fn every_described_path_answers_its_methods_and_no_others() {
    for (path, methods) in described().await {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            let code = code(&path, &method).await;
            // A path that answers GET answers HEAD as well.
            let is_head = method == Method::HEAD && methods.contains(&Method::GET);
            assert_eq!(methods.contains(&method) || is_head, code != 405, "{method} {path}: {code}");
            assert_ne!(code, 404, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn everything_that_is_served_is_described() {
    let paths: Vec<String> = described().await.into_iter().map(|(path, _)| path).collect();
    let served = [
        "/api/v1/checks",
        "/api/v1/checks/{namespace}/{name}",
        "/api/v1/checks/{namespace}/{name}/run",
        "/api/v1/events",
        "/api/v1/openapi.json",
        "/api/v1/sources",
        "/health",
        "/health/{namespace}",
        "/health/{namespace}/{name}",
        "/livez",
        "/metrics",
        "/readyz",
    ];
    assert_eq!(paths, served);
}

#[tokio::test]
async fn the_committed_description_is_up_to_date() {
    let (_, text) = get(&board(), "/api/v1/openapi.json").await;
    if env::var_os("AVIARY_BLESS").is_some() {
        fs::write(COMMITTED, &text).expect("the description can be written");
    }
    let committed = fs::read_to_string(COMMITTED).unwrap_or_default();
    assert!(committed == text, "deploy/openapi.json is out of date: run the tests once with AVIARY_BLESS=1");
}
