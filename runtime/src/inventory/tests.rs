//! Tests of changes that come while modules take long to load.

use super::*;
use crate::{
    board::{CheckState, EventKind},
    capability::dial::{Network, NetworkOptions},
    manifest::Severity,
    outcome::{Fault, Reason},
    settings::CompilerConfig,
    source::{FetchedModule, ModuleSource, Packed},
    value::{Digest, Origin},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Condvar, Mutex, Weak,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::{
    task::JoinHandle,
    time::{advance, sleep},
};

const EMPTY_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// A gate that blocks reads of modules until it is opened.
#[derive(Default)]
struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
    reads: AtomicUsize,
}

impl Gate {
    fn open(&self) {
        *self.is_open.lock().expect("a lock") = true;
        self.opened.notify_all();
    }

    /// The change that sets a check whose module is not valid, and is read only once the gate is open.
    fn check(self: &Arc<Self>, key: &str) -> Change {
        let gate = Arc::clone(self);
        let module = Packed::new(Digest::of(b"rubbish"), move || {
            gate.reads.fetch_add(1, Relaxed);
            let is_open = gate.is_open.lock().expect("a lock");
            drop(gate.opened.wait_while(is_open, |is_open| !*is_open).expect("a lock"));
            Ok(b"rubbish".to_vec())
        });
        let check = Arc::new(Check::bare(self::key(key), "m.wasm".parse().expect("a module")));
        set(check, module)
    }
}

/// A fetched module that is an empty component, and keeps a permit until it is dropped.
struct HeldModule {
    _turn: Arc<()>,
}

impl FetchedModule for HeldModule {
    fn decode(&self) -> Result<Vec<u8>, String> {
        Ok(EMPTY_COMPONENT.to_vec())
    }
}

/// A module source that counts its fetches, and fails once the permit is dropped.
struct CountedFetches {
    fetches: Arc<AtomicUsize>,
    turn: Weak<()>,
}

impl ModuleSource for CountedFetches {
    fn fetch(&self) -> BoxFuture<'_, Result<Arc<dyn FetchedModule>, String>> {
        self.fetches.fetch_add(1, Relaxed);
        let module =
            self.turn.upgrade().map(|turn| Arc::new(HeldModule { _turn: turn }) as Arc<dyn FetchedModule>);
        ready(module.ok_or_else(|| "gone".to_owned())).boxed()
    }
}

/// An inventory over one source, with its board and the sender of the changes.
struct Fixture {
    board: Arc<Board>,
    changes: mpsc::Sender<Change>,
    stop: CancellationToken,
    inventory: JoinHandle<bool>,
}

impl Fixture {
    fn start() -> Self {
        Self::over(CompilerConfig::default())
    }

    fn over(compiler: CompilerConfig) -> Self {
        let (board, stop) = (Arc::new(Board::default()), CancellationToken::new());
        let network = Arc::new(Network::new(&NetworkOptions::default()).expect("a network"));
        let sandbox = Arc::new(Sandbox::new(2, compiler, network, None).expect("a sandbox"));
        let (changes, inbox) = mpsc::channel(4);
        let inventory = Inventory::new(sandbox, Keyring::default(), Arc::clone(&board), Clock::start(), 1);
        let inventory = tokio::spawn(inventory.run(inbox, stop.clone(), Duration::from_secs(5)));
        Self { board, changes, stop, inventory }
    }

    async fn tell(&self, change: Change) {
        self.changes.send(change).await.expect("heard");
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Board) -> bool) {
        let look = async {
            while !is_so(&self.board) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        timeout_at(Instant::now() + Duration::from_secs(10), look).await.unwrap_or_else(|_| panic!("{what}"));
    }

    async fn stop(self, gate: &Gate) {
        gate.open();
        self.stop.cancel();
        self.inventory.await.expect("no panic");
    }
}

/// A check of the module `m.wasm`, after `change` has changed its manifest.
fn check(key: &str, change: impl FnOnce(&mut Check)) -> Arc<Check> {
    let mut check = Check::bare(self::key(key), "m.wasm".parse().expect("a module"));
    change(&mut check);
    Arc::new(check)
}

/// The origin of all checks in these tests: the file `checks.yaml`.
fn origin() -> Arc<Origin> {
    Arc::new(Origin::File("checks.yaml".into()))
}

fn set(check: Arc<Check>, module: Packed) -> Change {
    Change::Set(Candidate { check, origin: origin(), module, signature: None })
}

fn reject(key: &str, check: Option<Arc<Check>>, fault: Fault) -> Change {
    Change::Reject { key: self::key(key), origin: origin(), check, fault }
}

/// A compiler that sleeps for 100 s, and the path of the file to which it writes its process id.
fn endless_compiler(directory: &Path) -> (CompilerConfig, PathBuf) {
    let (program, process) = (directory.join("compiler"), directory.join("process"));
    let script = format!("#!/bin/sh\necho $$ >{}\nexec /bin/sleep 100\n", process.display());
    fs::write(&program, script).expect("written");
    fs::set_permissions(&program, Permissions::from_mode(0o700)).expect("executable");
    (CompilerConfig { program, ..CompilerConfig::default() }, process)
}

fn key(text: &str) -> Key {
    text.parse().expect("a key")
}

fn is_rejected(board: &Board, name: &str) -> bool {
    board.get(&key(name)).is_some_and(|entry| entry.view().rejected.is_some())
}

#[tokio::test]
async fn neither_removals_nor_other_namespaces_wait_for_slow_modules() {
    let (fixture, slow, quick) = (Fixture::start(), Arc::new(Gate::default()), Arc::new(Gate::default()));
    quick.open();
    for number in 0..100 {
        fixture.tell(slow.check(&format!("loud/c{number}"))).await;
    }
    fixture.tell(Change::Remove(key("loud/c99"))).await;
    fixture.until("removed", |board| board.get(&key("loud/c99")).is_none()).await;
    fixture.tell(quick.check("quiet/web")).await;
    fixture.until("tried", |board| is_rejected(board, "quiet/web")).await;
    assert!(!is_rejected(&fixture.board, "loud/c98"));
    fixture.stop(&slow).await;
}

#[tokio::test]
async fn a_module_that_nobody_may_use_is_read_once_for_all_who_wait_for_it() {
    let (fixture, gate) = (Fixture::start(), Arc::new(Gate::default()));
    for number in 0..50 {
        fixture.tell(gate.check(&format!("loud/c{number}"))).await;
    }
    fixture.until("all are there", |board| board.entries().len() == 50).await;
    gate.open();
    fixture
        .until("all are tried", |board| (0..50).all(|number| is_rejected(board, &format!("loud/c{number}"))))
        .await;
    assert_eq!(gate.reads.load(Relaxed), 1);
    fixture.stop(&gate).await;
}

#[tokio::test]
async fn readiness_waits_for_the_first_modules_and_not_for_later_ones() {
    let (fixture, first, later) = (Fixture::start(), Arc::new(Gate::default()), Arc::new(Gate::default()));
    fixture.tell(first.check("a/web")).await;
    fixture.tell(Change::Synced).await;
    fixture.tell(later.check("b/web")).await;
    fixture.until("all are there", |board| board.entries().len() == 2).await;
    assert!(!fixture.board.is_ready());
    first.open();
    fixture.until("ready", Board::is_ready).await;
    fixture.stop(&later).await;
}

#[tokio::test(start_paused = true)]
async fn readiness_does_not_wait_for_ever() {
    let (fixture, gate) = (Fixture::start(), Arc::new(Gate::default()));
    fixture.tell(gate.check("a/web")).await;
    fixture.tell(Change::Synced).await;
    while gate.reads.load(Relaxed) == 0 {
        tokio::task::yield_now().await;
    }
    assert!(!fixture.board.is_ready());
    advance(LONGEST_START).await;
    while !fixture.board.is_ready() {
        tokio::task::yield_now().await;
    }
    fixture.stop(&gate).await;
}

#[tokio::test]
async fn a_version_that_waits_for_its_predecessor_keeps_nothing_from_others() {
    let (fixture, slow) = (Fixture::start(), Arc::new(Gate::default()));
    fixture.tell(slow.check("a/web")).await;
    fixture.until("read", |_| slow.reads.load(Relaxed) == 1).await;
    let (turn, fetches) = (Arc::new(()), Arc::new(AtomicUsize::new(0)));
    let source = CountedFetches { fetches: Arc::clone(&fetches), turn: Arc::downgrade(&turn) };
    let module = Packed::new(Digest::of(b"other"), source).at_hand(HeldModule { _turn: Arc::clone(&turn) });
    fixture.tell(set(check("a/web", |_| {}), module)).await;
    fixture.until("laid aside", |_| Arc::strong_count(&turn) == 1).await;
    assert_eq!(fetches.load(Relaxed), 0);
    slow.open();
    fixture.until("taken up", |_| fetches.load(Relaxed) == 1).await;
    fixture.stop(&slow).await;
}

#[tokio::test]
async fn a_check_that_is_removed_while_it_loads_leaves_the_board_at_once_and_nothing_comes_of_it() {
    let (fixture, slow) = (Fixture::start(), Arc::new(Gate::default()));
    fixture.tell(slow.check("a/web")).await;
    fixture.until("read", |_| slow.reads.load(Relaxed) == 1).await;
    let mut events = fixture.board.listen();
    fixture.tell(Change::Remove(key("a/web"))).await;
    fixture.until("removed", |board| board.get(&key("a/web")).is_none()).await;
    fixture.tell(reject("a/other", None, Fault::new(Reason::Manifest, "no"))).await;
    slow.open();
    fixture.until("tried", |board| is_rejected(board, "a/other")).await;
    sleep(Duration::from_millis(100)).await;
    assert!(fixture.board.get(&key("a/web")).is_none());
    let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).map(|event| event.kind).collect();
    assert_eq!(told, [EventKind::Removed, EventKind::Rejected]);
    fixture.stop(&slow).await;
}

#[tokio::test]
async fn a_check_that_comes_back_while_its_former_load_ends_is_on_the_board_and_tried() {
    let (fixture, slow) = (Fixture::start(), Arc::new(Gate::default()));
    fixture.tell(slow.check("a/web")).await;
    fixture.tell(Change::Remove(key("a/web"))).await;
    fixture.tell(slow.check("a/web")).await;
    fixture.until("back", |board| board.get(&key("a/web")).is_some()).await;
    slow.open();
    fixture.until("tried", |board| is_rejected(board, "a/web")).await;
    fixture.stop(&slow).await;
}

#[tokio::test]
async fn the_module_of_a_check_that_is_removed_is_compiled_no_further() {
    let directory = tempfile::tempdir().expect("a directory");
    let (compiler, process) = endless_compiler(directory.path());
    let fixture = Fixture::over(compiler);
    let module = Packed::new(Digest::of(EMPTY_COMPONENT), || Ok(EMPTY_COMPONENT.to_vec()));
    fixture.tell(set(check("a/web", |_| {}), module)).await;
    let compiler = || fs::read_to_string(&process).ok().filter(|process| process.ends_with('\n'));
    fixture.until("compiled", |_| compiler().is_some()).await;
    fixture.tell(Change::Remove(key("a/web"))).await;
    let gone = |process: &str| !Path::new("/proc").join(process.trim()).exists();
    fixture.until("given up", |_| compiler().is_some_and(|process| gone(&process))).await;
    fixture.stop(&Gate::default()).await;
}

#[tokio::test]
async fn what_a_manifest_says_that_needs_no_module_is_in_force_while_the_module_is_missing() {
    let (fixture, missing) = (Fixture::start(), || Fault::new(Reason::Module, "no module"));
    let told = check("a/web", |check| {
        check.severity = Severity::Warning;
        check.owner = Some("team".into());
    });
    fixture.tell(reject("a/web", Some(told), missing())).await;
    fixture.until("rejected", |board| is_rejected(board, "a/web")).await;
    let view = || fixture.board.get(&key("a/web")).expect("on the board").view();
    assert_eq!((view().check.severity, view().check.owner.as_deref()), (Severity::Warning, Some("team")));
    let suspended = check("a/web", |check| check.suspend = true);
    fixture.tell(reject("a/web", Some(suspended), missing())).await;
    fixture.until("suspended", |_| view().standing == CheckState::Suspended).await;
    fixture.stop(&Gate::default()).await;
}

#[tokio::test(start_paused = true)]
async fn a_module_that_waits_to_be_tried_again_keeps_nothing_from_others_and_is_taken_up_again() {
    let fixture = Fixture::over(CompilerConfig { program: "/nowhere".into(), ..CompilerConfig::default() });
    let (turn, fetches) = (Arc::new(()), Arc::new(AtomicUsize::new(0)));
    let source = CountedFetches { fetches: Arc::clone(&fetches), turn: Arc::downgrade(&turn) };
    let digest = Digest::of(EMPTY_COMPONENT);
    let module = Packed::new(digest, source).at_hand(HeldModule { _turn: Arc::clone(&turn) });
    let check = Arc::new(Check::bare(key("a/web"), "m.wasm".parse().expect("a module")));
    fixture.tell(set(check, module)).await;
    for tries in 0..3 {
        fixture.until("laid aside", |_| Arc::strong_count(&turn) == 1).await;
        let faults = fixture.board.get(&key("a/web")).map(|entry| entry.view().counts.faults);
        assert!(faults.is_some_and(|faults| faults[Reason::Resources as usize] >= tries));
        fixture.until("taken up", |_| fetches.load(Relaxed) > tries as usize).await;
    }
    fixture.stop(&Gate::default()).await;
}
