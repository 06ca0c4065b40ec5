//! Modules that are read from their source only when they are compiled, so that many can wait without taking
//! memory.

use crate::value::{Blob, Digest};
use futures_util::future::BoxFuture;
use std::{fmt, sync::Arc};

/// Where a module comes from.
pub(crate) trait ModuleSource: Send + Sync {
    /// Fetches the module. Waits for a permit if fetched modules of this source take memory. The error says
    /// why the module cannot be fetched now.
    fn fetch(&self) -> BoxFuture<'_, Result<Arc<dyn FetchedModule>, String>>;
}

/// A module that was fetched, and whose bytes can be decoded.
pub(crate) trait FetchedModule: Send + Sync {
    /// The decoded bytes of the module. Blocks for a while. The error says why the bytes cannot be read or
    /// decoded.
    fn decode(&self) -> Result<Vec<u8>, String>;
}

/// A module whose digest is known, fetched or not.
#[derive(Clone)]
pub struct Packed {
    /// The digest of the decoded bytes, as the source found them.
    pub digest: Digest,
    source: Arc<dyn ModuleSource>,
    /// The fetched module; none if it has to be fetched first.
    fetched: Option<Arc<dyn FetchedModule>>,
}

impl Packed {
    /// A module that is not fetched yet.
    pub(crate) fn new(digest: Digest, source: impl ModuleSource + 'static) -> Self {
        Self { digest, source: Arc::new(source), fetched: None }
    }

    /// The same module, fetched already, as its source has just read it.
    pub(crate) fn at_hand(self, fetched: impl FetchedModule + 'static) -> Self {
        Self { fetched: Some(Arc::new(fetched)), ..self }
    }

    /// The same module, not fetched. It holds neither bytes nor a permit.
    pub(crate) fn laid_aside(self) -> Self {
        Self { fetched: None, ..self }
    }

    /// Fetches the module, unless it is fetched already. The error says why it cannot be fetched now.
    pub(crate) async fn fetch(&mut self) -> Result<(), String> {
        if self.fetched.is_none() {
            self.fetched = Some(self.source.fetch().await?);
        }
        Ok(())
    }

    /// The decoded bytes of a fetched module. Blocks for a while. An error in words if the module is not
    /// fetched, cannot be decoded, or has changed since it was found.
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
    //! Modules for tests, whose bytes a function returns.

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
