//! Blame: whose fault it is that a guest could not be made live or a call broke off, and what to do about it.

use super::{
    limits::{Refused, behind},
    store::StoreData,
};
use crate::{
    outcome::{Fault, Reason},
    value::Limit,
};
use rustix::io::Errno;
use std::{io, time::Duration};
use wasmtime::{OutOfMemory, PoolConcurrencyLimitError, Trap};
use wasmtime_wasi::I32Exit;

/// The fault of a call that took more processor time than its budget.
pub(super) fn overspent(name: &str, budget: Duration) -> Fault {
    let budget = humantime::format_duration(budget);
    Fault::new(Reason::Cpu, format!("{name} used up its {budget} of processor time"))
}

/// The fault for which a guest could not be made live.
pub(super) fn not_live(data: &StoreData, error: &wasmtime::Error) -> Fault {
    let refused = data.limiter.refused().map(Refused::limit);
    match refused.or_else(|| behind(error)) {
        None | Some(Limit::Memory) => trapped(data, "start", error),
        Some(limit) => {
            if refused.is_none() {
                data.host.usage.hits.count(limit);
            }
            let why = error.root_cause();
            Fault::new(Reason::Module, format!("the guest cannot start: {why}; {}", raises(limit)))
        }
    }
}

/// The fault for which a call broke off.
pub(super) fn trapped(data: &StoreData, name: &str, error: &wasmtime::Error) -> Fault {
    if let Some(fault) = over_memory(data, error).or_else(|| out_of_resources(name, error)) {
        return fault;
    }
    if let Some(limit) = behind(error) {
        data.host.usage.hits.count(limit);
        let message = format!("{name} trapped: {}; {}", error.root_cause(), raises(limit));
        return Fault::new(Reason::Protocol, message);
    }
    let last_words = data.host.usage.log.last_words();
    let why = match (error.downcast_ref::<Trap>(), error.downcast_ref::<I32Exit>()) {
        _ if !last_words.is_empty() => last_words,
        (_, Some(exit)) => format!("the guest exited with code {}", exit.0),
        (Some(trap), _) => trap.to_string(),
        (None, None) => format!("{:#}", error.root_cause()),
    };
    let reason = if error.is::<Trap>() || error.is::<I32Exit>() { Reason::Trap } else { Reason::Protocol };
    tracing::debug!(check = %data.host.usage.key, "{name} trapped: {error:?}");
    Fault::new(reason, format!("{name} trapped: {why}"))
}

/// The fault, if only the machine can be blamed for the error. All other errors are answers to what the guest
/// did. It may do as much when it starts as in any call.
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

/// The fault of a guest that wanted more memory than there is for it; none if it did not.
fn over_memory(data: &StoreData, error: &wasmtime::Error) -> Option<Fault> {
    let why = error.root_cause();
    let message = match data.limiter.refused()? {
        Refused::Own(Limit::Memory) => {
            let limit = data.host.program.limits.count(Limit::Memory) >> 20;
            let raises = raises(Limit::Memory);
            format!("the guest wanted more than its {limit} MiB of memory ({why}); {raises}")
        }
        Refused::Own(_) => return None,
        Refused::Together(most) => format!(
            "the guests of the namespace {} may hold {} MiB of memory together, and this one wanted more than \
             was left ({why}); `memory` in the rule of the policy raises that",
            data.host.program.namespace(),
            most >> 20
        ),
    };
    Some(Fault::new(Reason::Memory, message))
}

fn raises(limit: Limit) -> String {
    format!("`limits: {{ {}: … }}` raises that", limit.key())
}
