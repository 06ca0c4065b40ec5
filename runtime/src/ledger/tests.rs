mod upkeep;

use super::*;
use axum::{
    Json,
    http::{Method, Uri},
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::net::TcpListener;

/// A cluster whose API server takes requests and never answers.
async fn silent() -> (TcpListener, Arc<Cluster>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let config = kube::Config::new(url.parse().expect("a url"));
    (listener, Arc::new(Cluster::new(config).expect("a cluster")))
}

fn key() -> Key {
    "team-a/web".parse().expect("a key")
}

fn place() -> ObjectLocation {
    ObjectLocation { api_version: "v1".to_owned(), kind: "Pod".to_owned(), namespace: None, account: None }
}

#[tokio::test]
async fn a_sweep_that_is_broken_off_is_not_taken_for_done() {
    let (server, cluster) = silent().await;
    let ledger = Ledger::fleeting(cluster, Arc::default());
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(Arc::clone(&ledger).keep(stop.clone()));
    let round = ledger.open(&key());
    round.note(&place(), None).await.expect("noted");
    drop(round);
    let _sweep = server.accept().await.expect("a sweep");
    stop.cancel();
    keeping.await.expect("no panic");
    assert!(!ledger.settle(Instant::now() + Duration::from_millis(100)).await, "it may have left a pod");
}

#[tokio::test(start_paused = true)]
async fn neither_book_nor_proof_is_waited_for_when_the_server_never_answers() {
    let (_server, cluster) = silent().await;
    let ledger = Ledger::lasting(cluster, Arc::default(), Arc::default());
    let since = Instant::now();
    let round = ledger.open(&key());
    assert!(matches!(round.note(&place(), None).await, Err(EnterError::Book(_))));
    assert!(matches!(round.enter(place()).await, Err(EnterError::Unproven(Unproven::Unknown { .. }))));
    assert!(since.elapsed() < Duration::from_secs(21), "{:?}", since.elapsed());
}

/// A ledger whose API server has pods with large annotations, and deletes them or not; and the number of its
/// lists.
async fn ledger_over(pods: BTreeSet<String>, deletes: bool) -> (Arc<Ledger>, Arc<AtomicU64>) {
    let (pods, lists) = (Arc::new(Mutex::new(pods)), Arc::new(AtomicU64::new(0)));
    let listed = Arc::clone(&lists);
    let routes = axum::Router::new().fallback(async move |method: Method, uri: Uri| {
        let mut pods = pods.lock().expect("no panic");
        let name = uri.path().strip_prefix("/api/v1/pods/");
        Json(match name {
            Some(name) => json!({ "kind": "Status", "status": pods.remove(name).then_some("Success") }),
            None if uri.path() == "/api/v1" => {
                let verbs = ["list", "delete"];
                let kind = json!({ "name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": verbs });
                json!({ "kind": "APIResourceList", "groupVersion": "v1", "resources": [kind] })
            }
            None => {
                assert_eq!(method, Method::GET);
                listed.fetch_add(1, Relaxed);
                list(&pods, uri.query().unwrap_or_default(), deletes)
            }
        })
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let config = kube::Config::new(format!("http://{address}").parse().expect("a URL"));
    let ledger = Ledger::fleeting(Arc::new(Cluster::new(config).expect("a cluster")), Arc::default());
    (ledger, lists)
}

/// A page of the list of pods with these names. Those that cannot be deleted are small, and being deleted.
fn list(pods: &BTreeSet<String>, query: &str, deletes: bool) -> Value {
    let parameter = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name));
    let limit: usize = parameter("limit=").and_then(|limit| limit.parse().ok()).expect("a limit");
    let mut rest = pods.iter().filter(|name| parameter("continue=").is_none_or(|last| name.as_str() > last));
    let names: Vec<_> = rest.by_ref().take(limit).collect();
    let next = rest.next().and(names.last()).map_or("", |name| name.as_str());
    let items: Vec<_> = names
        .iter()
        .map(|name| match deletes {
            true => json!({ "metadata": { "name": name, "annotations": { "a": "a".repeat(256 * 1024) } } }),
            false => json!({ "metadata": { "name": name, "deletionTimestamp": "2026-11-21T00:00:00Z" } }),
        })
        .collect();
    json!({ "metadata": { "continue": next }, "items": items })
}

#[tokio::test]
async fn objects_with_large_metadata_are_found_as_well() {
    let (ledger, _) = ledger_over((0..20).map(|number| format!("pod-{number:02}")).collect(), true).await;
    let round = ledger.open(&key());
    round.note(&place(), None).await.expect("noted");
    drop(round);
    assert!(ledger.settle(Instant::now() + Duration::from_secs(10)).await, "they are never found");
}

#[tokio::test]
async fn short_rounds_do_not_hasten_what_does_not_help() {
    let (ledger, lists) = ledger_over(BTreeSet::from(["stuck".to_owned()]), false).await;
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(Arc::clone(&ledger).keep(stop.clone()));
    for _ in 0..50 {
        let round = ledger.open(&key());
        round.note(&place(), None).await.expect("noted");
        drop(round);
        sleep(Duration::from_millis(10)).await;
    }
    stop.cancel();
    keeping.await.expect("no panic");
    let lists = lists.load(Relaxed);
    assert!((1..=3).contains(&lists), "{lists} sweeps");
}
