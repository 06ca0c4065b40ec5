//! Runs on demand: requests that a check runs now, and their results.

use futures_util::FutureExt;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};

/// How long after a run on demand the next one may begin. So repeated requests cannot make the daemon disturb
/// what a check looks at.
const PAUSE: Duration = Duration::from_secs(5);

/// The result of a run on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// A run has finished since the request.
    Done,
    /// No run has finished in time.
    Late,
    /// A run on demand finished only just before. Another one may begin after this time.
    TooSoon(Duration),
}

/// The runs on demand of one check.
#[derive(Debug)]
pub(super) struct Demands {
    state: Mutex<DemandState>,
    made: Notify,
    finished: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct DemandState {
    /// Whether somebody waits for a run.
    is_open: bool,
    /// The moment from which a run on demand may be requested again.
    after: Option<Instant>,
}

impl Default for Demands {
    fn default() -> Self {
        Self { state: Mutex::default(), made: Notify::new(), finished: watch::Sender::new(0) }
    }
}

impl Demands {
    /// Requests a run and waits for the next one to finish, up to `patience`. The run may not begin before
    /// `from`.
    pub(super) async fn make(&self, from: Option<Instant>, patience: Duration) -> Demand {
        let mut finished = self.finished.subscribe();
        if let Err(wait) = self.open(from) {
            return Demand::TooSoon(wait);
        }
        match timeout(patience, finished.changed()).await {
            Ok(Ok(())) => Demand::Done,
            _ => Demand::Late,
        }
    }

    fn open(&self, from: Option<Instant>) -> Result<(), Duration> {
        let mut state = self.state();
        if state.is_open {
            return Ok(());
        }
        let wait = state.after.max(from).map(|after| after.saturating_duration_since(Instant::now()));
        if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
            return Err(wait);
        }
        state.is_open = true;
        self.made.notify_one();
        Ok(())
    }

    /// Waits until a run is requested.
    pub(super) async fn made(&self) {
        self.made.notified().await;
    }

    /// Says that the request which [`Self::made`] reported has not led to a run yet.
    pub(super) fn remind(&self) {
        self.made.notify_one();
    }

    /// Says that a run has finished, which answers all requests until now.
    pub(super) fn fulfil(&self) {
        {
            let mut state = self.state();
            if std::mem::take(&mut state.is_open) {
                state.after = Some(Instant::now() + PAUSE);
            }
            let _ = self.made.notified().now_or_never();
        }
        self.finished.send_modify(|runs| *runs += 1);
    }

    fn state(&self) -> MutexGuard<'_, DemandState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
