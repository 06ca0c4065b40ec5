//! A round of a check: init, polls and cleanup, mostly by one guest.

use super::{Ended, GuestLease, Instance, Sandbox};
use crate::{
    capability::calls::Call,
    manifest::Program,
    outcome::{Fault, Outcome, Status},
    usage::Usage,
};
use std::sync::Arc;
use tokio::time::Instant;

/// A round of a check: its module, and a live guest of it. The guest lives from the first call until a call
/// loses it or the cleanup is done.
pub struct Round {
    version: Version,
    instance: Option<Instance>,
    /// Whether a guest's init was called, so that there may be something to clean up.
    has_begun: bool,
    /// The host calls of guests that are gone; none if they are not recorded.
    calls: Option<Vec<Call>>,
}

/// A version of a check: a program, and the guest that was made of its module.
#[derive(Clone)]
pub struct Version {
    /// The sandbox in which the module runs.
    pub sandbox: Arc<Sandbox>,
    /// The compiled module.
    pub guest: GuestLease,
    /// The program that runs.
    pub program: Arc<Program>,
    /// The counters of what the check uses, which all its versions share.
    pub usage: Arc<Usage>,
}

impl Round {
    /// A round of this version that has not begun.
    pub fn new(version: Version) -> Self {
        Self { version, instance: None, has_begun: false, calls: None }
    }

    /// Makes the round record its host calls.
    pub fn recorded(self) -> Self {
        Self { calls: Some(Vec::new()), ..self }
    }

    /// The version of the check that the round is of.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Whether the round has a live guest.
    pub fn is_live(&self) -> bool {
        self.instance.is_some()
    }

    /// Whether a guest's init was called, so that there may be something to clean up.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// How many bytes of linear memory the guest holds; zero without one.
    pub fn memory(&self) -> usize {
        self.instance.as_ref().map_or(0, Instance::memory)
    }

    /// The host calls since the last call of this method; none unless they are recorded.
    pub fn take_calls(&mut self) -> Vec<Call> {
        self.keep_calls();
        self.calls.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Makes a guest live, unless there is one, and calls its init.
    pub async fn init(&mut self) -> Ended<()> {
        let instance = match self.live().await {
            Ok(instance) => instance,
            Err(fault) => return Ended::Fault(fault),
        };
        // Noted before the call, even if nobody waits for its end: it may make things that have to be cleaned
        // up.
        self.has_begun = true;
        let ended = self.instance.insert(instance).init().await;
        self.keep_if_answered(ended)
    }

    /// Runs the check once: a poll, and up to `retries` more at once while it fails, all before `deadline`.
    pub async fn poll(&mut self, deadline: Instant, retries: u32) -> Ended<Outcome> {
        let ended = match self.live().await {
            Ok(instance) => poll(self.instance.insert(instance), deadline, retries).await,
            Err(fault) => Ended::Fault(fault),
        };
        self.keep_if_answered(ended)
    }

    /// Tries to clean up. A guest that answers with an error stays live, and so still knows its settings and
    /// what it made.
    /// A guest that was lost is replaced by a fresh one without settings, as its init might make things once
    /// more.
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

    /// Drops the guest. This is needed after a call that was dropped before its end.
    pub fn abandon(&mut self) {
        self.keep_calls();
        self.instance = None;
    }

    /// Takes the live guest out of the round, or makes one live.
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

/// Whether there is time for another try that takes as long as the one which began at `begun` and has failed
/// just now. A shorter one would be cut off, and say nothing about what the check looks at.
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
