//! Checks from directories: plain files, and ConfigMaps mounted by the kubelet.

mod files;
mod scan;
#[cfg(test)]
mod tests;

use super::{Change, Taken};
use crate::{
    board::{Board, Contact},
    grant::Ceiling,
};
use notify::{EventKind, RecursiveMode, Watcher, event::AccessKind, event::AccessMode};
use scan::Scanner;
use std::{io, path::PathBuf, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;

/// The name of this source on the board.
const NAME: &str = "directory";
/// Directories are read again this often, should the system not tell of a change.
const FALLBACK: Duration = Duration::from_secs(30);
/// A file that was just written is left alone until nothing has happened for so long.
const QUIET: Duration = Duration::from_millis(25);
/// After so many quiet periods that were none, the directory is read anyway.
const RESTLESS: u32 = 20;

/// Directories whose manifests and modules are the checks that should run.
#[derive(Clone, Debug)]
pub struct Directories {
    /// Where to look; of two checks of one name the one in the earlier directory runs.
    pub paths: Vec<PathBuf>,
    /// Namespace of checks that name none.
    pub namespace: String,
    /// The most that their checks may reach.
    pub ceiling: Arc<Ceiling>,
    /// The largest module in bytes, once decoded.
    pub max_module_size: usize,
}

impl Directories {
    /// Refuses directories that cannot be read.
    pub fn require_readable(&self) -> Result<(), (PathBuf, io::Error)> {
        self.paths.iter().try_for_each(|path| match std::fs::read_dir(path) {
            Ok(_) => Ok(()),
            Err(error) => Err((path.clone(), error)),
        })
    }

    /// What is there now.
    pub fn read(self) -> Vec<Change> {
        let mut changes = Vec::new();
        let contact = Arc::new(Contact::new(NAME, []));
        Scanner::new(self, contact, watch::Sender::default()).scan(|change| {
            changes.push(change);
            true
        });
        changes
    }

    /// Tells what is there, then what changes, until told to stop; says in `taken` which checks are these.
    pub async fn watch(
        self,
        changes: mpsc::Sender<Change>,
        taken: watch::Sender<Taken>,
        board: Arc<Board>,
        stop: CancellationToken,
    ) {
        let (hint, mut hints) = mpsc::channel(1);
        let _watcher = self.subscribe(hint);
        let contact = board.connect(NAME, self.paths.iter().map(|path| path.display().to_string()));
        let mut scanner = Scanner::new(self, contact, taken);
        let mut fallback = interval(FALLBACK);
        fallback.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut synced = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = fallback.tick() => {}
                Some(()) = hints.recv() => settle(&mut hints).await,
            }
            let sender = changes.clone();
            let scanned = tokio::task::spawn_blocking(move || {
                let told = scanner.scan(|change| sender.blocking_send(change).is_ok());
                (scanner, told)
            });
            let Ok((back, told)) = scanned.await else {
                tracing::error!("reading the check directories broke down; changes are no longer noticed");
                return;
            };
            scanner = back;
            if !told || (!synced && changes.send(Change::Synced).await.is_err()) {
                return;
            }
            synced = true;
        }
    }

    /// Asks the system to tell of changes; without that the fallback has to do.
    fn subscribe(&self, hint: mpsc::Sender<()>) -> Option<impl Watcher + use<>> {
        let tell = move |event: notify::Result<notify::Event>| {
            if event.map_or(true, |event| is_change(event.kind)) {
                // A full channel holds a hint already.
                let _ = hint.try_send(());
            }
        };
        let watch = || {
            let mut watcher = notify::recommended_watcher(tell)?;
            for path in &self.paths {
                watcher.watch(path, RecursiveMode::NonRecursive)?;
            }
            Ok::<_, notify::Error>(watcher)
        };
        let warn = |error| tracing::warn!("changes are only noticed every {FALLBACK:?}: {error}");
        watch().map_err(warn).ok()
    }
}

/// Reading a directory causes events as well, which must not lead to reading it again.
fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

async fn settle(hints: &mut mpsc::Receiver<()>) {
    for _ in 0..RESTLESS {
        if timeout(QUIET, hints.recv()).await.is_err() {
            return;
        }
    }
}
