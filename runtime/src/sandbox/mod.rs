//! The sandbox runs guests. It compiles and links them once, and keeps each live in its own store. It tells
//! the failure of a check from a fault of the guest or of the host.

mod answer;
mod blame;
mod code;
mod compile;
mod ended;
mod engine;
mod guest;
mod instance;
mod limits;
mod meter;
mod queue;
mod round;
mod store;

pub use compile::{COMMAND, work};
pub use ended::Ended;
pub use guest::{Guest, GuestLease};
pub use instance::Instance;
pub use round::{Round, Version};

use crate::{
    capability::{HostResources, add_to_linker, dial::Network},
    fair_semaphore::FairSemaphore,
    ledger::Ledger,
    manifest::Program,
    outcome::{Fault, Reason},
    quota::{NamespaceQuotas, Quota},
    settings::CompilerConfig,
    signature::Admitted,
    value::Digest,
};
use code::Codes;
use compile::Compiler;
use queue::{Queue, processors};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};
use store::StoreData;
use wasmtime::component::Linker;

/// The engine, the linker with what the host offers, and the guests that are in use.
pub struct Sandbox {
    linker: Linker<StoreData>,
    compiler: Compiler,
    resources: HostResources,
    /// The quota of each namespace for the memory of its guests.
    namespaces: NamespaceQuotas,
    codes: Codes,
    /// The permits for processors, for which guests wait that are not trusted.
    processors: FairSemaphore,
    guests: Mutex<HashMap<Digest, Weak<Guest>>>,
    /// A lock for each module that is being loaded, so that nobody else loads it at the same time.
    loading: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
}

impl Sandbox {
    /// A sandbox for at most `guests` live guests, which are compiled as `compiler` says. They reach other
    /// machines through `network`, and the cluster of `ledger`.
    ///
    /// Fails when the machine cannot run WebAssembly at all.
    pub fn new(
        guests: u32,
        compiler: CompilerConfig,
        network: Arc<Network>,
        ledger: Option<Arc<Ledger>>,
    ) -> wasmtime::Result<Self> {
        let engine = engine::build(guests)?;
        let compiler = Compiler::new(engine.clone(), compiler);
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        add_to_linker(&mut linker, |data: &mut StoreData| &mut data.host)?;
        Ok(Self {
            linker,
            compiler,
            resources: HostResources { network, ledger },
            namespaces: NamespaceQuotas::default(),
            codes: Codes::default(),
            processors: processors(),
            guests: Mutex::default(),
            loading: Mutex::default(),
        })
    }

    /// Makes a guest of a module, or finds the one that already has these bytes, whoever signed them.
    pub async fn load(&self, name: &str, module: Admitted) -> Result<Arc<Guest>, Fault> {
        let module = module.into_module();
        let digest = module.digest();
        if let Some(guest) = self.known(&digest) {
            return Ok(guest);
        }
        let loading = self.loading_lock(digest);
        let _held = loading.lock().await;
        // The same bytes may have been compiled while this load waited for the lock.
        if let Some(guest) = self.known(&digest) {
            return Ok(guest);
        }
        let component = self.compiler.compile(name, &module).await?;
        let size = module.bytes().len();
        let guest = Arc::new(Guest::link(name, digest, size, &component, &self.linker)?);
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        guests.retain(|_, guest| guest.strong_count() > 0);
        guests.insert(digest, Arc::downgrade(&guest));
        Ok(guest)
    }

    fn loading_lock(&self, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        loading.retain(|_, lock| lock.strong_count() > 0);
        let lock = loading.get(&digest).and_then(Weak::upgrade).unwrap_or_default();
        loading.insert(digest, Arc::downgrade(&lock));
        lock
    }

    /// Makes the code of a guest count in the memory that the guests of a program's namespace may hold
    /// together.
    ///
    /// # Errors
    /// When the namespace has not that much left at the moment.
    pub fn house(&self, guest: Arc<Guest>, program: &Program) -> Result<GuestLease, Fault> {
        let Some(shared) = self.shared(program) else { return Ok(GuestLease::new(guest, None)) };
        let (namespace, most) = (program.namespace(), shared.most() >> 20);
        let Some(code) = self.codes.hold(namespace, &shared, guest.digest, guest.code) else {
            let message = format!(
                "{} takes {} KiB when compiled, which is more than is left of the {most} MiB of memory that the guests \
                 of the namespace {namespace} may hold together; `memory` in the rule of the policy raises that",
                program.module,
                guest.code >> 10
            );
            return Err(Fault::new(Reason::Memory, message));
        };
        Ok(GuestLease::new(guest, Some(code)))
    }

    /// The quota for the memory of the guests of a program's namespace; none if they may hold any amount.
    fn shared(&self, program: &Program) -> Option<Arc<Quota>> {
        program.authorization.memory().map(|most| self.namespaces.of(program.namespace(), most))
    }

    /// The queue in which the guest of a program waits for a processor; none if it is trusted.
    fn queue(&self, program: &Arc<Program>) -> Option<Queue> {
        program.authorization.memory().map(|_| Queue::new(self.processors.clone(), Arc::clone(program)))
    }

    /// The guest of this digest; none if no check uses it now.
    pub fn known(&self, digest: &Digest) -> Option<Arc<Guest>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner).get(digest)?.upgrade()
    }
}
