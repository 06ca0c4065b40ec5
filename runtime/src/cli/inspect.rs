//! `aviary inspect`: what a module is and asks for.

use super::{
    Compiling,
    module::{is_manifest, read_module, sandbox},
};
use crate::grant;
use anyhow::{Context, Result, bail};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Tell what a module is and which grants it asks for.
#[derive(Args, Debug)]
pub(super) struct Inspect {
    /// A .wasm, .wasm.zst or .wasm.gz file.
    file: PathBuf,
    #[command(flatten)]
    compiling: Compiling,
}

impl Inspect {
    pub(super) async fn execute(self) -> Result<ExitCode> {
        let name = self.file.display().to_string();
        if is_manifest(&self.file) {
            bail!(
                "{name} is a manifest: name the .wasm file that stands in it, or use `aviary validate {name}`"
            );
        }
        let module = read_module(&self.file).with_context(|| name.clone())?;
        let guest = sandbox(&self.compiling, None)?.load(&name, module).await?;
        println!("module:  {name}");
        println!("digest:  {}", guest.digest);
        println!("size:    {} bytes", guest.size);
        println!("imports: {}", guest.imports.join("\n         "));
        let grants = grant::examples(&guest.asks);
        if grants.is_empty() {
            println!("\nIt asks for nothing that has to be granted.");
        } else {
            let grants = grants.join("\n  ");
            println!("\nIt needs these grants under `spec:`; narrow them to what is needed:\n  {grants}");
        }
        Ok(ExitCode::SUCCESS)
    }
}
