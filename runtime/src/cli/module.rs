//! What the commands for authors share: reading a module or manifest, and a sandbox for it.

use crate::{
    capability::dial::{Network, NetworkOptions},
    grant::Ceiling,
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

/// A sandbox for a few guests.
pub(super) fn sandbox() -> Result<Sandbox> {
    let network = Network::new(&NetworkOptions::default()).context("cannot set up the network")?;
    Sandbox::new(4, Arc::new(network))
        .map_err(anyhow::Error::from)
        .context("cannot run WebAssembly on this machine")
}

/// The checks of a manifest file with their modules, or the bare check of a module file.
pub(super) fn read(path: &Path) -> Result<Vec<Subject>> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if is_module(name) {
        let key = Key::from_file("default", stem(name));
        let check = Check::bare(key, name.parse().with_context(|| format!("{name} cannot name a module"))?);
        return Ok(vec![Subject { check, module: read_module(path)? }]);
    }
    if !name.ends_with(".yaml") && !name.ends_with(".yml") {
        bail!("{}: expected a module (.wasm, .wasm.zst, .wasm.gz) or a manifest (.yaml)", path.display());
    }
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let checks =
        spec::parse(&text, "default", &Ceiling::open()).with_context(|| path.display().to_string())?;
    let with_module = |check: Check| {
        let module = read_module(&path.with_file_name(check.module.file_name())).with_context(|| {
            format!("{}: the module of {} must lie beside the manifest", path.display(), check.key)
        })?;
        Ok(Subject { check, module })
    };
    checks.into_iter().map(with_module).collect()
}

/// The decoded bytes of a module file.
pub(super) fn read_module(path: &Path) -> Result<Arc<[u8]>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(decode(&path.to_string_lossy(), bytes, LARGEST_MODULE)?.into())
}
