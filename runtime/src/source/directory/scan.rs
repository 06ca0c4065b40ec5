//! Compares what lies in the directories with what was told before.

use super::{
    Directories,
    files::{self, Entry, Stamp},
};
use crate::{
    outcome::{Fault, Reason},
    source::{Candidate, Change, is_module, stem},
    spec::{self, Check, Digest, Key, Module},
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    iter, mem,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The largest manifest file in bytes, as much as a ConfigMap holds.
const MANIFEST_SIZE: usize = 1024 * 1024;

/// Remembers what was told, and what was read from files that have not changed since.
pub(super) struct Scanner {
    source: Directories,
    told: BTreeMap<Key, Wanted>,
    manifests: HashMap<PathBuf, (Stamp, Manifest)>,
    digests: HashMap<PathBuf, (Stamp, Result<Digest, String>)>,
    unreadable: HashSet<PathBuf>,
}

/// The checks of a manifest file.
type Manifest = Result<Vec<Arc<Check>>, Broken>;

/// What is wrong with a manifest file, and the checks and modules that it is about all the same.
#[derive(Clone)]
struct Broken {
    why: String,
    about: Vec<(Key, Option<String>)>,
}

/// A check as the files want it.
#[derive(Clone, Debug, Default)]
struct Wanted {
    /// The manifest file, or the module of a check without one.
    origin: PathBuf,
    check: Option<Arc<Check>>,
    module: Option<Entry>,
    digest: Option<Digest>,
    trouble: Option<Fault>,
}

impl Scanner {
    pub(super) fn new(source: Directories) -> Self {
        Self {
            source,
            told: BTreeMap::new(),
            manifests: HashMap::new(),
            digests: HashMap::new(),
            unreadable: HashSet::new(),
        }
    }

    /// Reads the directories and tells every change; false as soon as nobody listens any more.
    /// A directory that cannot be read leaves its checks as they are.
    pub(super) fn scan(&mut self, mut tell: impl FnMut(Change) -> bool) -> bool {
        let mut wanted = BTreeMap::new();
        let mut clashes = BTreeMap::new();
        for directory in self.source.paths.clone() {
            match files::list(&directory) {
                Ok(entries) => {
                    self.unreadable.remove(&directory);
                    self.read(&entries, &mut wanted, &mut clashes);
                }
                Err(error) => {
                    if self.unreadable.insert(directory.clone()) {
                        tracing::warn!(
                            "cannot read {}: {error}; its checks stay as they are",
                            directory.display()
                        );
                    }
                    let kept = self.told.iter().filter(|(_, told)| told.origin.starts_with(&directory));
                    wanted.extend(kept.map(|(key, told)| (key.clone(), told.clone())));
                }
            }
        }
        for (path, clash) in clashes {
            let key = self.stand_in(&path, &wanted);
            wanted.insert(key, Wanted { origin: path, trouble: Some(clash), ..Wanted::default() });
        }
        self.manifests.retain(|path, _| path.exists());
        self.digests.retain(|path, _| path.exists());
        let told = mem::take(&mut self.told);
        let limit = self.source.max_module_size;
        let going_on =
            told.keys().filter(|key| !wanted.contains_key(key)).all(|key| tell(Change::Remove(key.clone())))
                && wanted.iter().all(|(key, wanted)| wanted.tell(key, told.get(key), limit, &mut tell));
        self.told = wanted;
        going_on
    }

    /// Adds what the files of a directory want. Of two claims to one name the first has it; the other is
    /// a clash.
    fn read(
        &mut self,
        entries: &[Entry],
        wanted: &mut BTreeMap<Key, Wanted>,
        clashes: &mut BTreeMap<PathBuf, Fault>,
    ) {
        let modules: HashMap<&str, &Entry> = entries
            .iter()
            .filter(|entry| is_module(&entry.name))
            .map(|entry| (entry.name.as_str(), entry))
            .collect();
        let mut used = HashSet::new();
        let is_manifest = |entry: &&Entry| entry.name.ends_with(".yaml") || entry.name.ends_with(".yml");
        for entry in entries.iter().filter(is_manifest) {
            for (key, claim) in self.claims(entry) {
                let claim = self.with_module(claim, &modules, &mut used);
                if let Some(first) = wanted.get(&key) {
                    let clash = clash(&key, &first.origin, &claim.origin);
                    clashes.entry(claim.origin).or_insert(clash);
                } else {
                    wanted.insert(key, claim);
                }
            }
            // What a broken manifest names is no check of its own.
            if let Err(broken) = self.manifest(entry) {
                let named = broken.about.iter().filter_map(|(_, module)| module.as_deref()?.parse().ok());
                used.extend(named.filter_map(|module| find(&modules, &module)).map(|(name, _)| *name));
            }
        }
        for entry in entries.iter().filter(|entry| is_module(&entry.name)) {
            if used.contains(entry.name.as_str()) {
                continue;
            }
            let (key, claim) = self.lone_module(entry);
            let claim = self.with_module(claim, &modules, &mut used);
            wanted.entry(key).or_insert(claim);
        }
    }

    /// What a manifest file wants. One that cannot be used goes on wanting what it did before; if it never
    /// worked, it stands for the checks that it names, or else for one of its file's name.
    fn claims(&mut self, entry: &Entry) -> Vec<(Key, Wanted)> {
        let claim = |check: Option<&Arc<Check>>, trouble: Option<&Fault>| Wanted {
            origin: entry.path.clone(),
            check: check.cloned(),
            trouble: trouble.cloned(),
            ..Wanted::default()
        };
        let Broken { why, about } = match self.manifest(entry) {
            Ok(checks) => {
                return checks.iter().map(|check| (check.key.clone(), claim(Some(check), None))).collect();
            }
            Err(broken) => broken.clone(),
        };
        let trouble = Fault::new(Reason::Manifest, why);
        let worked = |told: &Wanted| told.check.is_some() && same_file(&told.origin, &entry.path);
        let before = self.told.iter().filter(|(_, told)| worked(told));
        let mut claims: Vec<_> =
            before.map(|(key, told)| (key.clone(), claim(told.check.as_ref(), Some(&trouble)))).collect();
        if claims.is_empty() {
            claims.extend(about.into_iter().map(|(key, _)| (key, claim(None, Some(&trouble)))));
        }
        if claims.is_empty() {
            let key = Key::from_file(&self.source.namespace, stem(&entry.name));
            claims.push((key, claim(None, Some(&trouble))));
        }
        claims
    }

    /// A name that is free, for a file whose own is taken: the file's, or one like it.
    fn stand_in(&self, path: &Path, wanted: &BTreeMap<Key, Wanted>) -> Key {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = stem(&name);
        let names = iter::once(stem.to_owned()).chain((2..).map(|number: u64| format!("{number}-{stem}")));
        let mut keys = names.map(|name| Key::from_file(&self.source.namespace, &name));
        keys.find(|key| !wanted.contains_key(key)).expect("there are more numbers than checks")
    }

    fn manifest(&mut self, entry: &Entry) -> &Manifest {
        let Directories { namespace, ceiling, .. } = &self.source;
        let read = || -> Manifest {
            let unreadable = |error: files::ReadError| Broken { why: error.to_string(), about: Vec::new() };
            let text = files::read_text(entry, MANIFEST_SIZE).map_err(unreadable)?;
            let checks = spec::parse(&text, namespace, ceiling).map_err(|error| Broken {
                why: format!("{}: {error}", entry.name),
                about: spec::outline(&text, namespace, ceiling),
            })?;
            Ok(checks.into_iter().map(Arc::new).collect())
        };
        let cached = self.manifests.entry(entry.path.clone());
        let cached = cached.or_insert_with(|| (entry.stamp, read()));
        if cached.0 != entry.stamp {
            *cached = (entry.stamp, read());
        }
        &cached.1
    }

    fn lone_module(&self, entry: &Entry) -> (Key, Wanted) {
        let key = Key::from_file(&self.source.namespace, stem(&entry.name));
        let mut wanted = Wanted { origin: entry.path.clone(), ..Wanted::default() };
        match entry.name.parse() {
            Ok(module) => wanted.check = Some(Arc::new(Check::bare(key.clone(), module))),
            Err(error) => {
                wanted.trouble = Some(Fault::new(Reason::Module, format!("{}: {error}", entry.name)));
            }
        }
        (key, wanted)
    }

    fn with_module<'a>(
        &mut self,
        mut wanted: Wanted,
        modules: &HashMap<&'a str, &'a Entry>,
        used: &mut HashSet<&'a str>,
    ) -> Wanted {
        let Some(check) = &wanted.check else { return wanted };
        let name = check.module.file_name();
        let Some((name, entry)) = find(modules, &check.module) else {
            let directory = wanted.origin.parent().unwrap_or(&wanted.origin).display();
            let missing = format!("the module {name} is not in {directory}; put it beside the manifest");
            wanted.trouble.get_or_insert(Fault::new(Reason::Module, missing));
            return wanted;
        };
        used.insert(name);
        match self.digest(entry) {
            Ok(digest) => {
                wanted.digest = Some(*digest);
                wanted.module = Some((*entry).clone());
            }
            Err(trouble) => {
                let fault = Fault::new(Reason::Module, trouble.clone());
                wanted.trouble.get_or_insert(fault);
            }
        }
        wanted
    }

    fn digest(&mut self, entry: &Entry) -> &Result<Digest, String> {
        let limit = self.source.max_module_size;
        let read = || {
            let bytes = files::read_module(entry, limit).map_err(|error| error.to_string())?;
            Ok(Digest::of(&bytes))
        };
        let cached = self.digests.entry(entry.path.clone());
        let cached = cached.or_insert_with(|| (entry.stamp, read()));
        if cached.0 != entry.stamp {
            *cached = (entry.stamp, read());
        }
        &cached.1
    }
}

impl Wanted {
    /// Tells what is new since `before`; false if nobody listens any more.
    fn tell(
        &self,
        key: &Key,
        before: Option<&Self>,
        limit: usize,
        tell: &mut impl FnMut(Change) -> bool,
    ) -> bool {
        let healed = self.trouble.is_none() && before.is_some_and(|before| before.trouble.is_some());
        let changed = before.is_none_or(|before| before.check != self.check || before.digest != self.digest);
        if (changed || healed)
            && let (Some(check), Some(module)) = (&self.check, &self.module)
        {
            let change = match files::read_module(module, limit) {
                Ok(bytes) => Change::Set(Candidate { check: Arc::clone(check), module: bytes.into() }),
                Err(error) => Change::Reject(key.clone(), Fault::new(Reason::Module, error.to_string())),
            };
            if !tell(change) {
                return false;
            }
        }
        match &self.trouble {
            Some(fault) if before.is_none_or(|before| before.trouble.as_ref() != Some(fault)) => {
                tell(Change::Reject(key.clone(), fault.clone()))
            }
            _ => true,
        }
    }
}

/// The file of a module, which may lie there packed.
fn find<'a, 'b>(
    modules: &'b HashMap<&'a str, &'a Entry>,
    module: &Module,
) -> Option<(&'b &'a str, &'b &'a Entry)> {
    module.file_names().iter().find_map(|name| modules.get_key_value(name.as_str()))
}

fn clash(key: &Key, first: &Path, other: &Path) -> Fault {
    let (first, other) = (first.display(), other.display());
    let why = format!("{key} stands in {first} and in {other}; only the first counts: rename one");
    Fault::new(Reason::Manifest, why)
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
