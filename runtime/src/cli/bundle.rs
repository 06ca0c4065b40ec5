//! `aviary bundle`: prints a directory of checks as one ConfigMap.

mod files;

use super::{
    Compiling,
    module::{Found, ModuleSize, sandbox},
    parse_namespace,
    print::print,
    validate::{NOTHING, directory},
};
use crate::{sandbox::Sandbox, signature::Keyring};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use files::Files;
use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The most bytes of a ConfigMap that `kubectl apply` takes without `--server-side`.
/// It keeps a copy of the object in an annotation, which is refused above this.
const MOST_ANNOTATED: usize = 256 * 1024;
/// The most characters of a ConfigMap's name.
const LONGEST_NAME: usize = 253;
/// The namespace of checks that name none, as long as the ConfigMap's own is not known.
const ANY_NAMESPACE: &str = "default";

/// Print the ConfigMap that holds a directory of manifests and modules.
#[derive(Args, Debug)]
pub(super) struct Bundle {
    /// The directory.
    directory: PathBuf,
    /// Name of the ConfigMap; by default that of the directory.
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// Namespace of the ConfigMap; by default the one that the manifests name, or what kubectl is told.
    #[arg(long, value_parser = parse_namespace)]
    namespace: Option<String>,
    #[command(flatten)]
    largest: ModuleSize,
    #[command(flatten)]
    compiling: Compiling,
}

impl Bundle {
    pub(super) async fn execute(self) -> Result<ExitCode> {
        if !self.directory.is_dir() {
            bail!("{} is not a directory of manifests and modules", self.directory.display());
        }
        let namespace = self.namespace.as_deref().unwrap_or(ANY_NAMESPACE);
        let found = directory(&self.directory, namespace, self.largest.get());
        if found.is_empty() {
            bail!("{}: {NOTHING}", self.directory.display());
        }
        let namespaces = validate(&sandbox(&self.compiling, None)?, found).await?;
        let namespace = common(self.namespace, namespaces)?;
        let name = self.name.map_or_else(|| name_of(&self.directory), Ok)?;
        let files = Files::read(&self.directory, self.largest.get())?;
        files.require_room(&self.directory)?;
        let map = files.into_config_map(name, namespace);
        if serde_json::to_string(&map)?.len() > MOST_ANNOTATED {
            let directory = self.directory.display();
            let _ = writeln!(
                io::stderr(),
                "too large for the annotation in which kubectl keeps what it applies (256 KiB); apply it on the server:\n  \
                 aviary bundle {directory} | kubectl apply --server-side -f -"
            );
        }
        let yaml = serde_saphyr::to_string(&map).context("cannot write the ConfigMap as YAML")?;
        print(yaml.trim_end());
        Ok(ExitCode::SUCCESS)
    }
}

/// The namespaces of the checks found. An error if one of the checks would not be accepted.
async fn validate(sandbox: &Sandbox, found: Vec<Found>) -> Result<BTreeSet<String>> {
    let mut refused = Vec::new();
    let mut namespaces = BTreeSet::new();
    for (name, subject) in found {
        match subject {
            Ok(subject) => {
                namespaces.insert(subject.check.key.namespace().to_owned());
                if let Err(error) = subject.load(&Keyring::default(), sandbox).await {
                    refused.push(format!("{name}: {error:#}"));
                }
            }
            Err(error) => refused.push(format!("{name}: {error:#}")),
        }
    }
    match refused.is_empty() {
        true => Ok(namespaces),
        false => bail!("the daemon would refuse\n  {}", refused.join("\n  ")),
    }
}

/// The namespace of the ConfigMap; none if any will do. Its checks have to be of its own namespace.
fn common(wanted: Option<String>, namespaces: BTreeSet<String>) -> Result<Option<String>> {
    let expected = wanted.as_deref().unwrap_or(ANY_NAMESPACE);
    match Vec::from_iter(namespaces).as_slice() {
        [only] if only == expected => Ok(wanted),
        [only] if wanted.is_none() => Ok(Some(only.clone())),
        others => bail!(
            "the manifests name the namespaces {}, but a ConfigMap holds checks of its own namespace only: \
             bundle one directory for each, or choose one with --namespace and leave it out of the manifests",
            others.join(", ")
        ),
    }
}

fn name_of(directory: &Path) -> Result<String> {
    let path = directory.canonicalize().with_context(|| format!("cannot find {}", directory.display()))?;
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    parse_name(name).map_err(|error| anyhow!("{error}; choose one with --name"))
}

/// Checks the name of a ConfigMap: a DNS-1123 subdomain, whose labels Kubernetes lets be of any length.
fn parse_name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| {
        !(label.is_empty() || label.starts_with('-') || label.ends_with('-')) && label.bytes().all(plain)
    };
    match text.len() <= LONGEST_NAME && text.split('.').all(label) {
        true => Ok(text.to_owned()),
        false => Err(format!(
            "{text:?} cannot name a ConfigMap: use at most {LONGEST_NAME} lower-case letters, digits, dashes and dots, \
             with a letter or digit at both ends and around each dot"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_configmap_is_where_its_manifests_say() {
        let place = |wanted: Option<&str>, named: &[&str]| {
            common(wanted.map(str::to_owned), named.iter().map(ToString::to_string).collect())
        };
        assert_eq!(place(None, &["default"]).expect("anywhere"), None);
        assert_eq!(place(None, &["team-a"]).expect("one"), Some("team-a".to_owned()));
        assert_eq!(place(Some("team-a"), &["team-a"]).expect("the same"), Some("team-a".to_owned()));
        assert!(place(Some("team-a"), &["team-b"]).is_err());
        assert!(place(None, &["default", "team-a"]).is_err());
    }

    #[test]
    fn a_name_that_kubernetes_would_refuse_is_refused_first() {
        let parent = tempfile::tempdir().expect("a directory");
        let path = parent.path().join("My_Checks");
        fs::create_dir(&path).expect("created");
        assert!(name_of(&path).expect_err("capitals").to_string().contains("--name"));
    }
}
