//! What belongs to one live guest of what the host offers.

use super::{calls::Calls, dial::Network, http::Connections, in_flight::InFlightBytes, kubernetes::Caller};
use crate::{
    cluster::Cluster, grant::Capability, ledger::Ledger, manifest::Program, quota::Quota, usage::Usage,
    value::Limit,
};
use std::sync::Arc;
use wasmtime::component::ResourceTable;

/// What belongs to one live guest of what the host offers; the capabilities are implemented on it.
pub struct HostState {
    /// What runs: authorization, secrets and limits.
    pub(crate) program: Arc<Program>,
    /// What the check has used; its guests count there.
    pub(crate) usage: Arc<Usage>,
    /// What all guests share for reaching out.
    pub(crate) network: Arc<Network>,
    /// The host calls of the present run.
    pub(crate) calls: Calls,
    /// Where the secrets are that name a key of the cluster.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// The way to the API server, if there is one and the guest asks for it.
    pub(crate) kubernetes: Option<Arc<Caller>>,
    /// Idle HTTP connections that the guest may reuse.
    pub(crate) connections: Connections,
    /// The answers that the guest does not have yet.
    pub(crate) in_flight: InFlightBytes,
    /// The resources that the guest holds.
    pub(crate) table: ResourceTable,
}

/// What all guests of a sandbox share to reach other machines.
pub(crate) struct HostResources {
    /// The network.
    pub(crate) network: Arc<Network>,
    /// The cluster, and what checks made in it; none without a cluster.
    pub(crate) ledger: Option<Arc<Ledger>>,
}

impl HostState {
    /// The state of a guest that has not begun, and that asks for these capabilities. With `record`, its finished host
    /// calls are kept for [`Calls::take_record`]. The answers on their way to it count in `memory`.
    pub(crate) fn new(
        resources: &HostResources,
        asks: &[Capability],
        program: Arc<Program>,
        usage: Arc<Usage>,
        memory: Option<Arc<Quota>>,
        record: bool,
    ) -> Self {
        let ledger = resources.ledger.as_ref();
        let caller = ledger.filter(|_| asks.contains(&Capability::Kubernetes));
        let mut table = ResourceTable::new();
        table.set_max_capacity(program.limits.count(Limit::Handles));
        Self {
            calls: Calls::new(&program.limits, &usage, record),
            in_flight: InFlightBytes::new(memory, Arc::clone(&usage.hits)),
            connections: Connections::default(),
            network: Arc::clone(&resources.network),
            cluster: ledger.map(|ledger| ledger.cluster()),
            kubernetes: caller
                .map(|ledger| Arc::new(Caller::new(ledger, usage.key.clone(), Arc::clone(&program)))),
            program,
            usage,
            table,
        }
    }
}
