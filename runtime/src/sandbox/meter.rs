//! Measures the time a guest itself takes, apart from the time it waits.

use super::engine::TICK;
use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

/// The most that one turn can count: a guest gives way at every tick, so a longer turn is the
/// machine taking its time (a throttled container, a busy node), or one bulk operation.
const LONGEST_TURN: Duration = TICK.saturating_mul(5);

/// A guest's call that may take `budget` of processor time.
pub(super) struct Metered<'a, F> {
    call: Pin<&'a mut F>,
    budget: Duration,
    spent: Duration,
    /// When the first turn starts; reading the clock is a good part of what a short call costs.
    start: Option<Instant>,
}

/// The call has spent its budget.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Overspent;

impl<'a, F: Future> Metered<'a, F> {
    /// To be awaited at `now`.
    pub(super) fn new(call: Pin<&'a mut F>, budget: Duration, now: Instant) -> Self {
        Self { call, budget, spent: Duration::ZERO, start: Some(now) }
    }
}

impl<F: Future> Future for Metered<'_, F> {
    type Output = Result<F::Output, Overspent>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
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
    use std::{pin::pin, thread::sleep};

    #[tokio::test]
    async fn waiting_costs_nothing() {
        let wait = pin!(tokio::time::sleep(Duration::from_millis(30)));
        assert_eq!(Metered::new(wait, Duration::from_millis(10), Instant::now()).await, Ok(()));
    }

    #[tokio::test]
    async fn working_turn_after_turn_spends_the_budget() {
        let work = pin!(async {
            loop {
                sleep(Duration::from_millis(2));
                tokio::task::yield_now().await;
            }
        });
        let spent: Result<(), _> = Metered::new(work, Duration::from_millis(10), Instant::now()).await;
        assert_eq!(spent, Err(Overspent));
    }

    #[tokio::test]
    async fn one_long_turn_of_a_busy_machine_is_not_the_guests_fault() {
        let stalled = pin!(async {
            sleep(Duration::from_millis(120));
            tokio::task::yield_now().await;
        });
        assert_eq!(Metered::new(stalled, Duration::from_millis(100), Instant::now()).await, Ok(()));
    }
}
