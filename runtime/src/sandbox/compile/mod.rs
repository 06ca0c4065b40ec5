//! The compiler: the only way from a module's bytes to machine code.
//!
//! The size of a module does not tell what it costs to compile, so none is compiled in this process. A child
//! of the same program does it, in a [`jail`] with limits. Its code is kept in a [`cache`].

mod cache;
mod confine;
mod failures;
mod jail;
mod prescan;
mod recognise;
mod trusted;
mod worker;

pub use jail::COMMAND;
pub use worker::work;

use crate::{
    outcome::{Fault, Reason},
    settings::{Allowance, CompilerConfig},
    value::{Blob, Digest, Size},
};
use cache::Cache;
use failures::Failures;
use jail::{Broken, Jail};
use prescan::Shape;
use recognise::recognise;
use rustix::io::Errno;
use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use trusted::Code;
use wasmtime::{Engine, OutOfMemory, component::Component};

/// The memory of the first try. A module that only looks cheap holds up others no longer than that try.
const QUICK_MEMORY: Size = Size::mebibytes(192);
/// The processor time of the first try.
const QUICK_CPU: Duration = Duration::from_secs(2);

/// Turns modules into components, with a jail for modules that look cheap and one for the others.
pub(super) struct Compiler {
    engine: Engine,
    cache: Option<Arc<Cache>>,
    failures: Mutex<Failures>,
    quick: Jail,
    slow: Jail,
}

impl Compiler {
    pub(super) fn new(engine: Engine, config: CompilerConfig) -> Self {
        let CompilerConfig { program, allowance, cache } = config;
        let cache = cache.and_then(|path| match Cache::open(&path, &engine) {
            Ok(cache) => Some(Arc::new(cache)),
            Err(error) => {
                let path = path.display();
                tracing::warn!(
                    "not keeping compiled code in {path}: {error}; --cache-dir names another directory"
                );
                None
            }
        });
        let quick = Allowance {
            memory: allowance.memory.min(QUICK_MEMORY),
            cpu: allowance.cpu.min(QUICK_CPU),
            ..allowance
        };
        let jail = |allowance| Jail::new(program.clone(), allowance);
        Self { engine, cache, failures: Mutex::default(), quick: jail(quick), slow: jail(allowance) }
    }

    /// Makes a component of a module. A module that is no component, or failed a short while ago, is refused
    /// before anything expensive happens.
    pub(super) async fn compile(&self, name: &str, module: &Blob) -> Result<Component, Fault> {
        let (bytes, digest) = (module.bytes(), &module.digest());
        let refuse = |what: &str| Fault::new(Reason::Module, format!("{name} {what}"));
        recognise(bytes).map_err(refuse)?;
        if let Some(what) = self.failures().get(digest, Instant::now()) {
            return Err(refuse(&what));
        }
        if let Some(component) = self.cached(digest).await {
            return Ok(component);
        }
        let loaded = match self.build(Arc::clone(bytes)).await {
            Ok(code) => self.keep(digest, code).await,
            Err(broken) => Err(broken),
        };
        loaded.map_err(|broken| match broken {
            Broken::Passing(what) => Fault::new(Reason::Resources, format!("{name} {what}")),
            Broken::Refused(what) | Broken::Exceeded(what) => {
                let fault = refuse(&what);
                self.failures().insert(*digest, what, Instant::now());
                fault
            }
        })
    }

    /// Compiles a module that looks cheap in a jail of its own. One that is not goes on to the other jail.
    async fn build(&self, bytes: Arc<[u8]>) -> Result<Code, Broken> {
        let shape = {
            let bytes = Arc::clone(&bytes);
            off_the_threads(move || Shape::of(&bytes)).await?.map_err(Broken::Refused)?
        };
        shape.require_within(self.slow.allowance().memory).map_err(Broken::Exceeded)?;
        if shape.looks_cheap() {
            match self.quick.compile(&bytes).await {
                Err(Broken::Exceeded(_)) => {}
                ended => return ended,
            }
        }
        self.slow.compile(&bytes).await
    }

    async fn cached(&self, digest: &Digest) -> Option<Component> {
        let (cache, engine, digest) = (Arc::clone(self.cache.as_ref()?), self.engine.clone(), *digest);
        let found = move || match cache.get(&digest)?.deserialize(&engine) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(digest = %digest.short(), "compiling again, cannot load what was kept: {error:#}");
                None
            }
        };
        off_the_threads(found).await.ok()?
    }

    /// Loads new code as a component, and puts it into the cache.
    async fn keep(&self, digest: &Digest, code: Code) -> Result<Component, Broken> {
        let (cache, engine, digest) = (self.cache.clone(), self.engine.clone(), *digest);
        let keep = move || {
            let component = code.deserialize(&engine).map_err(|error| unloadable(&error))?;
            if let Some(cache) = cache {
                cache.put(&digest, &code);
            }
            Ok(component)
        };
        off_the_threads(keep).await?
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reason for which code cannot be loaded. Either the machine is short of memory, or the module needs
/// more than a live guest may have.
fn unloadable(error: &wasmtime::Error) -> Broken {
    if error.is::<io::Error>() || error.is::<Errno>() || error.is::<OutOfMemory>() {
        return Broken::Passing(format!("cannot be loaded: {error:#}"));
    }
    Broken::Refused(format!("compiles, but could not run here: {error:#}"))
}

/// Runs long work on a blocking thread, away from the threads that everything else shares.
async fn off_the_threads<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Broken> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Broken::Passing(format!("could not be looked at: {error}")))
}
