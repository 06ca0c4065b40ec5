//! Tests of the clients, with an API server that notes who asks.

use super::*;
use axum::{
    Json,
    http::{HeaderMap, StatusCode, Uri},
    response::IntoResponse,
};
use serde_json::json;
use std::sync::Arc;
use tokio::net::TcpListener;

/// The impersonation headers for a kubeconfig that impersonates a user with everything there is.
const OPERATOR: [(&str, &str); 4] = [
    ("impersonate-extra-reason", "on call"),
    ("impersonate-group", "system:masters"),
    ("impersonate-uid", "u-1"),
    ("impersonate-user", "root"),
];

/// The impersonation headers of each request, in order.
type Asked = Arc<Mutex<Vec<Vec<(String, String)>>>>;

/// A cluster whose API server notes who asks, and always answers the same.
async fn noting() -> (Cluster, Asked) {
    let asked = Asked::default();
    let noted = Arc::clone(&asked);
    let routes = axum::Router::new().fallback(async move |headers: HeaderMap| {
        let text = |value: &hyper::header::HeaderValue| value.to_str().expect("text").to_owned();
        let mut about: Vec<_> = headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        about.retain(|(name, _)| name.starts_with("impersonate-"));
        about.sort();
        lock(&noted).push(about);
        Json(json!({}))
    });
    let mut config = serve(routes).await;
    let auth = &mut config.auth_info;
    auth.impersonate = Some("root".to_owned());
    auth.impersonate_uid = Some("u-1".to_owned());
    auth.impersonate_groups = Some(vec!["system:masters".to_owned()]);
    auth.impersonate_user_extra = Some([("reason".to_owned(), vec!["on call".to_owned()])].into());
    (Cluster::new(config).expect("a cluster"), asked)
}

/// Serves these routes as an API server, and returns the configuration that reaches it.
async fn serve(routes: axum::Router) -> Config {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    Config::new(format!("http://{address}").parse().expect("a URL"))
}

async fn ask(client: Client) {
    let request = hyper::Request::get("/version").body(Vec::new()).expect("a request");
    client.request_text(request).await.expect("an answer");
}

#[tokio::test]
async fn an_account_has_nothing_of_whom_the_kubeconfig_impersonates() {
    let (cluster, asked) = noting().await;
    let account = Account { namespace: "team-a".to_owned(), name: "aviary-check".to_owned() };
    ask(cluster.guest(Some(&account)).expect("a client")).await;
    ask(cluster.sweeper(Some(&account)).expect("a client")).await;
    let account = [("impersonate-user".to_owned(), account.to_string())];
    assert_eq!(*lock(&asked), [account.clone(), account]);
}

#[tokio::test]
async fn the_daemon_and_who_has_its_rights_are_whom_the_kubeconfig_impersonates() {
    let (cluster, asked) = noting().await;
    ask(cluster.own()).await;
    ask(cluster.guest(None).expect("a client")).await;
    ask(cluster.sweeper(None).expect("a client")).await;
    let operator = OPERATOR.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    assert_eq!(*lock(&asked), [operator.clone(), operator.clone(), operator]);
}

#[tokio::test]
async fn a_server_that_says_in_a_header_when_to_come_again_is_heard_by_everybody() {
    let told =
        |seconds: u32| json!({ "message": "no", "code": 503, "details": { "retryAfterSeconds": seconds } });
    let routes = axum::Router::new().fallback(async move |uri: Uri| {
        let answer = |code: StatusCode, body: String| (code, [("retry-after", "7")], body).into_response();
        match uri.path() {
            "/text" => answer(StatusCode::TOO_MANY_REQUESTS, "Too many requests.\n".to_owned()),
            "/sooner" => answer(StatusCode::SERVICE_UNAVAILABLE, told(3).to_string()),
            "/later" => answer(StatusCode::SERVICE_UNAVAILABLE, told(9).to_string()),
            "/other" => answer(StatusCode::TOO_MANY_REQUESTS, json!({ "error": "no" }).to_string()),
            "/endless" => answer(StatusCode::TOO_MANY_REQUESTS, "a".repeat(1 << 20)),
            _ => answer(StatusCode::FORBIDDEN, json!({ "message": "no", "code": 403 }).to_string()),
        }
    });
    let cluster = Cluster::new(serve(routes).await).expect("a cluster");
    for client in [cluster.own(), cluster.guest(None).expect("a client")] {
        for (path, code_of_it, seconds) in [
            ("text", 429, 7),
            ("sooner", 503, 7),
            ("later", 503, 9),
            ("other", 429, 7),
            ("endless", 429, 7),
            ("", 403, 0),
        ] {
            let request = hyper::Request::get(format!("/{path}")).body(Vec::new()).expect("a request");
            let refusal = client.request_text(request).await.expect_err("a refusal");
            assert_eq!(asked_pause(&refusal), Duration::from_secs(seconds), "{path}");
            assert_eq!(code(&refusal), Some(code_of_it), "{path}");
            assert!(path != "text" || in_words(&refusal) == "Too many requests.", "{refusal}");
        }
    }
}
