//! Tests of reads of ConfigMaps that take long.

use super::*;
use crate::{policy::Policy, settings::Namespaces, source::configmap::Age, value::Digest};
use axum::{Json, Router, extract::Path, routing::get};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use tokio::{
    net::TcpListener,
    sync::Semaphore,
    time::{error::Elapsed, timeout},
};
use tower::service_fn;

/// A follower with the ends of its channels, and an API server that answers a read once the test permits that.
struct Fixture {
    sightings: mpsc::Sender<Sighting>,
    changes: mpsc::Receiver<Change>,
    server: Arc<Server>,
    taken: watch::Sender<Taken>,
    board: Arc<Board>,
}

/// An API server whose nth answer waits for a permit, and holds a module with the number as its text.
struct Server {
    asked: AtomicUsize,
    answers: [Semaphore; 4],
}

impl Fixture {
    async fn start() -> Self {
        Self::start_over(|client| client).await
    }

    /// Starts a follower whose client reaches the API server as `way` says.
    async fn start_over(way: impl FnOnce(Client) -> Client) -> Self {
        let server = Arc::new(Server { asked: AtomicUsize::new(0), answers: [0; 4].map(Semaphore::new) });
        let source = ConfigMaps {
            client: way(serve(Arc::clone(&server)).await),
            namespaces: Namespaces::Only(["team-a".to_owned()].into()),
            selector: String::new(),
            policy: Arc::new(Policy::new(None, "cluster.local")),
            max_module_size: 1000,
        };
        let (sightings, inbox) = mpsc::channel(4);
        let (told, changes) = mpsc::channel(4);
        let (taken, taken_by_others) = watch::channel(Taken::default());
        let namespaces = BTreeSet::from([Some("team-a".to_owned())]);
        let contact = Arc::new(SourceStatus::new("configmap", []));
        let board = Arc::new(Board::default());
        let follower = Follower::new(source, namespaces, told, taken_by_others, Arc::clone(&board), contact);
        tokio::spawn(follower.run(inbox));
        Self { sightings, changes, server, taken, board }
    }

    async fn see(&self, sighting: Sighting) {
        self.sightings.send(sighting).await.expect("heard");
    }

    async fn until_asked(&self, times: usize) {
        let look = async {
            while self.server.asked.load(Relaxed) < times {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(Duration::from_secs(10), look).await.expect("asked");
    }

    async fn next(&mut self, patience: Duration) -> Result<Change, Elapsed> {
        timeout(patience, self.changes.recv()).await.map(|change| change.expect("a change"))
    }
}

async fn serve(server: Arc<Server>) -> Client {
    let answer = move |Path(name): Path<String>| async move {
        let nth = server.asked.fetch_add(1, Relaxed);
        server.answers[nth].acquire().await.expect("open").forget();
        let module = format!("{name}.wasm");
        Json(json!({ "metadata": metadata(&name), "data": { module: nth.to_string() } }))
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = Router::new().route("/api/v1/namespaces/team-a/configmaps/{name}", get(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Client::try_from(kube::Config::new(url.parse().expect("a url"))).expect("a client")
}

fn metadata(name: &str) -> Value {
    json!({ "name": name, "namespace": "team-a", "uid": name, "resourceVersion": "1" })
}

fn seen(name: &str) -> Seen {
    let place = ConfigMapName { namespace: "team-a".to_owned(), name: name.to_owned() };
    let age = Age { created: Timestamp::MAX, uid: name.to_owned() };
    Seen { place, age, version: "1".to_owned() }
}

#[tokio::test]
async fn a_clash_of_names_and_the_end_of_a_configmap_stand_in_notices_on_the_board() {
    let mut fixture = Fixture::start().await;
    let mut notices = fixture.board.notices();
    fixture.server.answers.iter().for_each(|answer| answer.add_permits(1));
    fixture.see(Sighting::One(seen("a-b"))).await;
    let Ok(Change::Set(candidate)) = fixture.next(Duration::from_secs(10)).await else { panic!("a check") };
    assert_eq!(*candidate.origin, seen("a-b").origin());
    fixture.see(Sighting::One(seen("a.b"))).await;
    let clash =
        "team-a/a-b is wanted by the ConfigMap team-a/a-b too, which is older and so has it: rename one";
    let refused = Notice::Refused(Arc::new(seen("a.b").origin()), clash.to_owned());
    assert_eq!(notices.recv().await, Ok(refused));
    fixture.see(Sighting::Gone(seen("a-b").place)).await;
    assert_eq!(notices.recv().await, Ok(Notice::Gone(candidate.origin)));
}

#[tokio::test]
async fn what_an_outdated_read_brings_is_not_told() {
    let mut fixture = Fixture::start().await;
    fixture.see(Sighting::One(seen("map"))).await;
    fixture.until_asked(1).await;
    fixture.see(Sighting::Gone(seen("map").place)).await;
    fixture.see(Sighting::One(seen("map"))).await;
    fixture.until_asked(2).await;
    fixture.server.answers[1].add_permits(1);
    let Ok(Change::Set(candidate)) = fixture.next(Duration::from_secs(10)).await else { panic!("a check") };
    assert_eq!(candidate.module.digest, Digest::of(b"1"));
    fixture.server.answers[0].add_permits(1);
    assert!(fixture.next(Duration::from_millis(300)).await.is_err(), "the older answer came later");
}

#[tokio::test]
async fn a_read_that_is_aborted_keeps_no_other_from_being_looked_at() {
    let mut fixture = Fixture::start().await;
    fixture.see(Sighting::One(seen("stays"))).await;
    fixture.until_asked(1).await;
    fixture.see(Sighting::One(seen("goes"))).await;
    fixture.until_asked(2).await;
    fixture.see(Sighting::Gone(seen("goes").place)).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    fixture.server.answers[0].add_permits(1);
    assert!(matches!(fixture.next(Duration::from_secs(10)).await, Ok(Change::Set(_))));
}

#[tokio::test]
async fn a_read_that_panics_is_read_again() {
    let panics = |client: Client| {
        let calls = Arc::new(AtomicUsize::new(0));
        let ask = service_fn(move |request| {
            let (client, calls) = (client.clone(), Arc::clone(&calls));
            async move {
                assert!(calls.fetch_add(1, Relaxed) > 0, "the first one");
                client.send(request).await
            }
        });
        Client::new(ask, "default")
    };
    let mut fixture = Fixture::start_over(panics).await;
    fixture.server.answers[0].add_permits(1);
    fixture.see(Sighting::One(seen("map"))).await;
    assert!(matches!(fixture.next(Duration::from_secs(10)).await, Ok(Change::Set(_))));
}

#[tokio::test]
async fn a_check_that_a_directory_has_for_a_moment_comes_back() {
    let mut fixture = Fixture::start().await;
    fixture.server.answers.iter().for_each(|answer| answer.add_permits(1));
    fixture.see(Sighting::One(seen("map"))).await;
    assert!(matches!(fixture.next(Duration::from_secs(10)).await, Ok(Change::Set(_))));
    fixture.taken.send_if_modified(|taken| taken.take(["team-a/map".parse().expect("a key")].iter()));
    fixture.taken.send_if_modified(|taken| taken.keep(|_| false));
    assert!(matches!(fixture.next(Duration::from_secs(10)).await, Ok(Change::Set(_))));
}

#[tokio::test]
async fn the_start_waits_for_what_was_found_and_not_for_newcomers() {
    let mut fixture = Fixture::start().await;
    fixture.see(Sighting::All(Some("team-a".to_owned()), vec![seen("found")])).await;
    fixture.until_asked(1).await;
    fixture.see(Sighting::One(seen("newcomer"))).await;
    fixture.until_asked(2).await;
    assert!(fixture.next(Duration::from_millis(50)).await.is_err(), "it waits");
    fixture.server.answers[0].add_permits(1);
    assert!(matches!(fixture.next(Duration::from_secs(10)).await, Ok(Change::Set(_))));
    assert!(matches!(fixture.next(Duration::from_secs(10)).await, Ok(Change::Synced)));
}

#[tokio::test]
async fn the_start_does_not_wait_for_ever() {
    let mut fixture = Fixture::start().await;
    fixture.see(Sighting::All(Some("team-a".to_owned()), vec![seen("found")])).await;
    fixture.until_asked(1).await;
    tokio::time::pause();
    tokio::time::advance(LONGEST_START).await;
    assert!(matches!(fixture.next(Duration::from_secs(1)).await, Ok(Change::Synced)));
}

#[tokio::test]
async fn a_module_that_is_laid_aside_gives_its_turn_back_and_is_read_again_when_it_is_fetched() {
    let mut fixture = Fixture::start().await;
    fixture.server.answers.iter().for_each(|answer| answer.add_permits(1));
    let mut held = Vec::new();
    for name in ["one", "two"] {
        fixture.see(Sighting::One(seen(name))).await;
        let Ok(Change::Set(candidate)) = fixture.next(Duration::from_secs(10)).await else {
            panic!("{name}")
        };
        held.push(candidate.module);
    }
    fixture.see(Sighting::One(seen("three"))).await;
    assert!(fixture.next(Duration::from_millis(300)).await.is_err(), "the namespace has no turn left");
    let aside = held.swap_remove(0).laid_aside();
    held.insert(0, aside);
    let Ok(Change::Set(_three)) = fixture.next(Duration::from_secs(10)).await else { panic!("its turn") };
    assert!(held[0].read().is_err());
    held.pop();
    held[0].fetch().await.expect("read again");
    assert_eq!(fixture.server.asked.load(Relaxed), 4);
    assert!(held[0].read().is_err_and(|why| why.contains("has changed since it was found")));
}
