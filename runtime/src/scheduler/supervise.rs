//! Runs tasks again that panic.

use crate::{
    schedule::{LONGEST_BACKOFF, backoff},
    text::panic_message,
};
use futures_util::FutureExt;
use std::{panic::AssertUnwindSafe, time::Duration};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

/// Runs a task until it ends. After each panic, `recover` gets its message and the pause until the next
/// start, and makes the task anew. The pauses grow, unless the task ran well for long. Returns none if the
/// task panics after `stop` was cancelled.
pub(super) async fn supervise<S, T, F: Future<Output = T>>(
    first: S,
    stop: &CancellationToken,
    spread: u64,
    run: impl Fn(S) -> F,
    recover: impl Fn(&str, Duration) -> S,
) -> Option<T> {
    let (mut subject, mut panics) = (first, 0);
    loop {
        let begun = Instant::now();
        // The state that the task shares with others is behind locks, and keeps what the task wrote before the panic.
        let panic = match AssertUnwindSafe(run(subject)).catch_unwind().await {
            Ok(ended) => return Some(ended),
            Err(panic) => panic,
        };
        panics = if begun.elapsed() > LONGEST_BACKOFF { 1 } else { panics + 1 };
        let pause = backoff(panics, spread);
        subject = recover(panic_message(panic.as_ref()), pause);
        if stop.is_cancelled() {
            return None;
        }
        stop.run_until_cancelled(sleep(pause)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[tokio::test(start_paused = true)]
    async fn what_panics_is_told_and_runs_again_after_pauses_that_grow() {
        let (stop, told) = (CancellationToken::new(), Mutex::new(Vec::new()));
        let run = |number: u32| async move {
            assert!(number >= 4, "number {number}");
            number
        };
        let recover = |why: &str, pause: Duration| {
            let mut told = told.lock().expect("a lock");
            told.push((why.to_owned(), pause));
            u32::try_from(told.len()).expect("few")
        };
        let begun = Instant::now();
        assert_eq!(supervise(0, &stop, 7, run, recover).await, Some(4));
        let told = told.into_inner().expect("a lock");
        let (words, pauses): (Vec<_>, Vec<_>) = told.into_iter().unzip();
        assert_eq!(words, ["number 0", "number 1", "number 2", "number 3"]);
        assert_eq!(pauses, [1, 2, 3, 4].map(|panics| backoff(panics, 7)));
        assert!(begun.elapsed() >= pauses.iter().sum::<Duration>());
    }

    #[tokio::test(start_paused = true)]
    async fn what_went_well_for_long_does_not_pause_for_longer_than_at_first() {
        let (stop, pauses) = (CancellationToken::new(), Mutex::new(Vec::new()));
        let run = |number: usize| async move {
            sleep(LONGEST_BACKOFF * 2).await;
            assert!(number >= 3);
        };
        let recover = |_: &str, pause: Duration| {
            let mut pauses = pauses.lock().expect("a lock");
            pauses.push(pause);
            pauses.len()
        };
        supervise(0, &stop, 7, run, recover).await;
        assert_eq!(pauses.into_inner().expect("a lock"), [backoff(1, 7); 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_panics_when_it_is_to_stop_does_not_run_again() {
        let stop = CancellationToken::new();
        let run = |()| async {
            stop.cancel();
            panic!("in the end");
        };
        assert_eq!(supervise((), &stop, 7, run, |_, _| ()).await, None::<()>);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_who_is_to_stop_waits_for_the_pause() {
        let stop = CancellationToken::new();
        let run = |again: bool| async move { assert!(again) };
        let recover = |_: &str, _| {
            let stop = stop.clone();
            tokio::spawn(async move { stop.cancel() });
            true
        };
        let begun = Instant::now();
        assert_eq!(supervise(false, &stop, 7, run, recover).await, Some(()));
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
}
