//! Where checks come from: each source is a stream of changes.

mod bundle;
pub mod configmap;
mod decode;
pub mod directory;
mod packed;
mod taken;

pub use decode::{DecodeError, decode, is_module, stem};
pub use packed::Packed;
pub use taken::Taken;

pub(crate) use packed::{FetchedModule, ModuleSource};

use crate::{
    manifest::Check,
    outcome::Fault,
    signature::Signature,
    value::{Key, Origin},
};
use std::sync::Arc;

/// Something that changed at a source.
#[derive(Debug)]
pub enum Change {
    /// This check should run with this module.
    Set(Candidate),
    /// The newest manifest or module of this check cannot be used; a former good one goes on.
    Reject {
        /// The identity of the check.
        key: Key,
        /// Where the manifest lies.
        origin: Arc<Origin>,
        /// The manifest, if it could be read: what it says counts as far as it needs no module.
        check: Option<Arc<Check>>,
        /// What is wrong.
        fault: Fault,
    },
    /// This check should not run any more.
    Remove(Key),
    /// Everything that was there at the start has been told.
    Synced,
}

/// A check and its module, not yet tried.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The manifest.
    pub check: Arc<Check>,
    /// Where the manifest lies.
    pub origin: Arc<Origin>,
    /// The module.
    pub module: Packed,
    /// What lies beside it, not judged.
    pub signature: Option<Signature>,
}

impl Candidate {
    /// The same candidate, whose module keeps nothing for which others wait.
    pub(crate) fn laid_aside(self) -> Self {
        Self { module: self.module.laid_aside(), ..self }
    }
}
