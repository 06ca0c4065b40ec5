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
/// How often directories are read again without a notice of a change.
const FALLBACK: Duration = Duration::from_secs(30);
/// How long nothing may happen in a directory before it is read after a change.
const QUIET: Duration = Duration::from_millis(25);
/// After how many interrupted quiet periods a directory is read anyway.
const RESTLESS: u32 = 20;

/// The message for a panic in this source.
const BROKE_DOWN: &str = "looking at the check directories broke down";
/// The pause after a panic in this source.
const REST: Duration = Duration::from_secs(5);

/// Directories whose manifests and modules are the checks that should run.
#[derive(Clone, Debug)]
pub struct Directories {
    /// The directories to read. Of two checks of one name, the one in the earlier directory runs.
    pub paths: Vec<PathBuf>,
    /// The namespace of checks whose manifest names none.
    pub namespace: String,
    /// The most that checks from these directories may reach.
    pub ceiling: Arc<Ceiling>,
    /// The largest module in bytes, once decoded.
    pub max_module_size: usize,
}

impl Directories {
    /// An error with the path if one of the directories cannot be read.
    pub fn require_readable(&self) -> Result<(), (PathBuf, io::Error)> {
        let read = |path: &Path| files::list(&files::identify(path)?.place);
        self.paths.iter().try_for_each(|path| read(path).map(drop).map_err(|error| (path.clone(), error)))
    }

    /// The changes that tell all checks that are in the directories now.
    pub fn read(self) -> Vec<Change> {
        let mut changes = Vec::new();
        let contact = Arc::new(SourceStatus::new(NAME, []));
        Scanner::new(self, contact, watch::Sender::default()).scan(Instant::now(), |change| {
            changes.push(change);
            true
        });
        changes
    }

    /// Tells all checks of the directories, then every change, until `stop` is cancelled. The names of these
    /// checks are sent to `taken`.
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

/// The state that scans of the directories need.
struct Look {
    scanner: Scanner,
    watching: Watching,
    paths: Vec<PathBuf>,
}

impl Look {
    /// Tells what has changed, and watches the paths that have become relevant.
    fn scan(&mut self, tell: impl FnMut(Change) -> bool) -> Scanned {
        let now = Instant::now();
        let mut scanned = self.scanner.scan(now, tell);
        if self.watching.follow(&self.paths, &scanned.links) {
            scanned.again = Some(now + QUIET);
        }
        scanned
    }
}

/// Runs work on a blocking thread. A panic is logged, and what the work has done until then stays done.
async fn apart<T: Send + 'static, R: Send + 'static>(
    shared: &Arc<Mutex<T>>,
    work: impl FnOnce(&mut T) -> R + Send + 'static,
) -> Option<R> {
    let shared = Arc::clone(shared);
    let done = spawn_blocking(move || work(&mut shared.lock().unwrap_or_else(PoisonError::into_inner))).await;
    done.inspect_err(|error| tracing::error!("{BROKE_DOWN}, and begins again: {error}")).ok()
}

/// Reports that the directories are not read, and waits before the next attempt.
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
