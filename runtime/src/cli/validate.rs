//! `aviary validate`: tells whether files would be accepted.

use super::{
    Compiling,
    module::{Found, ModuleSize, Signatures, Subject, read, sandbox},
    print::print,
};
use crate::{
    grant::Ceiling,
    source::{Candidate, Change, directory::Directories},
};
use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use std::{
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// The message about a directory without checks.
pub(super) const NOTHING: &str = "it holds neither manifests nor modules";

/// Tell whether manifests and modules would be accepted, without running them.
#[derive(Args, Debug)]
pub(super) struct Validate {
    /// Manifests, modules, or directories of them, which are read as the daemon reads them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    largest: ModuleSize,
    #[command(flatten)]
    signatures: Signatures,
    #[command(flatten)]
    compiling: Compiling,
}

impl Validate {
    pub(super) async fn execute(self) -> Result<ExitCode> {
        let (keyring, sandbox) = (self.signatures.keyring(), sandbox(&self.compiling, None)?);
        let (mut judged, mut refused) = (false, false);
        for path in &self.paths {
            for (name, subject) in self.found(path) {
                let verdict = match subject {
                    Ok(subject) => subject.load(&keyring, &sandbox).await.map(drop),
                    Err(error) => Err(error),
                };
                judged = true;
                refused |= verdict.is_err();
                match verdict {
                    Ok(()) => print(format_args!("ok       {name}")),
                    Err(error) => print(format_args!("refused  {name}: {error:#}")),
                }
            }
        }
        if !judged {
            bail!("there was nothing to judge");
        }
        Ok(ExitCode::from(u8::from(refused)))
    }

    fn found(&self, path: &Path) -> Vec<Found> {
        let limit = self.largest.get();
        let refused = |error| vec![(path.display().to_string(), Err(error))];
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return refused(anyhow!("there is no such file or directory"));
            }
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) | Err(_) => {
                let found = read(path, limit).unwrap_or_else(refused);
                return found.into_iter().map(|found| in_file(path, found)).collect();
            }
        }
        let found = directory(path, "default", limit);
        if found.is_empty() {
            print(format_args!("nothing  {}: {NOTHING}", path.display()));
        }
        found
    }
}

/// Adds the name of the file to an error, unless it is there already.
fn in_file(path: &Path, (name, subject): Found) -> Found {
    let path = path.display().to_string();
    let subject = if name == path { subject } else { subject.with_context(|| path) };
    (name, subject)
}

/// The checks of a directory, as the daemon reads it. Checks that name no namespace get `namespace`.
pub(super) fn directory(path: &Path, namespace: &str, limit: usize) -> Vec<Found> {
    let source = Directories {
        paths: vec![path.to_path_buf()],
        namespace: namespace.into(),
        ceiling: Ceiling::open(),
        max_module_size: limit,
    };
    source.read().into_iter().filter_map(found).collect()
}

fn found(change: Change) -> Option<Found> {
    match change {
        Change::Set(candidate) => {
            let Candidate { check, module, signature, .. } = candidate;
            let module = module.read().map_err(anyhow::Error::msg);
            let subject = module.map(|module| Subject { check: check.as_ref().clone(), module, signature });
            Some((check.key.to_string(), subject))
        }
        Change::Reject { key, fault, .. } => Some((key.to_string(), Err(fault.into()))),
        Change::Remove(_) | Change::Synced => None,
    }
}
