//! `aviary inspect`: tells what a module is and asks for.

use super::{
    Compiling,
    module::{LARGEST_MODULE, Signatures, is_manifest, read_module, read_signature, sandbox},
    print::print,
};
use crate::{grant, signature::Signature};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::{path::PathBuf, process::ExitCode};

/// Tell what a module is and which grants it asks for.
#[derive(Args, Debug)]
pub(super) struct Inspect {
    /// A .wasm, .wasm.zst or .wasm.gz file.
    file: PathBuf,
    #[command(flatten)]
    signatures: Signatures,
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
        let module = read_module(&self.file, LARGEST_MODULE).with_context(|| name.clone())?;
        let signature = read_signature(&self.file);
        let claims = signature.as_ref().and_then(Signature::claims);
        let module = self.signatures.keyring().admit(&name, module, signature).await?;
        let signer = module.signer();
        let guest = sandbox(&self.compiling, None)?.load(&name, module).await?;
        print(format_args!("module:  {name}"));
        print(format_args!("digest:  {}", guest.digest));
        print(format_args!("size:    {} bytes", guest.size));
        let signer = match (signer, claims) {
            (Some(key), _) => key.to_string(),
            (None, Some(key)) => format!("{key}, as it claims; judge it with --require-signature KEY"),
            (None, None) => "none".to_owned(),
        };
        print(format_args!("signer:  {signer}"));
        print(format_args!("imports: {}", guest.imports.join("\n         ")));
        let grants = grant::examples(&guest.asks);
        if grants.is_empty() {
            print(format_args!("\nIt asks for nothing that has to be granted."));
        } else {
            let grants = grants.join("\n  ");
            print(format_args!("\nIt needs such grants under `spec:`; the values are examples:\n  {grants}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}
