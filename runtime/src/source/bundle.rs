//! What files that lie together want: those of a directory, or those of a ConfigMap.

use super::{Candidate, Change, Packed, stem};
use crate::{
    grant::Ceiling,
    outcome::{Fault, Reason},
    signature::{self, Signature},
    spec::{self, Check, Digest, Key, Module, ModuleError, Named},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The checks of a manifest file.
pub(super) type Manifest = Result<Vec<Arc<Check>>, Broken>;

/// What is wrong with a manifest file, and the checks and modules that it is about all the same.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) why: String,
    pub(super) about: Vec<Named>,
}

/// Files that lie together, as far as they were read, by name.
pub(super) struct Bundle<'a> {
    /// Where they lie.
    pub(super) place: &'a Path,
    /// Of checks without a manifest.
    pub(super) namespace: &'a str,
    /// The most that checks without a manifest may have.
    pub(super) ceiling: &'a Arc<Ceiling>,
    pub(super) manifests: BTreeMap<&'a str, &'a Manifest>,
    /// The digests of the modules, or why they cannot be read.
    pub(super) modules: BTreeMap<&'a str, &'a Result<Digest, String>>,
    pub(super) signatures: BTreeMap<&'a str, &'a Signature>,
}

/// A module file as it lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) name: String,
    /// Of the decoded module.
    pub(super) digest: Digest,
    pub(super) signature: Option<Signature>,
}

/// A check as the files want it.
#[derive(Clone, Debug, Default)]
pub(super) struct Wish {
    /// The manifest file, or the module of a check without one.
    pub(super) origin: PathBuf,
    pub(super) check: Option<Arc<Check>>,
    /// The module, if it is there.
    pub(super) module: Option<Stored>,
    pub(super) trouble: Option<Fault>,
}

/// What one or more bundles want. Of two wishes for one name the first counts; the other is a clash.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    wanted: BTreeMap<Key, Wish>,
    clashes: BTreeMap<PathBuf, Fault>,
}

/// Whether a file of this name is a manifest.
pub(super) fn is_manifest(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// The checks in the text of a manifest file, which reach no further than a ceiling.
pub(super) fn parse(name: &str, text: &str, namespace: &str, ceiling: &Arc<Ceiling>) -> Manifest {
    let checks = spec::parse(text, namespace, ceiling).map_err(|error| Broken {
        why: format!("{name}: {error}"),
        about: spec::outline(text, namespace, ceiling),
    })?;
    Ok(checks.into_iter().map(Arc::new).collect())
}

impl Wish {
    /// Whether it is something else than what was told before, or the same again after trouble.
    pub(super) fn is_news(&self, before: Option<&Self>) -> bool {
        before.is_none_or(|before| {
            before.check != self.check || before.module != self.module || before.trouble != self.trouble
        })
    }

    /// What is to be told since `before`; `pack` gives the module of a name.
    pub(super) fn changes(
        &self,
        key: &Key,
        before: Option<&Self>,
        pack: impl FnOnce(&str, Digest) -> Packed,
    ) -> impl Iterator<Item = Change> {
        let set = self.to_set(before).map(|(check, module)| {
            Change::Set(Candidate {
                check: Arc::clone(check),
                module: pack(&module.name, module.digest),
                signature: module.signature.clone(),
            })
        });
        let is_told = before.is_some_and(|before| {
            before.trouble == self.trouble && (set.is_some() || before.check == self.check)
        });
        let complaint = self.trouble.clone().filter(|_| !is_told);
        let reject = complaint.map(|trouble| Change::Reject(key.clone(), self.check.clone(), trouble));
        set.into_iter().chain(reject)
    }

    /// The check to be set again since `before`, and its module.
    fn to_set(&self, before: Option<&Self>) -> Option<(&Arc<Check>, &Stored)> {
        let healed = self.trouble.is_none() && before.is_some_and(|before| before.trouble.is_some());
        let changed = before.is_none_or(|before| before.check != self.check || before.module != self.module);
        self.check.as_ref().zip(self.module.as_ref()).filter(|_| changed || healed)
    }
}

impl Wishes {
    /// Adds what a bundle wants. `former` are the checks that a manifest file wanted when it worked.
    pub(super) fn read(&mut self, bundle: &Bundle, former: impl Fn(&Path) -> Vec<(Key, Arc<Check>)>) {
        let mut used = BTreeSet::new();
        for (name, manifest) in &bundle.manifests {
            for (key, wish) in bundle.claims(name, manifest, &former) {
                let wish = bundle.with_module(wish, &mut used);
                if let Some(first) = self.wanted.get(&key) {
                    let clash = clash(&key, &first.origin, &wish.origin);
                    self.clashes.entry(wish.origin).or_insert(clash);
                } else {
                    self.wanted.insert(key, wish);
                }
            }
            // What a broken manifest names is no check of its own.
            if let Err(broken) = manifest {
                let modules = broken.about.iter().filter_map(|named| named.module.as_ref());
                used.extend(modules.filter_map(|module| bundle.find(module)).map(|(name, _)| name));
            }
        }
        for name in bundle.modules.keys().filter(|name| !used.contains(*name)) {
            let (key, wish) = bundle.lone_module(name);
            let wish = bundle.with_module(wish, &mut BTreeSet::new());
            self.wanted.entry(key).or_insert(wish);
        }
    }

    /// Adds what was wanted before and still is.
    pub(super) fn keep(&mut self, wishes: impl IntoIterator<Item = (Key, Wish)>) {
        self.wanted.extend(wishes);
    }

    /// All wishes. What clashes stands under another name in this namespace.
    pub(super) fn finish(mut self, namespace: &str) -> BTreeMap<Key, Wish> {
        let mut tried = BTreeMap::new();
        for (origin, clash) in self.clashes {
            let key = stand_in(&origin, namespace, &self.wanted, &mut tried);
            self.wanted.insert(key, Wish { origin, trouble: Some(clash), ..Wish::default() });
        }
        self.wanted
    }
}

impl Bundle<'_> {
    /// What a manifest file wants. One that cannot be used goes on wanting what it did before; if it never
    /// worked, it stands for the checks that it names, or else for one of its file's name.
    fn claims(
        &self,
        name: &str,
        manifest: &Manifest,
        former: impl Fn(&Path) -> Vec<(Key, Arc<Check>)>,
    ) -> Vec<(Key, Wish)> {
        let origin = self.place.join(name);
        let claim = |check: Option<&Arc<Check>>, trouble: Option<&Fault>| Wish {
            origin: origin.clone(),
            check: check.cloned(),
            trouble: trouble.cloned(),
            ..Wish::default()
        };
        let Broken { why, about } = match manifest {
            Ok(checks) => {
                return checks.iter().map(|check| (check.key.clone(), claim(Some(check), None))).collect();
            }
            Err(broken) => broken,
        };
        let trouble = Fault::new(Reason::Manifest, why);
        let before = former(&origin);
        let mut claims: Vec<_> =
            before.iter().map(|(key, check)| (key.clone(), claim(Some(check), Some(&trouble)))).collect();
        if claims.is_empty() {
            claims.extend(
                about.iter().filter_map(|named| Some((named.key.clone()?, claim(None, Some(&trouble))))),
            );
        }
        if claims.is_empty() {
            let key = Key::from_file(self.namespace, stem(name));
            claims.push((key, claim(None, Some(&trouble))));
        }
        claims
    }

    fn lone_module(&self, name: &str) -> (Key, Wish) {
        let key = Key::from_file(self.namespace, stem(name));
        let mut wish = Wish { origin: self.place.join(name), ..Wish::default() };
        let module = name.parse().map_err(|error: ModuleError| error.to_string());
        let check = module.and_then(|module| {
            spec::alone(key.clone(), module, self.ceiling).map_err(|error| error.to_string())
        });
        match check {
            Ok(check) => wish.check = Some(Arc::new(check)),
            Err(why) => wish.trouble = Some(Fault::new(Reason::Module, format!("{name}: {why}"))),
        }
        (key, wish)
    }

    fn with_module<'a>(&'a self, mut wish: Wish, used: &mut BTreeSet<&'a str>) -> Wish {
        let Some(check) = &wish.check else { return wish };
        let Some((name, digest)) = self.find(&check.module) else {
            let (name, place) = (check.module.file_name(), self.place.display());
            let missing = format!("the module {name} is not in {place}; put it beside the manifest");
            wish.trouble.get_or_insert(Fault::new(Reason::Module, missing));
            return wish;
        };
        used.insert(name);
        match digest {
            Ok(digest) => {
                let signature = self.signatures.get(signature::beside(name).as_str());
                let signature = signature.map(|signature| (*signature).clone());
                wish.module = Some(Stored { name: name.to_owned(), digest: *digest, signature });
            }
            Err(why) => {
                wish.trouble.get_or_insert(Fault::new(Reason::Module, why));
            }
        }
        wish
    }

    /// The file of a module, which may lie there packed.
    fn find(&self, module: &Module) -> Option<(&str, &Result<Digest, String>)> {
        let names = module.file_names();
        names
            .iter()
            .find_map(|name| self.modules.get_key_value(name.as_str()))
            .map(|(name, digest)| (*name, *digest))
    }
}

fn clash(key: &Key, first: &Path, other: &Path) -> Fault {
    let (first, other) = (first.display(), other.display());
    let why = format!("{key} stands in {first} and in {other}; only the first counts: rename one");
    Fault::new(Reason::Manifest, why)
}

/// A name that is free, for a file whose own is taken: the file's, or one like it. How many like it were `tried`
/// already is remembered, as there can be thousands.
pub(super) fn stand_in(
    origin: &Path,
    namespace: &str,
    wanted: &BTreeMap<Key, Wish>,
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
