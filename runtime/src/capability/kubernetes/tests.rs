//! Tests of calls to an API server that notes what it is asked for.

use super::*;
use crate::{
    capability::bindings::aviary::check::kubernetes::Kind, cluster::Cluster, grant::testing::authorization,
    ledger::Ledger, manifest::Program, value::Key,
};
use axum::{
    Json,
    http::{StatusCode, Uri},
    response::IntoResponse,
};
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::{net::TcpListener, task::JoinSet, time::sleep};

const EVERYTHING: &str =
    "kubernetes: [{ apiGroups: [\"*\"], resources: [\"*\"], verbs: [\"*\"], namespaces: [\"*\"] }]";

/// The path and the body of each request.
type Requests = Arc<Mutex<Vec<(String, String)>>>;

/// The answer of an API server that knows pods, and answers every other question with one.
fn answer(path: &str) -> Value {
    let verbs = ["get", "list", "create", "patch", "delete"];
    let pods =
        json!({ "name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": verbs });
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web", "uid": "u-1" } });
    match path {
        "/api/v1" => json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": [pods] }),
        path if path.ends_with("/pods") => json!({ "metadata": {}, "items": [pod] }),
        _ => pod,
    }
}

/// A ledger whose API server has these routes.
async fn ledger(routes: axum::Router) -> Arc<Ledger> {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let config = kube::Config::new(format!("http://{address}").parse().expect("a URL"));
    Ledger::fleeting(Arc::new(Cluster::new(config).expect("a client")), Arc::default())
}

/// A caller for a check of this namespace to whom everything is granted.
fn caller_in(namespace: &str, ledger: &Arc<Ledger>) -> Caller {
    let key = Key::new(namespace, "test").expect("a key");
    let bare = Program::bare(namespace, "test.wasm".parse().expect("a module"));
    Caller::new(ledger, key, Arc::new(Program { authorization: authorization(EVERYTHING), ..bare }))
}

/// A caller to whom everything is granted, and what its API server was asked for.
async fn caller() -> (Caller, Requests) {
    let requests = Requests::default();
    let seen = Arc::clone(&requests);
    let routes = axum::Router::new().fallback(async move |uri: Uri, body: String| {
        seen.lock().expect("no panic").push((uri.to_string(), body));
        Json(answer(uri.path()))
    });
    (caller_in("team-a", &ledger(routes).await), requests)
}

/// The paths that were requested since the last call of this function.
fn paths(requests: &Requests) -> Vec<String> {
    requests.lock().expect("no panic").drain(..).map(|(path, _)| path).collect()
}

fn pod(api_version: &str, namespace: &str, name: &str) -> Object {
    let kind = Kind { api_version: api_version.to_owned(), kind: "Pod".to_owned() };
    Object { kind, namespace: Some(namespace.to_owned()), name: name.to_owned() }
}

/// Asks for such a pod in every way that there is, and returns the answers.
async fn ask(caller: &Caller, object: &Object) -> Vec<Result<(), Error>> {
    let Object { kind, namespace, name } = object;
    let metadata = json!({ "name": name, "namespace": namespace });
    let body = json!({ "apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata }).to_string();
    let logs = LogRequest {
        namespace: namespace.clone().unwrap_or_default(),
        pod: name.clone(),
        container: Some("a&previous=true/../..".to_owned()),
        tail_lines: 1,
        previous: false,
    };
    vec![
        caller.get(object).await.map(drop),
        caller.wait(object, "$.metadata", None).await.map(drop),
        caller.patch(object, PatchType::Merge, "{}").await.map(drop),
        caller.delete(object, Propagation::Background).await,
        caller.delete(object, Propagation::Orphan).await,
        caller.apply(None, &body).await.map(drop),
        caller.create(None, &body).await.map(drop),
        caller.logs(&logs).await.map(drop),
    ]
}

#[tokio::test]
async fn no_word_of_a_guest_leads_out_of_the_path_it_belongs_to() {
    let (caller, requests) = caller().await;
    for name in
        ["web/log", "../secrets/token", "..", ".", "", "web?watch=1", "web#", "web%2flog", "a b", "web/"]
    {
        for said in ask(&caller, &pod("v1", "team-a", name)).await {
            assert!(matches!(said, Err(Error::Invalid(_))), "{name}: {said:?}");
        }
    }
    let asked = paths(&requests);
    assert_eq!(asked, ["/api/v1"]);
    for namespace in ["", "..", "team-a/secrets/token?x=", "team-a/pods/web/log", "team%2fa", "Team"] {
        for said in ask(&caller, &pod("v1", namespace, "web")).await {
            assert!(matches!(said, Err(Error::Invalid(_))), "{namespace}: {said:?}");
        }
    }
    for version in
        ["", "v1/..", "../v1", "v1/nodes/a/proxy", "v1?x", "/v1", "apps/", "v1#", "a%2f/v1", "../api/v1"]
    {
        let said = caller.get(&pod(version, "team-a", "web")).await;
        assert!(matches!(said, Err(Error::Invalid(_))), "{version}: {said:?}");
    }
    assert_eq!(paths(&requests), [""; 0]);
}

#[tokio::test]
async fn what_is_selected_stays_within_the_query() {
    let (caller, requests) = caller().await;
    let hostile = "a=b&watch=true&limit=0#/../?x";
    let selection = Selection {
        kind: Kind { api_version: "v1".to_owned(), kind: "Pod".to_owned() },
        namespace: Some("team-a".to_owned()),
        label_selector: Some(hostile.to_owned()),
        field_selector: Some(hostile.to_owned()),
        fields: Vec::new(),
        limit: None,
    };
    assert_eq!(caller.list(&selection).await.expect("a page").items.len(), 1);
    let said = ask(&caller, &pod("v1", "team-a", "web")).await;
    assert!(said.iter().all(Result::is_ok), "{said:?}");
    let asked = paths(&requests);
    let plain = |path: &&String| {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pods = "/api/v1/namespaces/team-a/pods";
        let own = path.strip_prefix(pods).is_some_and(|name| ["", "/web", "/aviary-none"].contains(&name));
        own || ["/api/v1", "/api/v1/namespaces/team-a"].contains(&path)
            || path == "/api/v1/namespaces/team-a/pods/web/log" && !query.contains("previous=true")
    };
    assert!(asked.iter().all(|path| plain(&path)), "{asked:?}");
    let listed = asked.iter().find(|path| path.contains("labelSelector")).expect("a list");
    assert!(!listed.contains("watch=true") && listed.matches("limit=").count() == 1, "{listed}");
}

#[tokio::test]
async fn an_apply_over_what_others_made_is_for_that_object_alone() {
    let (caller, requests) = caller().await;
    let body = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "web" } }).to_string();
    caller.apply(None, &body).await.expect("applied");
    let (_, sent) = requests.lock().expect("no panic").pop().expect("a request");
    let sent: Value = serde_json::from_str(&sent).expect("JSON");
    assert_eq!(sent["metadata"], json!({ "name": "web", "uid": "u-1" }));
}

/// The most answers under way to one namespace, and to all.
const ROOM: (usize, usize) = (4, 8);

#[tokio::test]
async fn only_so_many_answers_are_under_way_at_once_and_no_namespace_takes_all_the_room() {
    let under_way = Arc::new(Mutex::new(Vec::<String>::new()));
    let most = Arc::new(Mutex::new((0, 0)));
    let (now, seen) = (Arc::clone(&under_way), Arc::clone(&most));
    let routes = axum::Router::new().fallback(async move |uri: Uri| {
        let path = uri.path().to_owned();
        {
            let mut now = now.lock().expect("no panic");
            now.push(path.clone());
            let same = now.iter().filter(|other| path.contains("/namespaces/") && **other == path).count();
            let mut seen = seen.lock().expect("no panic");
            *seen = (seen.0.max(same), seen.1.max(now.len()));
        }
        sleep(Duration::from_millis(20)).await;
        let mut now = now.lock().expect("no panic");
        let index = now.iter().position(|other| *other == path).expect("under way");
        now.remove(index);
        Json(answer(&path))
    });
    let ledger = ledger(routes).await;
    let mut calls = JoinSet::new();
    for number in 0..60 {
        let namespace = ["team-a", "team-b"][number % 2];
        let caller = caller_in(namespace, &ledger);
        calls.spawn(async move { caller.get(&pod("v1", namespace, "web")).await });
    }
    let said = calls.join_all().await;
    assert!(said.iter().all(Result::is_ok), "{said:?}");
    let most = *most.lock().expect("no panic");
    assert_eq!(most, ROOM);
}

#[tokio::test]
async fn neither_a_body_nor_an_answer_is_read_that_has_too_many_values() {
    let many = format!("[{}0]", r#"{"":0},"#.repeat(60_000));
    let large = format!(r#"{{"metadata":{{}},"spec":{many}}}"#);
    let routes = axum::Router::new().fallback(async move |uri: Uri| match uri.path() {
        "/api/v1/namespaces/team-a/pods/web/log" => "[,".repeat(100_000).into_response(),
        "/api/v1/namespaces/team-a/pods/many" => {
            ([("content-type", "application/json")], large.clone()).into_response()
        }
        path => Json(answer(path)).into_response(),
    });
    let caller = caller_in("team-a", &ledger(routes).await);
    let body = format!(r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"a"}},"spec":{many}}}"#);
    for said in [
        caller.create(None, &body).await,
        caller.apply(None, &body).await,
        caller.patch(&pod("v1", "team-a", "web"), PatchType::Merge, &body).await,
        caller.patch(&pod("v1", "team-a", "web"), PatchType::Json, &many).await,
    ] {
        assert!(matches!(&said, Err(Error::Invalid(why)) if why.contains("50000 values")), "{said:?}");
    }
    let said = caller.get(&pod("v1", "team-a", "many")).await;
    assert!(matches!(&said, Err(Error::Invalid(why)) if why.contains("too large")), "{said:?}");
    let said = ask(&caller, &pod("v1", "team-a", "web")).await;
    assert!(said.iter().all(Result::is_ok), "a log is no JSON: {said:?}");
}

#[tokio::test]
async fn lists_of_large_objects_are_read_in_small_pages() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    let routes = axum::Router::new().fallback(async move |uri: Uri| {
        let query = uri.query().unwrap_or_default().to_owned();
        let number =
            |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)?.parse::<usize>().ok());
        let Some(limit) = number("limit=") else { return Json(answer(uri.path())) };
        seen.lock().expect("no panic").push(limit);
        let from = number("continue=").unwrap_or_default();
        let to = (from + limit).min(20);
        let pod = json!({ "metadata": { "name": "web" }, "spec": { "text": "a".repeat(256 * 1024) } });
        let next = if to < 20 { to.to_string() } else { String::new() };
        Json(json!({ "metadata": { "continue": next }, "items": vec![pod; to - from] }))
    });
    let caller = caller_in("team-a", &ledger(routes).await);
    let selection = Selection {
        kind: Kind { api_version: "v1".to_owned(), kind: "Pod".to_owned() },
        namespace: Some("team-a".to_owned()),
        label_selector: None,
        field_selector: None,
        fields: vec![".metadata.name".to_owned()],
        limit: None,
    };
    let page = caller.list(&selection).await.expect("a page");
    assert!(page.items.len() == 20 && !page.truncated);
    assert_eq!(*sizes.lock().expect("no panic"), [100, 50, 25, 12, 12]);
}

#[tokio::test]
async fn a_server_that_is_busy_is_asked_again_what_kinds_there_are() {
    let refusals = Arc::new(Mutex::new(2));
    let routes = axum::Router::new().fallback(async move |uri: Uri| {
        let mut left = refusals.lock().expect("no panic");
        if uri.path() == "/api/v1" && *left > 0 {
            *left -= 1;
            return StatusCode::TOO_MANY_REQUESTS.into_response();
        }
        Json(answer(uri.path())).into_response()
    });
    let caller = caller_in("team-a", &ledger(routes).await);
    let said = caller.get(&pod("v1", "team-a", "web")).await;
    assert!(said.is_ok(), "{said:?}");
}
