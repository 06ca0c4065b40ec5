//! The content of a store: the host's state for one guest, its WASI, and its limiter.

use super::{
    Sandbox,
    limits::{Limiter, RANDOM_BYTES},
};
use crate::{
    capability::{HostState, log::Printed},
    grant::Capability,
    manifest::Program,
    usage::Usage,
    value::Limit,
};
use std::sync::Arc;
use wasmtime::Store;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// The data in the store of one guest.
pub(super) struct StoreData {
    pub(super) host: HostState,
    pub(super) limiter: Limiter,
    wasi: WasiCtx,
}

impl WasiView for StoreData {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.host.table }
    }
}

/// The store of a guest that asks for these capabilities and is about to become live for a program. With
/// `record`, its finished host calls are kept.
pub(super) fn new(
    sandbox: &Sandbox,
    asks: &[Capability],
    program: Arc<Program>,
    usage: Arc<Usage>,
    record: bool,
) -> Store<StoreData> {
    let (limits, memory) = (Arc::clone(&program.limits), sandbox.shared(&program));
    let data = StoreData {
        limiter: Limiter::new(Arc::clone(&limits), Arc::clone(&usage.hits), memory.clone()),
        wasi: wasi(&usage),
        host: HostState::new(&sandbox.resources, asks, program, usage, memory, record),
    };
    let mut store = Store::new(sandbox.linker.engine(), data);
    store.limiter(|data| &mut data.limiter);
    store.set_hostcall_fuel(limits.count(Limit::HostCallBytes));
    store.set_max_component_handles(limits.count(Limit::Handles));
    store.epoch_deadline_async_yield_and_update(1);
    store.set_epoch_deadline(1);
    store
}

/// The WASI of a guest: clocks, random numbers, and lines in the log; nothing else of a system.
fn wasi(usage: &Usage) -> WasiCtx {
    WasiCtx::builder()
        .stdout(Printed::stdout(usage.log.clone()))
        .stderr(Printed::stderr(usage.log.clone()))
        // Connecting is denied anyway, but each socket would take a file descriptor of the daemon.
        .allow_tcp(false)
        .allow_udp(false)
        .max_random_size(RANDOM_BYTES)
        .build()
}
