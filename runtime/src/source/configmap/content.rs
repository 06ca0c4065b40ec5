//! The content of one ConfigMap, and the checks that it asks for.

use super::ConfigMapName;
use crate::{
    grant::Ceiling,
    manifest::Check,
    signature::{Signature, is_signature},
    source::{
        bundle::{self, Bundle, Desired, Manifest, Wishes, is_manifest},
        decode, is_module,
    },
    value::{Digest, Key},
};
use k8s_openapi::api::core::v1::ConfigMap;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The most decoded bytes of all modules of one ConfigMap together, as a multiple of the largest module.
const MODULES: usize = 16;

/// The files of a ConfigMap, with parsed manifests and hashed modules.
pub(super) struct Content {
    place: ConfigMapName,
    /// The bytes of the files, by key, as the API server sent them.
    files: BTreeMap<String, Vec<u8>>,
    manifests: BTreeMap<String, Manifest>,
    digests: BTreeMap<String, Result<Digest, String>>,
    signatures: BTreeMap<String, Signature>,
    /// The texts of the files that settings come from, or that they are not UTF-8.
    texts: BTreeMap<String, Result<String, String>>,
    ceiling: Arc<Ceiling>,
    limit: usize,
}

/// The checks and modules of a ConfigMap when it was last read.
#[derive(Default)]
pub(super) struct Former {
    pub(super) wishes: BTreeMap<Key, Desired>,
    /// The keys of the modules that manifests named.
    pub(super) named: BTreeSet<String>,
}

/// The modules of a ConfigMap, as the API server sent them.
pub(super) struct Modules {
    files: BTreeMap<String, Vec<u8>>,
    limit: usize,
}

impl Content {
    /// Parses the manifests and hashes the modules, each decoded to at most `limit` bytes. Blocks for a
    /// while.
    pub(super) fn read(place: ConfigMapName, map: ConfigMap, ceiling: &Arc<Ceiling>, limit: usize) -> Self {
        let texts = map.data.unwrap_or_default().into_iter().map(|(name, text)| (name, text.into_bytes()));
        let bytes = map.binary_data.unwrap_or_default().into_iter().map(|(name, bytes)| (name, bytes.0));
        let files: BTreeMap<String, Vec<u8>> = texts.chain(bytes).collect();
        let manifests = files.iter().filter(|(name, _)| is_manifest(name));
        let manifests = manifests
            .map(|(name, text)| (name.clone(), read_manifest(name, text, &place.namespace, ceiling)));
        let mut budget = limit.saturating_mul(MODULES);
        let modules = files.iter().filter(|(name, _)| is_module(name));
        let digests = modules.map(|(name, bytes)| (name.clone(), digest(name, bytes, limit, &mut budget)));
        let signatures = files.iter().filter(|(name, _)| is_signature(name));
        let signatures = signatures.map(|(name, text)| (name.clone(), Signature::of(text.clone()))).collect();
        let manifests: BTreeMap<String, Manifest> = manifests.collect();
        let texts = bundle::setting_files(manifests.values()).into_iter().filter_map(|name| {
            let text = str::from_utf8(files.get(name)?).map(str::to_owned);
            Some((name.to_owned(), text.map_err(|_| format!("{name} is not UTF-8"))))
        });
        let (texts, digests, ceiling) = (texts.collect(), digests.collect(), Arc::clone(ceiling));
        Self { manifests, digests, signatures, texts, files, place, ceiling, limit }
    }

    /// The checks that the ConfigMap asks for, and the modules that its manifests name or named before.
    pub(super) fn wishes(&self, former: &Former) -> (BTreeMap<Key, Desired>, BTreeSet<String>) {
        let place = PathBuf::from(format!("ConfigMap {}", self.place));
        let bundle = Bundle {
            place: &place,
            namespace: &self.place.namespace,
            ceiling: &self.ceiling,
            manifests: self.manifests.iter().map(|(name, manifest)| (name.as_str(), manifest)).collect(),
            // The API server replaces a ConfigMap as a whole, so that no manifest is half written.
            unsettled: BTreeSet::new(),
            named: &former.named,
            modules: self.digests.iter().map(|(name, digest)| (name.as_str(), digest)).collect(),
            signatures: self.signatures.iter().map(|(name, file)| (name.as_str(), file)).collect(),
            texts: self.texts.iter().map(|(name, text)| (name.as_str(), text)).collect(),
        };
        let before = |origin: &Path| -> BTreeMap<Key, Arc<Check>> {
            let same = former.wishes.iter().filter(|(_, wish)| wish.origin == origin);
            same.filter_map(|(key, wish)| Some((key.clone(), Arc::clone(wish.check.as_ref()?)))).collect()
        };
        let mut wishes = Wishes::default();
        let named = wishes.read(&bundle, before);
        (wishes.finish(&self.place.namespace), named)
    }

    /// The modules alone, for when the checks are known.
    pub(super) fn into_modules(mut self) -> Modules {
        self.files.retain(|name, _| is_module(name));
        Modules { files: self.files, limit: self.limit }
    }
}

impl Modules {
    /// The decoded bytes of a module by its key. Blocks for a while. The error says why they cannot be
    /// decoded.
    pub(super) fn decode(&self, name: &str) -> Result<Vec<u8>, String> {
        let bytes = self.files.get(name).cloned().unwrap_or_default();
        decode(name, bytes, self.limit).map_err(|error| error.to_string())
    }
}

fn read_manifest(name: &str, text: &[u8], namespace: &str, ceiling: &Arc<Ceiling>) -> Manifest {
    match str::from_utf8(text) {
        Ok(text) => bundle::parse(name, text, namespace, ceiling),
        Err(error) => bundle::unreadable(format!("{name} is not UTF-8: {error}")),
    }
}

fn digest(name: &str, bytes: &[u8], limit: usize, budget: &mut usize) -> Result<Digest, String> {
    if *budget == 0 {
        return Err(format!(
            "the modules beside {name} are larger than {MODULES} times --max-module-size together: use \
             several ConfigMaps"
        ));
    }
    let decoded = decode(name, bytes.to_vec(), limit);
    let used = decoded.as_ref().map_or(limit, Vec::len);
    *budget = budget.saturating_sub(used);
    decoded.map(|module| Digest::of(&module)).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::bundle::Stored;
    use k8s_openapi::ByteString;

    /// The text `one`, compressed by gzip.
    const GZIPPED: &[u8] =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\xcf\x4b\x05\x00\xf1\x86\x6c\x7a\x03\x00\x00\x00";
    const WEB: &str =
        "apiVersion: aviary.dev/v1alpha1\nkind: Check\nmetadata: { name: web }\nspec: { module: m.wasm }\n";

    fn content(files: &[(&str, &str)]) -> Content {
        let mut map = ConfigMap::default();
        for (name, text) in files {
            if is_module(name) {
                let bytes = ByteString(text.as_bytes().to_vec());
                map.binary_data.get_or_insert_default().insert((*name).to_owned(), bytes);
            } else {
                map.data.get_or_insert_default().insert((*name).to_owned(), (*text).to_owned());
            }
        }
        let place = ConfigMapName { namespace: "team-a".to_owned(), name: "checks".to_owned() };
        Content::read(place, map, &Ceiling::trusted("team-a"), 100)
    }

    fn wishes(files: &[(&str, &str)]) -> BTreeMap<Key, Desired> {
        content(files).wishes(&Former::default()).0
    }

    /// A module without a signature.
    fn stored(name: &str, bytes: &[u8]) -> Stored {
        Stored { name: name.to_owned(), digest: Digest::of(bytes), signature: None }
    }

    /// The only wish: its key, and what is wrong with it.
    fn only(wishes: BTreeMap<Key, Desired>) -> (String, String) {
        assert_eq!(wishes.len(), 1, "{wishes:?}");
        let (key, wish) = wishes.into_iter().next().expect("a wish");
        (key.to_string(), wish.trouble.map(|fault| fault.message).unwrap_or_default())
    }

    #[test]
    fn a_manifest_and_its_module_make_a_check_in_the_namespace_of_the_configmap() {
        let content = content(&[("web.yaml", WEB), ("m.wasm", "one")]);
        assert_eq!(only(content.wishes(&Former::default()).0), ("team-a/web".to_owned(), String::new()));
        assert_eq!(content.into_modules().decode("m.wasm"), Ok(b"one".to_vec()));
    }

    #[test]
    fn a_signature_is_a_key_of_data_or_of_binary_data() {
        let signature = |map: ConfigMap| {
            let place = ConfigMapName { namespace: "team-a".to_owned(), name: "checks".to_owned() };
            let content = Content::read(place, map, &Ceiling::trusted("team-a"), 100);
            let wish = content.wishes(&Former::default()).0.into_values().next().expect("a wish");
            wish.module.and_then(|module| module.signature)
        };
        let packed = BTreeMap::from([("m.wasm.gz".to_owned(), ByteString(GZIPPED.to_vec()))]);
        let (name, text) = ("m.wasm.minisig".to_owned(), "a signature".to_owned());
        let expected = Some(Signature::of(text.clone().into()));
        let mut map = ConfigMap { binary_data: Some(packed), ..ConfigMap::default() };
        assert_eq!(signature(map.clone()), None);
        map.data = Some(BTreeMap::from([(name.clone(), text.clone())]));
        assert_eq!(signature(map.clone()), expected);
        map.data = None;
        map.binary_data.get_or_insert_default().insert(name, ByteString(text.into()));
        assert_eq!(signature(map), expected);
    }

    #[test]
    fn a_lone_module_is_a_check_of_its_own_name_and_other_keys_are_left_alone() {
        let wishes = wishes(&[("Disk_Space.wasm", "one"), ("README.md", "text")]);
        assert_eq!(only(wishes), ("team-a/disk-space".to_owned(), String::new()));
    }

    #[test]
    fn a_manifest_that_names_another_namespace_is_refused_and_gains_nothing_there() {
        let other = WEB.replace("name: web", "name: web, namespace: kube-system");
        let (key, trouble) = only(wishes(&[("shop.yaml", &other), ("m.wasm", "one")]));
        assert_eq!(key, "team-a/shop");
        assert!(trouble.contains("a check that lies in namespace team-a cannot be in another"), "{trouble}");
        let broken = format!("{other}intervall: 5s\n");
        assert_eq!(only(wishes(&[("shop.yaml", &broken), ("m.wasm", "one")])).0, "team-a/shop");
    }

    #[test]
    fn a_manifest_that_breaks_goes_on_wanting_what_it_did() {
        let before = wishes(&[("a.yaml", WEB), ("m.wasm", "one")]);
        let former = Former { wishes: before.clone(), ..Former::default() };
        let after = content(&[("a.yaml", "kind: ["), ("m.wasm", "two")]).wishes(&former).0;
        let key: Key = "team-a/web".parse().expect("a key");
        assert_eq!(
            (after[&key].check.as_ref(), after[&key].module.clone()),
            (before[&key].check.as_ref(), Some(stored("m.wasm", b"two")))
        );
        assert!(after[&key].trouble.as_ref().is_some_and(|fault| fault.message.starts_with("a.yaml: ")));
    }

    #[test]
    fn a_module_that_a_manifest_named_becomes_no_check_of_its_own_when_only_the_manifest_goes() {
        let mut former = Former::default();
        let mut read = |files: &[(&str, &str)]| {
            let (wishes, named) = content(files).wishes(&former);
            let keys: Vec<_> = wishes.keys().map(|key| key.name().to_owned()).collect();
            former = Former { wishes, named };
            keys
        };
        assert_eq!(read(&[("a.yaml", WEB), ("m.wasm", "one")]), ["web"]);
        assert!(read(&[("m.wasm", "one")]).is_empty());
        assert!(read(&[("m.wasm", "two")]).is_empty(), "nor later");
        assert!(read(&[]).is_empty());
        assert_eq!(read(&[("m.wasm", "one")]), ["m"], "put there again, by itself");
    }

    #[test]
    fn modules_are_capped_each_and_together() {
        let big = "x".repeat(101);
        let (_, trouble) = only(wishes(&[("big.wasm", &big)]));
        assert!(trouble.contains("larger than 100 bytes"), "{trouble}");
        let names: Vec<String> = (10..27).map(|number| format!("m{number}.wasm")).collect();
        let full = "x".repeat(100);
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), full.as_str())).collect();
        let refused: Vec<_> = wishes(&files)
            .into_iter()
            .filter(|(_, wish)| wish.trouble.is_some())
            .map(|(key, _)| key)
            .collect();
        assert_eq!(refused, ["team-a/m26".parse::<Key>().expect("a key")]);
    }

    #[test]
    fn files_of_another_kind_than_their_name_are_told_of() {
        let mut map = ConfigMap::default();
        map.binary_data.get_or_insert_default().insert("a.yaml".to_owned(), ByteString(vec![0xff]));
        map.data.get_or_insert_default().insert("b.wasm".to_owned(), "rubbish".to_owned());
        let place = ConfigMapName { namespace: "team-a".to_owned(), name: "checks".to_owned() };
        let wishes = Content::read(place, map, &Ceiling::trusted("team-a"), 100).wishes(&Former::default()).0;
        let key = |name: &str| Key::new("team-a", name).expect("a key");
        assert!(wishes[&key("a")].trouble.as_ref().is_some_and(|fault| fault.message.contains("not UTF-8")));
        assert_eq!(
            wishes[&key("b")].module,
            Some(stored("b.wasm", b"rubbish")),
            "the sandbox will refuse it"
        );
    }

    #[test]
    fn a_setting_may_be_the_text_of_another_key() {
        let manifest = WEB.replace("m.wasm }", "m.wasm, settingsFrom: { body: order.json } }");
        let wishes = wishes(&[("web.yaml", manifest.as_str()), ("m.wasm", "one"), ("order.json", "{}")]);
        let wish = wishes.values().next().expect("a wish");
        let check = wish.check.as_ref().expect("a check");
        assert_eq!(&*check.program.settings, "{\"body\":\"{}\"}");
        let (_, trouble) = only(self::wishes(&[("web.yaml", manifest.as_str()), ("m.wasm", "one")]));
        assert!(
            trouble.contains("web.yaml: the setting `body` cannot be read: the file order.json is not in"),
            "{trouble}"
        );
    }
}
