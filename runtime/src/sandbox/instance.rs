//! One live guest: its store, and the calls into it.

use super::{
    Sandbox,
    answer::Answers,
    blame::{not_live, overspent, trapped},
    ended::Ended,
    guest::{Guest, misfit},
    meter::{Metered, Overspent},
    queue::Queue,
    store::{self, StoreData},
};
use crate::{
    capability::{bindings, calls::Call},
    manifest::Program,
    outcome::{Fault, Outcome, Reason},
    usage::Usage,
    value::Limit,
};
use futures_util::FutureExt;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{
    task::coop::unconstrained,
    time::{Instant, sleep_until, timeout},
};
use wasmtime::Store;

/// One live guest. After a call that lost it, it can only be dropped.
pub struct Instance {
    store: Store<StoreData>,
    exports: bindings::Check,
    queue: Option<Queue>,
}

/// What a call may take of time and of processor time.
struct Budget {
    deadline: Instant,
    wall: Duration,
    /// The limit that bounds the processor time of the call.
    limit: Limit,
    cpu: Duration,
    retry: bool,
}

impl Budget {
    fn from_now(program: &Program, limit: Limit) -> Self {
        Self::until(Instant::now() + program.timeout, program, limit)
    }

    fn until(deadline: Instant, program: &Program, limit: Limit) -> Self {
        Self { deadline, wall: program.timeout, limit, cpu: program.limits.time(limit), retry: false }
    }
}

impl Instance {
    /// Makes a guest live for a program, within the time and processor time of an init, as code of the guest
    /// may run already.
    /// With `record`, its host calls can be taken afterwards.
    pub async fn new(
        sandbox: &Sandbox,
        guest: &Guest,
        program: Arc<Program>,
        usage: Arc<Usage>,
        record: bool,
    ) -> Result<Self, Fault> {
        let budget = Budget::from_now(&program, Limit::InitCpu);
        let queue = sandbox.queue(&program);
        let mut store = store::new(sandbox, &guest.asks, program, usage, record);
        store.data().host.usage.log.start_run(Instant::now());
        let started = {
            let start = pin!(guest.pre.instance_pre().instantiate_async(&mut store));
            timeout(budget.wall, Metered::new(start, budget.cpu, std::time::Instant::now(), queue.as_ref()))
                .await
        };
        let started = match started {
            Ok(Ok(started)) => started,
            Ok(Err(Overspent)) => {
                store.data().host.usage.hits.count(budget.limit);
                return Err(overspent("start", budget.cpu));
            }
            Err(_) => {
                store.data().host.usage.hits.count(Limit::Timeout);
                let wall = humantime::format_duration(budget.wall);
                return Err(Fault::new(Reason::Timeout, format!("start timed out after {wall}")));
            }
        };
        match started {
            Ok(instance) => match bindings::Check::new(&mut store, &instance) {
                Ok(exports) => Ok(Self { store, exports, queue }),
                Err(error) => {
                    let module = store.data().host.program.module.to_string();
                    Err(Fault::new(Reason::Module, misfit(&module, &error)))
                }
            },
            Err(error) => Err(not_live(store.data(), &error)),
        }
    }

    /// Calls the guest's init, which starts a round.
    pub async fn init(&mut self) -> Ended<()> {
        let program = Arc::clone(&self.store.data().host.program);
        let budget = Budget::from_now(&program, Limit::InitCpu);
        let call = async |exports: &bindings::Check, store: &mut Store<StoreData>| {
            exports.aviary_check_lifecycle().call_init(store, &program.settings).await
        };
        self.call("init", budget, call).await
    }

    /// Calls the guest's poll, which has to end before `deadline`.
    pub async fn poll(&mut self, deadline: Instant) -> Ended<Outcome> {
        self.judge(deadline, false).await
    }

    /// Calls the guest's poll once more in the same run, with the host calls that the run has left.
    pub async fn retry(&mut self, deadline: Instant) -> Ended<Outcome> {
        self.judge(deadline, true).await
    }

    async fn judge(&mut self, deadline: Instant, retry: bool) -> Ended<Outcome> {
        let budget = Budget { retry, ..Budget::until(deadline, &self.store.data().host.program, Limit::Cpu) };
        let call = async |exports: &bindings::Check, store: &mut Store<StoreData>| {
            exports.aviary_check_lifecycle().call_poll(store).await
        };
        match self.call("poll", budget, call).await {
            // The answer to a poll is always an outcome.
            Ended::Failed(message) => Ended::Done(Outcome::fail(message)),
            ended => ended.map(|outcome| self.answers().outcome(outcome)),
        }
    }

    /// Calls the guest's cleanup, which ends a round.
    pub async fn cleanup(&mut self) -> Ended<()> {
        let budget = Budget::from_now(&self.store.data().host.program, Limit::Cpu);
        let call = async |exports: &bindings::Check, store: &mut Store<StoreData>| {
            exports.aviary_check_lifecycle().call_cleanup(store).await
        };
        self.call("cleanup", budget, call).await
    }

    /// How many bytes of linear memory the guest holds.
    pub fn memory(&self) -> usize {
        self.store.data().limiter.held()
    }

    /// The host calls since the last call of this method; none unless they are recorded.
    pub fn take_calls(&mut self) -> Vec<Call> {
        self.store.data_mut().host.calls.take_record()
    }

    async fn call<T>(
        &mut self,
        name: &str,
        budget: Budget,
        call: impl AsyncFnOnce(&bindings::Check, &mut Store<StoreData>) -> wasmtime::Result<Result<T, String>>,
    ) -> Ended<T> {
        let (data, now) = (self.store.data_mut(), Instant::now());
        if !budget.retry {
            data.host.calls.start_run(now, budget.deadline);
        }
        data.host.usage.log.start_run(now);
        data.limiter.start_run();
        self.store.set_epoch_deadline(1);
        let ended = {
            let call = pin!(call(&self.exports, &mut self.store));
            let call = Metered::new(call, budget.cpu, now.into_std(), self.queue.as_ref());
            until(budget.deadline, call).await
        };
        self.store.data_mut().host.in_flight.clear();
        match ended {
            Some(Ok(Ok(Ok(answer)))) => Ended::Done(answer),
            Some(Ok(Ok(Err(message)))) => Ended::Failed(self.answers().message(message)),
            Some(Ok(Err(error))) => Ended::Fault(trapped(self.store.data(), name, &error)),
            Some(Err(Overspent)) => {
                self.store.data().host.usage.hits.count(budget.limit);
                Ended::Fault(overspent(name, budget.cpu))
            }
            None => self.timed_out(name, budget.wall),
        }
    }

    fn answers(&self) -> Answers<'_> {
        let host = &self.store.data().host;
        Answers { limits: &host.program.limits, hits: &host.usage.hits }
    }

    fn timed_out<T>(&mut self, name: &str, wall: Duration) -> Ended<T> {
        self.store.data().host.usage.hits.count(Limit::Timeout);
        let wall = humantime::format_duration(wall);
        match self.store.data_mut().host.calls.abandon() {
            Some(waiting) => {
                let (capability, target) = (waiting.capability.name(), waiting.target);
                Ended::TimedOut(format!("{name} timed out after {wall} waiting for {capability} {target}"))
            }
            None => {
                let others = match self.queue {
                    Some(_) => ", or the other checks of its namespace left it no processor",
                    None => "",
                };
                let message = format!(
                    "{name} timed out after {wall} without waiting for host calls most of the time: it slept or computed{others}"
                );
                Ended::Fault(Fault::new(Reason::Timeout, message))
            }
        }
    }
}

/// Waits for a call until the deadline; none if it has not ended by then. Most calls never wait, and so need
/// no timer.
async fn until<T>(deadline: Instant, mut call: impl Future<Output = T> + Unpin) -> Option<T> {
    let mut timer = pin!(None);
    poll_fn(|context| {
        if let Poll::Ready(ended) = call.poll_unpin(context) {
            return Poll::Ready(Some(ended));
        }
        if timer.is_none() {
            // The deadline is checked even if the call has used up tokio's budget.
            timer.set(Some(unconstrained(sleep_until(deadline))));
        }
        timer.as_mut().as_pin_mut().map_or(Poll::Pending, |timer| timer.poll(context).map(|()| None))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::{coop::poll_proceed, yield_now};

    #[tokio::test]
    async fn a_call_that_is_never_idle_ends_with_its_deadline() {
        let busy = poll_fn(|context| {
            while let Poll::Ready(step) = poll_proceed(context) {
                step.made_progress();
            }
            Poll::<()>::Pending
        });
        let deadline = Instant::now() + Duration::from_millis(20);
        assert_eq!(timeout(Duration::from_secs(10), until(deadline, busy)).await, Ok(None));
        let quick = pin!(yield_now());
        assert_eq!(until(Instant::now() + Duration::from_secs(10), quick).await, Some(()));
    }
}
