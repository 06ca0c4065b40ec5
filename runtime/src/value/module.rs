//! The name of a module's file.

use crate::{
    text::{is_label, is_subdomain, quote},
    value::Key,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// The most characters of a module's file name: those of a ConfigMap's key, and nearly those of a file's
/// name.
const LONGEST: usize = 253;

/// The endings of a module's file name: plain, zstd and gzip.
pub(crate) const ENDINGS: [&str; 3] = [".wasm", ".wasm.zst", ".wasm.gz"];

/// The scheme of a reference to a module in another ConfigMap.
const CONFIG_MAP: &str = "configmap://";
const BUILTIN: &str = "builtin:";
const OCI: &str = "oci://";

/// Where a check's module comes from, as people write it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(inline, with = "Module")]
pub enum ModuleRef {
    /// A file beside the manifest, or a key of the same ConfigMap.
    File(Module),
    /// `configmap://namespace/name#key`: a key of another ConfigMap.
    ConfigMap {
        /// The namespace of the ConfigMap.
        namespace: String,
        /// The name of the ConfigMap.
        name: String,
        /// The key of the ConfigMap that holds the module.
        key: Module,
    },
    /// `builtin:name`: a module that comes with the daemon.
    Builtin(String),
    /// `oci://…`: a module in a registry, by what follows the scheme.
    Oci(String),
}

/// The name of a module's file, which lies beside the manifest or is a key of the same ConfigMap.
/// It ends in `.wasm`, `.wasm.zst` or `.wasm.gz` and never leads to another directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(inline, extend("pattern" = r"^[-._a-zA-Z0-9]+\.wasm(\.zst|\.gz)?$", "maxLength" = 253))]
pub struct Module(Arc<str>);

/// Why a text cannot be the name of a module's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// The text names a module elsewhere than in a file, which this version cannot load.
    #[error("module {} cannot be loaded: this version loads files only, so name a `.wasm` file beside the manifest", quote(.0))]
    NotOffered(String),
    /// The text is a path, or has characters that a ConfigMap key cannot have.
    #[error(
        "module {} is not a file name: name a file beside the manifest, with at most {LONGEST} letters, digits, dots, dashes and underscores",
        quote(.0)
    )]
    NotAFileName(String),
    /// The name has none of the endings of a module.
    #[error("module {} is not a wasm file: its name must end in `.wasm`, `.wasm.zst` or `.wasm.gz`", quote(.0))]
    Ending(String),
}

impl ModuleRef {
    /// The file of the module.
    ///
    /// # Errors
    /// When the reference means another place than a file, which this version cannot load.
    pub fn file(self) -> Result<Module, ModuleError> {
        match self {
            Self::File(module) => Ok(module),
            other => Err(ModuleError::NotOffered(other.to_string())),
        }
    }
}

impl fmt::Display for ModuleRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(module) => module.fmt(out),
            Self::ConfigMap { namespace, name, key } => write!(out, "{CONFIG_MAP}{namespace}/{name}#{key}"),
            Self::Builtin(name) => write!(out, "{BUILTIN}{name}"),
            Self::Oci(reference) => write!(out, "{OCI}{reference}"),
        }
    }
}

impl FromStr for ModuleRef {
    type Err = ModuleError;

    fn from_str(text: &str) -> Result<Self, ModuleError> {
        if let Some(name) = text.strip_prefix(BUILTIN).filter(|name| is_label(name)) {
            return Ok(Self::Builtin(name.to_owned()));
        }
        if let Some(reference) = text.strip_prefix(OCI).filter(|reference| is_reference(reference)) {
            return Ok(Self::Oci(reference.to_owned()));
        }
        let config_map = || {
            let (namespace, rest) = text.strip_prefix(CONFIG_MAP)?.split_once('/')?;
            let (name, key) = rest.split_once('#')?;
            let key = key.parse().ok().filter(|_| is_label(namespace) && is_subdomain(name))?;
            Some(Self::ConfigMap { namespace: namespace.to_owned(), name: name.to_owned(), key })
        };
        config_map().map_or_else(|| text.parse().map(Self::File), Ok)
    }
}

/// Whether `text` can follow `oci://`: a host, a path, and a tag or a digest.
fn is_reference(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/:@".contains(&byte);
    text.contains('/') && text.len() <= LONGEST && text.bytes().all(plain)
}

super::text_conversions!(ModuleRef);

impl Module {
    /// The file name of the module.
    pub fn file_name(&self) -> &str {
        &self.0
    }

    /// The names that the module's file may have, best first: what is named `x.wasm` may lie there packed.
    pub fn file_names(&self) -> Vec<String> {
        let [plain, ..] = ENDINGS;
        match self.0.strip_suffix(plain) {
            Some(stem) => ENDINGS.iter().map(|ending| format!("{stem}{ending}")).collect(),
            None => vec![self.0.to_string()],
        }
    }

    /// The module that a check is expected to have when nothing but the check's name is known.
    pub fn named_after(key: &Key) -> Self {
        Self(format!("{}.wasm", key.name()).into())
    }
}

fn stem(text: &str) -> Option<&str> {
    ENDINGS.iter().find_map(|ending| text.strip_suffix(ending)).filter(|stem| !stem.is_empty())
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Module {
    type Err = ModuleError;

    fn from_str(text: &str) -> Result<Self, ModuleError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if text.is_empty() || text.len() > LONGEST || text.starts_with("..") || !text.bytes().all(plain) {
            return Err(ModuleError::NotAFileName(text.to_owned()));
        }
        match stem(text) {
            Some(_) => Ok(Self(text.into())),
            None => Err(ModuleError::Ending(text.to_owned())),
        }
    }
}

super::text_conversions!(Module);

#[cfg(test)]
mod tests {
    use crate::value::module::*;

    #[test]
    fn a_module_is_a_file_with_a_known_ending() {
        for text in ["dns.wasm", "dns.v2.wasm.zst", "My_dns-2.wasm.gz"] {
            let module: Module = text.parse().expect("valid");
            assert_eq!(module.file_name(), text);
        }
    }

    #[test]
    fn a_plain_module_may_lie_there_packed_but_not_the_other_way_round() {
        let names = |text: &str| text.parse::<Module>().expect("valid").file_names();
        assert_eq!(names("dns.wasm"), ["dns.wasm", "dns.wasm.zst", "dns.wasm.gz"]);
        assert_eq!(names("dns.wasm.gz"), ["dns.wasm.gz"]);
    }

    #[test]
    fn paths_are_refused() {
        let long = format!("{}.wasm", "a".repeat(249));
        for text in [
            "",
            "../dns.wasm",
            "..dns.wasm",
            "/etc/dns.wasm",
            "a/dns.wasm",
            "a\\dns.wasm",
            "dns\0.wasm",
            "dns .wasm",
            &long,
        ] {
            assert_eq!(text.parse::<Module>(), Err(ModuleError::NotAFileName(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn other_files_are_refused() {
        for text in ["dns", "dns.wat", ".wasm", ".wasm.gz", "dns.wasm.xz", "dns.WASM"] {
            assert_eq!(text.parse::<Module>(), Err(ModuleError::Ending(text.to_owned())), "{text:?}");
        }
    }

    #[test]
    fn places_of_later_versions_are_read_and_refused_by_name() {
        for text in
            ["builtin:dns", "oci://registry.example/dns@sha256:00", "configmap://team-a/checks.v1#dns.wasm"]
        {
            let reference: ModuleRef = text.parse().expect("a reference");
            assert_eq!(reference.to_string(), text);
            assert_eq!(reference.file(), Err(ModuleError::NotOffered(text.to_owned())));
        }
    }

    #[test]
    fn what_looks_like_another_place_and_is_none_is_no_file_either() {
        for text in [
            "builtin:",
            "builtin:a/b",
            "oci://",
            "oci://registry.example/a b",
            "configmap://team-a/checks",
            "configmap://team-a#dns.wasm",
            "configmap://../checks#dns.wasm",
            "configmap://team-a/checks#../dns.wasm",
            "https://example.com/dns.wasm",
        ] {
            assert_eq!(text.parse::<ModuleRef>(), Err(ModuleError::NotAFileName(text.to_owned())), "{text}");
        }
    }
}
