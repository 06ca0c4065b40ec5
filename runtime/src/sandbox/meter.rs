//! Measures the processor time that a guest itself takes, apart from the time that it waits.

use super::{engine::TICK, queue::Queue};
use crate::fair_semaphore::FairPermit;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

/// The most processor time that one turn counts. A guest gives way at every tick.
/// A longer turn is the machine taking its time (a throttled container, a busy node), or one bulk operation.
const LONGEST_TURN: Duration = TICK.saturating_mul(5);

/// A guest's call that may take `budget` of processor time.
pub(super) struct Metered<'a, F> {
    call: Pin<&'a mut F>,
    budget: Duration,
    spent: Duration,
    /// When the first turn starts, if that is known. Reading the clock is a good part of what a short call
    /// costs.
    start: Option<Instant>,
    /// The queue in which the call waits for a processor; none if the guest is trusted.
    queue: Option<&'a Queue>,
    permit: Option<Pin<Box<dyn Future<Output = FairPermit> + Send + 'a>>>,
}

/// The call has spent its budget.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overspent;

impl<'a, F: Future> Metered<'a, F> {
    /// A call with a budget, to be awaited at once, when it is `now`.
    pub(super) fn new(
        call: Pin<&'a mut F>,
        budget: Duration,
        now: Instant,
        queue: Option<&'a Queue>,
    ) -> Self {
        let start = Some(now).filter(|_| queue.is_none());
        Self { call, budget, spent: Duration::ZERO, start, queue, permit: None }
    }

    fn poll_permit(&mut self, context: &mut Context<'_>) -> Poll<Option<FairPermit>> {
        let Some(queue) = self.queue else { return Poll::Ready(None) };
        let waiting = self.permit.get_or_insert_with(|| Box::pin(queue.turn()));
        let permit = ready!(waiting.as_mut().poll(context));
        self.permit = None;
        Poll::Ready(Some(permit))
    }
}

impl<F: Future> Future for Metered<'_, F> {
    type Output = Result<F::Output, Overspent>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let _permit = ready!(self.poll_permit(context));
        let start = self.start.take().unwrap_or_else(Instant::now);
        if let Poll::Ready(value) = self.call.as_mut().poll(context) {
            return Poll::Ready(Ok(value));
        }
        self.spent += start.elapsed().min(LONGEST_TURN);
        if self.spent > self.budget { Poll::Ready(Err(Overspent)) } else { Poll::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{fair_semaphore::FairSemaphore, manifest::Program};
    use futures_util::FutureExt;
    use std::{future::ready, pin::pin, sync::Arc, thread::sleep};

    #[tokio::test]
    async fn waiting_costs_nothing() {
        let wait = pin!(tokio::time::sleep(Duration::from_millis(30)));
        assert_eq!(Metered::new(wait, Duration::from_millis(10), Instant::now(), None).await, Ok(()));
    }

    #[tokio::test]
    async fn working_turn_after_turn_spends_the_budget() {
        let work = pin!(async {
            loop {
                sleep(Duration::from_millis(2));
                tokio::task::yield_now().await;
            }
        });
        let spent: Result<(), _> = Metered::new(work, Duration::from_millis(10), Instant::now(), None).await;
        assert_eq!(spent, Err(Overspent));
    }

    #[tokio::test]
    async fn a_guest_waits_for_those_of_its_namespace_and_that_costs_it_nothing() {
        let turns = FairSemaphore::new(2, 1);
        let queue = |namespace| {
            let program = Program::bare(namespace, "test.wasm".parse().expect("a module"));
            Queue::new(turns.clone(), Arc::new(program))
        };
        let (loud, quiet) = (queue("loud"), queue("quiet"));
        let held = loud.turn().await;
        let (mut first, mut second) = (pin!(ready(1)), pin!(ready(2)));
        let metered = |call, queue| Metered::new(call, Duration::ZERO, Instant::now(), Some(queue));
        let mut waiting = pin!(metered(first.as_mut(), &loud));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        assert_eq!(metered(second.as_mut(), &quiet).now_or_never(), Some(Ok(2)));
        drop(held);
        assert_eq!(waiting.now_or_never(), Some(Ok(1)));
        assert!(loud.turn().now_or_never().is_some(), "it has left its turn to others");
    }

    #[tokio::test]
    async fn one_long_turn_of_a_busy_machine_is_not_the_guests_fault() {
        let stalled = pin!(async {
            sleep(Duration::from_millis(120));
            tokio::task::yield_now().await;
        });
        assert_eq!(Metered::new(stalled, Duration::from_millis(100), Instant::now(), None).await, Ok(()));
    }
}
