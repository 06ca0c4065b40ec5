//! Checks from directories: plain files, and ConfigMaps mounted by the kubelet.

mod files;
mod known;
mod route;
mod scan;
#[cfg(test)]
mod tests;
mod told;
mod watching;

use super::{Change, Taken};
use crate::{
    board::{Board, SourceStatus},
    grant::Ceiling,
};
use scan::{Scanned, Scanner};
use std::{
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;
use watching::Watching;

/// The name of this source on the board.
const NAME: &str = "directory";
/// Directories are read again this often, should the system not tell of a change.
const FALLBACK: Duration = Duration::from_secs(30);
/// A file that was just written is left alone until nothing has happened for so long.
const QUIET: Duration = Duration::from_millis(25);
/// After so many quiet periods that were none, the directory is read anyway.
const RESTLESS: u32 = 20;

/// What is said of a defect here.
const BROKE_DOWN: &str = "looking at the check directories broke down";
/// How long nothing is looked at after that.
const REST: Duration = Duration::from_secs(5);

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
        let read = |path: &Path| files::list(&files::identify(path)?.place);
        self.paths.iter().try_for_each(|path| read(path).map(drop).map_err(|error| (path.clone(), error)))
    }

    /// What is there now.
    pub fn read(self) -> Vec<Change> {
        let mut changes = Vec::new();
        let contact = Arc::new(SourceStatus::new(NAME, []));
        Scanner::new(self, contact, watch::Sender::default()).scan(Instant::now(), |change| {
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
        let contact = board.connect(NAME, self.paths.iter().map(|path| path.display().to_string()));
        let paths = self.paths.clone();
        let look = Look { scanner: Scanner::new(self, contact, taken), watching: Watching::new(hint), paths };
        let look = Arc::new(Mutex::new(look));
        let mut fallback = interval(FALLBACK);
        fallback.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut synced, mut again) = (false, None);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = fallback.tick() => {}
                () = sleep_until(again.unwrap_or_else(Instant::now)), if again.is_some() => {}
                Some(()) = hints.recv() => settle(&mut hints).await,
            }
            let sender = changes.clone();
            let scanned = apart(&look, move |look| look.scan(|change| sender.blocking_send(change).is_ok()));
            let Some(scanned) = scanned.await else {
                again = rest(&look, &stop).await;
                continue;
            };
            again = scanned.again;
            if !scanned.heard || (!synced && changes.send(Change::Synced).await.is_err()) {
                return;
            }
            synced = true;
        }
    }
}

/// What it takes to look at the directories.
struct Look {
    scanner: Scanner,
    watching: Watching,
    paths: Vec<PathBuf>,
}

impl Look {
    /// Tells what has changed, and watches what has come to matter.
    fn scan(&mut self, tell: impl FnMut(Change) -> bool) -> Scanned {
        let now = Instant::now();
        let mut scanned = self.scanner.scan(now, tell);
        if self.watching.follow(&self.paths, &scanned.links) {
            scanned.again = Some(now + QUIET);
        }
        scanned
    }
}

/// Works on a thread that may block. Work that breaks down is logged, and leaves as much done as it did.
async fn apart<T: Send + 'static, R: Send + 'static>(
    shared: &Arc<Mutex<T>>,
    work: impl FnOnce(&mut T) -> R + Send + 'static,
) -> Option<R> {
    let shared = Arc::clone(shared);
    let done = spawn_blocking(move || work(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))).await;
    done.inspect_err(|error| tracing::error!("{BROKE_DOWN}, and begins again: {error}")).ok()
}

/// Says that nothing is looked at, and waits before that begins again: now.
async fn rest(look: &Arc<Mutex<Look>>, stop: &CancellationToken) -> Option<Instant> {
    apart(look, |look| look.scanner.lose(BROKE_DOWN)).await;
    stop.run_until_cancelled(sleep(REST)).await;
    Some(Instant::now())
}

async fn settle(hints: &mut mpsc::Receiver<()>) {
    for _ in 0..RESTLESS {
        if timeout(QUIET, hints.recv()).await.is_err() {
            return;
        }
    }
}
