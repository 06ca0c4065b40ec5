//! Tests of a watch, with the answers that an API server may give.

use super::*;
use crate::{
    board::Board,
    cluster::Cluster,
    policy::Policy,
    settings::Namespaces,
    source::{Change, Taken, configmap::ConfigMaps},
};
use axum::{
    Router,
    body::Body,
    extract::RawQuery,
    http::StatusCode,
    routing::{MethodRouter, get},
};
use futures_util::stream;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    future::ready,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower::service_fn;

fn metadata(name: &str) -> Value {
    json!({ "metadata": { "name": name, "namespace": "team-a", "uid": name, "resourceVersion": "5",
        "creationTimestamp": "2026-01-01T00:00:00Z" } })
}

/// A client of an API server whose first watch tells of a change and then expires. Later watches tell nothing.
async fn serve() -> Client {
    let (lists, watches) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let answer = move |RawQuery(query): RawQuery| {
        let is_watch = query.is_some_and(|query| query.contains("watch=true"));
        let nth = if is_watch { &watches } else { &lists }.fetch_add(1, Relaxed);
        async move {
            match (is_watch, nth) {
                (false, 0) => json!({ "metadata": { "resourceVersion": "7" }, "items": [metadata("goes")] }),
                (false, _) => json!({ "metadata": { "resourceVersion": "9" }, "items": [metadata("comes")] }),
                (true, 0) => {
                    let gone = json!({ "status": "Failure", "code": 410, "reason": "Expired", "message": "too old" });
                    return format!(
                        "{}\n{}\n",
                        json!({ "type": "ADDED", "object": metadata("new") }),
                        json!({ "type": "ERROR", "object": gone })
                    );
                }
                (true, _) => std::future::pending().await,
            }
            .to_string()
        }
    };
    client_of(get(answer)).await
}

async fn client_of(configmaps: MethodRouter) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().route("/api/v1/namespaces/team-a/configmaps", configmaps);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Cluster::new(kube::Config::new(url.parse().expect("a url"))).expect("a cluster").own()
}

fn contact() -> Arc<SourceStatus> {
    Arc::new(SourceStatus::new("configmap", ["team-a".to_owned()]))
}

fn watch(client: &Client, contact: &Arc<SourceStatus>) -> (Watch, mpsc::Receiver<Sighting>) {
    let (sender, sightings) = mpsc::channel(4);
    let (contact, listing) = (Arc::clone(contact), Arc::new(Semaphore::new(1)));
    let namespace = Some("team-a".to_owned());
    let liveness = Arc::new(Liveness::new(client, namespace.as_deref()));
    (Watch::new(client, namespace, "a=b", contact, sender, listing, liveness), sightings)
}

/// Waits until the source is reported as lost, with an error that contains `why`.
async fn until_lost(contact: &SourceStatus, why: &str) {
    let lost = async {
        while !contact.source().error.contains(why) {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), lost).await.unwrap_or_else(|_| panic!("{}", contact.source().error));
}

/// A client of an API server whose first list is empty, with the number of lists so far. `watches` answers each
/// watch, and `later` each later list.
async fn that_then(watches: fn() -> Body, later: fn() -> Body) -> (Client, Arc<AtomicUsize>) {
    let lists = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lists);
    let answer = move |RawQuery(query): RawQuery| async move {
        if query.is_some_and(|query| query.contains("watch=true")) {
            return watches();
        }
        match count.fetch_add(1, Relaxed) {
            0 => Body::from(json!({ "metadata": { "resourceVersion": "7" }, "items": [] }).to_string()),
            _ => later(),
        }
    };
    (client_of(get(answer)).await, lists)
}

/// The body of an answer that never sends a byte and never ends.
fn nothing() -> Body {
    Body::from_stream(stream::pending::<Result<Vec<u8>, Infallible>>())
}

#[tokio::test]
async fn a_watch_that_expires_begins_anew_and_tells_all_that_is_there() {
    let contact = contact();
    let (watch, mut sightings) = watch(&serve().await, &contact);
    let watch = tokio::spawn(watch.run());
    let names = |seen: Vec<Seen>| seen.into_iter().map(|seen| seen.place.name).collect::<Vec<_>>();
    let Some(Sighting::All(_, all)) = sightings.recv().await else { panic!("a list comes first") };
    assert_eq!(names(all), ["goes"]);
    let Some(Sighting::One(new)) = sightings.recv().await else { panic!("then a change") };
    assert_eq!(names(vec![new]), ["new"]);
    let Some(Sighting::All(_, all)) = sightings.recv().await else { panic!("then a list again") };
    assert_eq!(names(all), ["comes"]);
    assert!(contact.source().connected, "expiry is no outage");
    watch.abort();
}

#[tokio::test]
async fn an_endless_list_is_no_more_than_a_list_that_cannot_be_had() {
    let contact = contact();
    let endless = || async {
        let chunk = || Some((Ok::<_, Infallible>(vec![b' '; 1 << 20]), ()));
        Body::from_stream(stream::unfold((), move |()| ready(chunk())))
    };
    let (watch, _sightings) = watch(&client_of(get(endless)).await, &contact);
    let watch = tokio::spawn(watch.run());
    until_lost(&contact, "length limit exceeded").await;
    watch.abort();
}

#[tokio::test]
async fn an_api_server_that_falls_silent_is_lost_within_half_a_minute() {
    let (client, _) = that_then(nothing, nothing).await;
    let board = Arc::new(Board::default());
    let source = ConfigMaps {
        client,
        namespaces: Namespaces::Only(["team-a".to_owned()].into()),
        selector: "a=b".to_owned(),
        policy: Arc::new(Policy::new(None, "cluster.local")),
        max_module_size: 1000,
    };
    let (changes, mut told) = mpsc::channel(4);
    let (_taken, taken) = tokio::sync::watch::channel(Taken::default());
    let stop = CancellationToken::new();
    let _stopping = stop.clone().drop_guard();
    tokio::spawn(source.watch(changes, taken, Arc::clone(&board), stop));
    assert!(matches!(told.recv().await, Some(Change::Synced)));
    let source = || board.sources().remove(0);
    assert!(source().connected);
    // The watch has begun.
    sleep(Duration::from_millis(300)).await;
    let (silent_since, last_contact) = (Instant::now(), source().last_contact);
    tokio::time::pause();
    while source().connected {
        assert!(silent_since.elapsed() < Duration::from_secs(30));
        sleep(Duration::from_secs(1)).await;
    }
    assert!(source().error.contains("no answer within 10s"), "{}", source().error);
    assert_eq!(source().last_contact, last_contact);
}

#[tokio::test]
async fn a_watch_that_ends_without_a_word_tells_nothing_and_all_is_listed_again() {
    let (client, lists) = that_then(Body::empty, nothing).await;
    let contact = contact();
    let (watch, mut sightings) = watch(&client, &contact);
    let watch = tokio::spawn(watch.run());
    assert!(matches!(sightings.recv().await, Some(Sighting::All(..))));
    let last_contact = contact.source().last_contact;
    let listed = async {
        while lists.load(Relaxed) < 2 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(Duration::from_secs(10), listed).await.expect("listed again");
    assert_eq!(contact.source().last_contact, last_contact);
    watch.abort();
}

#[tokio::test]
async fn a_watch_that_breaks_down_says_so_and_begins_anew() {
    let calls = Arc::new(AtomicUsize::new(0));
    let (client, _) = that_then(nothing, nothing).await;
    let way = service_fn(move |request| {
        let (client, calls) = (client.clone(), Arc::clone(&calls));
        async move {
            assert!(calls.fetch_add(1, Relaxed) > 0, "the first one");
            client.send(request).await
        }
    });
    let contact = contact();
    let (watch, mut sightings) = watch(&Client::new(way, "default"), &contact);
    let watch = tokio::spawn(watch.run());
    until_lost(&contact, "broke down").await;
    assert!(matches!(sightings.recv().await, Some(Sighting::All(..))));
    assert!(contact.source().connected);
    watch.abort();
}

#[tokio::test]
async fn a_watch_that_answers_json_that_is_no_event_is_lost_with_a_reason() {
    let (client, _) = that_then(|| Body::from("{\"hello\": \"world\"}\n"), nothing).await;
    let contact = contact();
    let (watch, _sightings) = watch(&client, &contact);
    let watch = tokio::spawn(watch.run());
    until_lost(&contact, "in team-a: the answer is neither what was asked for nor a reason why not").await;
    watch.abort();
}

#[tokio::test]
async fn a_server_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    let lists = Arc::new(AtomicUsize::new(0));
    let listed = Arc::clone(&lists);
    let busy = async move || {
        listed.fetch_add(1, Relaxed);
        (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "30")], "busy")
    };
    let (watch, _sightings) = watch(&client_of(get(busy)).await, &contact());
    // Without being asked, it would come again within a second.
    assert!(timeout(Duration::from_millis(1200), watch.run()).await.is_err());
    assert_eq!(lists.load(Relaxed), 1);
}
