//! The identity of a check.

use crate::text::{is_label, quote};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr, sync::Arc};

/// The most characters of a namespace and of a name.
/// A namespace becomes a Kubernetes namespace, and a name the value of a Kubernetes label. Both end at 63.
const LONGEST: usize = 63;

/// The identity of a check: `namespace/name`. Cheap to clone.
///
/// The namespace is a DNS-1123 label and the name a DNS-1123 subdomain (labels joined by dots), as Kubernetes
/// has it for namespaces and ConfigMaps; each has 63 characters at most.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key {
    text: Arc<str>,
    slash: usize,
}

/// Why a text is not the identity of a check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text has no slash between a namespace and a name.
    #[error("{} is not the identity of a check: write `namespace/name`", quote(.0))]
    NoSlash(String),
    /// The namespace is not a DNS-1123 label.
    #[error(
        "namespace {} is not valid: use at most {LONGEST} lower-case letters, digits and dashes, with a letter or digit at both ends",
        quote(.0)
    )]
    Namespace(String),
    /// The name is not a DNS-1123 subdomain.
    #[error(
        "name {} is not valid: use at most {LONGEST} lower-case letters, digits, dashes and dots, with a letter or digit at both ends and around each dot",
        quote(.0)
    )]
    Name(String),
}

impl Key {
    /// The key of the check `name` in `namespace`.
    pub fn new(namespace: &str, name: &str) -> Result<Self, KeyError> {
        if namespace.len() > LONGEST || !is_label(namespace) {
            return Err(KeyError::Namespace(namespace.to_owned()));
        }
        if name.len() > LONGEST || !name.split('.').all(is_label) {
            return Err(KeyError::Name(name.to_owned()));
        }
        Ok(Self { text: format!("{namespace}/{name}").into(), slash: namespace.len() })
    }

    /// The key of the check that a file without a manifest stands for.
    /// Its name is `stem`, the file's name without the ending, with dashes for everything that a name cannot
    /// have. `namespace` is the operator's, and valid.
    pub fn from_file(namespace: &str, stem: &str) -> Self {
        let letter =
            |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
        let name: String = stem.chars().take(LONGEST).map(letter).collect();
        let name = match name.trim_matches('-') {
            "" => "unnamed",
            name => name,
        };
        Self { text: format!("{namespace}/{name}").into(), slash: namespace.len() }
    }

    /// The namespace of the check: the part before the slash.
    pub fn namespace(&self) -> &str {
        &self.text[..self.slash]
    }

    /// The name of the check: the part after the slash.
    pub fn name(&self) -> &str {
        &self.text[self.slash + 1..]
    }

    /// The key as text: `namespace/name`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A number that is the same for this key on every machine, and evenly spread over all keys.
    /// It decides where in its interval the check runs.
    pub fn spread(&self) -> u64 {
        let digest = Sha256::digest(self.text.as_bytes());
        digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.namespace(), self.name()).cmp(&(other.namespace(), other.name()))
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.text)
    }
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (namespace, name) = text.split_once('/').ok_or_else(|| KeyError::NoSlash(text.to_owned()))?;
        Self::new(namespace, name)
    }
}

super::text_conversions!(Key);

#[cfg(test)]
mod tests {
    use crate::value::key::*;

    #[test]
    fn a_key_has_the_two_parts_it_was_made_of() {
        let key = Key::new("platform", "cluster-dns.v2").expect("valid");
        assert_eq!(
            (key.namespace(), key.name(), key.as_str()),
            ("platform", "cluster-dns.v2", "platform/cluster-dns.v2")
        );
        assert_eq!("platform/cluster-dns.v2".parse::<Key>(), Ok(key.clone()));
        assert_eq!(serde_json::to_string(&key).expect("json"), "\"platform/cluster-dns.v2\"");
        assert_eq!(serde_json::from_str::<Key>("\"platform/cluster-dns.v2\"").expect("json"), key);
    }

    #[test]
    fn names_that_kubernetes_refuses_are_refused_here() {
        let long = "a".repeat(64);
        for name in [
            "", "A", "-a", "a-", ".a", "a.", "a..b", "a.-b", "../etc", "a/b", "a\0", "a b", "ü", "a_b", &long,
        ] {
            assert_eq!(Key::new("ns", name), Err(KeyError::Name(name.to_owned())), "{name:?}");
        }
        for namespace in ["", "a.b", "..", "A", "-a", &long] {
            assert_eq!(
                Key::new(namespace, "n"),
                Err(KeyError::Namespace(namespace.to_owned())),
                "{namespace:?}"
            );
        }
        assert!(Key::new(&"a".repeat(63), &"b".repeat(63)).is_ok());
    }

    #[test]
    fn a_huge_or_hostile_name_makes_a_short_message() {
        let error = Key::new("ns", &"a".repeat(10_000)).expect_err("too long");
        assert!(error.to_string().len() < 300, "{error}");
        let error = "no slash\n\0".parse::<Key>().expect_err("no slash");
        assert_eq!(
            error.to_string(),
            "`no slash\\n\\u{0}` is not the identity of a check: write `namespace/name`"
        );
    }

    #[test]
    fn keys_sort_by_namespace_and_then_by_name() {
        let mut keys: Vec<Key> =
            ["a-b/a", "a/z", "a/b"].iter().map(|text| text.parse().expect("valid")).collect();
        keys.sort();
        assert_eq!(keys.iter().map(Key::as_str).collect::<Vec<_>>(), ["a/b", "a/z", "a-b/a"]);
    }

    #[test]
    fn spread_is_stable_and_even() {
        assert_eq!(Key::new("default", "dns").expect("valid").spread(), 6_966_009_784_535_644_610);
        let mut tenths = [0_u32; 10];
        for number in 0..10_000 {
            let spread = Key::new("ns", &format!("check-{number}")).expect("valid").spread();
            tenths[usize::try_from(spread % 10).expect("small")] += 1;
        }
        assert!(tenths.iter().all(|count| (850..1150).contains(count)), "{tenths:?}");
    }

    #[test]
    fn every_file_stands_for_a_valid_check() {
        for (stem, name) in
            [("web", "web"), ("My_Check.v2", "my-check-v2"), ("_", "unnamed"), ("größe", "gr--e")]
        {
            let key = Key::from_file("default", stem);
            assert_eq!(key.name(), name);
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        assert_eq!(Key::from_file("default", &"x".repeat(500)).name().len(), LONGEST);
    }
}
