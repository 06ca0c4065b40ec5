//! Watches directories for changes by inotify.

use super::{
    FALLBACK,
    route::{Route, route},
};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode},
};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs, mem,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::mpsc;

/// The most directories that are watched. Linux limits the watches of all programs of a user together.
const MOST_WATCHED: usize = 256;

/// Watches directories, and the links and parents that decide where their paths lead.
pub(super) struct Watching {
    watcher: Option<RecommendedWatcher>,
    interest: Arc<Mutex<Interest>>,
    /// The directories that are watched, with their identity at the time.
    watched: BTreeMap<PathBuf, Option<(u64, u64)>>,
    /// Why changes may go unnoticed; none if all are noticed.
    trouble: Option<String>,
}

/// Which events in watched directories count. A path in it may itself be a link, but none of its parents is one.
#[derive(Default)]
struct Interest {
    /// The directories of which every file counts.
    whole: BTreeSet<PathBuf>,
    /// The single paths that count.
    names: BTreeSet<PathBuf>,
}

impl Watching {
    /// A watcher of no directories yet. Each change that counts will send a message to `hint`.
    pub(super) fn new(hint: mpsc::Sender<()>) -> Self {
        let interest = Arc::<Mutex<Interest>>::default();
        let of_interest = Arc::clone(&interest);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let interest = of_interest.lock().unwrap_or_else(PoisonError::into_inner);
            if event.map_or(true, |event| interest.in_event(&event)) {
                // A full channel holds a hint already.
                let _ = hint.try_send(());
            }
        });
        let mut watching = Self { watcher: None, interest, watched: BTreeMap::new(), trouble: None };
        match watcher {
            Ok(watcher) => watching.watcher = Some(watcher),
            Err(error) => watching.complain(Some(error.to_string())),
        }
        watching
    }

    /// Watches these directories and links, and what leads to them. Returns whether something was not watched
    /// before, so that earlier changes may have been missed.
    pub(super) fn follow(&mut self, directories: &[PathBuf], links: &[PathBuf]) -> bool {
        let Some(watcher) = &mut self.watcher else { return false };
        let interest = Interest::of(directories, links);
        let mut places = interest.places();
        *self.interest.lock().unwrap_or_else(PoisonError::into_inner) = interest;
        let mut trouble = (places.len() > MOST_WATCHED)
            .then(|| format!("links lead to more than {MOST_WATCHED} directories, too many to watch"));
        places.truncate(MOST_WATCHED);
        for place in self.watched.keys().filter(|place| !places.contains(place)) {
            // The watch may be gone with its directory.
            let _ = watcher.unwatch(place);
        }
        let before = mem::take(&mut self.watched);
        for place in places {
            let identity = fs::metadata(&place).map(|metadata| (metadata.dev(), metadata.ino())).ok();
            // Paths that are watched already too, as another directory may be there now.
            match watcher.watch(&place, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(place, identity);
                }
                Err(error) => {
                    trouble.get_or_insert(error.to_string());
                }
            }
        }
        self.complain(trouble);
        self.watched.iter().any(|(place, identity)| before.get(place) != Some(identity))
    }

    /// Logs why changes may go unnoticed, once for each reason.
    fn complain(&mut self, trouble: Option<String>) {
        if let Some(why) = trouble.as_ref().filter(|why| self.trouble.as_ref() != Some(*why)) {
            tracing::warn!("some changes are only noticed every {FALLBACK:?}: {why}");
        }
        self.trouble = trouble;
    }
}

impl Interest {
    /// The events that count for these directories and file links.
    fn of(directories: &[PathBuf], links: &[PathBuf]) -> Self {
        let mut interest = Self::default();
        for Route { turns, end } in directories.iter().map(|path| route(path)) {
            interest.whole.extend(end);
            interest.names.extend(turns);
        }
        interest.names.extend(links.iter().flat_map(|path| route(path).turns));
        interest
    }

    /// The directories to watch for these events, each once, the most important first.
    fn places(&self) -> Vec<PathBuf> {
        let parents = self.names.iter().filter_map(|name| name.parent());
        let mut seen = HashSet::new();
        let places = self.whole.iter().map(PathBuf::as_path).chain(parents);
        places.filter(|place| seen.insert(*place)).map(Path::to_path_buf).collect()
    }

    fn in_event(&self, event: &Event) -> bool {
        let matters = |path: &PathBuf| {
            self.names.contains(path)
                || self.names.iter().any(|name| name.parent() == Some(path))
                || self.whole.contains(path)
                || path.parent().is_some_and(|parent| self.whole.contains(parent))
        };
        is_change(event.kind) && (event.paths.is_empty() || event.paths.iter().any(matters))
    }
}

/// Whether an event is a change. Reading a directory causes events as well, which must not lead to reading it
/// again.
fn is_change(kind: EventKind) -> bool {
    !matches!(kind, EventKind::Access(access) if access != AccessKind::Close(AccessMode::Write))
}

#[cfg(test)]
mod tests {
    use super::*;
    use notify::event::{MetadataKind, ModifyKind};

    #[test]
    fn who_may_enter_the_directory_of_a_links_target_matters_as_the_target_does() {
        let home = tempfile::tempdir().expect("a directory");
        let home = home.path().canonicalize().expect("a path without links");
        fs::create_dir(home.join("store")).expect("a directory");
        std::os::unix::fs::symlink("store/m.wasm", home.join("m.wasm")).expect("a link");
        let interest = Interest::of(&[], &[home.join("m.wasm")]);
        let kind = EventKind::Modify(ModifyKind::Metadata(MetadataKind::Any));
        let matters = |path: &str| interest.in_event(&Event::new(kind).add_path(home.join(path)));
        assert!(matters("store") && matters("store/m.wasm") && matters("m.wasm"));
        assert!(!matters("store/other.wasm") && !matters("other"));
    }
}
