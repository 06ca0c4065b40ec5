//! `aviary validate`: would these files be accepted?

use super::{
    Compiling, MODULE_SIZE,
    module::{Signatures, Subject, read, sandbox},
    print::print,
};
use crate::{
    grant::Ceiling,
    source::{Candidate, Change, directory::Directories},
};
use anyhow::{Result, anyhow, bail};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Tell whether manifests and modules would be accepted, without running them.
#[derive(Args, Debug)]
pub(super) struct Validate {
    /// Manifests, modules, or directories of them, which are read as the daemon reads them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    signatures: Signatures,
    #[command(flatten)]
    compiling: Compiling,
}

/// What was found: a check that can be tried, or why there is none.
pub(super) type Found = (String, Result<Subject>);

impl Validate {
    pub(super) async fn execute(self) -> Result<ExitCode> {
        let (keyring, sandbox) = (self.signatures.keyring(), sandbox(&self.compiling, None)?);
        let mut refused = false;
        for path in &self.paths {
            for (name, subject) in if path.is_dir() { directory(path, "default")? } else { file(path) } {
                let verdict = match subject {
                    Ok(subject) => subject.load(&keyring, &sandbox).await.map(drop),
                    Err(error) => Err(error),
                };
                refused |= verdict.is_err();
                match verdict {
                    Ok(()) => print(format_args!("ok       {name}")),
                    Err(error) => print(format_args!("refused  {name}: {error:#}")),
                }
            }
        }
        Ok(ExitCode::from(u8::from(refused)))
    }
}

fn file(path: &Path) -> Vec<Found> {
    let subjects =
        if path.exists() { read(path) } else { Err(anyhow!("there is no such file or directory")) };
    match subjects {
        Ok(subjects) => {
            subjects.into_iter().map(|subject| (subject.check.key.to_string(), Ok(subject))).collect()
        }
        Err(error) => vec![(path.display().to_string(), Err(error))],
    }
}

/// The checks of a directory, as the daemon reads it; `namespace` is that of checks that name none.
pub(super) fn directory(path: &Path, namespace: &str) -> Result<Vec<Found>> {
    let source = Directories {
        paths: vec![path.to_path_buf()],
        namespace: namespace.into(),
        ceiling: Ceiling::open(),
        max_module_size: MODULE_SIZE.in_memory(),
    };
    let found: Vec<_> = source.read().into_iter().filter_map(found).collect();
    if found.is_empty() {
        bail!("{} holds neither manifests nor modules", path.display());
    }
    Ok(found)
}

fn found(change: Change) -> Option<Found> {
    match change {
        Change::Set(candidate) => {
            let Candidate { check, module, signature } = candidate;
            let module = module.read().map_err(anyhow::Error::msg);
            let subject = module.map(|module| Subject { check: check.as_ref().clone(), module, signature });
            Some((check.key.to_string(), subject))
        }
        Change::Reject(key, _, fault) => Some((key.to_string(), Err(fault.into()))),
        Change::Remove(_) | Change::Synced => None,
    }
}
