//! What belongs to one live guest: the data of its Store.

use super::{inbox::Inbox, limits::Limiter};
use crate::{
    board::Entry,
    capability::{calls::Calls, dial::Network, http::Connections, kubernetes::Caller, log::GuestLog},
    cluster::Cluster,
    spec::Check,
};
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// What belongs to one live guest; the capabilities are implemented on it.
pub struct State {
    /// The manifest: permit, secrets and limits.
    pub(crate) check: Arc<Check>,
    /// Where the check's own metrics and events go.
    pub(crate) entry: Arc<Entry>,
    /// What all guests share for reaching out.
    pub(crate) network: Arc<Network>,
    /// The host calls of the present run.
    pub(crate) calls: Calls,
    /// The guest's log, with the caps of the present run.
    pub(crate) log: GuestLog,
    /// Where the secrets are that name a key of the cluster.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// The way to the API server, if there is one and the guest asks for it.
    pub(crate) kubernetes: Option<Arc<Caller>>,
    /// Idle HTTP connections that the guest may reuse.
    pub(crate) connections: Connections,
    /// The answers that the guest does not have yet.
    pub(crate) inbox: Inbox,
    /// The resources that the guest holds.
    pub(crate) table: ResourceTable,
    pub(super) wasi: WasiCtx,
    pub(super) limiter: Limiter,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}
