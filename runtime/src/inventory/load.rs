//! From a candidate to a check that is ready to run.

use crate::{
    board::Entry,
    fair_semaphore::FairSemaphore,
    manifest::Check,
    outcome::{Fault, Reason},
    sandbox::{Ended, Guest, GuestLease, Round, Sandbox, Version},
    scheduler::{Ready, clean_up},
    signature::{KeyId, Keyring, Signature},
    source::{Candidate, Packed},
    value::{Blob, Digest},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{sync::OnceCell, task::spawn_blocking, time::timeout};
use tokio_util::sync::CancellationToken;

/// How many modules are decoded and compiled at a time, and how many of them for one namespace.
const MOST_MODULES: usize = 8;
const MOST_OF_EACH: usize = 2;
/// How long a new version may take to begin its round beside the former one.
const LONGEST_BEGINNING: Duration = Duration::from_secs(30);

/// What loads need.
#[derive(Clone)]
pub(super) struct Loader {
    sandbox: Arc<Sandbox>,
    keyring: Keyring,
    turns: FairSemaphore,
    guests: Arc<Mutex<HashMap<Wanted, Weak<Shared>>>>,
}

/// A guest, and whose signature of its module counts.
type Signed = (Arc<Guest>, Option<KeyId>);

/// A guest or what is wrong with its module; a fault outright if that may pass.
type Made = Result<Result<Signed, Fault>, Fault>;

/// What comes of a module, for all who wait for it together.
type Shared = OnceCell<Result<Signed, Fault>>;

/// A module that a namespace waits for, under its name and with its signature.
#[derive(PartialEq, Eq, Hash)]
struct Wanted {
    namespace: String,
    name: String,
    digest: Digest,
    signature: Option<Signature>,
}

/// A check whose module is signed as asked for, compiled, and granted what it asks for.
pub(super) struct Compiled {
    check: Arc<Check>,
    guest: GuestLease,
    signer: Option<KeyId>,
}

/// A version of a check that was accepted.
#[derive(Clone, PartialEq)]
pub(super) struct Live {
    pub(super) check: Arc<Check>,
    /// Of its module.
    pub(super) digest: Digest,
}

/// What came of a candidate.
pub(super) enum Loaded {
    /// It is to be run from now on.
    Ready(Ready),
    /// It runs already; at most its signer is another one.
    Same(Arc<Entry>, Option<KeyId>),
}

/// A load, from the beginning or from where it is worth to begin again.
pub(super) enum Attempt {
    Candidate(Candidate),
    Compiled(Compiled),
}

/// A candidate that did not make it.
pub(super) struct Rejected {
    pub(super) fault: Fault,
    /// Set if the reason may pass.
    pub(super) again: Option<Attempt>,
}

impl Loader {
    pub(super) fn new(sandbox: Arc<Sandbox>, keyring: Keyring) -> Self {
        Self {
            sandbox,
            keyring,
            turns: FairSemaphore::new(MOST_MODULES, MOST_OF_EACH),
            guests: Arc::default(),
        }
    }

    /// Makes a check ready to run, of which the board tells in `entry`. Where a `former` version of it is live, it
    /// must also begin its round. Gives up when `stop` says so, and cleans up.
    pub(super) async fn load(
        self,
        attempt: Attempt,
        entry: Arc<Entry>,
        former: Option<Live>,
        stop: CancellationToken,
    ) -> Result<Loaded, Rejected> {
        let compiled = match attempt {
            Attempt::Candidate(candidate) => self.compile(candidate, &stop).await?,
            Attempt::Compiled(compiled) => compiled,
        };
        self.begin(compiled, entry, former, &stop).await
    }

    async fn compile(
        &self,
        mut candidate: Candidate,
        stop: &CancellationToken,
    ) -> Result<Compiled, Rejected> {
        let known = self.sandbox.known(&candidate.module.digest).filter(|_| self.keyring.is_empty());
        let made = match known {
            Some(guest) => Ok((guest, None)),
            None => {
                let made = self.make_in_turn(&mut candidate, stop).await.ok_or_else(given_up)?;
                made.map_err(|fault| later(fault, candidate.clone()))?
            }
        };
        if stop.is_cancelled() {
            return Err(given_up());
        }
        let refused = |fault| Rejected { fault, again: None };
        let (guest, signer) = made.map_err(refused)?;
        guest.require_for(&candidate.check).map_err(refused)?;
        match self.sandbox.house(guest, &candidate.check) {
            Ok(guest) => Ok(Compiled { check: candidate.check, guest, signer }),
            Err(fault) => Err(later(fault, candidate)),
        }
    }

    /// Makes a guest when it is the turn of its namespace; nothing if it is told to give up.
    async fn make_in_turn(&self, candidate: &mut Candidate, stop: &CancellationToken) -> Option<Made> {
        let shared = self.shared(candidate);
        // Before the turn to compile: whoever has that waits for nobody who waits for it.
        if let Err(why) = stop.run_until_cancelled(candidate.module.take_up()).await? {
            let name = candidate.check.module.file_name();
            return Some(Err(Fault::new(Reason::Resources, format!("cannot read {name} again: {why}"))));
        }
        let _turn = stop.run_until_cancelled(self.turns.take(candidate.check.key.namespace())).await?;
        let make = shared.get_or_try_init(|| self.make(candidate));
        Some(stop.run_until_cancelled(make).await?.cloned())
    }

    /// Judges the signature before anything else looks into the module. Fails outright if the reason may pass.
    async fn make(&self, candidate: &Candidate) -> Made {
        let Candidate { check, module, signature, .. } = candidate;
        let (name, module) = (check.module.file_name(), read(module).await?);
        let admitted = match self.keyring.admit(name, module, signature.clone()).await {
            Ok(admitted) => admitted,
            Err(fault) => return Ok(Err(fault)),
        };
        let signer = admitted.signer();
        match self.sandbox.load(name, admitted).await {
            Err(fault) if fault.reason == Reason::Resources => Err(fault),
            made => Ok(made.map(|guest| (guest, signer))),
        }
    }

    /// A module is compiled once for all checks of a namespace that wait for it, even if none of them may use it.
    fn shared(&self, candidate: &Candidate) -> Arc<Shared> {
        let Candidate { check, module, signature, .. } = candidate;
        let wanted = Wanted {
            namespace: check.key.namespace().to_owned(),
            name: check.module.file_name().to_owned(),
            digest: module.digest,
            signature: signature.clone(),
        };
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = guests.get(&wanted).and_then(Weak::upgrade) {
            return shared;
        }
        guests.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::default();
        guests.insert(wanted, Arc::downgrade(&shared));
        shared
    }

    async fn begin(
        &self,
        compiled: Compiled,
        entry: Arc<Entry>,
        former: Option<Live>,
        stop: &CancellationToken,
    ) -> Result<Loaded, Rejected> {
        if former.as_ref().is_some_and(|former| compiled.is(former)) {
            return Ok(Loaded::Same(entry, compiled.signer));
        }
        let mut round = Round::new(Version {
            sandbox: Arc::clone(&self.sandbox),
            guest: compiled.guest.clone(),
            check: Arc::clone(&compiled.check),
            usage: Arc::clone(&entry.usage),
        });
        if former.is_some()
            && !compiled.check.suspend
            && let Err(fault) = begin_round(&mut round, &entry, stop).await
        {
            return Err(Rejected { fault, again: Some(Attempt::Compiled(compiled)) });
        }
        Ok(Loaded::Ready(Ready { entry, round, signer: compiled.signer }))
    }
}

impl Compiled {
    /// Whether the version that is live is this one, so that only the signature or its source has changed.
    fn is(&self, live: &Live) -> bool {
        live.check == self.check && live.digest == self.guest.digest
    }
}

impl Attempt {
    /// What it is about.
    pub(super) fn check(&self) -> &Arc<Check> {
        match self {
            Self::Candidate(Candidate { check, .. }) | Self::Compiled(Compiled { check, .. }) => check,
        }
    }
}

/// The decoded module, which takes a while.
async fn read(module: &Packed) -> Result<Blob, Fault> {
    let module = module.clone();
    let read = spawn_blocking(move || module.read()).await;
    let read = read.unwrap_or_else(|error| Err(format!("reading the module broke down: {error}")));
    read.map_err(|why| Fault::new(Reason::Module, why))
}

/// Begins a round beside the guest that runs, and cleans up again if that does not work.
async fn begin_round(round: &mut Round, entry: &Entry, stop: &CancellationToken) -> Result<(), Fault> {
    let begun = stop.run_until_cancelled(timeout(LONGEST_BEGINNING, round.init())).await;
    if let Some(Ok(Ended::Done(()))) = begun {
        return Ok(());
    }
    if !matches!(begun, Some(Ok(_))) {
        // The call was dropped before its end, and its instance cannot be entered again.
        round.abandon();
    }
    let had_begun = round.has_begun();
    if had_begun {
        clean_up(round, entry).await;
    }
    let (reason, why) = match begun {
        None => return Err(given_up().fault),
        Some(Err(_)) => (Reason::Timeout, format!("init took longer than {LONGEST_BEGINNING:?}")),
        Some(Ok(ended)) => match ended.done() {
            Err(Err(fault)) if !had_begun => return Err(fault),
            Err(Err(fault)) => (fault.reason, fault.message),
            Err(Ok(outcome)) => (Reason::Module, outcome.message),
            Ok(()) => return Ok(()),
        },
    };
    Err(Fault::new(reason, format!("the new version does not start: {why}")))
}

/// Until it is tried again, others of its source have their turn.
fn later(fault: Fault, mut candidate: Candidate) -> Rejected {
    candidate.module.lay_aside();
    Rejected { fault, again: Some(Attempt::Candidate(candidate)) }
}

fn given_up() -> Rejected {
    let why = "given up: the check is removed, or the daemon stops";
    Rejected { fault: Fault::new(Reason::Resources, why), again: None }
}
