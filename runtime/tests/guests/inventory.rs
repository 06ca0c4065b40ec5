//! The daemon's inventory over a directory, and what it makes of the files there.

use crate::support::sandbox;
use aviary::{
    board::{Board, View},
    grant::Ceiling,
    inventory::Inventory,
    sandbox::Sandbox,
    scheduler::Clock,
    signature::Keyring,
    source::directory::Directories,
    value::Key,
};
use std::{fs, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A running inventory over a directory.
pub(crate) struct Aviary {
    pub(crate) directory: TempDir,
    pub(crate) board: Arc<Board>,
    stop: CancellationToken,
    inventory: JoinHandle<bool>,
}

impl Aviary {
    pub(crate) fn start() -> Self {
        Self::start_with(PATIENCE)
    }

    pub(crate) fn start_with(patience: Duration) -> Self {
        Self::start_in(sandbox(), Keyring::default(), patience, Ceiling::open())
    }

    pub(crate) fn start_signed(patience: Duration, keyring: Keyring) -> Self {
        Self::start_in(sandbox(), keyring, patience, Ceiling::open())
    }

    pub(crate) fn start_in(
        sandbox: Sandbox,
        keyring: Keyring,
        patience: Duration,
        ceiling: Arc<Ceiling>,
    ) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (board, stop) = (Arc::new(Board::default()), CancellationToken::new());
        let (changes, inbox) = mpsc::channel(4);
        let inventory = Inventory::new(Arc::new(sandbox), keyring, Arc::clone(&board), Clock::start(), 1);
        let source = Directories {
            ceiling,
            paths: vec![directory.path().to_path_buf()],
            namespace: "default".into(),
            max_module_size: 1 << 22,
        };
        tokio::spawn(source.watch(changes, watch::Sender::default(), Arc::clone(&board), stop.clone()));
        let inventory = tokio::spawn(inventory.run(inbox, stop.clone(), patience));
        Self { directory, board, stop, inventory }
    }

    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.directory.path();
        fs::write(path.join(".new"), content).expect("written");
        fs::rename(path.join(".new"), path.join(name)).expect("in place");
    }

    pub(crate) fn put_guest(&self, name: &str, guest: &str) {
        self.put(name, fs::read(Path::new(guest)).expect("a guest"));
    }

    pub(crate) fn put_manifest(&self, spec: &str) {
        self.put(
            "subject.yaml",
            format!("apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: {{ name: subject }}\nspec:\n  module: subject.wasm\n{spec}"),
        );
    }

    /// Waits until the check looks like this.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&View) -> bool) -> View {
        self.until_of(&"default/subject".parse().expect("a key"), what, is_so).await
    }

    /// Waits until another check looks like this.
    pub(crate) async fn until_of(&self, key: &Key, what: &str, is_so: impl Fn(&View) -> bool) -> View {
        let look = async {
            loop {
                match self.board.get(key).map(|entry| entry.view()) {
                    Some(view) if is_so(&view) => return view,
                    _ => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        };
        timeout(PATIENCE, look).await.unwrap_or_else(|_| panic!("never {what}: {:?}", self.board.entries()))
    }

    pub(crate) async fn stop(self) -> bool {
        self.stop.cancel();
        self.inventory.await.expect("no panic")
    }
}

pub(crate) fn message(view: &View) -> String {
    match view.latest.as_ref().map(|run| run.verdict.as_ref().clone()) {
        Some(Ok(outcome)) => outcome.message,
        Some(Err(fault)) => fault.message,
        None => String::new(),
    }
}
