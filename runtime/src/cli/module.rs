//! Reading a module or manifest, and a sandbox for it, as all commands for authors need it.

use super::{Compiling, MODULE_SIZE};
use crate::{
    capability::dial::{Network, NetworkOptions},
    file,
    grant::Ceiling,
    ledger::Ledger,
    manifest::{self, Check, MAX_FILE, Refused},
    sandbox::{Guest, Sandbox},
    signature::{self, Keyring, PublicKey, Signature},
    source::{DecodeError, decode, is_module, stem},
    value::{Blob, Key, Size},
};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::{collections::HashMap, fs, io, path::Path, sync::Arc};

/// The most bytes of a module that authors look at, which may be large.
pub(super) const LARGEST_MODULE: usize = 64 * 1024 * 1024;

/// Whose signatures count.
#[derive(Args, Clone, Debug)]
pub(super) struct Signatures {
    /// A minisign public key, or a file that holds one: only modules that it signed are run. May be given
    /// several times; one of the keys is enough.
    #[arg(
        long,
        value_name = "KEY",
        env = "AVIARY_REQUIRE_SIGNATURE",
        value_delimiter = ',',
        value_parser = parse_key
    )]
    require_signature: Vec<PublicKey>,
}

/// How large modules may be for the daemon.
#[derive(Args, Clone, Debug)]
pub(super) struct ModuleSize {
    /// The largest module, once decompressed: what the daemon is told as well.
    #[arg(long, value_name = "SIZE", env = "AVIARY_MAX_MODULE_SIZE", default_value_t = MODULE_SIZE)]
    max_module_size: Size,
}

impl ModuleSize {
    /// The most bytes of a module, once decompressed.
    pub(super) fn get(&self) -> usize {
        self.max_module_size.in_memory()
    }
}

/// The name of a check, and the check if it can be tried, or why it cannot.
pub(super) type Found = (String, Result<Subject>);

/// A check with its module.
pub(super) struct Subject {
    pub(super) check: Check,
    pub(super) module: Blob,
    pub(super) signature: Option<Signature>,
}

impl Signatures {
    /// The keyring of the keys; an empty one if modules need no signature.
    pub(super) fn keyring(&self) -> Keyring {
        Keyring::of(self.require_signature.clone())
    }
}

impl Subject {
    /// Loads the module for its check, as the daemon does.
    pub(super) async fn load(self, keyring: &Keyring, sandbox: &Sandbox) -> Result<(Check, Arc<Guest>)> {
        let name = self.check.program.module.file_name();
        let module = keyring.admit(name, self.module, self.signature).await?;
        let guest = sandbox.load(name, module).await?;
        guest.require_for(&self.check.program)?;
        Ok((self.check, guest))
    }
}

fn parse_key(text: &str) -> Result<PublicKey, String> {
    PublicKey::find(text).map_err(|error| error.to_string())
}

/// A sandbox for a few guests, which reach the cluster of `ledger`.
pub(super) fn sandbox(compiling: &Compiling, ledger: Option<Arc<Ledger>>) -> Result<Sandbox> {
    let network = Network::new(&NetworkOptions::default()).context("cannot set up the network")?;
    Sandbox::new(4, compiling.config(), Arc::new(network), ledger)
        .map_err(anyhow::Error::from)
        .context("cannot run WebAssembly on this machine")
}

/// The checks of a manifest file with their modules, or the bare check of a module file. Modules have at most
/// `limit` bytes. Errors do not name the file.
pub(super) fn read(path: &Path, limit: usize) -> Result<Vec<Found>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if is_module(name) {
        let key = Key::from_file("default", stem(name));
        let check = Check::bare(key, name.parse().with_context(|| format!("{name} cannot name a module"))?);
        let (module, signature) = (read_module(path, limit)?, read_signature(path));
        return Ok(vec![(check.key.to_string(), Ok(Subject { check, module, signature }))]);
    }
    let found = fs::metadata(path).context("cannot be read")?;
    if found.is_dir() {
        bail!("is a directory: `aviary validate` judges all of it");
    }
    if !is_manifest(path) {
        bail!("expected a module (.wasm, .wasm.zst, .wasm.gz) or a manifest (.yaml)");
    }
    let bytes = file::read(path, MAX_FILE).context("cannot be read")?;
    if bytes.len() > MAX_FILE {
        bail!("has more than {MAX_FILE} bytes: split it");
    }
    let text = String::from_utf8(bytes).context("is not UTF-8")?;
    let documents = manifest::documents(&text, "default", &Ceiling::open()).into_iter();
    let found = documents.map(|document| match document {
        Ok(check) => (check.key.to_string(), with_module(&check, path, limit)),
        Err(Refused { error, named }) => {
            let name = named.key.map_or_else(|| path.display().to_string(), |key| key.to_string());
            (name, Err(error.into()))
        }
    });
    Ok(found.collect())
}

/// A check of a manifest file with the module and the files for settings that lie beside it.
fn with_module(check: &Check, manifest: &Path, limit: usize) -> Result<Subject> {
    let check = with_files(check, manifest)?;
    let names = check.program.module.file_names();
    let found = names.iter().map(|name| manifest.with_file_name(name)).find(|module| module.exists());
    let path = found.unwrap_or_else(|| manifest.with_file_name(check.program.module.file_name()));
    let module = read_module(&path, limit)
        .with_context(|| format!("the module {} must lie beside it", check.program.module))?;
    Ok(Subject { check, module, signature: read_signature(&path) })
}

/// The check with the settings that come from files beside the manifest.
fn with_files(check: &Check, manifest: &Path) -> Result<Check> {
    let texts: HashMap<_, _> = check
        .files
        .iter()
        .map(|from| (from.file.clone(), file::read_text(&manifest.with_file_name(&from.file), MAX_FILE)))
        .collect();
    let read = |name: &str| match &texts[name] {
        Ok(text) => Ok(text.as_str()),
        Err(error) => Err(format!("the file {name} beside the manifest: {error}")),
    };
    check.with_files(read).map_err(anyhow::Error::msg)
}

/// Whether a file of this name is a manifest.
pub(super) fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// The decoded module of a file, which has at most `limit` bytes.
pub(super) fn read_module(path: &Path, limit: usize) -> Result<Blob> {
    let bytes = file::read(path, limit).context("cannot be read")?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match decode(&name, bytes, limit) {
        Err(DecodeError::TooLarge(..)) if limit == LARGEST_MODULE => {
            bail!("{name} is larger than {LARGEST_MODULE} bytes once decoded, which are the most here")
        }
        decoded => Ok(Blob::of(decoded?)),
    }
}

/// The signature beside a module file, if there is one.
pub(super) fn read_signature(module: &Path) -> Option<Signature> {
    let name = module.file_name().unwrap_or_default().to_string_lossy();
    match Signature::read(&module.with_file_name(signature::beside(&name))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        read => Some(read.unwrap_or_else(|error| Signature::unreadable(&error))),
    }
}
