//! One check that should be running, and how far it has come.

use super::load::{Attempt, Live};
use crate::{manifest::Check, outcome::Fault, source::Candidate, value::Origin};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// One check that should be running; also one that should not any more, until its load has ended.
#[derive(Default)]
pub(super) struct Slot {
    /// The load that is under way.
    pub(super) load: Option<Load>,
    /// What to load once it has ended.
    pub(super) next: Option<Candidate>,
    /// What is wrong beside that, to be told at the end.
    pub(super) trouble: Option<Refusal>,
    /// What runs, or is suspended.
    pub(super) live: Option<Live>,
    /// Loads in a row that failed for a reason that may pass.
    pub(super) failures: u32,
    /// What to try again when its time comes.
    pub(super) again: Option<Attempt>,
}

/// A load that is under way.
pub(super) struct Load {
    /// Tells it to give up.
    pub(super) stop: CancellationToken,
    /// The check was removed meanwhile.
    pub(super) is_dismissed: bool,
}

/// Why the newest version cannot be used, and its check as far as that is known.
pub(super) struct Refusal {
    pub(super) origin: Arc<Origin>,
    pub(super) check: Option<Arc<Check>>,
    pub(super) fault: Fault,
}

impl Slot {
    /// Something newer is known of the check than what was to be tried again.
    pub(super) fn renew(&mut self) {
        (self.again, self.failures) = (None, 0);
    }

    /// Something comes of the check that has to be told first.
    pub(super) fn is_expecting(&self) -> bool {
        self.next.is_some() || self.load.as_ref().is_some_and(|load| !load.is_dismissed)
    }

    /// Whether a guest of it runs.
    pub(super) fn is_running(&self) -> bool {
        self.live.as_ref().is_some_and(|live| !live.check.suspend)
    }

    /// The check is not wanted any more: lets the load end that is under way, and nothing come of it.
    pub(super) fn dismiss(&mut self) {
        *self = Self { load: self.load.take(), ..Self::default() };
        if let Some(load) = &mut self.load {
            load.is_dismissed = true;
            load.stop.cancel();
        }
    }
}
