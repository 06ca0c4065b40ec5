//! Tests with namespaces that go, and a book that somebody else changes, over an API server that knows just
//! that.

use super::*;
use crate::{grant::Account, usage::Leftovers};
use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

const BOOK: &str = "/api/v1/namespaces/aviary/configmaps/aviary-ledger";

/// What the API server of the tests has.
#[derive(Default)]
struct Server {
    /// The uid of each namespace, by name.
    namespaces: BTreeMap<String, String>,
    /// Whether the daemon may not see namespaces.
    hides_namespaces: bool,
    /// The names of the namespaces in which an account may do anything.
    open: BTreeSet<String>,
    /// The data of the ledger's ConfigMap.
    book: Option<BTreeMap<String, String>>,
    books_read: usize,
    /// How many seconds the server asks to be left alone, while it is busy.
    is_busy_for: Option<u32>,
}

type Shared = Arc<Mutex<Server>>;

impl Server {
    /// Starts a server with these namespaces, in all of which an account may do anything.
    async fn start(namespaces: &[(&str, &str)]) -> (Shared, Arc<Ledger>, Arc<Leftovers>) {
        let owned = |(name, uid): &(&str, &str)| ((*name).to_owned(), (*uid).to_owned());
        let namespaces: BTreeMap<_, _> = namespaces.iter().map(owned).collect();
        let open = namespaces.keys().cloned().collect();
        let server = Arc::new(Mutex::new(Self { namespaces, open, ..Self::default() }));
        let asked = Arc::clone(&server);
        let routes = axum::Router::new().fallback(async move |method: Method, uri: Uri, body: String| {
            asked.lock().expect("no panic").answer(&method, uri.path(), &body)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, routes).await });
        let mut config = kube::Config::new(format!("http://{address}").parse().expect("a URL"));
        config.default_namespace = "aviary".to_owned();
        let leftovers = Arc::<Leftovers>::default();
        let cluster = Arc::new(Cluster::new(config).expect("a cluster"));
        (server, Ledger::lasting(cluster, Arc::clone(&leftovers), Arc::default()), leftovers)
    }

    fn answer(&mut self, method: &Method, path: &str, body: &str) -> Response {
        let parts: Vec<_> = path.trim_start_matches("/api/v1").trim_start_matches('/').split('/').collect();
        match (method.as_str(), parts.as_slice()) {
            (_, [""]) => {
                let verbs = ["list", "delete"];
                let kind = json!({ "name": "pods", "singularName": "pod", "namespaced": true, "kind": "Pod", "verbs": verbs });
                Json(json!({ "groupVersion": "v1", "resources": [kind] })).into_response()
            }
            ("GET", ["namespaces", _]) if self.hides_namespaces => refuse(StatusCode::FORBIDDEN, "Forbidden"),
            ("GET", ["namespaces", name]) => match self.namespaces.get(*name) {
                Some(uid) => Json(json!({ "metadata": { "name": name, "uid": uid } })).into_response(),
                None => refuse(StatusCode::NOT_FOUND, "NotFound"),
            },
            (_, ["namespaces", _, "configmaps", ..]) => self.answer_for_book(method, path, body),
            (_, [_, _, "pods", ..]) if let Some(seconds) = self.is_busy_for => {
                let retry_after = [("retry-after", seconds.to_string())];
                (StatusCode::TOO_MANY_REQUESTS, retry_after, "busy").into_response()
            }
            (_, ["namespaces", name, "pods", ..]) if !self.open.contains(*name) => {
                refuse(StatusCode::FORBIDDEN, "Forbidden")
            }
            ("GET", [_, _, "pods"]) => Json(json!({ "metadata": {}, "items": [] })).into_response(),
            _ => refuse(StatusCode::NOT_FOUND, "NotFound"),
        }
    }

    fn answer_for_book(&mut self, method: &Method, path: &str, body: &str) -> Response {
        if method == Method::POST {
            self.book.get_or_insert_default();
            return Json(json!({ "metadata": {} })).into_response();
        }
        assert_eq!(path, BOOK);
        let Some(book) = &mut self.book else { return refuse(StatusCode::NOT_FOUND, "NotFound") };
        if method == Method::PATCH {
            let patch: Value = serde_json::from_str(body).expect("JSON");
            for (name, line) in patch["data"].as_object().expect("lines") {
                match line.as_str() {
                    Some(line) => drop(book.insert(name.clone(), line.to_owned())),
                    None => drop(book.remove(name)),
                }
            }
        } else {
            self.books_read += 1;
        }
        Json(json!({ "metadata": {}, "data": book })).into_response()
    }

    /// Deletes a namespace, and with it the rights of everybody in it.
    fn delete(&mut self, namespace: &str) {
        self.namespaces.remove(namespace);
        self.open.remove(namespace);
    }

    fn lines(&self) -> Vec<String> {
        self.book.iter().flat_map(|book| book.values().cloned()).collect()
    }
}

fn refuse(code: StatusCode, reason: &str) -> Response {
    (code, Json(json!({ "kind": "Status", "status": "Failure", "reason": reason, "code": code.as_u16() })))
        .into_response()
}

fn lock(server: &Shared) -> MutexGuard<'_, Server> {
    server.lock().expect("no panic")
}

fn place_in(namespace: &str) -> ObjectLocation {
    let account = Account { namespace: namespace.to_owned(), name: "aviary-check".to_owned() };
    ObjectLocation { namespace: Some(namespace.to_owned()), account: Some(account), ..place() }
}

/// Begins a round that makes objects at a place.
async fn enter(ledger: &Arc<Ledger>, place: ObjectLocation) -> Round {
    let round = ledger.open(&key());
    round.enter(place).await.expect("noted");
    round
}

fn keep(ledger: &Arc<Ledger>) -> tokio_util::sync::DropGuard {
    let stop = CancellationToken::new();
    tokio::spawn(Arc::clone(ledger).keep(stop.clone()));
    stop.drop_guard()
}

async fn until(what: &str, is_so: impl Fn() -> bool) {
    let look = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), look).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// Settles a ledger whose sweeps have been in vain for so long that there is one in a minute. True if nothing
/// is left.
async fn settle_in_vain(ledger: &Arc<Ledger>, patience: Duration) -> bool {
    for due in ledger.state().due.values_mut() {
        *due = (0..9).fold(*due, |due, _| due.after(1));
    }
    ledger.settle(Instant::now() + patience).await
}

#[tokio::test]
async fn what_was_in_a_namespace_that_is_gone_is_left_over_no_longer_and_keeps_no_daemon_from_ending() {
    let (server, ledger, leftovers) = Server::start(&[("team-a", "u-1")]).await;
    let keeping = keep(&ledger);
    let round = enter(&ledger, place_in("team-a")).await;
    lock(&server).open.clear();
    drop(round);
    until("it is shown", || leftovers.all().get(&key()) == Some(&1)).await;
    lock(&server).delete("team-a");
    until("it is shown no longer", || leftovers.all().is_empty()).await;
    drop(keeping);
    let since = Instant::now();
    assert!(ledger.settle(since + Duration::from_secs(10)).await);
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
}

#[tokio::test]
async fn a_dead_namespace_is_struck_out_of_the_book() {
    let (server, ledger, _) = Server::start(&[("team-a", "u-1")]).await;
    drop(enter(&ledger, place_in("team-a")).await);
    assert_eq!(lock(&server).lines().len(), 1);
    lock(&server).delete("team-a");
    let places = ledger.state().places[&key()].clone();
    let after_all = Due::now().after(0);
    ledger.state().due.clear();
    ledger.sweep(key(), places, after_all).await;
    assert!(lock(&server).lines().is_empty() && ledger.state().places.is_empty());
}

#[tokio::test]
async fn a_namespace_that_was_made_anew_is_another_one() {
    let (server, ledger, leftovers) = Server::start(&[("team-a", "u-1")]).await;
    drop(enter(&ledger, place_in("team-a")).await);
    lock(&server).open.clear();
    let sweep = async || {
        let places = ledger.state().places[&key()].clone();
        ledger.sweep(key(), places, Due::now()).await;
        leftovers.all().get(&key()).copied().unwrap_or_default()
    };
    assert_eq!(sweep().await, 1, "its objects may be there");
    lock(&server).namespaces.insert("team-a".to_owned(), "u-2".to_owned());
    assert_eq!(sweep().await, 0, "they went with the former one");
    lock(&server).open.insert("team-a".to_owned());
    drop(enter(&ledger, place_in("team-a")).await);
    lock(&server).open.clear();
    assert_eq!(sweep().await, 1, "now there may be some in this one");
    assert_eq!(lock(&server).lines().len(), 1, "it is the same place");
}

#[tokio::test]
async fn where_the_daemon_may_not_see_namespaces_what_was_made_counts_as_left_over() {
    let (server, ledger, leftovers) = Server::start(&[("team-a", "u-1")]).await;
    lock(&server).hides_namespaces = true;
    drop(enter(&ledger, place_in("team-a")).await);
    lock(&server).delete("team-a");
    let places = ledger.state().places[&key()].clone();
    let swept = sweep(&ledger.cluster, &ledger.daemon, &key(), &places, |_| true).await;
    let trouble = swept.trouble.expect("it is told");
    assert!(trouble.contains("get on namespaces"), "{trouble}");
    ledger.sweep(key(), places, Due::now()).await;
    assert_eq!(leftovers.all().get(&key()), Some(&1));
}

#[tokio::test]
async fn a_daemon_that_ends_looks_again_as_often_as_if_nothing_had_been_in_vain() {
    let (server, ledger, _) = Server::start(&[("team-a", "u-1")]).await;
    drop(enter(&ledger, place_in("team-a")).await);
    lock(&server).open.clear();
    let mended = Arc::clone(&server);
    tokio::spawn(async move {
        sleep(Duration::from_millis(200)).await;
        lock(&mended).open.insert("team-a".to_owned());
    });
    assert!(settle_in_vain(&ledger, Duration::from_secs(10)).await);
}

#[tokio::test]
async fn a_book_that_was_deleted_is_written_again_while_something_should_stand_in_it() {
    let (server, ledger, _) = Server::start(&[("team-a", "u-1")]).await;
    let _round = enter(&ledger, place_in("team-a")).await;
    let written = lock(&server).lines();
    lock(&server).book = None;
    let _keeping = keep(&ledger);
    until("it is written again", || lock(&server).lines() == written).await;
}

#[tokio::test]
async fn a_book_in_which_nothing_should_stand_is_not_read_again_and_again() {
    let (server, ledger, _) = Server::start(&[]).await;
    lock(&server).book = Some(BTreeMap::new());
    let _keeping = keep(&ledger);
    until("it was read once", || lock(&server).books_read == 1).await;
    tokio::time::pause();
    sleep(Duration::from_secs(600)).await;
    assert_eq!(lock(&server).books_read, 1);
}

#[tokio::test]
async fn lines_under_keys_of_an_earlier_version_are_found_and_removed() {
    let (server, ledger, _) = Server::start(&[("team-a", "u-1")]).await;
    let place = place_in("team-a");
    let former =
        crate::value::Digest::of(format!("{} {place:?}", key()).as_bytes()).to_string().replace(':', "-");
    let text = json!({ "check": key(), "place": place }).to_string();
    lock(&server).book = Some(BTreeMap::from([(former.clone(), text)]));
    let keeping = keep(&ledger);
    let name = Line::new(&key(), &place, None).name();
    let stands_only_under =
        |name: &String| lock(&server).book.as_ref().is_some_and(|book| book.keys().eq([name]));
    until("it stands under its own key", || stands_only_under(&name)).await;
    drop(keeping);
    let places = ledger.state().places[&key()].clone();
    ledger.state().due.clear();
    ledger.sweep(key(), places, Due::now().after(0)).await;
    assert!(lock(&server).lines().is_empty());
}

#[tokio::test]
async fn a_sweep_comes_again_when_the_server_wants_to_be_asked_again() {
    let (server, ledger, _) = Server::start(&[("team-a", "u-1")]).await;
    drop(enter(&ledger, place_in("team-a")).await);
    lock(&server).is_busy_for = Some(17);
    let places = ledger.state().places[&key()].clone();
    ledger.state().due.clear();
    ledger.sweep(key(), places, Due::now()).await;
    let pause = ledger.state().due[&key()].at - Instant::now();
    assert!((16..=17).contains(&pause.as_secs()), "{pause:?}");
}

#[test]
fn the_key_of_a_line_stays_the_same_from_version_to_version() {
    let line = Line::new(&key(), &place_in("team-a"), Some("u-1"));
    assert_eq!(line.name(), "sha256-91619571bf00d13964aacd77d7140a2a163774d23fa590070f248a378b863b44");
    assert_eq!(Line { namespace_uid: None, ..line.clone() }.name(), line.name());
}
