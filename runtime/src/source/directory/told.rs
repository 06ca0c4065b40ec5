//! The changes of each check that were told so far.

use super::files;
use crate::{
    manifest::Check,
    source::{Change, FetchedModule, ModuleSource, Packed, Taken, bundle::Desired},
    value::{Key, Origin},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
};
use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::watch;

/// What was told last of each check. A scan that breaks off halfway leaves what it has told here.
pub(super) struct Told {
    wishes: BTreeMap<Key, Desired>,
    /// Tells other sources which checks come from a directory.
    taken: watch::Sender<Taken>,
}

/// A module file in a directory, with at most `limit` decoded bytes. Fetching does nothing; decoding reads
/// the file.
#[derive(Clone)]
struct ModuleFile {
    path: PathBuf,
    limit: usize,
}

impl ModuleSource for ModuleFile {
    fn fetch(&self) -> BoxFuture<'_, Result<Arc<dyn FetchedModule>, String>> {
        let file: Arc<dyn FetchedModule> = Arc::new(self.clone());
        ready(Ok(file)).boxed()
    }
}

impl FetchedModule for ModuleFile {
    fn decode(&self) -> Result<Vec<u8>, String> {
        let cannot = |error| format!("cannot read {}: {error}", self.path.display());
        files::read_module(&self.path, self.limit).map_err(cannot)?.map_err(|error| error.to_string())
    }
}

impl Told {
    pub(super) fn new(taken: watch::Sender<Taken>) -> Self {
        Self { wishes: BTreeMap::new(), taken }
    }

    /// Tells all changes since the last call, until nobody listens any more. Returns whether all were heard.
    pub(super) fn tell(
        &mut self,
        wanted: BTreeMap<Key, Desired>,
        limit: usize,
        mut tell: impl FnMut(Change) -> bool,
    ) -> bool {
        // Another source leaves a check before this one tells of it, and takes it back only after that.
        self.taken.send_if_modified(|taken| taken.take(wanted.keys()));
        let gone: Vec<Key> = self.wishes.keys().filter(|key| !wanted.contains_key(key)).cloned().collect();
        for key in gone {
            if !tell(Change::Remove(key.clone())) {
                return false;
            }
            self.wishes.remove(&key);
        }
        for (key, wish) in wanted {
            let pack = |name: &str, digest| {
                let file = ModuleFile { path: wish.origin.with_file_name(name), limit };
                Packed::new(digest, file.clone()).at_hand(file)
            };
            // A check that has moved to another file is told again, with its new origin.
            let before = self.wishes.get(&key).filter(|before| file(&before.origin) == file(&wish.origin));
            if wish.is_news(before) && !wish.changes(&key, &origin(&wish.origin), before, pack).all(&mut tell)
            {
                return false;
            }
            self.wishes.insert(key, wish);
        }
        let wishes = &self.wishes;
        self.taken.send_if_modified(|taken| taken.keep(|key| wishes.contains_key(key)));
        true
    }

    /// The checks that each manifest file asked for at the last scan.
    pub(super) fn by_file(&self) -> Former<'_> {
        let mut former = Former::default();
        for (key, wish) in &self.wishes {
            if let Some(check) = &wish.check {
                former.0.entry(file(&wish.origin)).or_default().push((key, check));
            }
        }
        former
    }

    /// What the files of a directory asked for at the last scan, except for the file of this name.
    pub(super) fn of(&self, directory: &Path, without: &str) -> impl Iterator<Item = (Key, Desired)> {
        let without = directory.join(without);
        let here = move |path: &Path| home(path) == Some(directory) && path != without;
        let wishes = self.wishes.iter().filter(move |(_, wish)| here(&wish.origin));
        wishes.map(|(key, wish)| (key.clone(), wish.clone()))
    }
}

/// The checks that files asked for at the last scan, by directory and name of the file.
#[derive(Default)]
pub(super) struct Former<'a>(HashMap<File<'a>, Vec<(&'a Key, &'a Arc<Check>)>>);

/// The directory and the name of a file.
type File<'a> = (Option<&'a Path>, Option<&'a OsStr>);

impl Former<'_> {
    /// The checks of one manifest file.
    pub(super) fn of(&self, origin: &Path) -> BTreeMap<Key, Arc<Check>> {
        let checks = self.0.get(&file(origin)).into_iter().flatten();
        checks.map(|(key, check)| ((*key).clone(), Arc::clone(check))).collect()
    }
}

fn file(path: &Path) -> File<'_> {
    (home(path), path.file_name())
}

fn origin(path: &Path) -> Arc<Origin> {
    let (home, name) = file(path);
    Arc::new(Origin::File(home.unwrap_or(Path::new("")).join(name.unwrap_or_default())))
}

/// The directory of a file. In a mounted ConfigMap, each version of a file has a directory of its own below
/// that directory.
fn home(path: &Path) -> Option<&Path> {
    let parent = path.parent()?;
    let is_version = parent.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".."));
    if is_version { parent.parent() } else { Some(parent) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn the_former_checks_of_thousands_of_files_are_found_in_no_time() {
        let mut told = Told::new(watch::channel(Taken::default()).0);
        let origin = |number: u32| Path::new("/checks").join(format!("{number}.yaml"));
        for number in 0..20_000 {
            let key = Key::new("default", &format!("c{number}")).expect("a key");
            let check = Check::bare(key.clone(), "m.wasm".parse().expect("a module"));
            let wish = Desired { origin: origin(number), check: Some(Arc::new(check)), ..Desired::default() };
            told.wishes.insert(key, wish);
        }
        let begun = Instant::now();
        let former = told.by_file();
        assert!((0..20_000).all(|number| former.of(&origin(number)).len() == 1));
        // A search through all checks for each file takes a hundred times as long.
        assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    }
}
