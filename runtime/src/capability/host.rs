//! The host's state of one live guest.

use super::{calls::Calls, dial::Network, http::Connections, in_flight::InFlightBytes, kubernetes::Caller};
use crate::{
    cluster::Cluster, grant::Capability, ledger::Ledger, manifest::Program, quota::Quota, usage::Usage,
    value::Limit,
};
use std::sync::Arc;
use wasmtime::component::ResourceTable;

/// The host's state of one live guest. The capabilities are implemented on it.
pub struct HostState {
    /// The program that runs, with its authorization, secrets and limits.
    pub(crate) program: Arc<Program>,
    /// The counters of the check, which all its guests share.
    pub(crate) usage: Arc<Usage>,
    /// What all guests share for connections to other machines.
    pub(crate) network: Arc<Network>,
    /// The host calls of the run that is under way.
    pub(crate) calls: Calls,
    /// The cluster that holds the check's secrets; none without a cluster.
    pub(crate) cluster: Option<Arc<Cluster>>,
    /// The guest's calls to the API server; none without a cluster, or if the guest does not ask for them.
    pub(crate) kubernetes: Option<Arc<Caller>>,
    /// Idle HTTP connections that the guest may reuse.
    pub(crate) connections: Connections,
    /// The bytes of answers that the guest does not have yet.
    pub(crate) in_flight: InFlightBytes,
    /// The resources that the guest holds.
    pub(crate) table: ResourceTable,
}

/// What all guests of a sandbox share to reach other machines and the cluster.
pub(crate) struct HostResources {
    /// The shared connections to other machines.
    pub(crate) network: Arc<Network>,
    /// The ledger of what checks made in the cluster; none without a cluster.
    pub(crate) ledger: Option<Arc<Ledger>>,
}

impl HostState {
    /// The state of a guest that has not begun, and that asks for these capabilities.
    /// With `record`, its finished host calls are kept for [`Calls::take_record`]. The answers on their way
    /// to it count in `memory`.
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
