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
    /// The newest manifest or module of this check cannot be used. A former version goes on.
    Reject {
        /// The identity of the check.
        key: Key,
        /// Where the manifest lies.
        origin: Arc<Origin>,
        /// The manifest, if it could be read. What needs no module in it applies, such as `suspend`.
        check: Option<Arc<Check>>,
        /// Why the manifest or module cannot be used.
        fault: Fault,
    },
    /// This check should not run any more.
    Remove(Key),
    /// The source has told all checks that were there at its start.
    Synced,
}

/// A check and its module, neither compiled nor run yet.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The parsed manifest of the check.
    pub check: Arc<Check>,
    /// Where the manifest lies.
    pub origin: Arc<Origin>,
    /// The module of the check.
    pub module: Packed,
    /// The signature that lies beside the module, not verified; none without one.
    pub signature: Option<Signature>,
}

impl Candidate {
    /// The same candidate with a module that is not fetched, so that it holds neither bytes nor a permit.
    pub(crate) fn laid_aside(self) -> Self {
        Self { module: self.module.laid_aside(), ..self }
    }
}
