//! A round of a check: init, polls, cleanup, by one guest while that lives.

use super::{Ended, GuestLease, Instance, Sandbox};
use crate::{
    capability::calls::Call,
    manifest::Program,
    outcome::{Fault, Outcome, Status},
    usage::Usage,
};
use std::sync::Arc;
use tokio::time::Instant;

/// What runs a check: its module, and a live guest of it from the first call until one loses it or the cleanup is done.
pub struct Round {
    version: Version,
    instance: Option<Instance>,
    /// A guest was asked to begin, and there may be something to clean up.
    has_begun: bool,
    /// The host calls of guests that are gone, if they are recorded.
    calls: Option<Vec<Call>>,
}

/// A program with the guest that was made of its module, where it runs, and where it is counted what it uses.
#[derive(Clone)]
pub struct Version {
    /// Where the module runs.
    pub sandbox: Arc<Sandbox>,
    /// The module.
    pub guest: GuestLease,
    /// What runs.
    pub program: Arc<Program>,
    /// What the check has used, whichever of its versions.
    pub usage: Arc<Usage>,
}

impl Round {
    /// A round that has not begun.
    pub fn new(version: Version) -> Self {
        Self { version, instance: None, has_begun: false, calls: None }
    }

    /// The same, with a record of its host calls.
    pub fn recorded(self) -> Self {
        Self { calls: Some(Vec::new()), ..self }
    }

    /// What it is a round of.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Whether there is a live guest.
    pub fn is_live(&self) -> bool {
        self.instance.is_some()
    }

    /// Whether a guest was asked to begin, so that there may be something to clean up.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Bytes of linear memory that the guest holds.
    pub fn memory(&self) -> usize {
        self.instance.as_ref().map_or(0, Instance::memory)
    }

    /// The host calls since the last time, if they are recorded.
    pub fn take_calls(&mut self) -> Vec<Call> {
        self.keep_calls();
        self.calls.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Begins.
    pub async fn init(&mut self) -> Ended<()> {
        let instance = match self.live().await {
            Ok(instance) => instance,
            Err(fault) => return Ended::Fault(fault),
        };
        // Whatever becomes of it, even if nobody waits for its end: it may make things that have to go.
        self.has_begun = true;
        let ended = self.instance.insert(instance).init().await;
        self.keep_if_answered(ended)
    }

    /// Runs once: polls, and polls again at once up to `retries` times while it fails, all before `deadline`.
    pub async fn poll(&mut self, deadline: Instant, retries: u32) -> Ended<Outcome> {
        let ended = match self.live().await {
            Ok(instance) => poll(self.instance.insert(instance), deadline, retries).await,
            Err(fault) => Ended::Fault(fault),
        };
        self.keep_if_answered(ended)
    }

    /// Tries to clean up. A guest that answers with an error stays live, and so still knows its settings and what it made.
    /// In the place of one that was lost comes a fresh one, which has no settings: its init might make things once more.
    pub async fn cleanup(&mut self) -> Ended<()> {
        let ended = match self.live().await {
            Ok(instance) => self.instance.insert(instance).cleanup().await,
            Err(fault) => Ended::Fault(fault),
        };
        if let Ended::Done(()) = ended {
            self.abandon();
            self.has_begun = false;
        }
        self.keep_if_answered(ended)
    }

    /// Drops the guest, as after a call that was dropped before its end.
    pub fn abandon(&mut self) {
        self.keep_calls();
        self.instance = None;
    }

    /// Takes the live guest, or makes one live.
    async fn live(&mut self) -> Result<Instance, Fault> {
        match self.instance.take() {
            Some(instance) => Ok(instance),
            None => {
                let Version { sandbox, guest, program, usage } = &self.version;
                let (program, usage) = (Arc::clone(program), Arc::clone(usage));
                Instance::new(sandbox, guest, program, usage, self.calls.is_some()).await
            }
        }
    }

    fn keep_if_answered<T>(&mut self, ended: Ended<T>) -> Ended<T> {
        if !ended.is_answered() {
            self.abandon();
        }
        ended
    }

    fn keep_calls(&mut self) {
        if let (Some(calls), Some(instance)) = (&mut self.calls, &mut self.instance) {
            calls.extend(instance.take_calls());
        }
    }
}

async fn poll(instance: &mut Instance, deadline: Instant, mut retries: u32) -> Ended<Outcome> {
    let mut begun = Instant::now();
    let mut ended = instance.poll(deadline).await;
    while retries > 0 && has_failed(&ended) && leaves_time(begun, deadline) {
        (begun, retries) = (Instant::now(), retries - 1);
        ended = instance.retry(deadline).await;
    }
    ended
}

fn has_failed(ended: &Ended<Outcome>) -> bool {
    matches!(ended, Ended::Done(outcome) if outcome.status == Status::Fail)
}

/// Whether there is time for another try, as long as the one that began then and has failed just now: a shorter one would
/// be cut off, and say nothing about what the check looks at.
fn leaves_time(begun: Instant, deadline: Instant) -> bool {
    let now = Instant::now();
    deadline.saturating_duration_since(now) >= now - begun
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn a_try_that_failed_is_repeated_where_another_one_as_long_has_its_time() {
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(2)).await;
        let deadline = |seconds| begun + Duration::from_secs(seconds);
        assert!(leaves_time(begun, deadline(4)));
        assert!(!leaves_time(begun, deadline(4) - Duration::from_millis(1)));
        assert!(!leaves_time(begun, deadline(1)));
    }
}
