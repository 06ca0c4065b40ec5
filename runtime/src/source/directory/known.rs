//! What was read from files, by path.

use super::files::{Entry, Stamp, is_gone};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};
use tokio::time::Instant;

/// What was read from files, which are read again only when they may have changed.
pub(super) struct KnownFiles<T>(HashMap<PathBuf, FileContent<T>>);

struct FileContent<T> {
    /// The stamp of the file when it was read. `None` if it could not be read: it is read again at the next scan.
    stamp: Option<Stamp>,
    /// Since when it is like this.
    since: Instant,
    content: T,
}

impl<T> Default for KnownFiles<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> KnownFiles<T> {
    /// Reads a file that may have changed. `unreadable` makes the content of a file that is there and cannot be read.
    pub(super) fn look_at(
        &mut self,
        entry: &Entry,
        now: Instant,
        read: impl FnOnce(&Path) -> io::Result<T>,
        unreadable: impl FnOnce(&io::Error) -> T,
    ) {
        let (stamp, content) = match &entry.stamp {
            Ok(stamp) if self.0.get(&entry.path).is_some_and(|known| known.stamp == Some(*stamp)) => return,
            Ok(stamp) => match read(&entry.path) {
                Ok(content) => (Some(*stamp), content),
                Err(error) if is_gone(&error) && !entry.is_link => {
                    self.0.remove(&entry.path);
                    return;
                }
                Err(error) => (None, unreadable(&error)),
            },
            Err(error) => (None, unreadable(error)),
        };
        self.0.insert(entry.path.clone(), FileContent { stamp, since: now, content });
    }

    /// What is known of these files, and since when.
    pub(super) fn of<'a>(&'a self, entries: &'a [Entry]) -> impl Iterator<Item = (&'a str, &'a T, Instant)> {
        let known = |entry: &'a Entry| self.0.get(&entry.path).map(|known| (entry, known));
        entries
            .iter()
            .filter_map(known)
            .map(|(entry, known)| (entry.name.as_str(), &known.content, known.since))
    }

    /// Forgets files that are gone.
    pub(super) fn tidy(&mut self) {
        self.0.retain(|path, _| !fs::symlink_metadata(path).is_err_and(|error| is_gone(&error)));
    }
}
