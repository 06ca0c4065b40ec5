//! Grants for the Kubernetes API, in the words of its own RBAC.

use super::Denied;
use crate::{
    text::{cut_to, is_label, is_subdomain, printable},
    value::text_conversions,
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use std::{fmt, str::FromStr};

/// The most entries of one list in a grant.
const MOST_ENTRIES: usize = 100;
/// How many bytes of a guest's text are shown in a refusal.
const LONGEST_SHOWN: usize = 253;
const ALL: &str = "*";
const VERBS: [&str; 6] = ["get", "list", "create", "patch", "delete", ALL];

/// Objects of the Kubernetes API that a check may reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KubernetesGrant {
    /// API groups: `""` (that of pods and services), `apps`, or `*` for all.
    #[serde(deserialize_with = "few")]
    #[schemars(length(min = 1, max = 100))]
    pub api_groups: Vec<ApiGroupPattern>,
    /// Resources in lower case and in the plural: `pods`, `pods/log`, or `*` for all.
    #[serde(deserialize_with = "few")]
    #[schemars(length(min = 1, max = 100))]
    pub resources: Vec<ResourcePattern>,
    /// `get` (also to wait, and to read logs), `list`, `create`, `patch` (also to apply), `delete`, or `*` for all.
    #[serde(deserialize_with = "few")]
    #[schemars(length(min = 1, max = 100))]
    pub verbs: Vec<VerbPattern>,
    /// Namespaces, or `*` for all and for what is in none. Without it, the check's own namespace.
    #[serde(default, deserialize_with = "few", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 100))]
    pub namespaces: Vec<NamespacePattern>,
    /// Names of objects. Without it, any; with it, nothing that concerns more than one object.
    #[serde(default, deserialize_with = "few", skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1, max = 100))]
    pub names: Vec<ObjectName>,
}

/// What a call to the Kubernetes API needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// The verb of the call: `get`, `list`, `create`, `patch` or `delete`. Applying needs `patch`, and
    /// `create` if the object is not there. Waiting and reading logs need `get`.
    pub verb: &'a str,
    /// The API group of the resource; empty for the core group.
    pub group: &'a str,
    /// The resource in the plural, with the subresource if one is meant: `pods/log`.
    pub resource: &'a str,
    /// The namespace of the object; none for objects of the whole cluster, and for those of all namespaces.
    pub namespace: Option<&'a str>,
    /// The name of the object, if it is known and only one is concerned.
    pub name: Option<&'a str>,
}

impl KubernetesGrant {
    /// Whether this grant allows the call to a check of the namespace `own`.
    pub(super) fn allows(&self, own: &str, access: &Access<'_>) -> bool {
        let in_namespace = match access.namespace {
            Some(namespace) if self.namespaces.is_empty() => namespace == own,
            Some(namespace) => self.namespaces.iter().any(|granted| granted.means(namespace)),
            None => self.namespaces.iter().any(|granted| granted.0 == ALL),
        };
        let by_name = || access.name.is_some_and(|name| self.names.iter().any(|granted| granted.0 == name));
        in_namespace
            && self.verbs.iter().any(|granted| granted.means(access.verb))
            && self.api_groups.iter().any(|granted| granted.means(access.group))
            && self.resources.iter().any(|granted| granted.means(access.resource))
            && (self.names.is_empty() || by_name())
    }
}

/// The refusal of a call. The YAML that it shows names the namespace, unless that is the check's `own`.
pub(super) fn denied(own: &str, access: &Access<'_>) -> Denied {
    let Access { verb, group, resource, namespace, name } = *access;
    let show = |text| printable(cut_to(text, LONGEST_SHOWN)).into_owned();
    let (group, resource, namespace) = (show(group), show(resource), namespace.map(show));
    let of_group = if group.is_empty() { String::new() } else { format!(".{group}") };
    let name = name.map(|name| format!(" {}", show(name))).unwrap_or_default();
    let place = match &namespace {
        Some(namespace) => format!("in namespace {namespace}"),
        None => "in the whole cluster".to_owned(),
    };
    let namespaces = match namespace.as_deref() {
        Some(namespace) if namespace == own => String::new(),
        namespace => format!(", namespaces: [{:?}]", namespace.unwrap_or(ALL)),
    };
    let line = format!(
        "kubernetes: [{{ apiGroups: [{group:?}], resources: [{resource:?}], verbs: [{verb}]{namespaces} }}]"
    );
    Denied::new(format!("{verb} {resource}{of_group}{name} {place}"), line)
}

/// Deserializes a list of at least one and at most [`MOST_ENTRIES`] entries.
fn few<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    match Vec::deserialize(deserializer)? {
        list if list.is_empty() => {
            Err(D::Error::custom("the list is empty: name something, or remove the key"))
        }
        list => capped(list).map_err(D::Error::custom),
    }
}

/// Deserializes a list of at most [`MOST_ENTRIES`] grants, which may be empty.
pub(super) fn grants<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<KubernetesGrant>, D::Error> {
    capped(Vec::deserialize(deserializer)?).map_err(D::Error::custom)
}

fn capped<T>(list: Vec<T>) -> Result<Vec<T>, String> {
    match list.len() {
        ..=MOST_ENTRIES => Ok(list),
        count => Err(format!("the list has {count} entries: {MOST_ENTRIES} are the most")),
    }
}

/// Makes types of text that can only hold what is valid, each with its own rule and advice.
macro_rules! words {
    ($($(#[$doc:meta])+ $type:ident: $valid:expr, $advice:literal;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let valid: fn(&str) -> bool = $valid;
                match valid(text) {
                    true => Ok(Self(text.to_owned())),
                    false => Err(format!("`{}` is no {}", printable(cut_to(text, LONGEST_SHOWN)), $advice)),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        text_conversions!($type);
    )+};
}

words! {
    /// An API group, or `*`.
    ApiGroupPattern: |text| text.is_empty() || text == ALL || is_subdomain(text),
        "API group: write `\"\"` for that of pods, `apps` without a version, or `\"*\"`";
    /// A resource, with or without a subresource, or `*`.
    ResourcePattern: |text| text == ALL || text.split('/').count() <= 2 && text.split('/').all(is_label),
        "resource: write it in the plural and in lower case, as `pods` or `pods/log`, or `\"*\"`";
    /// A verb, or `*`.
    VerbPattern: |text| VERBS.contains(&text),
        "verb: write `get`, `list`, `create`, `patch`, `delete` or `\"*\"`";
    /// A namespace, or `*`.
    NamespacePattern: |text| text == ALL || is_label(text),
        "namespace: write its name, or `\"*\"`";
    /// The name of an object.
    ObjectName: is_object_name,
        "name of an object: use letters, digits, dashes, dots and colons";
}

macro_rules! patterns {
    ($($type:ident)+) => {$(
        impl $type {
            fn means(&self, text: &str) -> bool {
                self.0 == ALL || self.0 == text
            }
        }
    )+};
}

patterns!(ApiGroupPattern ResourcePattern VerbPattern NamespacePattern);

/// Whether a text can be the name of an object. Roles may have colons and capitals. Nothing may lead
/// elsewhere in a path.
fn is_object_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(plain) && !text.bytes().all(|byte| byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::testing::permit_in;

    const POD: Access<'_> =
        Access { verb: "get", group: "", resource: "pods", namespace: Some("prod"), name: Some("web-1") };

    /// The judgement of a call under these grants, for a check of the namespace `prod`.
    fn judge(grants: &str, access: &Access<'_>) -> Result<(), String> {
        permit_in("prod", grants).kubernetes(access).map_err(|denied| denied.to_string())
    }

    fn refusal(yaml: &str) -> String {
        serde_saphyr::from_str::<KubernetesGrant>(yaml).expect_err(yaml).to_string()
    }

    #[test]
    fn verb_group_resource_and_namespace_all_have_to_be_granted() {
        let grants =
            "kubernetes: [{ apiGroups: [\"\"], resources: [pods], verbs: [get], namespaces: [prod] }]";
        assert_eq!(judge(grants, &POD), Ok(()));
        for access in [
            Access { verb: "list", ..POD },
            Access { verb: "delete", ..POD },
            Access { group: "apps", ..POD },
            Access { resource: "pods/log", ..POD },
            Access { resource: "secrets", ..POD },
            Access { namespace: Some("prod2"), ..POD },
            Access { namespace: Some("*"), ..POD },
            Access { namespace: None, ..POD },
        ] {
            assert!(judge(grants, &access).is_err(), "{access:?}");
        }
    }

    #[test]
    fn two_grants_do_not_add_up_to_a_third() {
        let grants = "kubernetes: [{ apiGroups: [\"\"], resources: [pods], verbs: [get] }, \
                      { apiGroups: [apps], resources: [deployments], verbs: [delete] }]";
        assert!(judge(grants, &Access { verb: "delete", ..POD }).is_err());
        assert!(judge(grants, &Access { group: "apps", resource: "deployments", ..POD }).is_err());
    }

    #[test]
    fn without_namespaces_only_the_checks_own_is_granted() {
        let grants = "kubernetes: [{ apiGroups: [\"*\"], resources: [\"*\"], verbs: [\"*\"] }]";
        assert_eq!(judge(grants, &POD), Ok(()));
        for namespace in [Some("default"), Some("Prod"), Some("prod/../default"), Some(""), None] {
            assert!(judge(grants, &Access { namespace, ..POD }).is_err(), "{namespace:?}");
        }
    }

    #[test]
    fn only_a_star_grants_what_is_in_no_namespace_or_in_all() {
        let grants = |namespaces| {
            format!(
                "kubernetes: [{{ apiGroups: [\"\"], resources: [nodes, pods], verbs: [list], namespaces: {namespaces} }}]"
            )
        };
        for resource in ["nodes", "pods"] {
            let access = Access { verb: "list", resource, namespace: None, name: None, ..POD };
            assert_eq!(judge(&grants("[\"*\"]"), &access), Ok(()));
            assert!(judge(&grants("[prod]"), &access).is_err());
        }
    }

    #[test]
    fn names_grant_these_objects_and_nothing_that_concerns_several() {
        let grants = "kubernetes: [{ apiGroups: [\"\"], resources: [pods], verbs: [\"*\"], names: [web-1] }]";
        assert_eq!(judge(grants, &POD), Ok(()));
        assert_eq!(judge(grants, &Access { verb: "create", ..POD }), Ok(()));
        for (verb, name) in [("get", Some("web-2")), ("create", None), ("list", None)] {
            assert!(judge(grants, &Access { verb, name, ..POD }).is_err(), "{verb:?} {name:?}");
        }
    }

    #[test]
    fn the_refusal_holds_the_line_that_would_allow_it() {
        let verbs = ["get", "list", "create", "patch", "delete"];
        for (group, resource) in [("", "pods/log"), ("apps", "deployments"), ("x.example.com", "things")] {
            for namespace in [Some("prod"), Some("stage"), None] {
                for access in verbs.map(|verb| Access { verb, group, resource, namespace, name: Some("a:b") })
                {
                    let refusal = judge("{}", &access).expect_err("no grant");
                    let (_, line) = refusal.split_once(" `").expect("a line in backticks");
                    let line = line.trim_end_matches('`');
                    assert_eq!(judge(line, &access), Ok(()), "{refusal}");
                    assert_eq!(line.contains("namespaces"), namespace != Some("prod"), "{line}");
                }
            }
        }
    }

    #[test]
    fn the_refusal_says_what_was_attempted() {
        let deployment = Access { group: "apps", resource: "deployments", ..POD };
        let refusal = judge("{}", &deployment).expect_err("no grant");
        assert!(
            refusal.starts_with("not granted: get deployments.apps web-1 in namespace prod; "),
            "{refusal}"
        );
        let nodes = Access { verb: "list", resource: "nodes", namespace: None, name: None, ..POD };
        let refusal = judge("{}", &nodes).expect_err("no grant");
        assert!(refusal.starts_with("not granted: list nodes in the whole cluster; "), "{refusal}");
    }

    #[test]
    fn a_guests_text_makes_a_short_and_plain_refusal() {
        let long = "x\n\u{1b}".repeat(10_000);
        let access =
            Access { resource: &long, namespace: Some(&long), name: Some(&long), group: &long, ..POD };
        let refusal = judge("{}", &access).expect_err("no grant");
        assert!(refusal.len() < 10_000 && !refusal.contains(char::is_control), "{}", refusal.len());
    }

    #[test]
    fn words_that_rbac_does_not_have_are_refused_with_advice() {
        let whole = "{ apiGroups: [apps], resources: [pods], verbs: [get] }";
        serde_saphyr::from_str::<KubernetesGrant>(whole).expect("valid");
        for (good, bad, advice) in [
            ("[apps]", "[apps/v1]", "`apps/v1` is no API group: write"),
            ("[apps]", "[Apps]", "`Apps` is no API group"),
            ("[apps]", "[]", "the list is empty"),
            ("[pods]", "[Pod]", "`Pod` is no resource: write it in the plural"),
            ("[pods]", "[\"pods/\"]", "`pods/` is no resource"),
            ("[pods]", "[\"pods/*\"]", "`pods/*` is no resource"),
            ("[pods]", "[\"../nodes\"]", "`../nodes` is no resource"),
            ("[get]", "[watch]", "`watch` is no verb: write `get`"),
            ("[get]", "[deletecollection]", "`deletecollection` is no verb"),
            ("[get]", "[get], namespaces: [\"team-*\"]", "`team-*` is no namespace"),
            ("[get]", "[get], namespaces: []", "the list is empty"),
            ("[get]", "[get], names: [a/b]", "`a/b` is no name of an object"),
            ("[get]", "[get], names: [\"..\"]", "`..` is no name of an object"),
            ("[get]", "[get], names: [\"*\"]", "`*` is no name of an object"),
            ("[get]", "[get], resourceNames: [a]", "unknown field `resourceNames`"),
        ] {
            let error = refusal(&whole.replacen(good, bad, 1));
            assert!(error.contains(advice), "{bad}: {error}");
        }
    }

    #[test]
    fn long_lists_are_refused() {
        let words = |count| vec!["a"; count].join(",");
        let grant = |count| format!("{{ apiGroups: [{}], resources: [a], verbs: [get] }}", words(count));
        serde_saphyr::from_str::<KubernetesGrant>(&grant(100)).expect("valid");
        assert!(refusal(&grant(101)).contains("the list has 101 entries: 100 are the most"));
        let grants = format!("kubernetes: [{}]", vec![grant(1); 101].join(","));
        let error = serde_saphyr::from_str::<crate::grant::Grants>(&grants).expect_err("too many");
        assert!(error.to_string().contains("101 entries"), "{error}");
    }
}
