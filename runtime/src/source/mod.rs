//! Where checks come from: each source is a stream of changes.

mod bundle;
pub mod configmap;
mod decode;
pub mod directory;
mod taken;

pub use decode::{DecodeError, decode, is_module, stem};
pub use taken::Taken;

use crate::{
    manifest::Check,
    outcome::Fault,
    signature::Signature,
    value::{Blob, Digest, Key, Origin},
};
use futures_util::future::BoxFuture;
use std::{fmt, sync::Arc};

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

/// A module where it lies: many can wait, and only what is compiled takes the memory of its bytes.
#[derive(Clone)]
pub struct Packed {
    /// The digest of its bytes, as they were found.
    pub digest: Digest,
    /// Nothing while it is laid aside.
    decode: Option<Decode>,
    /// Nothing if it is always at hand.
    fetch: Option<Fetch>,
}

/// Reads a module that is at hand. Takes a while.
pub(crate) type Decode = Arc<dyn Fn() -> Result<Vec<u8>, String> + Send + Sync>;

/// Brings a module to hand again. Waits for its turn.
type Fetch = Arc<dyn Fn() -> BoxFuture<'static, Result<Decode, String>> + Send + Sync>;

impl Packed {
    /// A module of this digest, which `decode` reads.
    pub(crate) fn new(
        digest: Digest,
        decode: impl Fn() -> Result<Vec<u8>, String> + Send + Sync + 'static,
    ) -> Self {
        Self { digest, decode: Some(Arc::new(decode)), fetch: None }
    }

    /// A module of this digest of which `decode` holds what others wait for, until it is laid aside.
    pub(crate) fn held(
        digest: Digest,
        decode: Decode,
        fetch: impl Fn() -> BoxFuture<'static, Result<Decode, String>> + Send + Sync + 'static,
    ) -> Self {
        Self { digest, decode: Some(decode), fetch: Some(Arc::new(fetch)) }
    }

    /// Lets go of what others wait for, as this one has to wait itself.
    pub(crate) fn lay_aside(&mut self) {
        if self.fetch.is_some() {
            self.decode = None;
        }
    }

    /// Takes up again what was laid aside.
    ///
    /// # Errors
    /// When it cannot be had just now.
    pub(crate) async fn take_up(&mut self) -> Result<(), String> {
        if let (None, Some(fetch)) = (&self.decode, &self.fetch) {
            self.decode = Some(fetch().await?);
        }
        Ok(())
    }

    /// The bytes. Takes a while.
    ///
    /// # Errors
    /// When they cannot be had just now, or are other ones than those that were found.
    pub fn read(&self) -> Result<Blob, String> {
        let decode = self.decode.as_ref().ok_or("the module is laid aside and has to be taken up")?;
        let module = Blob::of(decode()?);
        match module.digest() == self.digest {
            true => Ok(module),
            false => Err("the module has changed since it was found; it is looked at again".to_owned()),
        }
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Packed").field("digest", &self.digest).finish_non_exhaustive()
    }
}
