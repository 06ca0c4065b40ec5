//! What the commands for authors share: reading a module or manifest, and a sandbox for it.

use super::Compiling;
use crate::{
    capability::dial::{Network, NetworkOptions},
    grant::Ceiling,
    ledger::Ledger,
    sandbox::Sandbox,
    source::{decode, is_module, stem},
    spec::{self, Check, Key},
};
use anyhow::{Context, Result, bail};
use std::{fs, path::Path, sync::Arc};

/// Modules that authors look at may be large.
const LARGEST_MODULE: usize = 64 * 1024 * 1024;

/// A check and the bytes of its module.
pub(super) struct Subject {
    pub(super) check: Check,
    pub(super) module: Arc<[u8]>,
}

/// A sandbox for a few guests, which reach into the cluster of a ledger.
pub(super) fn sandbox(compiling: &Compiling, ledger: Option<Arc<Ledger>>) -> Result<Sandbox> {
    let network = Network::new(&NetworkOptions::default()).context("cannot set up the network")?;
    Sandbox::new(4, compiling.workshop(), Arc::new(network), ledger)
        .map_err(anyhow::Error::from)
        .context("cannot run WebAssembly on this machine")
}

/// The checks of a manifest file with their modules, or the bare check of a module file. Errors leave it to
/// the caller to name the file.
pub(super) fn read(path: &Path) -> Result<Vec<Subject>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if is_module(name) {
        let key = Key::from_file("default", stem(name));
        let check = Check::bare(key, name.parse().with_context(|| format!("{name} cannot name a module"))?);
        return Ok(vec![Subject { check, module: read_module(path)? }]);
    }
    if !is_manifest(path) {
        bail!("expected a module (.wasm, .wasm.zst, .wasm.gz) or a manifest (.yaml)");
    }
    let text = fs::read_to_string(path).context("cannot be read")?;
    let with_module = |check: Check| {
        let names = check.module.file_names();
        let found = names.iter().map(|name| path.with_file_name(name)).find(|module| module.exists());
        let module = read_module(&found.unwrap_or_else(|| path.with_file_name(check.module.file_name())))
            .with_context(|| format!("the module {} must lie beside it", check.module))?;
        Ok(Subject { check, module })
    };
    spec::parse(&text, "default", &Ceiling::open())?.into_iter().map(with_module).collect()
}

/// Whether a file of this name is a manifest.
pub(super) fn is_manifest(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// The decoded bytes of a module file.
pub(super) fn read_module(path: &Path) -> Result<Arc<[u8]>> {
    let bytes = fs::read(path).context("cannot be read")?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(decode(&name, bytes, LARGEST_MODULE)?.into())
}
