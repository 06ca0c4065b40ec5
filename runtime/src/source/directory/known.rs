//! The parsed contents of files, by path.

use super::files::{Entry, Stamp, is_gone};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};
use tokio::time::Instant;

/// The parsed contents of files. A file is read again only when its metadata has changed.
pub(super) struct KnownFiles<T>(HashMap<PathBuf, FileContent<T>>);

struct FileContent<T> {
    /// The metadata of the file when it was read; none if it could not be read, so that the next scan reads
    /// it again.
    stamp: Option<Stamp>,
    /// When the content was first seen like this.
    since: Instant,
    content: T,
}

impl<T> Default for KnownFiles<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> KnownFiles<T> {
    /// Reads a file if it may have changed. For a file that is there and cannot be read, `unreadable` makes
    /// the content.
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

    /// The contents of these files, and since when each is like this.
    pub(super) fn of<'a>(&'a self, entries: &'a [Entry]) -> impl Iterator<Item = (&'a str, &'a T, Instant)> {
        let known = |entry: &'a Entry| self.0.get(&entry.path).map(|known| (entry, known));
        entries
            .iter()
            .filter_map(known)
            .map(|(entry, known)| (entry.name.as_str(), &known.content, known.since))
    }

    /// Drops the contents of files that do not exist any more.
    pub(super) fn tidy(&mut self) {
        self.0.retain(|path, _| !fs::symlink_metadata(path).is_err_and(|error| is_gone(&error)));
    }
}
