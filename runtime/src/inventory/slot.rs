//! One check that should be running, as a state machine; pure. Each event answers what is to be done, in order.
//!
//! Of several candidates only the newest matters. What cannot be loaded leaves the version that runs as it is.

#[cfg(test)]
mod tests;

use crate::{
    manifest::Check,
    outcome::Fault,
    schedule::backoff,
    signature::KeyId,
    source::Candidate,
    value::{Digest, Origin},
};
use std::{sync::Arc, time::Duration};

/// One check that should be running. Also one that should not any more, until the load of it has ended.
#[derive(Default)]
pub(super) struct Slot {
    /// The newest candidate that its source told. Its module is laid aside, and is taken up again by each load.
    desired: Option<Candidate>,
    phase: Phase,
    /// Why something newer than the desired candidate cannot be used, until the load under way has ended.
    refusal: Option<Refusal>,
    /// The version that runs, or is suspended.
    live: Option<LiveVersion>,
    /// Whether the manifest that is in force says so.
    is_suspended: bool,
    /// How many loads in a row failed for a reason that may pass.
    failures: u32,
}

/// What is under way for a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// Nothing is under way.
    #[default]
    Idle,
    /// The desired candidate waits to be tried again.
    Waiting,
    /// The desired candidate is being loaded.
    Loading,
    /// A former candidate is being loaded, and the desired one after it.
    LoadingFormer,
    /// The check was removed while it was being loaded. Nothing comes of that load; what is desired since follows it.
    GivingUp,
}

/// A version of a check that was accepted: its manifest and the digest of its module.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LiveVersion {
    pub(super) check: Arc<Check>,
    pub(super) digest: Digest,
}

/// Why the newest version cannot be used, and its check as far as that is known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) origin: Arc<Origin>,
    pub(super) check: Option<Arc<Check>>,
    pub(super) fault: Fault,
}

/// How a load ended.
pub(super) enum Loaded<R> {
    /// With a new version, which is ready to run.
    New(LiveVersion, R),
    /// With the version that runs already. At most the key that signed its module is another one.
    Same(Option<KeyId>),
    /// Without a version. If the reason may pass, it is tried again.
    Failed { refusal: Refusal, may_pass: bool },
}

/// What is to be done for a check.
#[derive(Debug)]
pub(super) enum Action<R> {
    /// Put it on the board, if it is not there, with where its newest manifest lies.
    Enter(Arc<Check>, Arc<Origin>),
    /// Put it on the board, and let be in force what its newest manifest says that needs no module.
    Adopt(Arc<Check>, Arc<Origin>),
    /// Load this candidate. Where a version is live, the new one has to begin its round beside it.
    Load { candidate: Candidate, live: Option<LiveVersion> },
    /// Tell the load that is under way to end soon.
    GiveUp,
    /// Try again after this time.
    Retry(Duration),
    /// Show a new version as the one in force. Unless it is suspended, run it instead of its predecessor.
    Run(R),
    /// Show the version that runs as the one in force, with the key that signed its module.
    Confirm(Option<KeyId>),
    /// End the round that a load may have begun; nothing else comes of it.
    End(R),
    /// Stop the version that runs.
    Stop,
    /// Show that the newest version is refused, and whether a former one goes on.
    Refuse { refusal: Refusal, is_running: bool },
    /// Take it off the board.
    Remove,
}

/// What is to be done, in this order.
pub(super) type Actions<R> = Vec<Action<R>>;

impl Slot {
    /// The source wants this candidate.
    pub(super) fn want<R>(&mut self, candidate: Candidate) -> Actions<R> {
        (self.failures, self.refusal) = (0, None);
        let mut actions = self.enter(&candidate.check, &candidate.origin);
        match self.phase {
            Phase::Idle | Phase::Waiting => actions.push(self.load(candidate.clone())),
            Phase::Loading | Phase::LoadingFormer => self.phase = Phase::LoadingFormer,
            Phase::GivingUp => {}
        }
        self.desired = Some(candidate.laid_aside());
        actions
    }

    /// The newest manifest or module cannot be used.
    pub(super) fn refuse<R>(&mut self, refusal: Refusal) -> Actions<R> {
        self.failures = 0;
        if self.phase == Phase::Waiting {
            // Something newer is known than what was to be tried again.
            self.phase = Phase::Idle;
        }
        if self.phase == Phase::Idle || (self.phase == Phase::GivingUp && self.desired.is_none()) {
            return self.show(refusal);
        }
        let actions =
            refusal.check.as_ref().map(|check| self.enter(check, &refusal.origin)).unwrap_or_default();
        self.refusal = Some(refusal);
        actions
    }

    /// The source does not want the check any more.
    pub(super) fn remove<R>(&mut self) -> Actions<R> {
        let is_loading = !matches!(self.phase, Phase::Idle | Phase::Waiting);
        let phase = if is_loading { Phase::GivingUp } else { Phase::Idle };
        *self = Self { phase, ..Self::default() };
        [Action::Stop, Action::Remove].into_iter().chain(is_loading.then_some(Action::GiveUp)).collect()
    }

    /// The time has come to try again.
    pub(super) fn retry<R>(&mut self) -> Actions<R> {
        match &self.desired {
            Some(candidate) if self.phase == Phase::Waiting => vec![self.load(candidate.clone())],
            _ => Vec::new(),
        }
    }

    /// The load that was under way has ended.
    pub(super) fn loaded<R>(&mut self, loaded: Loaded<R>) -> Actions<R> {
        let ended = std::mem::take(&mut self.phase);
        let mut actions = match (ended, loaded) {
            (Phase::GivingUp, Loaded::New(_, ready)) => vec![Action::End(ready)],
            (Phase::GivingUp, _) => Vec::new(),
            (_, Loaded::New(version, ready)) => self.accept(version, ready),
            (_, Loaded::Same(signer)) => vec![Action::Confirm(signer)],
            (_, Loaded::Failed { refusal, may_pass }) => {
                let again = may_pass && ended == Phase::Loading;
                let retry = again.then(|| self.back_off());
                retry.into_iter().chain(self.show(refusal)).collect()
            }
        };
        match &self.desired {
            Some(candidate) if matches!(ended, Phase::LoadingFormer | Phase::GivingUp) => {
                let candidate = candidate.clone();
                actions.extend(self.enter(&candidate.check, &candidate.origin));
                actions.push(self.load(candidate));
            }
            _ => actions.extend(self.refusal.take().into_iter().flat_map(|refusal| self.show(refusal))),
        }
        actions
    }

    /// Whether nothing is known of the check, so that nothing is lost without this slot.
    pub(super) fn is_blank(&self) -> bool {
        self.phase == Phase::Idle && self.desired.is_none() && !self.is_suspended
    }

    fn load<R>(&mut self, candidate: Candidate) -> Action<R> {
        self.phase = Phase::Loading;
        Action::Load { candidate, live: self.live.clone() }
    }

    fn back_off<R>(&mut self) -> Action<R> {
        self.phase = Phase::Waiting;
        self.failures += 1;
        let spread = self.desired.as_ref().map_or(0, |candidate| candidate.check.key.spread());
        Action::Retry(backoff(self.failures, spread))
    }

    fn accept<R>(&mut self, version: LiveVersion, ready: R) -> Actions<R> {
        self.failures = 0;
        self.is_suspended = version.check.suspend;
        self.live = Some(version);
        vec![Action::Run(ready)]
    }

    /// Puts a check on the board. A suspended one that is to go on stays suspended until its module has been tried.
    fn enter<R>(&mut self, check: &Arc<Check>, origin: &Arc<Origin>) -> Actions<R> {
        match self.is_suspended && !check.suspend {
            true => vec![Action::Enter(Arc::clone(check), Arc::clone(origin))],
            false => self.adopt(check, origin),
        }
    }

    fn adopt<R>(&mut self, check: &Arc<Check>, origin: &Arc<Origin>) -> Actions<R> {
        let was_running = self.is_running();
        self.is_suspended = check.suspend;
        let mut actions = vec![Action::Adopt(Arc::clone(check), Arc::clone(origin))];
        if check.suspend && was_running {
            self.live = None;
            actions.push(Action::Stop);
        }
        actions
    }

    fn show<R>(&mut self, refusal: Refusal) -> Actions<R> {
        let mut actions =
            refusal.check.as_ref().map(|check| self.adopt(check, &refusal.origin)).unwrap_or_default();
        actions.push(Action::Refuse { refusal, is_running: self.is_running() });
        actions
    }

    fn is_running(&self) -> bool {
        self.live.as_ref().is_some_and(|live| !live.check.suspend)
    }
}
