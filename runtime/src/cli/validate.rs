//! `aviary validate`: would these files be accepted?

use super::module::{Subject, read, sandbox};
use crate::{sandbox::Sandbox, source::is_module};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Tell whether manifests and modules would be accepted, without running them.
#[derive(Args, Debug)]
pub(super) struct Validate {
    /// Manifests, modules, or directories of them.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

impl Validate {
    pub(super) async fn execute(self) -> Result<ExitCode> {
        let sandbox = sandbox()?;
        let mut refused = 0;
        for file in files(&self.paths)? {
            for (name, verdict) in judge(&sandbox, &file).await {
                match verdict {
                    Ok(()) => println!("ok       {name}"),
                    Err(error) => {
                        refused += 1;
                        println!("refused  {name}: {error:#}");
                    }
                }
            }
        }
        Ok(if refused == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

async fn judge(sandbox: &Sandbox, file: &Path) -> Vec<(String, Result<()>)> {
    let subjects = match read(file) {
        Ok(subjects) => subjects,
        Err(error) => return vec![(file.display().to_string(), Err(error))],
    };
    let mut verdicts = Vec::new();
    for subject in subjects {
        let name = format!("{} ({})", subject.check.key, file.display());
        verdicts.push((name, accept(sandbox, subject).await));
    }
    verdicts
}

async fn accept(sandbox: &Sandbox, Subject { check, module }: Subject) -> Result<()> {
    let guest = sandbox.load(check.module.file_name(), module).await?;
    Ok(guest.require_for(&check)?)
}

/// Files as they are; of a directory its manifests, or its modules if it has no manifest.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let listed = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut inside: Vec<_> = listed.filter_map(|entry| Some(entry.ok()?.path())).collect();
        inside.sort();
        let ends = |path: &PathBuf, matches: fn(&str) -> bool| matches(&path.to_string_lossy());
        let mut chosen: Vec<_> = inside
            .iter()
            .filter(|path| ends(path, |name| name.ends_with(".yaml") || name.ends_with(".yml")))
            .collect();
        if chosen.is_empty() {
            chosen = inside.iter().filter(|path| ends(path, is_module)).collect();
        }
        if chosen.is_empty() {
            bail!("{} holds neither manifests nor modules", path.display());
        }
        files.extend(chosen.into_iter().cloned());
    }
    Ok(files)
}
