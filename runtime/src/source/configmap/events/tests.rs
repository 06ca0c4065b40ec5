//! What becomes an event, and of which name.

use super::*;
use crate::{
    board::{Entry, Module, Next, Quarantine},
    manifest::Check,
    outcome::{self, Fault},
};
use std::{
    convert::Infallible,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::mpsc;
use tower::service_fn;

fn place() -> ConfigMapName {
    ConfigMapName { namespace: "team-a".to_owned(), name: "checks".to_owned() }
}

fn note(reason: Reason, message: &str) -> Note {
    Note { uid: "uid".to_owned(), reason, message: message.to_owned() }
}

#[test]
fn an_event_is_named_after_what_it_says() {
    let name = |note: &Note| event(&place(), note).metadata.name;
    let rejected = note(Reason::ModuleRejected, "no");
    assert_eq!(name(&rejected), name(&rejected.clone()));
    assert_ne!(name(&rejected), name(&note(Reason::ModuleRejected, "never")));
    assert_ne!(name(&rejected), name(&note(Reason::GrantDenied, "no")));
    let long = ConfigMapName { name: format!("{}.b", "a".repeat(250)), ..place() };
    let name = event(&long, &rejected).metadata.name.expect("a name");
    assert!(name.len() < 253 && name.starts_with("aaa"), "{name}");
}

/// Puts the check `team-a/web` on the board, which is this ConfigMap's.
fn enter(board: &Board, desk: &EventQueue) -> Arc<Entry> {
    let key: Key = "team-a/web".parse().expect("a key");
    desk.own(&key, &place(), "uid");
    board.enter(&Arc::new(Check::bare(key, "web.wasm".parse().expect("a module"))))
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

/// The guest of the check breaks down for the fifth time.
fn quarantine(entry: &Entry) {
    let now = Instant::now();
    let until = "2026-11-21T12:00:00Z".parse().expect("a time");
    let rest = Quarantine { breakdowns: 5, until, demand_from: now };
    let next = Next { run: until, fresh_until: now + LONGEST_PAUSE, quarantine: Some(rest) };
    let fault = Fault::new(outcome::Reason::Trap, "unreachable");
    entry.record(Timestamp::now(), Duration::ZERO, Err(fault), next);
}

fn spawn_listener(events: Receiver<Arc<board::Event>>, board: &Arc<Board>, desk: &Arc<EventQueue>) {
    let (board, desk) = (Arc::clone(board), Arc::clone(desk));
    tokio::spawn(async move { listen(events, &board, &desk).await });
}

/// What waits to be written.
fn noted(desk: &EventQueue) -> Vec<(&'static str, &'static str, String)> {
    let next = || desk.state().queue.take(Instant::now()).ok();
    std::iter::from_fn(next)
        .map(|(_, note)| (note.reason.kind(), note.reason.label(), note.message))
        .collect()
}

const QUARANTINED: &str = "web: unreachable; quarantined until 2026-11-21T12:00:00Z after 5 faults in a row";

#[tokio::test(start_paused = true)]
async fn a_quarantine_is_noted_once_beside_what_was_loaded() {
    let (board, desk) = (Arc::new(Board::default()), Arc::new(EventQueue::default()));
    spawn_listener(board.listen(), &board, &desk);
    let entry = enter(&board, &desk);
    load(&entry);
    quarantine(&entry);
    quarantine(&entry);
    sleep(Duration::from_secs(1)).await;
    let loaded = format!("web: web.wasm {} is live", Digest::of(b"web").short());
    let expected =
        [("Normal", "ModuleLoaded", loaded), ("Warning", "CheckQuarantined", QUARANTINED.to_owned())];
    assert_eq!(noted(&desk), expected);
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_lags_notes_how_things_are_now() {
    let (board, desk) = (Arc::new(Board::default()), Arc::new(EventQueue::default()));
    let events = board.listen();
    let entry = enter(&board, &desk);
    load(&entry);
    quarantine(&entry);
    entry.reject(Fault::new(outcome::Reason::Module, "not wasm"));
    for number in 0..3000 {
        let key = Key::new("other", &number.to_string()).expect("a key");
        board.enter(&Arc::new(Check::bare(key.clone(), entry.view().check.program.module.clone())));
        board.remove(&key);
    }
    spawn_listener(events, &board, &desk);
    sleep(Duration::from_secs(1)).await;
    let expected = [
        ("Warning", "ModuleRejected", "web: not wasm".to_owned()),
        ("Warning", "CheckQuarantined", QUARANTINED.to_owned()),
    ];
    assert_eq!(noted(&desk), expected);
}

#[test]
fn what_happens_to_checks_of_others_is_not_noted_and_long_messages_are_cut() {
    let desk = EventQueue::default();
    let key: Key = "team-a/web".parse().expect("a key");
    desk.note_for(&key, Reason::ModuleLoaded, "live");
    assert!(desk.state().queue.take(Instant::now()).is_err());
    desk.own(&key, &place(), "uid");
    desk.note_for(&key, Reason::GrantDenied, &"\n".repeat(5000));
    let (_, note) = desk.state().queue.take(Instant::now()).expect("a note");
    assert!(note.message.len() <= LONGEST_MESSAGE && note.message.starts_with("web: \\n"));
    desk.disown(&key);
    desk.note_for(&key, Reason::ModuleLoaded, "live");
    assert!(desk.state().queue.take(Instant::now()).is_err());
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
    let (board, desk) = (Arc::new(Board::default()), Arc::new(EventQueue::default()));
    tokio::spawn(keep(Client::new(api, "default"), board, Arc::clone(&desk)));
    for about in ["one", "another"] {
        desk.note(&place(), "uid", about, Reason::ModuleRejected, "no");
    }
    let written = tokio::time::timeout(Duration::from_secs(10), written.recv());
    written.await.expect("in time").expect("written");
}
