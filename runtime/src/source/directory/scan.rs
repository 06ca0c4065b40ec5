//! Compares what lies in the directories with what was told before.

use super::{
    Directories,
    files::{self, Entry, Stamp},
};
use crate::{
    board::Contact,
    signature::{Signature, is_signature},
    source::{
        Change, Packed, Taken,
        bundle::{self, Broken, Bundle, Manifest, Wish, Wishes, is_manifest},
        is_module,
    },
    spec::{Check, Digest, Key},
};
use std::{
    collections::{BTreeMap, HashMap},
    mem,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::watch;

/// The largest manifest file in bytes, as much as a ConfigMap holds.
const MANIFEST_SIZE: usize = 1024 * 1024;

/// Remembers what was told, and what was read from files that have not changed since.
pub(super) struct Scanner {
    source: Directories,
    told: BTreeMap<Key, Wish>,
    manifests: HashMap<PathBuf, (Stamp, Manifest)>,
    digests: HashMap<PathBuf, (Stamp, Result<Digest, String>)>,
    signatures: HashMap<PathBuf, (Stamp, Signature)>,
    contact: Arc<Contact>,
    taken: watch::Sender<Taken>,
}

impl Scanner {
    /// A scanner that says in `taken` which checks are a directory's.
    pub(super) fn new(source: Directories, contact: Arc<Contact>, taken: watch::Sender<Taken>) -> Self {
        Self {
            source,
            told: BTreeMap::new(),
            manifests: HashMap::new(),
            digests: HashMap::new(),
            signatures: HashMap::new(),
            contact,
            taken,
        }
    }

    /// Reads the directories and tells every change; false as soon as nobody listens any more.
    /// A directory that cannot be read leaves its checks as they are.
    pub(super) fn scan(&mut self, mut tell: impl FnMut(Change) -> bool) -> bool {
        let mut wishes = Wishes::default();
        for directory in self.source.paths.clone() {
            match files::list(&directory) {
                Ok(entries) => {
                    self.contact.reached(&directory.display().to_string());
                    self.read(&entries, &mut wishes);
                }
                Err(error) => {
                    let place = directory.display().to_string();
                    if self.contact.lost(&place, &format!("cannot read {place}: {error}")) {
                        tracing::warn!("cannot read {place}: {error}; its checks stay as they are");
                    }
                    let kept = self.told.iter().filter(|(_, told)| told.origin.starts_with(&directory));
                    wishes.keep(kept.map(|(key, told)| (key.clone(), told.clone())));
                }
            }
        }
        self.manifests.retain(|path, _| path.exists());
        self.digests.retain(|path, _| path.exists());
        self.signatures.retain(|path, _| path.exists());
        let wanted = wishes.finish(&self.source.namespace);
        let told = mem::take(&mut self.told);
        let limit = self.source.max_module_size;
        // Another source leaves a check before this one tells of it, and takes it back only after that.
        self.taken.send_if_modified(|taken| taken.take(wanted.keys()));
        let gone = told.keys().filter(|key| !wanted.contains_key(key));
        let news = wanted.iter().flat_map(|(key, wish)| {
            let pack = |name: &str, digest| {
                let path = wish.origin.with_file_name(name);
                Packed::new(digest, move || {
                    files::read_module(&path, limit).map_err(|error| error.to_string())
                })
            };
            wish.changes(key, told.get(key), pack)
        });
        let going_on = gone.map(|key| Change::Remove(key.clone())).chain(news).all(&mut tell);
        self.taken.send_if_modified(|taken| taken.keep(|key| wanted.contains_key(key)));
        self.told = wanted;
        going_on
    }

    /// Adds what the files of a directory want.
    fn read(&mut self, entries: &[Entry], wishes: &mut Wishes) {
        let Some(place) = entries.first().and_then(|entry| entry.path.parent()) else { return };
        for entry in entries {
            self.look_at(entry);
        }
        let manifests = entries.iter().filter_map(|entry| Some((entry, self.manifests.get(&entry.path)?)));
        let modules = entries.iter().filter_map(|entry| Some((entry, self.digests.get(&entry.path)?)));
        let signatures = entries.iter().filter_map(|entry| Some((entry, self.signatures.get(&entry.path)?)));
        let bundle = Bundle {
            place,
            namespace: &self.source.namespace,
            ceiling: &self.source.ceiling,
            manifests: manifests.map(|(entry, (_, manifest))| (entry.name.as_str(), manifest)).collect(),
            modules: modules.map(|(entry, (_, digest))| (entry.name.as_str(), digest)).collect(),
            signatures: signatures.map(|(entry, (_, file))| (entry.name.as_str(), file)).collect(),
        };
        wishes.read(&bundle, |origin| self.former(origin));
    }

    /// Reads a file that may have changed.
    fn look_at(&mut self, entry: &Entry) {
        let known = |stamp: Option<&Stamp>| stamp == Some(&entry.stamp);
        if is_module(&entry.name) {
            if !known(self.digests.get(&entry.path).map(|(stamp, _)| stamp)) {
                let bytes = files::read_module(&entry.path, self.source.max_module_size);
                let digest = bytes.map(|bytes| Digest::of(&bytes)).map_err(|error| error.to_string());
                self.digests.insert(entry.path.clone(), (entry.stamp, digest));
            }
        } else if is_signature(&entry.name) {
            if !known(self.signatures.get(&entry.path).map(|(stamp, _)| stamp))
                && let Some(signature) = Signature::read(&entry.path)
            {
                self.signatures.insert(entry.path.clone(), (entry.stamp, signature));
            }
        } else if is_manifest(&entry.name) && !known(self.manifests.get(&entry.path).map(|(stamp, _)| stamp))
        {
            let manifest = read_manifest(entry, &self.source);
            self.manifests.insert(entry.path.clone(), (entry.stamp, manifest));
        }
    }

    /// The checks that a manifest file wanted when it worked.
    fn former(&self, origin: &Path) -> Vec<(Key, Arc<Check>)> {
        let told = self.told.iter().filter(|(_, told)| same_file(&told.origin, origin));
        told.filter_map(|(key, told)| Some((key.clone(), Arc::clone(told.check.as_ref()?)))).collect()
    }
}

fn read_manifest(entry: &Entry, source: &Directories) -> Manifest {
    let unreadable = |error: files::ReadError| Broken { why: error.to_string(), about: Vec::new() };
    let text = files::read_text(&entry.path, MANIFEST_SIZE).map_err(unreadable)?;
    bundle::parse(&entry.name, &text, &source.namespace, &source.ceiling)
}

/// A mounted ConfigMap gives every version of a file a directory of its own.
fn same_file(one: &Path, other: &Path) -> bool {
    let timestamped = |path: &Path| {
        let parent = path.parent().and_then(Path::file_name);
        parent.is_some_and(|name| name.to_string_lossy().starts_with(".."))
    };
    let home = |path: &Path| {
        let parent = path.parent()?;
        (if timestamped(path) { parent.parent() } else { Some(parent) }).map(Path::to_path_buf)
    };
    one.file_name() == other.file_name() && home(one) == home(other)
}
