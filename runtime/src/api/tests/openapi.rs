use super::*;
use std::{env, fs};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/openapi.json");

async fn described() -> Vec<(String, Vec<Method>)> {
    let description = json(&board(), "/api/v1/openapi.json").await;
    let paths = description["paths"].as_object().expect("paths");
    let methods = |operations: &serde_json::Value| {
        let names = operations.as_object().expect("operations").keys();
        names.map(|name| name.to_uppercase().parse().expect("a method")).collect()
    };
    paths.iter().map(|(path, operations)| (path.clone(), methods(operations))).collect()
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
            // Whatever answers GET answers HEAD.
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
