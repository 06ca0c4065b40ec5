//! One live guest: a Store and what is called in it.

use super::{
    Sandbox, answer,
    guest::{Guest, misfit},
    limits::{HANDLES, HOST_CALL_BYTES, MemoryLimiter, RANDOM_BYTES},
    meter::{Metered, Overspent},
    state::State,
};
use crate::{
    board::Entry,
    capability::{
        Capability, bindings,
        calls::{Call, Calls},
        http::Connections,
        kubernetes::Caller,
        log::Printed,
    },
    outcome::{Fault, Outcome, Reason, Verdict},
    spec::Check,
};
use futures_util::poll;
use rustix::io::Errno;
use std::{io, pin::pin, sync::Arc, task::Poll, time::Duration};
use tokio::time::{Instant, timeout, timeout_at};
use wasmtime::{
    OutOfMemory, PoolConcurrencyLimitError, Store, Trap,
    component::{ResourceTable, ResourceTableError},
};
use wasmtime_wasi::{I32Exit, WasiCtx};

/// One live guest. After a call that lost it, only dropping is left.
pub struct Instance {
    store: Store<State>,
    exports: bindings::Check,
}

/// A call that did not come back, and so lost its instance.
#[derive(Debug)]
pub enum Lost {
    /// The guest waited on the world beyond its deadline: the check's own failure.
    Waiting(String),
    /// The guest or the host is at fault.
    Fault(Fault),
}

impl From<Lost> for Verdict {
    fn from(lost: Lost) -> Self {
        match lost {
            Lost::Waiting(message) => Ok(Outcome::fail(message)),
            Lost::Fault(fault) => Err(fault),
        }
    }
}

/// What a call may take.
struct Budget {
    deadline: Instant,
    wall: Duration,
    cpu: Duration,
    retry: bool,
}

impl Budget {
    fn from_now(wall: Duration, cpu: Duration) -> Self {
        Self { deadline: Instant::now() + wall, wall, cpu, retry: false }
    }
}

impl Instance {
    /// Makes a guest live for a check, within the time and processor time of an init: code of the
    /// guest may run already. With `record`, its host calls can be taken afterwards.
    pub async fn new(
        sandbox: &Sandbox,
        guest: &Guest,
        check: Arc<Check>,
        entry: Arc<Entry>,
        record: bool,
    ) -> Result<Self, Fault> {
        let budget = Budget::from_now(check.timeout, check.limits.init_cpu);
        let mut store = Store::new(sandbox.linker.engine(), state(sandbox, guest, check, entry, record));
        store.data().log.start_run(Instant::now());
        store.limiter(|state| &mut state.memory);
        store.set_hostcall_fuel(HOST_CALL_BYTES);
        store.set_max_component_handles(HANDLES);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_epoch_deadline(1);
        let started = {
            let start = pin!(guest.pre.instance_pre().instantiate_async(&mut store));
            timeout(budget.wall, Metered::new(start, budget.cpu, std::time::Instant::now())).await
        };
        let started = match started {
            Ok(Ok(started)) => started,
            Ok(Err(Overspent)) => return Err(overspent("start", budget.cpu)),
            Err(_) => {
                let wall = humantime::format_duration(budget.wall);
                return Err(Fault::new(Reason::Timeout, format!("start timed out after {wall}")));
            }
        };
        match started {
            Ok(instance) => match bindings::Check::new(&mut store, &instance) {
                Ok(exports) => Ok(Self { store, exports }),
                Err(error) => {
                    let module = store.data().check.module.to_string();
                    Err(Fault::new(Reason::Module, misfit(&module, &error)))
                }
            },
            Err(error) => Err(trapped(store.data(), "start", &error)),
        }
    }

    /// Starts a round. The inner error is the guest's own.
    pub async fn init(&mut self) -> Result<Result<(), String>, Lost> {
        let check = Arc::clone(&self.store.data().check);
        let budget = Budget::from_now(check.timeout, check.limits.init_cpu);
        let call = async |exports: &bindings::Check, store: &mut Store<State>| {
            exports.aviary_check_lifecycle().call_init(store, &check.settings).await
        };
        Ok(self.call("init", budget, call).await?.map_err(answer::message))
    }

    /// Judges once, before `deadline`.
    pub async fn poll(&mut self, deadline: Instant) -> Result<Outcome, Lost> {
        self.judge(deadline, false).await
    }

    /// Judges once more in the same run, with the host calls that the run has left.
    pub async fn retry(&mut self, deadline: Instant) -> Result<Outcome, Lost> {
        self.judge(deadline, true).await
    }

    async fn judge(&mut self, deadline: Instant, retry: bool) -> Result<Outcome, Lost> {
        let check = &self.store.data().check;
        let budget = Budget { deadline, wall: check.timeout, cpu: check.limits.cpu, retry };
        let call = async |exports: &bindings::Check, store: &mut Store<State>| {
            exports.aviary_check_lifecycle().call_poll(store).await
        };
        Ok(match self.call("poll", budget, call).await? {
            Ok(outcome) => answer::outcome(outcome),
            Err(message) => Outcome::fail(answer::message(message)),
        })
    }

    /// Ends a round. The inner error is the guest's own.
    pub async fn cleanup(&mut self) -> Result<Result<(), String>, Lost> {
        let check = &self.store.data().check;
        let budget = Budget::from_now(check.timeout, check.limits.cpu);
        let call = async |exports: &bindings::Check, store: &mut Store<State>| {
            exports.aviary_check_lifecycle().call_cleanup(store).await
        };
        Ok(self.call("cleanup", budget, call).await?.map_err(answer::message))
    }

    /// Bytes of linear memory that the guest holds.
    pub fn memory(&self) -> usize {
        self.store.data().memory.held()
    }

    /// The host calls since the last time, if they are recorded.
    pub fn take_calls(&mut self) -> Vec<Call> {
        self.store.data_mut().calls.take_record()
    }

    async fn call<T>(
        &mut self,
        name: &str,
        budget: Budget,
        call: impl AsyncFnOnce(&bindings::Check, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Result<T, Lost> {
        let state = self.store.data_mut();
        if !budget.retry {
            state.calls.start_run(budget.deadline);
        }
        let now = Instant::now();
        state.log.start_run(now);
        state.memory.start_run();
        self.store.set_epoch_deadline(1);
        let ended = {
            let call = pin!(call(&self.exports, &mut self.store));
            let mut call = Metered::new(call, budget.cpu, now.into_std());
            // Most calls never wait, and need no timer.
            match poll!(&mut call) {
                Poll::Ready(ended) => Ok(ended),
                Poll::Pending => timeout_at(budget.deadline, call).await,
            }
        };
        match ended {
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(error))) => Err(Lost::Fault(trapped(self.store.data(), name, &error))),
            Ok(Err(Overspent)) => Err(Lost::Fault(overspent(name, budget.cpu))),
            Err(_) => Err(self.timed_out(name, budget.wall)),
        }
    }

    fn timed_out(&mut self, name: &str, wall: Duration) -> Lost {
        let wall = humantime::format_duration(wall);
        match self.store.data_mut().calls.abandon() {
            Some(waiting) => {
                let (capability, target) = (waiting.capability.name(), waiting.target);
                Lost::Waiting(format!("{name} timed out after {wall} waiting for {capability} {target}"))
            }
            None => Lost::Fault(Fault::new(
                Reason::Timeout,
                format!(
                    "{name} timed out after {wall} without waiting for any host call: it slept or computed"
                ),
            )),
        }
    }
}

fn state(sandbox: &Sandbox, guest: &Guest, check: Arc<Check>, entry: Arc<Entry>, record: bool) -> State {
    let ledger = sandbox.ledger.as_ref().filter(|_| guest.asks.contains(&Capability::Kubernetes));
    let kubernetes = ledger.map(|ledger| Arc::new(Caller::new(ledger, Arc::clone(&check))));
    let log = entry.log.clone();
    let wasi = WasiCtx::builder()
        .stdout(Printed::stdout(log.clone()))
        .stderr(Printed::stderr(log.clone()))
        // Connecting is denied anyway, but each socket would take a file descriptor of the daemon's.
        .allow_tcp(false)
        .allow_udp(false)
        .max_random_size(RANDOM_BYTES)
        .build();
    let mut table = ResourceTable::new();
    table.set_max_capacity(HANDLES);
    State {
        calls: Calls::new(check.limits.host_calls, Arc::clone(&entry.tally), record),
        memory: MemoryLimiter::new(check.limits.memory.in_memory()),
        connections: Connections::default(),
        network: Arc::clone(&sandbox.network),
        cluster: sandbox.ledger.as_ref().map(|ledger| ledger.cluster()),
        kubernetes,
        check,
        entry,
        log,
        table,
        wasi,
    }
}

fn overspent(name: &str, budget: Duration) -> Fault {
    let budget = humantime::format_duration(budget);
    Fault::new(Reason::Cpu, format!("{name} used up its {budget} of processor time"))
}

/// Why a call broke off.
fn trapped(state: &State, name: &str, error: &wasmtime::Error) -> Fault {
    if state.memory.refused() {
        return over_memory(state.memory.limit(), error);
    }
    if let Some(fault) = out_of_resources(name, error) {
        return fault;
    }
    let last_words = state.log.last_words();
    let why = match (error.downcast_ref::<Trap>(), error.downcast_ref::<I32Exit>()) {
        _ if !last_words.is_empty() => last_words,
        _ if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) => {
            format!("it holds {HANDLES} handles already; drop those that are no longer used")
        }
        (_, Some(exit)) => format!("the guest exited with code {}", exit.0),
        (Some(trap), _) => trap.to_string(),
        (None, None) => format!("{:#}", error.root_cause()),
    };
    let reason = if error.is::<Trap>() || error.is::<I32Exit>() { Reason::Trap } else { Reason::Protocol };
    tracing::debug!(check = %state.check.key, "{name} trapped: {error:?}");
    Fault::new(reason, answer::message(format!("{name} trapped: {why}")))
}

/// What only the machine can be blamed for. All other errors are answers to what the guest did: it may do
/// as much when it starts as in any call.
fn out_of_resources(name: &str, error: &wasmtime::Error) -> Option<Fault> {
    if error.is::<PoolConcurrencyLimitError>() {
        let message = "all places for live checks are taken; the daemon's --max-checks makes more";
        return Some(Fault::new(Reason::Resources, message));
    }
    let machine = error.is::<Errno>() || error.is::<io::Error>() || error.is::<OutOfMemory>();
    machine.then(|| {
        Fault::new(Reason::Resources, format!("the machine has no room for the guest's {name}: {error:#}"))
    })
}

fn over_memory(limit: usize, error: &wasmtime::Error) -> Fault {
    let limit = limit / (1024 * 1024);
    let why = error.root_cause();
    Fault::new(
        Reason::Memory,
        format!(
            "the guest wanted more than its {limit} MiB of memory ({why}); `limits: {{ memory: … }}` raises that"
        ),
    )
}
