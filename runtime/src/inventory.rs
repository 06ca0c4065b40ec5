//! The checks that should be running, each with its last good guest.

mod load;

use crate::{
    board::{Board, Entry, Module},
    outcome::{Fault, Reason},
    sandbox::Sandbox,
    schedule::backoff,
    scheduler::{Clock, Ready, Scheduler},
    signature::{KeyId, Keyring},
    source::{Candidate, Change},
    spec::{self, Check, Key},
};
use futures_util::StreamExt;
use jiff::Timestamp;
use load::{Again, Loaded, Loader, Rejected};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::{Id, JoinError, JoinSet},
    time::{Instant, timeout_at},
};
use tokio_util::{sync::CancellationToken, time::DelayQueue};

/// How many modules are held while they wait to be compiled, and how many until they are tried again.
const MOST_MODULES: usize = 64;

/// Turns changes at the sources into running checks.
///
/// Each check loads by itself, so that a slow one delays no other; of several changes to one
/// check only the newest matters. What cannot be loaded leaves the former one running.
pub struct Inventory {
    loader: Loader,
    board: Arc<Board>,
    scheduler: Scheduler,
    slots: HashMap<Key, Slot>,
    loads: JoinSet<Result<Loaded, Rejected>>,
    loading: HashMap<Id, Key>,
    retries: DelayQueue<Key>,
    unsynced: usize,
    modules: Arc<Semaphore>,
    /// A place among the modules, for the next change.
    place: Option<OwnedSemaphorePermit>,
    /// Tells loads that the daemon stops.
    stop: CancellationToken,
}

/// One check that should be running.
#[derive(Default)]
struct Slot {
    /// A load is under way.
    loading: bool,
    /// What to do once it has ended.
    next: Option<Change>,
    /// What is wrong beside that, to be told at the end.
    trouble: Option<Fault>,
    /// A guest runs, or is suspended.
    live: bool,
    /// Loads in a row that failed for a reason that may pass.
    failures: u32,
    /// What to try again when its time comes.
    again: Option<Again>,
}

impl Slot {
    fn holds_module(&self) -> bool {
        matches!(self.again, Some(Again::Compile(_)))
    }
}

impl Inventory {
    /// An empty inventory over `sources` sources, which admits what one of the keys has signed.
    pub fn new(
        sandbox: Arc<Sandbox>,
        keyring: Keyring,
        board: Arc<Board>,
        clock: Clock,
        sources: usize,
    ) -> Self {
        let scheduler = Scheduler::new(Arc::clone(&sandbox), Arc::clone(&board), clock);
        let stop = CancellationToken::new();
        Self {
            loader: Loader { sandbox, keyring, board: Arc::clone(&board), stop: stop.clone() },
            board,
            scheduler,
            slots: HashMap::new(),
            loads: JoinSet::new(),
            loading: HashMap::new(),
            retries: DelayQueue::new(),
            unsynced: sources,
            modules: Arc::new(Semaphore::new(MOST_MODULES)),
            place: None,
            stop,
        }
    }

    /// Follows the sources until it is told to stop; then lets every check end within `patience`.
    /// True if all ended clean.
    pub async fn run(
        mut self,
        mut changes: mpsc::Receiver<Change>,
        stop: CancellationToken,
        patience: Duration,
    ) -> bool {
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(place) = Arc::clone(&self.modules).acquire_owned(), if self.place.is_none() => {
                    self.place = Some(place);
                }
                Some(change) = changes.recv(), if self.place.is_some() => self.take(change),
                Some(loaded) = self.loads.join_next_with_id() => self.loaded(loaded),
                Some(due) = self.retries.next() => self.retry(due.get_ref()),
            }
            if self.unsynced == 0 && self.loads.is_empty() {
                self.board.set_ready(true);
            }
        }
        self.board.set_ready(false);
        self.shutdown(patience).await
    }

    async fn shutdown(mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        // A load may have begun a round, which its task then has to end; one that is about to begin
        // gives up and cleans up.
        self.stop.cancel();
        self.slots.values_mut().for_each(|slot| slot.next = None);
        let enough = Instant::now() + patience / 2;
        while let Ok(Some(loaded)) = timeout_at(enough, self.loads.join_next_with_id()).await {
            self.loaded(loaded);
        }
        let cut_off = !self.loads.is_empty();
        let patience = deadline.saturating_duration_since(Instant::now());
        self.scheduler.shutdown(patience).await && !cut_off
    }

    fn take(&mut self, change: Change) {
        let key = match &change {
            Change::Set(candidate) => candidate.check.key.clone(),
            Change::Reject(key, _) | Change::Remove(key) => key.clone(),
            Change::Synced => {
                self.unsynced = self.unsynced.saturating_sub(1);
                return;
            }
        };
        let slot = self.slots.entry(key.clone()).or_default();
        slot.again = None;
        slot.failures = 0;
        match change {
            change if !slot.loading => self.act(change),
            Change::Reject(_, fault) => slot.trouble = Some(fault),
            change => {
                slot.trouble = None;
                slot.next = Some(change);
            }
        }
    }

    fn act(&mut self, change: Change) {
        match change {
            Change::Set(candidate) => self.load(candidate),
            Change::Reject(key, fault) => self.reject(&key, fault),
            Change::Remove(key) => {
                self.scheduler.stop(&key);
                self.board.remove(&key);
                self.slots.remove(&key);
                tracing::info!(check = %key, "removed");
            }
            Change::Synced => {}
        }
    }

    fn load(&mut self, candidate: Candidate) {
        let key = candidate.check.key.clone();
        let replaces = self.slots.entry(key.clone()).or_default().live;
        self.board.enter(&candidate.check);
        let (loader, place) = (self.loader.clone(), self.place.take());
        self.spawn(key, async move {
            let compiled = loader.compile(candidate).await;
            drop(place);
            loader.begin(compiled?, replaces).await
        });
    }

    fn retry(&mut self, key: &Key) {
        let Some(again) = self.slots.get_mut(key).and_then(|slot| slot.again.take()) else { return };
        let compiled = match again {
            Again::Begin(compiled) => compiled,
            Again::Compile(candidate) => return self.load(candidate),
        };
        let loader = self.loader.clone();
        self.spawn(key.clone(), async move { loader.begin(compiled, true).await });
    }

    fn spawn(&mut self, key: Key, load: impl Future<Output = Result<Loaded, Rejected>> + Send + 'static) {
        self.slots.entry(key.clone()).or_default().loading = true;
        let id = self.loads.spawn(load).id();
        self.loading.insert(id, key);
    }

    fn loaded(&mut self, loaded: Result<(Id, Result<Loaded, Rejected>), JoinError>) {
        let (id, result) = match loaded {
            Ok((id, result)) => (id, result),
            Err(panic) => {
                let fault = Fault::new(Reason::Resources, format!("loading broke down: {panic}"));
                (panic.id(), Err(Rejected { fault, again: None }))
            }
        };
        let Some(key) = self.loading.remove(&id) else { return };
        let is_crowded = self.slots.values().filter(|slot| slot.holds_module()).count() >= MOST_MODULES;
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.loading = false;
        let next = slot.next.take();
        match result {
            Ok(loaded) => {
                slot.live = true;
                slot.failures = 0;
                match loaded {
                    Loaded::Ready(ready) => self.start(ready),
                    Loaded::Same(entry, signer) => confirm(&entry, signer),
                }
            }
            Err(Rejected { fault, again }) => {
                let again = again.filter(|again| !is_crowded || matches!(again, Again::Begin(_)));
                if let (Some(again), None) = (again, &next) {
                    slot.failures += 1;
                    slot.again = Some(again);
                    self.retries.insert(key.clone(), backoff(slot.failures, key.spread()));
                }
                self.reject(&key, fault);
            }
        }
        if let Some(change) = next {
            self.act(change);
        } else if let Some(fault) = self.slots.get_mut(&key).and_then(|slot| slot.trouble.take()) {
            self.reject(&key, fault);
        }
    }

    fn start(&mut self, ready: Ready) {
        let Ready { check, entry, guest, signer, .. } = &ready;
        let module = Module {
            name: check.module.to_string(),
            digest: guest.digest,
            size: guest.size,
            signer: *signer,
            imports: guest.imports.clone(),
            loaded: Timestamp::now(),
        };
        tracing::info!(check = %check.key, module = %module.name, digest = %module.digest.short(), "live");
        entry.accept(Arc::clone(check), module);
        if check.suspend {
            self.scheduler.stop(&check.key);
        } else {
            self.scheduler.start(ready);
        }
    }

    fn reject(&self, key: &Key, fault: Fault) {
        let live = self.slots.get(key).is_some_and(|slot| slot.live);
        let goes_on = if live { "; the former one goes on" } else { "" };
        tracing::warn!(check = %key, "not loaded{goes_on}: {}", fault.message);
        let nameless =
            || self.board.enter(&Arc::new(Check::bare(key.clone(), spec::Module::named_after(key))));
        self.board.get(key).unwrap_or_else(nameless).reject(fault);
    }
}

/// What runs is what is wanted.
fn confirm(entry: &Entry, signer: Option<KeyId>) {
    let view = entry.view();
    if let Some(module) = view.module {
        entry.accept(view.check, Module { signer, ..module.as_ref().clone() });
    }
}
