//! Tests of which changes become Kubernetes Events, and of the names of those.

use super::{
    event::{LONGEST_PAUSE, PendingEvent, kubernetes_event},
    queue::LONGEST_MESSAGE,
    *,
};
use crate::{
    board::{Module, Next, Quarantine},
    manifest::Check,
    outcome::{self, Fault},
    value::{ConfigMapName, Digest, Key, Origin},
};
use hyper::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep, timeout},
};
use tower::service_fn;

fn place() -> ConfigMapName {
    ConfigMapName { namespace: "team-a".to_owned(), name: "checks".to_owned() }
}

fn origin() -> Arc<Origin> {
    Arc::new(Origin::ConfigMap { name: place(), uid: "uid".to_owned() })
}

fn key() -> Key {
    "team-a/web".parse().expect("a key")
}

fn pending(reason: Reason, message: &str) -> PendingEvent {
    PendingEvent { uid: "uid".to_owned(), reason, message: message.to_owned() }
}

#[test]
fn an_event_is_named_after_what_it_says() {
    let name = |event: &PendingEvent| kubernetes_event(&place(), event).metadata.name;
    let rejected = pending(Reason::ModuleRejected, "no");
    assert_eq!(name(&rejected), name(&rejected.clone()));
    assert_ne!(name(&rejected), name(&pending(Reason::ModuleRejected, "never")));
    assert_ne!(name(&rejected), name(&pending(Reason::GrantDenied, "no")));
    let long = ConfigMapName { name: format!("{}.b", "a".repeat(250)), ..place() };
    let name = kubernetes_event(&long, &rejected).metadata.name.expect("a name");
    assert!(name.len() < 253 && name.starts_with("aaa"), "{name}");
}

/// Puts the check `team-a/web` on the board, with the ConfigMap `checks` as its origin.
fn enter(board: &Board) -> Arc<Entry> {
    board.enter(&Arc::new(Check::bare(key(), "web.wasm".parse().expect("a module"))), &origin())
}

fn load(entry: &Entry) {
    let module = Module {
        name: "web.wasm".to_owned(),
        digest: Digest::of(b"web"),
        size: 3,
        signer: None,
        imports: Vec::new(),
        loaded: Timestamp::now(),
    };
    entry.accept(entry.view().check, module);
}

/// Records the fifth breakdown of a check, which puts it in quarantine.
fn quarantine(entry: &Entry) {
    let now = Instant::now();
    let until = "2026-11-21T12:00:00Z".parse().expect("a time");
    let rest = Quarantine { breakdowns: 5, until, demand_from: now };
    let next = Next { run: until, fresh_until: now + LONGEST_PAUSE, quarantine: Some(rest) };
    let fault = Fault::new(outcome::Reason::Trap, "unreachable");
    entry.record(Timestamp::now(), Duration::ZERO, Err(fault), next);
}

fn spawn_listener(news: News, board: &Arc<Board>, queue: &Arc<EventQueue>) {
    let (board, queue) = (Arc::clone(board), Arc::clone(queue));
    tokio::spawn(async move { listen(news, &board, &queue).await });
}

/// Takes all events that may be written now, each as its type, reason and message.
fn waiting(queue: &EventQueue) -> Vec<(&'static str, &'static str, String)> {
    let next = || queue.waiting().take().ok();
    std::iter::from_fn(next)
        .map(|(_, event)| (event.reason.kind(), event.reason.label(), event.message))
        .collect()
}

const QUARANTINED: &str = "web: unreachable; quarantined until 2026-11-21T12:00:00Z after 5 faults in a row";

#[tokio::test(start_paused = true)]
async fn a_quarantine_is_noted_once_beside_what_was_loaded() {
    let (board, queue) = (Arc::new(Board::default()), Arc::new(EventQueue::default()));
    spawn_listener(News::of(&board), &board, &queue);
    let entry = enter(&board);
    load(&entry);
    quarantine(&entry);
    quarantine(&entry);
    sleep(Duration::from_secs(1)).await;
    let loaded = format!("web: web.wasm {} is live", Digest::of(b"web").short());
    let expected =
        [("Normal", "ModuleLoaded", loaded), ("Warning", "CheckQuarantined", QUARANTINED.to_owned())];
    assert_eq!(waiting(&queue), expected);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_lags_notes_how_things_are_now() {
    let (board, queue) = (Arc::new(Board::default()), Arc::new(EventQueue::default()));
    let news = News::of(&board);
    let entry = enter(&board);
    load(&entry);
    quarantine(&entry);
    entry.reject(Fault::new(outcome::Reason::Module, "not wasm"));
    for number in 0..3000 {
        let key = Key::new("other", &number.to_string()).expect("a key");
        let check = Check::bare(key.clone(), entry.view().check.program.module.clone());
        board.enter(&Arc::new(check), &Arc::new(Origin::File("other.yaml".into())));
        board.remove(&key);
    }
    spawn_listener(news, &board, &queue);
    sleep(Duration::from_secs(1)).await;
    let expected = [
        ("Warning", "ModuleRejected", "web: not wasm".to_owned()),
        ("Warning", "CheckQuarantined", QUARANTINED.to_owned()),
    ];
    assert_eq!(waiting(&queue), expected);
}

#[tokio::test(start_paused = true)]
async fn what_happens_to_checks_of_a_directory_is_not_noted_also_if_a_configmap_had_them_before() {
    let (board, queue) = (Arc::new(Board::default()), Arc::new(EventQueue::default()));
    spawn_listener(News::of(&board), &board, &queue);
    let entry = enter(&board);
    entry.set_origin(&Arc::new(Origin::File("web.yaml".into())));
    load(&entry);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(waiting(&queue), []);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_configmap_is_noted_once_for_each_reason_and_nothing_once_it_is_gone() {
    let (board, queue) = (Arc::new(Board::default()), Arc::new(EventQueue::default()));
    spawn_listener(News::of(&board), &board, &queue);
    for why in ["no check", "a clash", "no check"] {
        board.notice(Notice::Refused(origin(), why.to_owned()));
    }
    sleep(Duration::from_secs(1)).await;
    let expected = ["no check", "a clash"].map(|why| ("Warning", "ModuleRejected", why.to_owned()));
    assert_eq!(waiting(&queue), expected);
    load(&enter(&board));
    board.notice(Notice::Refused(origin(), "a clash".to_owned()));
    board.notice(Notice::Gone(origin()));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(waiting(&queue), []);
}

#[test]
fn long_messages_are_cut() {
    let queue = EventQueue::default();
    queue.put_about(&origin(), &key(), Reason::GrantDenied, &"\n".repeat(5000));
    let (_, event) = queue.waiting().take().expect("an event");
    assert!(event.message.len() <= LONGEST_MESSAGE && event.message.starts_with("web: \\n"));
}

#[tokio::test]
async fn writing_that_breaks_down_begins_again() {
    let (sender, mut written) = mpsc::channel(4);
    let calls = Arc::new(AtomicUsize::new(0));
    let api = service_fn(move |_: hyper::Request<kube::client::Body>| {
        let (sender, calls) = (sender.clone(), Arc::clone(&calls));
        async move {
            assert!(calls.fetch_add(1, Relaxed) > 0, "the first one");
            sender.send(()).await.expect("heard");
            let event = json!({ "metadata": {}, "involvedObject": {} }).to_string();
            Ok::<_, Infallible>(hyper::Response::new(kube::client::Body::from(event.into_bytes())))
        }
    });
    let board = Arc::new(Board::default());
    let stop = CancellationToken::new();
    let notifier = tokio::spawn(Notifier::new(Client::new(api, "default"), &board).run(stop.clone()));
    for why in ["one", "another"] {
        board.notice(Notice::Refused(origin(), why.to_owned()));
    }
    let written = timeout(Duration::from_secs(10), written.recv());
    written.await.expect("in time").expect("written");
    stop.cancel();
    notifier.await.expect("ended");
}

/// A client of an API server that answers with the status `codes` in turn. Also returns a receiver of the method and
/// the body of each request.
fn answering(codes: &'static [u16]) -> (Client, mpsc::Receiver<(Method, Value)>) {
    let (sender, asked) = mpsc::channel(8);
    let nth = Arc::new(AtomicUsize::new(0));
    let api = service_fn(move |request: hyper::Request<kube::client::Body>| {
        let (sender, code) = (sender.clone(), codes[nth.fetch_add(1, Relaxed)]);
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect_bytes().await.expect("a body");
            sender.send((head.method, serde_json::from_slice(&body).expect("JSON"))).await.expect("heard");
            let answer = match code {
                200 => json!({ "metadata": {}, "involvedObject": {}, "count": 2 }),
                _ => json!({ "status": "Failure", "code": code, "message": "no" }),
            };
            let answer = kube::client::Body::from(answer.to_string().into_bytes());
            Ok::<_, Infallible>(hyper::Response::builder().status(code).body(answer).expect("an answer"))
        }
    });
    (Client::new(api, "default"), asked)
}

/// Has one event for each message written about the ConfigMap. Returns the first requests to the API server.
async fn requests<const COUNT: usize>(codes: &'static [u16], messages: &[&str]) -> [(Method, Value); COUNT] {
    let (client, mut asked) = answering(codes);
    let board = Arc::new(Board::default());
    let stop = CancellationToken::new();
    let _stopping = stop.clone().drop_guard();
    tokio::spawn(Notifier::new(client, &board).run(stop));
    for message in messages {
        board.notice(Notice::Refused(origin(), (*message).to_owned()));
    }
    let mut requests = Vec::new();
    for _ in 0..COUNT {
        let request = timeout(Duration::from_secs(60), asked.recv()).await.expect("in time");
        requests.push(request.expect("a request"));
    }
    requests.try_into().expect("as many")
}

#[tokio::test(start_paused = true)]
async fn an_event_that_was_written_before_is_counted_up() {
    let [create, again, count] = requests(&[409, 200, 200], &["no check"]).await;
    assert_eq!((create.0, &create.1["count"]), (Method::POST, &json!(1)));
    let about = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "checks", "namespace": "team-a", "uid": "uid"
    });
    assert_eq!((&create.1["involvedObject"], &create.1["message"]), (&about, &json!("no check")));
    assert_eq!((again.0, &again.1["count"]), (Method::PATCH, &Value::Null));
    assert_eq!(count, (Method::PATCH, json!({ "count": 3 })));
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_written_is_dropped_and_what_the_server_is_too_busy_for_is_tried_again() {
    let requests: [_; 4] = requests(&[403, 429, 200, 200], &["one", "two", "three"]).await;
    let messages = requests.map(|(_, body)| body["message"].as_str().map(str::to_owned).unwrap_or_default());
    assert_eq!(messages, ["one", "two", "two", "three"]);
}
