//! Loading: what makes a candidate into a check that is ready to run.

use super::slot::{LiveVersion, Loaded, Refusal};
use crate::{
    board::Entry,
    fair_semaphore::FairSemaphore,
    manifest::Check,
    outcome::{Fault, Reason},
    sandbox::{Ended, Guest, GuestLease, Round, Sandbox, Version},
    scheduler::{Ready, clean_up},
    signature::{KeyId, Keyring, Signature},
    source::{Candidate, Packed},
    text::panic_message,
    value::{Blob, Digest},
};
use futures_util::FutureExt;
use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};
use tokio::{sync::OnceCell, task::spawn_blocking, time::timeout};
use tokio_util::sync::CancellationToken;

/// How many modules are decoded and compiled at once: in all, and for one namespace.
const MOST_MODULES: usize = 8;
const MOST_OF_EACH: usize = 2;
/// How long a new version may take to begin its round beside the former one.
const LONGEST_BEGINNING: Duration = Duration::from_secs(30);

/// What every load needs, shared by all of them.
#[derive(Clone)]
pub(super) struct Loader {
    sandbox: Arc<Sandbox>,
    keyring: Keyring,
    turns: FairSemaphore,
    guests: Arc<Mutex<HashMap<Wanted, Weak<Shared>>>>,
}

/// A guest, and the key that signed its module; no key if no signature is required.
type Signed = (Arc<Guest>, Option<KeyId>);

/// A guest, or what is wrong with its module. The outer error is a fault that may pass.
type Made = Result<Result<Signed, Fault>, Fault>;

/// The future guest of a module, shared by all loads that wait for the same module.
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
struct Compiled {
    check: Arc<Check>,
    guest: GuestLease,
    signer: Option<KeyId>,
}

/// Why a candidate cannot be used, and whether the reason may pass.
pub(super) struct Rejected {
    fault: Fault,
    may_pass: bool,
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

    /// Makes a check ready to run, whose state the board shows in `entry`. If a version of the check is
    /// `live`, the new one must also begin its round, unless it is suspended. When `stop` is cancelled, the load gives
    /// up and cleans up.
    pub(super) async fn load(
        self,
        candidate: Candidate,
        entry: Arc<Entry>,
        live: Option<LiveVersion>,
        stop: CancellationToken,
    ) -> Loaded<Ready> {
        let (check, origin) = (Arc::clone(&candidate.check), Arc::clone(&candidate.origin));
        let load = async {
            let compiled = self.compile(candidate, &stop).await?;
            self.begin(compiled, entry, live, &stop).await
        };
        let loaded = AssertUnwindSafe(load).catch_unwind().await.unwrap_or_else(|panic| {
            let why = format!("loading broke down: {}", panic_message(panic.as_ref()));
            Err(refused(Fault::new(Reason::Resources, why)))
        });
        loaded.unwrap_or_else(|Rejected { fault, may_pass }| Loaded::Failed {
            refusal: Refusal { origin, check: Some(check), fault },
            may_pass,
        })
    }

    async fn compile(
        &self,
        mut candidate: Candidate,
        stop: &CancellationToken,
    ) -> Result<Compiled, Rejected> {
        let known = self.sandbox.known(&candidate.module.digest).filter(|_| self.keyring.is_empty());
        let made = match known {
            Some(guest) => Ok((guest, None)),
            None => self.make_in_turn(&mut candidate, stop).await.ok_or_else(given_up)?.map_err(later)?,
        };
        if stop.is_cancelled() {
            return Err(given_up());
        }
        let (guest, signer) = made.map_err(refused)?;
        guest.require_for(&candidate.check.program).map_err(refused)?;
        let guest = self.sandbox.house(guest, &candidate.check.program).map_err(later)?;
        Ok(Compiled { check: candidate.check, guest, signer })
    }

    /// Makes a guest once its namespace has a permit; none if `stop` is cancelled before.
    async fn make_in_turn(&self, candidate: &mut Candidate, stop: &CancellationToken) -> Option<Made> {
        let shared = self.shared(candidate);
        // Before the turn to compile: whoever has that waits for nobody who waits for it.
        if let Err(why) = stop.run_until_cancelled(candidate.module.fetch()).await? {
            let name = candidate.check.program.module.file_name();
            return Some(Err(Fault::new(Reason::Resources, format!("cannot read {name} again: {why}"))));
        }
        let _turn = stop.run_until_cancelled(self.turns.take(candidate.check.key.namespace())).await?;
        let make = shared.get_or_try_init(|| self.make(candidate));
        Some(stop.run_until_cancelled(make).await?.cloned())
    }

    /// Judges the signature of a module before anything else reads the module. The outer error is a fault
    /// that may pass.
    async fn make(&self, candidate: &Candidate) -> Made {
        let Candidate { check, module, signature, .. } = candidate;
        let (name, module) = (check.program.module.file_name(), read(module).await?);
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

    /// The guest of a module. A module is compiled once for all checks of a namespace that wait for it, even
    /// if none of them may use it.
    fn shared(&self, candidate: &Candidate) -> Arc<Shared> {
        let Candidate { check, module, signature, .. } = candidate;
        let wanted = Wanted {
            namespace: check.key.namespace().to_owned(),
            name: check.program.module.file_name().to_owned(),
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
        live: Option<LiveVersion>,
        stop: &CancellationToken,
    ) -> Result<Loaded<Ready>, Rejected> {
        let Compiled { check, guest, signer } = compiled;
        let version = LiveVersion { check: Arc::clone(&check), digest: guest.digest };
        // Only the signature or the source has changed.
        if live.as_ref() == Some(&version) {
            return Ok(Loaded::Same(signer));
        }
        let mut round = Round::new(Version {
            sandbox: Arc::clone(&self.sandbox),
            guest,
            program: Arc::clone(&check.program),
            usage: Arc::clone(&entry.usage),
        });
        if live.is_some() && !version.check.suspend {
            begin_round(&mut round, &entry, stop).await.map_err(later)?;
        }
        Ok(Loaded::New(version, Ready { entry, check, round, signer }))
    }
}

/// Decodes a module on a blocking thread.
async fn read(module: &Packed) -> Result<Blob, Fault> {
    let module = module.clone();
    let read = spawn_blocking(move || module.read()).await;
    let read = read.unwrap_or_else(|error| Err(format!("reading the module broke down: {error}")));
    read.map_err(|why| Fault::new(Reason::Module, why))
}

/// Begins a round beside the guest that runs. If that fails, cleans up what the round has begun.
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

fn refused(fault: Fault) -> Rejected {
    Rejected { fault, may_pass: false }
}

fn later(fault: Fault) -> Rejected {
    Rejected { fault, may_pass: true }
}

fn given_up() -> Rejected {
    let why = "given up: the check is removed, or the daemon stops";
    refused(Fault::new(Reason::Resources, why))
}
