//! The files of a directory that become the keys of a ConfigMap.

use super::ANY_NAMESPACE;
use crate::{
    file,
    grant::Ceiling,
    manifest::{MAX_FILE, documents},
    signature::is_signature,
    source::is_module,
};
use anyhow::{Context, Result, bail};
use flate2::{Compression, write::GzEncoder};
use k8s_openapi::{ByteString, api::core::v1::ConfigMap, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Write},
    path::Path,
};

/// The most bytes of all values of a ConfigMap together. The API server refuses more.
const MOST_BYTES: usize = 1024 * 1024;
/// The most characters of a ConfigMap's key.
const LONGEST_KEY: usize = 253;
/// The ending that is added to the name of a module that is packed here.
const PACKED: &str = ".gz";
/// The label by which the daemon finds ConfigMaps with checks, and its value.
const LABEL: (&str, &str) = ("aviary.dev/checks", "true");

/// The files that become the keys of a ConfigMap.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Files {
    /// Manifests, the signatures of modules, and files that settings come from, by file name.
    texts: BTreeMap<String, String>,
    modules: BTreeMap<String, Vec<u8>>,
}

impl Files {
    /// Reads the manifests, modules and signatures of a directory. A module has at most `limit` bytes.
    pub(super) fn read(directory: &Path, limit: usize) -> Result<Self> {
        let mut files = Self::default();
        for entry in
            fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?
        {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let is_text = name.ends_with(".yaml") || name.ends_with(".yml") || is_signature(name);
            if name.starts_with('.') || path.is_dir() || !(is_text || is_module(name)) {
                continue;
            }
            require_key(name)?;
            let reading = || format!("cannot read {}", path.display());
            if is_text {
                files.texts.insert(name.into(), file::read_text(&path, MAX_FILE).with_context(reading)?);
            } else {
                files.modules.insert(name.into(), file::read(&path, limit).with_context(reading)?);
            }
        }
        files.add_setting_files(directory)?;
        files.pack()?;
        Ok(files)
    }

    /// Adds the files that settings of the manifests come from.
    fn add_setting_files(&mut self, directory: &Path) -> Result<()> {
        let documents = self.texts.values().flat_map(|text| documents(text, ANY_NAMESPACE, &Ceiling::open()));
        let names: BTreeSet<_> =
            documents.flatten().flat_map(|check| check.files).map(|from| from.file).collect();
        for name in names {
            require_key(&name)?;
            let path = directory.join(&name);
            let text = file::read_text(&path, MAX_FILE)
                .with_context(|| format!("cannot read {}", path.display()))?;
            self.texts.insert(name, text);
        }
        Ok(())
    }

    /// Compresses each plain module that becomes smaller, unless its packed form is there already.
    fn pack(&mut self) -> io::Result<()> {
        let plain = |name: &&String| name.ends_with(".wasm") && name.len() + PACKED.len() <= LONGEST_KEY;
        let plain: Vec<_> = self.modules.keys().filter(plain).cloned().collect();
        for name in plain {
            let packed_name = format!("{name}{PACKED}");
            let packed = gzip(&self.modules[&name])?;
            if packed.len() < self.modules[&name].len() && !self.modules.contains_key(&packed_name) {
                self.modules.remove(&name);
                self.modules.insert(packed_name, packed);
            }
        }
        Ok(())
    }

    /// An error if a ConfigMap has no room for the files, with the largest of them.
    pub(super) fn require_room(&self, directory: &Path) -> Result<()> {
        let texts = self.texts.iter().map(|(name, text)| (name, text.len()));
        let mut sizes: Vec<_> =
            texts.chain(self.modules.iter().map(|(name, bytes)| (name, bytes.len()))).collect();
        let total: usize = sizes.iter().map(|(_, size)| size).sum();
        if total <= MOST_BYTES {
            return Ok(());
        }
        sizes.sort_by_key(|(_, size)| std::cmp::Reverse(*size));
        let largest: Vec<_> = sizes.iter().take(5).map(|(name, size)| format!("{name} {size}")).collect();
        bail!(
            "{} comes to {total} bytes, and a ConfigMap holds {MOST_BYTES}. The largest, compressed: {}. Split it into \
             several directories with a ConfigMap each, or build smaller modules: opt-level = \"z\", lto = true, \
             codegen-units = 1, strip = true",
            directory.display(),
            largest.join(", ")
        )
    }

    /// The ConfigMap that holds the files, with the label by which the daemon finds it.
    pub(super) fn into_config_map(self, name: String, namespace: Option<String>) -> ConfigMap {
        let labels = BTreeMap::from([(LABEL.0.to_owned(), LABEL.1.to_owned())]);
        let metadata =
            ObjectMeta { name: Some(name), namespace, labels: Some(labels), ..ObjectMeta::default() };
        let modules = self.modules.into_iter().map(|(name, bytes)| (name, ByteString(bytes)));
        ConfigMap { metadata, data: Some(self.texts), binary_data: Some(modules.collect()), immutable: None }
    }
}

fn require_key(name: &str) -> Result<()> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if name.len() > LONGEST_KEY || !name.bytes().all(plain) {
        bail!(
            "{name:?} cannot be a key of a ConfigMap: rename it to letters, digits, dots, dashes, underscores"
        );
    }
    Ok(())
}

fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::decode;

    fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, bytes) in files {
            fs::write(directory.path().join(name), bytes).expect("written");
        }
        directory
    }

    #[test]
    fn a_module_is_packed_under_a_name_that_the_manifest_still_finds() {
        let module = [7; 1000];
        let files = directory(&[("a.wasm", &module), ("a.yaml", b"module: a.wasm\n"), ("README.md", b"")]);
        let files = Files::read(files.path(), MOST_BYTES).expect("readable");
        let (name, bytes) = files.modules.first_key_value().expect("a module");
        assert_eq!(decode(name, bytes.clone(), 1000).expect("packed"), module);
        let named: crate::value::Module = "a.wasm".parse().expect("a name");
        assert!(named.file_names().contains(name), "{name}");
        assert_eq!((files.modules.len(), files.texts.len()), (1, 1));
    }

    #[test]
    fn the_signature_of_a_module_goes_with_it() {
        let files = directory(&[("a.wasm", &[7; 1000]), ("a.wasm.minisig", b"signed"), ("b.minisig", b"")]);
        let files = Files::read(files.path(), MOST_BYTES).expect("readable");
        assert_eq!(files.texts, BTreeMap::from([("a.wasm.minisig".to_owned(), "signed".to_owned())]));
        let map = files.into_config_map("checks".into(), None);
        assert!(map.binary_data.expect("modules").contains_key("a.wasm.gz"), "its bytes are the same");
    }

    #[test]
    fn two_forms_of_a_module_are_both_kept() {
        let files = directory(&[("a.wasm", &[7; 1000]), ("a.wasm.gz", b"other")]);
        let files = Files::read(files.path(), MOST_BYTES).expect("readable");
        assert_eq!(files.modules["a.wasm"], [7; 1000]);
        assert_eq!(files.modules["a.wasm.gz"], b"other");
    }

    #[test]
    fn a_module_that_does_not_become_smaller_stays_as_it_is() {
        let files = directory(&[("a.wasm", b"\0asm")]);
        let files = Files::read(files.path(), MOST_BYTES).expect("readable");
        assert_eq!(files.modules, BTreeMap::from([("a.wasm".to_owned(), b"\0asm".to_vec())]));
    }

    #[test]
    fn the_yaml_holds_exactly_the_files() {
        let manifest = "# a\n\n  b: |\n    'x': \"\\t\"\n---\r\nc:\t# ü\n\n";
        let mut files = Files::default();
        files.texts.insert("a.yaml".into(), manifest.into());
        files.modules.insert("a.wasm".into(), (0..=255).cycle().take(5000).collect());
        let map = files.into_config_map("checks".into(), None);
        let yaml = serde_saphyr::to_string(&map).expect("serialisable");
        let read: ConfigMap = serde_saphyr::from_str(&yaml).expect("valid YAML");
        assert_eq!(read, map);
        assert!(yaml.contains("aviary.dev/checks: \"true\""), "a label is a string: {yaml}");
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_way_out() {
        let mut files = Files::default();
        files.modules.insert("a.wasm".into(), vec![0; MOST_BYTES]);
        files.require_room(Path::new("checks")).expect("it just fits");
        files.texts.insert("a.yaml".into(), "-".into());
        let refusal = files.require_room(Path::new("checks")).expect_err("too much").to_string();
        assert!(refusal.contains("1048577 bytes") && refusal.contains("Split"), "{refusal}");
    }

    #[test]
    fn names_that_kubernetes_would_refuse_as_keys_are_refused_first() {
        let files = directory(&[("my check.yaml", b"a: b")]);
        assert!(
            Files::read(files.path(), MOST_BYTES).expect_err("a blank").to_string().contains("rename it")
        );
    }
}
