//! Where checks come from: each source is a stream of changes.

mod bundle;
pub mod configmap;
mod decode;
pub mod directory;

pub use decode::{DecodeError, decode, is_module, stem};

use crate::{
    outcome::Fault,
    signature::Signature,
    spec::{Check, Key},
};
use std::sync::Arc;

/// Something that changed at a source.
#[derive(Debug)]
pub enum Change {
    /// This check should run with this module.
    Set(Candidate),
    /// The newest manifest or module of this check cannot be used; a former good one goes on.
    Reject(Key, Fault),
    /// This check should not run any more.
    Remove(Key),
    /// Everything that was there at the start has been told.
    Synced,
}

/// A check and the bytes of its module, not yet tried.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The manifest.
    pub check: Arc<Check>,
    /// The decoded module.
    pub module: Arc<[u8]>,
    /// What lies beside it, not judged.
    pub signature: Option<Signature>,
}
