//! A version of a check, and how its guest begins and ends.

use crate::{
    board::Entry,
    manifest::Check,
    outcome::{Fault, Outcome, Verdict},
    sandbox::{GuestLease, Instance, Lost, Sandbox},
    schedule::backoff,
};
use std::sync::Arc;
use tokio::time::sleep;

/// How often a cleanup is tried. One that can never succeed would otherwise end its check for good.
const CLEANUP_ATTEMPTS: u32 = 3;

/// A manifest with its module, and its place on the board.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) sandbox: Arc<Sandbox>,
    pub(crate) check: Arc<Check>,
    pub(crate) entry: Arc<Entry>,
    pub(crate) guest: GuestLease,
}

impl Version {
    /// Makes its guest live.
    pub(crate) async fn live(&self) -> Result<Instance, Fault> {
        let (check, usage) = (Arc::clone(&self.check), Arc::clone(&self.entry.usage));
        Instance::new(&self.sandbox, &self.guest, check, usage, false).await
    }

    /// Ends a round, in a few attempts with pauses; false if none of them worked, which the board is told of each.
    ///
    /// A guest that answers with an error is asked again, and so still knows its settings and what it made. In the place
    /// of one that was lost comes a fresh one, which has no settings: its init might make things once more.
    pub(crate) async fn clean_up(&self, mut instance: Option<Instance>) -> bool {
        for attempt in 1..=CLEANUP_ATTEMPTS {
            let failure = match self.try_cleanup(&mut instance).await {
                Ok(Ok(())) => return true,
                Ok(Err(message)) => Ok(Outcome::fail(format!("cleanup: {message}"))),
                Err(lost) => {
                    instance = None;
                    Verdict::from(lost)
                }
            };
            self.entry.record_failed_cleanup(&failure);
            if attempt < CLEANUP_ATTEMPTS {
                sleep(backoff(attempt, self.check.key.spread())).await;
            }
        }
        false
    }

    async fn try_cleanup(&self, instance: &mut Option<Instance>) -> Result<Result<(), String>, Lost> {
        let live = match instance.take() {
            Some(live) => live,
            None => self.live().await.map_err(Lost::Fault)?,
        };
        instance.insert(live).cleanup().await
    }
}
