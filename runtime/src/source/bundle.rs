//! The checks that the files of one directory or one ConfigMap ask for.

mod files;

pub(super) use files::Bundle;

use super::{Candidate, Change, Packed, stem};
use crate::{
    grant::Ceiling,
    manifest::{self, Check, Named, Refused},
    outcome::{Fault, Reason},
    signature::Signature,
    value::{Digest, Key, Origin},
};
use files::Claims;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The documents of a manifest file: checks, and documents that cannot be used.
pub(super) type Manifest = Vec<Result<Arc<Check>, Broken>>;

/// A document that cannot be used, with the reason, and the check and module that it names as far as they can
/// be read.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) why: String,
    pub(super) named: Named,
}

/// A module file in a directory or a ConfigMap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) name: String,
    /// The digest of the decoded module.
    pub(super) digest: Digest,
    pub(super) signature: Option<Signature>,
}

/// A check that files ask for, with its module or with what is wrong.
#[derive(Clone, Debug, Default)]
pub(super) struct Desired {
    /// The manifest file, or the module of a check without one.
    pub(super) origin: PathBuf,
    pub(super) check: Option<Arc<Check>>,
    /// The module of the check; none if it is missing or broken.
    pub(super) module: Option<Stored>,
    pub(super) trouble: Option<Fault>,
}

/// The checks that one or more bundles ask for. Of two checks of one name the first counts; the other is
/// refused as a clash.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    wanted: BTreeMap<Key, Desired>,
    /// Former checks that go on, unless another check has their name now.
    kept: Vec<(Key, Desired)>,
    /// The files or ConfigMaps that are refused, and why.
    refused: BTreeMap<PathBuf, Fault>,
}

/// Whether a file of this name is a manifest.
pub(super) fn is_manifest(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// The documents in the text of a manifest file, whose checks reach no further than a ceiling.
pub(super) fn parse(name: &str, text: &str, namespace: &str, ceiling: &Arc<Ceiling>) -> Manifest {
    let documents = manifest::documents(text, namespace, ceiling).into_iter();
    let broken = |Refused { error, named }| Broken { why: format!("{name}: {error}"), named };
    documents.map(|document| document.map(Arc::new).map_err(broken)).collect()
}

/// The names of the files that settings of these manifests come from.
pub(super) fn setting_files<'a>(manifests: impl IntoIterator<Item = &'a Manifest>) -> BTreeSet<&'a str> {
    let checks = manifests.into_iter().flatten().filter_map(|document| document.as_ref().ok());
    checks.flat_map(|check| &check.files).map(|from| from.file.as_str()).collect()
}

/// A manifest file of which nothing can be read.
pub(super) fn unreadable(why: String) -> Manifest {
    vec![Err(Broken { why, named: Named::default() })]
}

impl Desired {
    /// Whether this differs from what was told before, or is the same again after trouble.
    pub(super) fn is_news(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| {
            before.check != self.check || before.module != self.module || before.trouble != self.trouble
        })
    }

    /// The changes to tell of a check since `before`. The manifest lies at `origin`; `pack` makes the module
    /// of a file name.
    pub(super) fn changes(
        &self,
        key: &Key,
        origin: &Arc<Origin>,
        before: Option<&Self>,
        pack: impl FnOnce(&str, Digest) -> Packed,
    ) -> impl Iterator<Item = Change> {
        let set = self.to_set(before).map(|(check, module)| {
            Change::Set(Candidate {
                check: Arc::clone(check),
                origin: Arc::clone(origin),
                module: pack(&module.name, module.digest),
                signature: module.signature.clone(),
            })
        });
        let is_told = before.is_some_and(|before| {
            before.trouble == self.trouble && (set.is_some() || before.check == self.check)
        });
        let complaint = self.trouble.clone().filter(|_| !is_told);
        let reject = complaint.map(|fault| Change::Reject {
            key: key.clone(),
            origin: Arc::clone(origin),
            check: self.check.clone(),
            fault,
        });
        set.into_iter().chain(reject)
    }

    /// The check and its module, if they have changed since `before` or are usable again; none otherwise.
    fn to_set(&self, before: Option<&Self>) -> Option<(&Arc<Check>, &Stored)> {
        let healed = self.trouble.is_none() && before.is_some_and(|before| before.trouble.is_some());
        let changed = before.is_none_or(|before| before.check != self.check || before.module != self.module);
        self.check.as_ref().zip(self.module.as_ref()).filter(|_| changed || healed)
    }
}

impl Wishes {
    /// Adds the checks that a bundle asks for. `former` gives the checks that a manifest file asked for
    /// before. Returns the modules that manifests name or named before. None of those modules is a check of
    /// its own.
    pub(super) fn read(
        &mut self,
        bundle: &Bundle,
        former: impl Fn(&Path) -> BTreeMap<Key, Arc<Check>>,
    ) -> BTreeSet<String> {
        let before = bundle.modules.keys().filter(|name| bundle.named.contains(**name));
        let mut named: BTreeSet<&str> = before.copied().collect();
        for (name, manifest) in &bundle.manifests {
            let Claims { wanted, kept } = bundle.claims(name, manifest, &former);
            for (key, wish) in wanted {
                self.claim(key, bundle.with_module(wish, &mut named));
            }
            self.kept.extend(kept.into_iter().map(|(key, wish)| (key, bundle.with_module(wish, &mut named))));
            let broken = manifest.iter().filter_map(|document| document.as_ref().err());
            let modules = broken.filter_map(|broken| broken.named.module.as_ref());
            // The module of a check whose files of settings are missing does not become a check of its own.
            let unfilled = manifest.iter().filter_map(|document| document.as_ref().ok());
            let unfilled =
                unfilled.filter(|check| !check.files.is_empty()).map(|check| &check.program.module);
            let modules = modules.chain(unfilled).filter_map(|module| bundle.find(module));
            named.extend(modules.map(|(name, _)| name));
        }
        for name in bundle.modules.keys().filter(|name| !named.contains(*name)) {
            let (key, wish) = bundle.lone_module(name);
            let wish = bundle.with_module(wish, &mut BTreeSet::new());
            self.wanted.entry(key).or_insert(wish);
        }
        named.into_iter().map(str::to_owned).collect()
    }

    /// Adds former checks that go on.
    pub(super) fn keep(&mut self, wishes: impl IntoIterator<Item = (Key, Desired)>) {
        self.kept.extend(wishes);
    }

    /// Adds a file or ConfigMap that is refused. It stands on the board under its own name, or a similar one.
    pub(super) fn refuse(&mut self, origin: PathBuf, why: Fault) {
        self.refused.entry(origin).or_insert(why);
    }

    /// All checks, by name. Files that are refused stand under free names in this namespace.
    pub(super) fn finish(mut self, namespace: &str) -> BTreeMap<Key, Desired> {
        for (key, wish) in self.kept {
            self.wanted.entry(key).or_insert(wish);
        }
        let mut tried = BTreeMap::new();
        for (origin, why) in self.refused {
            let key = stand_in(&origin, namespace, &self.wanted, &mut tried);
            self.wanted.insert(key, Desired { origin, trouble: Some(why), ..Desired::default() });
        }
        self.wanted
    }

    fn claim(&mut self, key: Key, wish: Desired) {
        let Some(first) = self.wanted.get(&key) else {
            self.wanted.insert(key, wish);
            return;
        };
        let own = wish.trouble.filter(|_| first.origin == wish.origin);
        let why = own.unwrap_or_else(|| clash(&key, &first.origin, &wish.origin));
        self.refuse(wish.origin, why);
    }
}

fn clash(key: &Key, first: &Path, other: &Path) -> Fault {
    let (first, other) = (first.display(), other.display());
    let why = format!("{key} stands in {first} and in {other}; only the first counts: rename one");
    Fault::new(Reason::Manifest, why)
}

/// A free name for a refused file: its own name, or that name with a number before it. `tried` remembers the
/// last number for each name, as there can be thousands.
pub(super) fn stand_in(
    origin: &Path,
    namespace: &str,
    wanted: &BTreeMap<Key, Desired>,
    tried: &mut BTreeMap<Key, u64>,
) -> Key {
    let name = origin.file_name().unwrap_or_default().to_string_lossy();
    let stem = stem(&name);
    let tried = tried.entry(Key::from_file(namespace, stem)).or_default();
    loop {
        *tried += 1;
        let key = match *tried {
            1 => Key::from_file(namespace, stem),
            number => Key::from_file(namespace, &format!("{number}-{stem}")),
        };
        if !wanted.contains_key(&key) {
            return key;
        }
    }
}
