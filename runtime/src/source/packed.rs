//! Modules where they lie: many can wait, and only what is compiled takes the memory of its bytes.

use crate::value::{Blob, Digest};
use futures_util::future::BoxFuture;
use std::{fmt, sync::Arc};

/// Where a module comes from.
pub(crate) trait ModuleSource: Send + Sync {
    /// Brings the module to hand. Waits for its turn where modules at hand take memory.
    fn fetch(&self) -> BoxFuture<'_, Result<Arc<dyn FetchedModule>, String>>;
}

/// A module at hand.
pub(crate) trait FetchedModule: Send + Sync {
    /// The decoded bytes. Takes a while.
    ///
    /// # Errors
    /// In words, when they cannot be read or decoded.
    fn decode(&self) -> Result<Vec<u8>, String>;
}

/// A module of a known digest, at hand or not.
#[derive(Clone)]
pub struct Packed {
    /// The digest of its decoded bytes, as they were found.
    pub digest: Digest,
    source: Arc<dyn ModuleSource>,
    /// `None` while it is laid aside.
    fetched: Option<Arc<dyn FetchedModule>>,
}

impl Packed {
    /// A module that has to be fetched first.
    pub(crate) fn new(digest: Digest, source: impl ModuleSource + 'static) -> Self {
        Self { digest, source: Arc::new(source), fetched: None }
    }

    /// A module that its source has just read, so that it is at hand.
    pub(crate) fn at_hand(self, fetched: impl FetchedModule + 'static) -> Self {
        Self { fetched: Some(Arc::new(fetched)), ..self }
    }

    /// The same module, not at hand: it keeps nothing for which others wait.
    pub(crate) fn laid_aside(self) -> Self {
        Self { fetched: None, ..self }
    }

    /// Brings the module to hand, if it is not.
    ///
    /// # Errors
    /// In words, when it cannot be had just now.
    pub(crate) async fn fetch(&mut self) -> Result<(), String> {
        if self.fetched.is_none() {
            self.fetched = Some(self.source.fetch().await?);
        }
        Ok(())
    }

    /// The decoded bytes of a module at hand. Takes a while.
    ///
    /// # Errors
    /// In words, when they cannot be had just now, or are other ones than those that were found.
    pub(crate) fn read(&self) -> Result<Blob, String> {
        let fetched = self.fetched.as_ref().ok_or("the module is not at hand and has to be fetched")?;
        let module = Blob::of(fetched.decode()?);
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

#[cfg(test)]
mod testing {
    //! Modules that a function decodes.

    use super::{FetchedModule, ModuleSource};
    use futures_util::{
        FutureExt,
        future::{BoxFuture, ready},
    };
    use std::sync::Arc;

    impl<F: Fn() -> Result<Vec<u8>, String> + Clone + Send + Sync + 'static> ModuleSource for F {
        fn fetch(&self) -> BoxFuture<'_, Result<Arc<dyn FetchedModule>, String>> {
            let fetched: Arc<dyn FetchedModule> = Arc::new(self.clone());
            ready(Ok(fetched)).boxed()
        }
    }

    impl<F: Fn() -> Result<Vec<u8>, String> + Send + Sync> FetchedModule for F {
        fn decode(&self) -> Result<Vec<u8>, String> {
            self()
        }
    }
}
