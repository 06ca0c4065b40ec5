//! The state machine of one check that should be running. Pure: each event returns the actions to take, in
//! order. Of several candidates only the newest counts. A candidate that cannot be loaded leaves the running
//! version as it is.

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

/// The state of one check that should be running. A check that was removed keeps its slot until its load has
/// ended.
#[derive(Default)]
pub(super) struct Slot {
    /// The newest candidate from the source. It keeps no bytes of its module, which each load fetches again.
    desired: Option<Candidate>,
    phase: Phase,
    /// Why a version newer than the desired candidate was refused. Kept until the load under way has ended.
    refusal: Option<Refusal>,
    /// The version of the check that was loaded last. None before the first one, and after a check that ran was
    /// suspended, until a version is loaded again.
    live: Option<LiveVersion>,
    /// Whether the manifest in force suspends the check.
    is_suspended: bool,
    /// How many loads in a row failed for a reason that may pass.
    failures: u32,
}

/// What is under way for a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    /// No load is under way, and none is waited for.
    #[default]
    Idle,
    /// The desired candidate waits to be tried again.
    Waiting,
    /// The desired candidate is being loaded.
    Loading,
    /// A former candidate is being loaded, and the desired one after it.
    LoadingFormer,
    /// The check was removed while it was being loaded. The result of that load is dropped, and a candidate
    /// that has come since is loaded after it.
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
    /// The load gave a new version, which is ready to run.
    New(LiveVersion, R),
    /// The load gave the version that runs already. Only the key that signed its module may differ.
    Same(Option<KeyId>),
    /// The load gave no version. It is tried again if the reason may pass.
    Failed { refusal: Refusal, may_pass: bool },
}

/// An action that the inventory takes for a check.
#[derive(Debug)]
pub(super) enum Action<R> {
    /// Put the check on the board if it is not there, and note where its newest manifest lies.
    Enter(Arc<Check>, Arc<Origin>),
    /// Put the check on the board, and apply what its newest manifest says that needs no module.
    Adopt(Arc<Check>, Arc<Origin>),
    /// Load this candidate. If a version is live, the new one has to begin its round beside the live one, unless the
    /// new one is suspended.
    Load { candidate: Candidate, live: Option<LiveVersion> },
    /// Cancel the load that is under way.
    GiveUp,
    /// Load the desired candidate again after this time.
    Retry(Duration),
    /// Show a new version as the one in force. Unless the check is suspended, run it instead of the former
    /// version.
    Run(R),
    /// Show the version that runs as the one in force, with the key that signed its module.
    Confirm(Option<KeyId>),
    /// End the round that a load may have begun, and drop its result.
    End(R),
    /// Stop the version that runs.
    Stop,
    /// Show that the newest version is refused, and whether a former one goes on.
    Refuse { refusal: Refusal, is_running: bool },
    /// Take the check off the board.
    Remove,
}

/// Actions to take for a check, in this order.
pub(super) type Actions<R> = Vec<Action<R>>;

impl Slot {
    /// The source has a new candidate for the check.
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

    /// The source has removed the check.
    pub(super) fn remove<R>(&mut self) -> Actions<R> {
        let is_loading = !matches!(self.phase, Phase::Idle | Phase::Waiting);
        let phase = if is_loading { Phase::GivingUp } else { Phase::Idle };
        *self = Self { phase, ..Self::default() };
        [Action::Stop, Action::Remove].into_iter().chain(is_loading.then_some(Action::GiveUp)).collect()
    }

    /// The pause before the next try of a load is over.
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

    /// The action that puts a check on the board. A suspended check that is to go on stays suspended until
    /// the load of its module has ended, or its newest version is refused.
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
