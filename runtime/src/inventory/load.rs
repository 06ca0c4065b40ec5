//! From a candidate to a check that is ready to run.

use crate::{
    board::{Board, Entry, EventKind},
    outcome::{Fault, Reason},
    sandbox::{Guest, Instance, Lost, Sandbox},
    scheduler::Ready,
    source::{Candidate, Packed},
    spec::{Check, Digest},
    turns::Turns,
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
    board: Arc<Board>,
    turns: Turns,
    guests: Arc<Mutex<Guests>>,
}

/// What comes of a module, for all who wait for it together.
type Shared = OnceCell<Result<Arc<Guest>, Fault>>;

/// What is waited for, by namespace and digest.
type Guests = HashMap<(String, Digest), Weak<Shared>>;

/// A check whose module is compiled and granted what it asks for.
pub(super) struct Compiled {
    check: Arc<Check>,
    guest: Arc<Guest>,
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
    pub(super) fn new(sandbox: Arc<Sandbox>, board: Arc<Board>) -> Self {
        let turns = Turns::new(MOST_MODULES, MOST_OF_EACH);
        Self { sandbox, board, turns, guests: Arc::default() }
    }

    /// Makes a check ready to run. Beside a guest that runs, which it `replaces`, it must also begin its
    /// round. Gives up as soon as `stop` says so, and cleans up.
    pub(super) async fn load(
        self,
        attempt: Attempt,
        replaces: bool,
        stop: CancellationToken,
    ) -> Result<Ready, Rejected> {
        let compiled = match attempt {
            Attempt::Candidate(candidate) => self.compile(candidate, &stop).await?,
            Attempt::Compiled(compiled) => compiled,
        };
        self.begin(compiled, replaces, &stop).await
    }

    async fn compile(&self, candidate: Candidate, stop: &CancellationToken) -> Result<Compiled, Rejected> {
        let Candidate { check, module } = &candidate;
        let guest = match self.sandbox.known(&module.digest) {
            Some(guest) => Ok(guest),
            None => {
                let shared = self.shared(check.key.namespace(), module.digest);
                let turn = stop.run_until_cancelled(self.turns.take(check.key.namespace())).await;
                let Some(_turn) = turn else { return Err(given_up()) };
                let make =
                    || async { Ok(self.sandbox.load(check.module.file_name(), read(module).await?).await) };
                let made = shared.get_or_try_init(make).await.cloned();
                made.map_err(|fault| Rejected { fault, again: Some(Attempt::Candidate(candidate.clone())) })?
            }
        };
        if stop.is_cancelled() {
            return Err(given_up());
        }
        let refused = |fault| Rejected { fault, again: None };
        let guest = guest.map_err(refused)?;
        guest.require_for(check).map_err(refused)?;
        Ok(Compiled { check: Arc::clone(check), guest })
    }

    /// A module is compiled once for all checks of a namespace that wait for it, even if none of them may use it.
    fn shared(&self, namespace: &str, digest: Digest) -> Arc<Shared> {
        let mut guests = self.guests.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), digest);
        if let Some(shared) = guests.get(&key).and_then(Weak::upgrade) {
            return shared;
        }
        guests.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::default();
        guests.insert(key, Arc::downgrade(&shared));
        shared
    }

    async fn begin(
        &self,
        compiled: Compiled,
        replaces: bool,
        stop: &CancellationToken,
    ) -> Result<Ready, Rejected> {
        let entry = self.board.enter(&compiled.check);
        let mut instance = None;
        if replaces && !compiled.check.suspend {
            match self.begin_round(&compiled, &entry, stop).await {
                Ok(live) => instance = Some(live),
                Err(fault) => return Err(Rejected { fault, again: Some(Attempt::Compiled(compiled)) }),
            }
        }
        let Compiled { check, guest } = compiled;
        Ok(Ready { check, entry, guest, instance })
    }

    /// Begins a round beside the guest that runs, and cleans up again if that does not work.
    async fn begin_round(
        &self,
        compiled: &Compiled,
        entry: &Arc<Entry>,
        stop: &CancellationToken,
    ) -> Result<Instance, Fault> {
        let Compiled { check, guest } = compiled;
        let live = || Instance::new(&self.sandbox, guest, Arc::clone(check), Arc::clone(entry), false);
        let mut instance = live().await?;
        let begun = stop.run_until_cancelled(timeout(LONGEST_BEGINNING, instance.init())).await;
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
                    None => return Err(given_up().fault),
                }
            }
        };
        Err(Fault::new(reason, format!("the new version does not start: {why}")))
    }
}

/// The decoded bytes of a module, which takes a while.
async fn read(module: &Packed) -> Result<Arc<[u8]>, Fault> {
    let module = module.clone();
    let read = spawn_blocking(move || module.read()).await;
    let read = read.unwrap_or_else(|error| Err(format!("reading the module broke down: {error}")));
    read.map_err(|why| Fault::new(Reason::Module, why))
}

fn given_up() -> Rejected {
    let why = "given up: the check is removed, or the daemon stops";
    Rejected { fault: Fault::new(Reason::Resources, why), again: None }
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
