//! Clients over an API server that notes who asks.

use super::*;
use axum::{Json, http::HeaderMap};
use serde_json::json;
use std::sync::Arc;
use tokio::net::TcpListener;

/// Whom a kubeconfig impersonates that leaves nothing out.
const OPERATOR: [(&str, &str); 4] = [
    ("impersonate-extra-reason", "on call"),
    ("impersonate-group", "system:masters"),
    ("impersonate-uid", "u-1"),
    ("impersonate-user", "root"),
];

/// The headers about impersonation of each request.
type Asked = Arc<Mutex<Vec<Vec<(String, String)>>>>;

/// A cluster over an API server that notes who asks and otherwise answers the same.
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

/// How to reach an API server of these routes.
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
