//! Where checks come from: each source is a stream of changes.

mod bundle;
pub mod configmap;
mod decode;
pub mod directory;

pub use decode::{DecodeError, decode, is_module, stem};

use crate::{
    outcome::Fault,
    signature::Signature,
    spec::{Check, Digest, Key},
};
use std::{fmt, sync::Arc};

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

/// A check and its module, not yet tried.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The manifest.
    pub check: Arc<Check>,
    /// The module.
    pub module: Packed,
    /// What lies beside it, not judged.
    pub signature: Option<Signature>,
}

/// A module where it lies: many can wait, and only what is compiled takes the memory of its bytes.
#[derive(Clone)]
pub struct Packed {
    /// The digest of its bytes, as they were found.
    pub digest: Digest,
    decode: Arc<dyn Fn() -> Result<Vec<u8>, String> + Send + Sync>,
}

impl Packed {
    /// A module of this digest, which `decode` reads.
    pub(crate) fn new(
        digest: Digest,
        decode: impl Fn() -> Result<Vec<u8>, String> + Send + Sync + 'static,
    ) -> Self {
        Self { digest, decode: Arc::new(decode) }
    }

    /// The bytes. Takes a while.
    ///
    /// # Errors
    /// When they cannot be had just now, or are other ones than those that were found.
    pub fn read(&self) -> Result<Arc<[u8]>, String> {
        let bytes = (self.decode)()?;
        match Digest::of(&bytes) == self.digest {
            true => Ok(bytes.into()),
            false => Err("the module has changed since it was found; it is looked at again".to_owned()),
        }
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Packed").field("digest", &self.digest).finish_non_exhaustive()
    }
}
