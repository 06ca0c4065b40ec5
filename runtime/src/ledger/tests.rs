use super::*;
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

fn place() -> Place {
    Place { api_version: "v1".to_owned(), kind: "Pod".to_owned(), namespace: None, account: None }
}

#[tokio::test]
async fn a_sweep_that_is_broken_off_is_not_taken_for_done() {
    let (server, cluster) = silent().await;
    let ledger = Ledger::fleeting(cluster, Arc::default());
    let stop = CancellationToken::new();
    let keeping = tokio::spawn(Arc::clone(&ledger).keep(stop.clone()));
    let round = ledger.open(&key());
    round.note(&place()).await.expect("noted");
    drop(round);
    let _sweep = server.accept().await.expect("a sweep");
    stop.cancel();
    keeping.await.expect("no panic");
    assert!(!ledger.settle(Instant::now() + Duration::from_millis(100)).await, "it may have left a pod");
}

#[tokio::test(start_paused = true)]
async fn neither_book_nor_proof_is_waited_for_when_the_server_never_answers() {
    let (_server, cluster) = silent().await;
    let ledger = Ledger::lasting(cluster, Arc::default());
    let since = Instant::now();
    let round = ledger.open(&key());
    assert!(matches!(round.note(&place()).await, Err(EnterError::Book(_))));
    assert!(matches!(round.enter(place()).await, Err(EnterError::Unproven(Unproven::Unknown { .. }))));
    assert!(since.elapsed() < Duration::from_secs(21), "{:?}", since.elapsed());
}
