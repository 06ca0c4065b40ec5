//! The files of one directory or ConfigMap, and the checks that each of them asks for.

use super::{Broken, Desired, Manifest, Stored};
use crate::{
    grant::Ceiling,
    manifest::{self, Check},
    outcome::{Fault, Reason},
    signature::{self, Signature},
    source::stem,
    value::{Digest, Key, Module, ModuleError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// The files of one directory or ConfigMap, by name, as far as they were read.
pub(in crate::source) struct Bundle<'a> {
    /// The directory of the files, or the path that stands for the ConfigMap.
    pub(in crate::source) place: &'a Path,
    /// The namespace of checks without a manifest.
    pub(in crate::source) namespace: &'a str,
    /// The most that checks without a manifest may have.
    pub(in crate::source) ceiling: &'a Arc<Ceiling>,
    pub(in crate::source) manifests: BTreeMap<&'a str, &'a Manifest>,
    /// The manifests that may still be being written. A document that is missing in them may yet come.
    pub(in crate::source) unsettled: BTreeSet<&'a str>,
    /// The modules that manifests named at earlier readings.
    pub(in crate::source) named: &'a BTreeSet<String>,
    /// The digests of the modules, or why they cannot be read.
    pub(in crate::source) modules: BTreeMap<&'a str, &'a Result<Digest, String>>,
    pub(in crate::source) signatures: BTreeMap<&'a str, &'a Signature>,
    /// The texts of the files that settings come from, or why they cannot be read.
    pub(in crate::source) texts: BTreeMap<&'a str, &'a Result<String, String>>,
}

/// The checks that a manifest file asks for.
#[derive(Default)]
pub(super) struct Claims {
    pub(super) wanted: Vec<(Key, Desired)>,
    /// Former checks of the file that no document names any more, and that may still be meant.
    pub(super) kept: Vec<(Key, Desired)>,
}

impl Bundle<'_> {
    /// The checks that a manifest file asks for, each document by itself. A check whose document cannot be
    /// used goes on as before. A document whose check cannot be read may mean any former check that no other
    /// document names. Without such a check, the document stands on the board under the name of its file.
    pub(super) fn claims(
        &self,
        name: &str,
        manifest: &Manifest,
        former: impl Fn(&Path) -> BTreeMap<Key, Arc<Check>>,
    ) -> Claims {
        let origin = self.place.join(name);
        let mut former = former(&origin);
        let claim = |check: Option<Arc<Check>>, trouble: Option<Fault>| {
            let origin = origin.clone();
            Desired { origin, check, trouble, ..Desired::default() }
        };
        let (mut claims, mut nameless) = (Claims::default(), None);
        for document in manifest {
            let (key, check, trouble) = match document {
                Ok(check) => match self.with_files(check) {
                    Ok(check) => (check.key.clone(), Some(check), None),
                    Err(why) => {
                        let trouble = Fault::new(Reason::Manifest, format!("{name}: {why}"));
                        (check.key.clone(), former.get(&check.key).cloned(), Some(trouble))
                    }
                },
                Err(Broken { why, named }) => {
                    let trouble = Fault::new(Reason::Manifest, why);
                    let Some(key) = named.key.clone() else {
                        nameless.get_or_insert(trouble);
                        continue;
                    };
                    (key.clone(), former.get(&key).cloned(), Some(trouble))
                }
            };
            claims.wanted.push((key, claim(check, trouble)));
        }
        let claimed: BTreeSet<&Key> = claims.wanted.iter().map(|(key, _)| key).collect();
        former.retain(|key, _| !claimed.contains(key));
        if nameless.is_some() && former.is_empty() {
            claims.wanted.push((Key::from_file(self.namespace, stem(name)), claim(None, nameless)));
        } else if nameless.is_some() || self.unsettled.contains(name) {
            let kept = former.into_iter().map(|(key, check)| (key, claim(Some(check), nameless.clone())));
            claims.kept.extend(kept);
        }
        claims
    }

    /// The check with the settings that come from files. The error says which of them cannot be read.
    fn with_files(&self, check: &Arc<Check>) -> Result<Arc<Check>, String> {
        if check.files.is_empty() {
            return Ok(Arc::clone(check));
        }
        let read = |name: &str| match self.texts.get(name) {
            Some(Ok(text)) => Ok(text.as_str()),
            Some(Err(why)) => Err(why.clone()),
            None => {
                Err(format!("the file {name} is not in {}; put it beside the manifest", self.place.display()))
            }
        };
        check.with_files(read).map(Arc::new)
    }

    /// The check of a module that no manifest names.
    pub(super) fn lone_module(&self, name: &str) -> (Key, Desired) {
        let key = Key::from_file(self.namespace, stem(name));
        let mut wish = Desired { origin: self.place.join(name), ..Desired::default() };
        let module = name.parse().map_err(|error: ModuleError| error.to_string());
        let check = module.and_then(|module| {
            manifest::alone(key.clone(), module, self.ceiling).map_err(|error| error.to_string())
        });
        match check {
            Ok(check) => wish.check = Some(Arc::new(check)),
            Err(why) => wish.trouble = Some(Fault::new(Reason::Module, format!("{name}: {why}"))),
        }
        (key, wish)
    }

    /// The same wish with its module, whose name is added to `used`. A module that is missing or broken
    /// becomes the wish's trouble.
    pub(super) fn with_module<'a>(&'a self, mut wish: Desired, used: &mut BTreeSet<&'a str>) -> Desired {
        let Some(check) = &wish.check else { return wish };
        let Some((name, digest)) = self.find(&check.program.module) else {
            let (name, place) = (check.program.module.file_name(), self.place.display());
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

    /// The file of a module, plain or compressed, and its digest; none if the file is missing.
    pub(super) fn find(&self, module: &Module) -> Option<(&str, &Result<Digest, String>)> {
        let names = module.file_names();
        names
            .iter()
            .find_map(|name| self.modules.get_key_value(name.as_str()))
            .map(|(name, digest)| (*name, *digest))
    }
}
