//! From a candidate to a check that is ready to run.

use crate::{
    board::{Board, Entry, EventKind},
    outcome::{Fault, Reason},
    sandbox::{Guest, Instance, Lost, Sandbox},
    scheduler::Ready,
    signature::{KeyId, Keyring},
    source::Candidate,
    spec::Check,
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// How long a new version may take to begin its round beside the former one.
const LONGEST_BEGINNING: Duration = Duration::from_secs(30);

/// What loads need.
#[derive(Clone)]
pub(super) struct Loader {
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) keyring: Keyring,
    pub(super) board: Arc<Board>,
    /// Tells loads that the daemon stops.
    pub(super) stop: CancellationToken,
}

/// A check whose module is signed as asked for, compiled, and granted what it asks for.
pub(super) struct Compiled {
    check: Arc<Check>,
    guest: Arc<Guest>,
    signer: Option<KeyId>,
}

/// What came of a candidate.
pub(super) enum Loaded {
    /// It is to be run from now on.
    Ready(Ready),
    /// It runs already; at most its signer is another one.
    Same(Arc<Entry>, Option<KeyId>),
}

/// A candidate that did not make it.
pub(super) struct Rejected {
    pub(super) fault: Fault,
    /// Set if the reason may pass.
    pub(super) again: Option<Again>,
}

/// How far a candidate had come.
pub(super) enum Again {
    Compile(Candidate),
    Begin(Compiled),
}

impl Loader {
    /// Judges the signature before anything else looks into the module.
    pub(super) async fn compile(&self, candidate: Candidate) -> Result<Compiled, Rejected> {
        let load = self.stop.run_until_cancelled(self.load(&candidate)).await;
        let stopped = || Err(Fault::new(Reason::Resources, "the daemon stops"));
        match load.unwrap_or_else(stopped) {
            Ok((guest, signer)) => Ok(Compiled { check: candidate.check, guest, signer }),
            Err(fault) => {
                let may_pass = fault.reason == Reason::Resources;
                Err(Rejected { fault, again: may_pass.then_some(Again::Compile(candidate)) })
            }
        }
    }

    async fn load(&self, candidate: &Candidate) -> Result<(Arc<Guest>, Option<KeyId>), Fault> {
        let Candidate { check, module, signature } = candidate;
        let name = check.module.file_name();
        let module = self.keyring.admit(name, Arc::clone(module), signature.clone()).await?;
        let signer = module.signer();
        let guest = self.sandbox.load(name, module).await?;
        guest.require_for(check)?;
        Ok((guest, signer))
    }

    /// Makes a check ready to run. Beside a guest that runs, the new one must also begin its round.
    pub(super) async fn begin(&self, compiled: Compiled, replaces: bool) -> Result<Loaded, Rejected> {
        let entry = self.board.enter(&compiled.check);
        if replaces && compiled.is_in_force(&entry) {
            return Ok(Loaded::Same(entry, compiled.signer));
        }
        let mut instance = None;
        if replaces && !compiled.check.suspend {
            match self.begin_round(&compiled, &entry).await {
                Ok(live) => instance = Some(live),
                Err(fault) => return Err(Rejected { fault, again: Some(Again::Begin(compiled)) }),
            }
        }
        let Compiled { check, guest, signer } = compiled;
        Ok(Loaded::Ready(Ready { check, entry, guest, signer, instance }))
    }

    /// Begins a round beside the guest that runs, and cleans up again if that does not work.
    async fn begin_round(&self, compiled: &Compiled, entry: &Arc<Entry>) -> Result<Instance, Fault> {
        let Compiled { check, guest, .. } = compiled;
        let live = || Instance::new(&self.sandbox, guest, Arc::clone(check), Arc::clone(entry), false);
        let mut instance = live().await?;
        let begun = self.stop.run_until_cancelled(timeout(LONGEST_BEGINNING, instance.init())).await;
        let (reason, why) = match begun {
            Some(Ok(Ok(Ok(())))) => return Ok(instance),
            Some(Ok(Ok(Err(message)))) => {
                clean_up(instance.cleanup().await, entry);
                (Reason::Module, message)
            }
            lost => {
                drop(instance);
                match live().await {
                    Ok(mut fresh) => clean_up(fresh.cleanup().await, entry),
                    Err(fault) => clean_up(Err(Lost::Fault(fault)), entry),
                }
                match lost {
                    Some(Ok(Err(Lost::Fault(fault)))) => (fault.reason, fault.message),
                    Some(Ok(Err(Lost::Waiting(message)))) => (Reason::Module, message),
                    Some(_) => (Reason::Timeout, format!("init took longer than {LONGEST_BEGINNING:?}")),
                    None => (Reason::Resources, "the daemon stops".to_owned()),
                }
            }
        };
        Err(Fault::new(reason, format!("the new version does not start: {why}")))
    }
}

impl Compiled {
    /// Whether the check that runs is this one, so that only the signature or its source has changed.
    fn is_in_force(&self, entry: &Entry) -> bool {
        let view = entry.view();
        view.check == self.check && view.module.is_some_and(|module| module.digest == self.guest.digest)
    }
}

/// Tells how the cleanup of a round that did not begin went.
fn clean_up(ended: Result<Result<(), String>, Lost>, entry: &Entry) {
    let message = match ended {
        Ok(Ok(())) => return tracing::debug!(check = %entry.key, "cleaned up a round that did not begin"),
        Ok(Err(message)) | Err(Lost::Waiting(message)) => message,
        Err(Lost::Fault(fault)) => fault.message,
    };
    tracing::warn!(check = %entry.key, "cleanup of a round that did not begin: {message}");
    entry.tell(EventKind::CleanupFailed, message);
}
