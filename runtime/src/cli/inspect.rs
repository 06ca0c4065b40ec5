//! `aviary inspect`: what a module is and asks for.

use super::module::{read_module, sandbox};
use crate::grant;
use anyhow::Result;
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Tell what a module is and which grants it asks for.
#[derive(Args, Debug)]
pub(super) struct Inspect {
    /// A .wasm, .wasm.zst or .wasm.gz file.
    file: PathBuf,
}

impl Inspect {
    pub(super) async fn execute(self) -> Result<ExitCode> {
        let name = self.file.display().to_string();
        let guest = sandbox()?.load(&name, read_module(&self.file)?).await?;
        println!("module:  {name}");
        println!("digest:  {}", guest.digest);
        println!("size:    {} bytes", guest.size);
        println!("imports: {}", guest.imports.join("\n         "));
        match grant::examples(&guest.asks) {
            none if none.is_empty() => println!("\nIt asks for nothing that has to be granted."),
            grants => {
                println!("\nIt needs these grants under `spec:`; narrow them to what is needed:\n{grants}");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
