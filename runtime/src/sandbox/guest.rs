//! A guest: a module that is compiled and linked once, ready to become live any number of times.

use super::{
    limits::{MEMORIES, most},
    store::StoreData,
};
use crate::{
    capability::bindings::CheckPre,
    grant::{self, Capability},
    manifest::Program,
    outcome::{Fault, Reason},
    quota::Reservation,
    text::{cut_to, printable},
    value::{Digest, Limit},
};
use std::{ops::Deref, sync::Arc};
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

/// The package of the contract that the daemon offers, without the interface and version.
const PACKAGE: &str = "aviary:check/";
/// The version of the contract that the daemon offers.
const VERSION: &str = "0.1.0";
/// The most imports of a module, as everybody who asks for a check is told them.
/// WASI and the contract together have some forty. But an interface from which nothing is imported may have
/// any name.
const MOST_IMPORTS: usize = 100;
const LONGEST_IMPORT: usize = 128;

/// A module that is compiled and linked.
pub struct Guest {
    /// The digest of the module's bytes.
    pub digest: Digest,
    /// The size of the module in bytes.
    pub size: usize,
    /// The names of the interfaces that the module imports.
    pub imports: Vec<String>,
    /// The capabilities that the module asks for.
    pub asks: Vec<Capability>,
    /// How many bytes its compiled code and data take.
    pub(super) code: usize,
    pub(super) pre: CheckPre<StoreData>,
}

/// A guest for the checks of one namespace. Its code counts in the memory of that namespace while the lease
/// is kept.
#[derive(Clone)]
pub struct GuestLease {
    guest: Arc<Guest>,
    _code: Option<Arc<Reservation>>,
}

impl GuestLease {
    pub(super) fn new(guest: Arc<Guest>, code: Option<Arc<Reservation>>) -> Self {
        Self { guest, _code: code }
    }
}

impl Deref for GuestLease {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        &self.guest
    }
}

impl Guest {
    /// Links a component. Its imports and exports tell before what it asks for, and whether it is a check at
    /// all.
    pub(super) fn link(
        name: &str,
        digest: Digest,
        size: usize,
        component: &Component,
        linker: &Linker<StoreData>,
    ) -> Result<Self, Fault> {
        let refuse = |what: String| Fault::new(Reason::Module, format!("{name} {what}"));
        require_exports(component, linker.engine()).map_err(&refuse)?;
        let image = component.image_range();
        let code = image.end.addr() - image.start.addr();
        let kind = component.component_type();
        let imports: Vec<String> = kind.imports(linker.engine()).map(|(name, _)| name.to_owned()).collect();
        if imports.len() > MOST_IMPORTS {
            return Err(refuse(format!(
                "has {} imports, and a guest may have {MOST_IMPORTS}",
                imports.len()
            )));
        }
        let asks = asked_for(&imports).map_err(&refuse)?;
        require_room(component).map_err(&refuse)?;
        let linked = linker.instantiate_pre(component);
        let linked = linked
            .map_err(|error| refuse(format!("asks for something this daemon does not offer: {error:#}")))?;
        let pre = CheckPre::new(linked);
        let pre = pre.map_err(|error| Fault::new(Reason::Module, misfit(name, &error)))?;
        let shown = |name: &String| printable(cut_to(name, LONGEST_IMPORT)).into_owned();
        let imports = imports.iter().map(shown).collect();
        Ok(Self { digest, size, imports, asks, code, pre })
    }

    /// Refuses the module for a program that pins another digest, or that does not grant all that it asks for.
    pub fn require_for(&self, program: &Program) -> Result<(), Fault> {
        if let Some(pinned) = program.digest
            && pinned != self.digest
        {
            let (module, digest) = (&program.module, self.digest);
            let message = format!("{module} has the digest {digest}, and the manifest pins {pinned}");
            return Err(Fault::new(Reason::Module, message));
        }
        self.require_use_of_secrets(program)?;
        self.require_grants(program)
    }

    /// Refuses secrets that the module has no means to read: whoever wrote them expects that it does.
    fn require_use_of_secrets(&self, program: &Program) -> Result<(), Fault> {
        match program.secrets.first() {
            Some(secret) if !self.asks.contains(&Capability::Secrets) => Err(Fault::new(
                Reason::Module,
                format!(
                    "the manifest lists the secret {}, and {} reads no secrets: remove `secrets`, or use a module \
                     that imports `secrets`",
                    secret.name, program.module
                ),
            )),
            _ => Ok(()),
        }
    }

    fn require_grants(&self, program: &Program) -> Result<(), Fault> {
        let missing: Vec<_> =
            self.asks.iter().copied().filter(|asked| !program.authorization.covers(*asked)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let names: Vec<_> = missing.iter().map(|capability| capability.name()).collect();
        Err(Fault::new(
            Reason::Module,
            format!(
                "{} imports {}, which is not granted; to grant it, put `{}` under `spec` of its manifest, and \
                 change what is only an example",
                program.module,
                names.join(" and "),
                grant::examples(&missing).join("` and `")
            ),
        ))
    }
}

/// The capabilities of the contract among the imports of a module.
fn asked_for(imports: &[String]) -> Result<Vec<Capability>, String> {
    let mut asks = Vec::new();
    for import in imports {
        let Some((interface, version)) = import.strip_prefix(PACKAGE).and_then(|rest| rest.split_once('@'))
        else {
            continue;
        };
        if !version.starts_with("0.1.") {
            return Err(format!(
                "is built for another contract: it imports {import}, and this daemon offers {PACKAGE}{interface}@{VERSION}"
            ));
        }
        asks.extend(Capability::ALL.into_iter().find(|capability| capability.name() == interface));
    }
    Ok(asks)
}

/// The message for a module that is nearly a check.
pub(super) fn misfit(module: &str, error: &wasmtime::Error) -> String {
    format!("{module} exports {PACKAGE}lifecycle, but not as {VERSION} has it: {error:#}")
}

/// Refuses a component that could never start, as it needs more than a live guest may have.
fn require_room(component: &Component) -> Result<(), String> {
    let Some(needed) = component.resources_required() else { return Ok(()) };
    for (what, needed, most) in
        [("memories", needed.num_memories, MEMORIES), ("tables", needed.num_tables, most(Limit::Tables))]
    {
        if needed > most {
            return Err(format!("has {needed} {what}, and a guest may have {most}"));
        }
    }
    Ok(())
}

fn require_exports(component: &Component, engine: &Engine) -> Result<(), String> {
    let kind = component.component_type();
    let lifecycle = format!("{PACKAGE}lifecycle@0.1.");
    if kind.exports(engine).any(|(name, _)| name.starts_with(&lifecycle)) {
        return Ok(());
    }
    let exports: Vec<_> = kind.exports(engine).map(|(name, _)| format!("`{name}`")).collect();
    let exports = if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") };
    Err(format!(
        "is a component, but not a check: it exports {exports}, and lacks {PACKAGE}lifecycle@{VERSION}; \
         build it against the world `check` of aviary:check@{VERSION} (in Rust: is `aviary_guest::export!` missing?)"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(import: &str) -> Result<Vec<Capability>, String> {
        asked_for(&[import.to_owned()])
    }

    #[test]
    fn imports_of_the_contract_are_what_a_module_asks_for() {
        assert_eq!(asks("aviary:check/http@0.1.0"), Ok(vec![Capability::Http]));
        assert_eq!(asks("aviary:check/dns@0.1.7"), Ok(vec![Capability::Dns]));
        assert_eq!(asks("aviary:check/types@0.1.0"), Ok(vec![]));
        assert_eq!(asks("wasi:io/streams@0.2.6"), Ok(vec![]));
    }

    #[test]
    fn a_newer_contract_is_named_beside_the_one_offered() {
        let refusal = asks("aviary:check/http@0.2.0").expect_err("another contract");
        assert!(refusal.contains("aviary:check/http@0.2.0") && refusal.contains("http@0.1.0"), "{refusal}");
    }
}
