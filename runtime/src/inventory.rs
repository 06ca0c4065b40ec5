//! The checks that should be running, each with its last good guest.

mod load;
#[cfg(test)]
mod tests;

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
use load::{Attempt, Loaded, Loader, Rejected};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::{Id, JoinError, JoinSet},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::{sync::CancellationToken, time::DelayQueue};

/// How long the daemon waits for the first loads before it calls itself ready without them.
const LONGEST_START: Duration = Duration::from_secs(60);

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
    /// Set once all sources have been read.
    start: Option<Start>,
    /// Tells loads that the daemon stops.
    stop: CancellationToken,
}

/// The loads that were under way when all sources had been read: they may last for so long before the daemon is
/// ready. What comes later keeps nobody waiting, or a tenant could.
struct Start {
    loads: HashSet<Id>,
    until: Instant,
}

/// One check that should be running.
#[derive(Default)]
struct Slot {
    /// A load is under way.
    loading: bool,
    /// Tells it to give up.
    stop: CancellationToken,
    /// The check was removed meanwhile.
    dismissed: bool,
    /// What to load once it has ended.
    next: Option<Candidate>,
    /// What is wrong beside that, to be told at the end.
    trouble: Option<Fault>,
    /// A guest runs, or is suspended.
    live: bool,
    /// Loads in a row that failed for a reason that may pass.
    failures: u32,
    /// What to try again when its time comes.
    again: Option<Attempt>,
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
            loader: Loader::new(sandbox, keyring, Arc::clone(&board), stop.clone()),
            board,
            scheduler,
            slots: HashMap::new(),
            loads: JoinSet::new(),
            loading: HashMap::new(),
            retries: DelayQueue::new(),
            unsynced: sources,
            start: None,
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
                Some(change) = changes.recv() => self.take(change),
                Some(loaded) = self.loads.join_next_with_id() => self.loaded(loaded),
                Some(due) = self.retries.next() => self.retry(due.get_ref()),
                () = start_is_over(self.start.as_ref()), if !self.board.is_ready() => {
                    self.board.set_ready(true);
                }
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
                return self.synced();
            }
        };
        let slot = self.slots.entry(key.clone()).or_default();
        slot.again = None;
        slot.failures = 0;
        match change {
            change if !slot.loading => self.act(change),
            Change::Reject(_, fault) => slot.trouble = Some(fault),
            Change::Set(candidate) => {
                slot.trouble = None;
                slot.next = Some(candidate);
            }
            Change::Remove(_) => {
                slot.dismiss();
                self.scheduler.stop(&key);
            }
            Change::Synced => {}
        }
    }

    fn synced(&mut self) {
        self.unsynced = self.unsynced.saturating_sub(1);
        if self.unsynced == 0 {
            let loads = self.loading.keys().copied().collect();
            self.start = Some(Start { loads, until: Instant::now() + LONGEST_START });
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
                if self.board.has_room_in_log(&key, 0) {
                    tracing::info!(check = %key, "removed");
                }
            }
            Change::Synced => {}
        }
    }

    fn load(&mut self, candidate: Candidate) {
        let key = candidate.check.key.clone();
        let replaces = self.slots.entry(key.clone()).or_default().live;
        self.board.enter(&candidate.check);
        self.attempt(key, Attempt::Candidate(candidate), replaces);
    }

    fn retry(&mut self, key: &Key) {
        let Some(slot) = self.slots.get_mut(key) else { return };
        let Some(attempt) = slot.again.take() else { return };
        // What is compiled has been refused by its own init, which it has to pass before it counts.
        let replaces = slot.live || matches!(attempt, Attempt::Compiled(_));
        self.attempt(key.clone(), attempt, replaces);
    }

    fn attempt(&mut self, key: Key, attempt: Attempt, replaces: bool) {
        let stop = self.stop.child_token();
        let slot = self.slots.entry(key.clone()).or_default();
        slot.loading = true;
        slot.stop = stop.clone();
        let id = self.loads.spawn(self.loader.clone().load(attempt, replaces, stop)).id();
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
        if let Some(start) = &mut self.start {
            start.loads.remove(&id);
        }
        let Some(key) = self.loading.remove(&id) else { return };
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.loading = false;
        let (next, trouble, dismissed) = (slot.next.take(), slot.trouble.take(), slot.dismissed);
        match result {
            result if dismissed => {
                if let Ok(Loaded::Ready(ready)) = result {
                    // It may have begun a round, which its task has to end.
                    self.scheduler.start(ready);
                }
                self.act(Change::Remove(key.clone()));
            }
            Err(_) if self.stop.is_cancelled() => {}
            Ok(loaded) => {
                slot.live = true;
                slot.failures = 0;
                match loaded {
                    Loaded::Ready(ready) => self.start(ready),
                    Loaded::Same(entry, signer) => confirm(&entry, signer),
                }
            }
            Err(Rejected { fault, again }) => {
                if let (Some(attempt), None) = (again, &next) {
                    slot.failures += 1;
                    slot.again = Some(attempt);
                    self.retries.insert(key.clone(), backoff(slot.failures, key.spread()));
                }
                self.reject(&key, fault);
            }
        }
        if let Some(candidate) = next {
            self.load(candidate);
            self.slots.entry(key).or_default().trouble = trouble;
        } else if let Some(fault) = trouble {
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
        if entry.log.has_room(0) {
            tracing::info!(check = %check.key, module = %module.name, digest = %module.digest.short(), "live");
        }
        entry.accept(Arc::clone(check), module);
        if check.suspend {
            self.scheduler.stop(&check.key);
        } else {
            self.scheduler.start(ready);
        }
    }

    fn reject(&self, key: &Key, fault: Fault) {
        let live = self.slots.get(key).is_some_and(|slot| slot.live);
        let goes_on = if live { "; the former one stays" } else { "" };
        let nameless =
            || self.board.enter(&Arc::new(Check::bare(key.clone(), spec::Module::named_after(key))));
        let entry = self.board.get(key).unwrap_or_else(nameless);
        if entry.log.has_room(fault.message.len()) {
            tracing::warn!(check = %key, "not loaded{goes_on}: {}", fault.message);
        }
        entry.reject(fault);
    }
}

impl Slot {
    /// Lets the load end that is under way, and nothing come of it.
    fn dismiss(&mut self) {
        self.stop.cancel();
        (self.dismissed, self.live) = (true, false);
        (self.next, self.trouble) = (None, None);
    }
}

/// What runs is what is wanted.
fn confirm(entry: &Entry, signer: Option<KeyId>) {
    let view = entry.view();
    if let Some(module) = view.module {
        entry.accept(view.check, Module { signer, ..module.as_ref().clone() });
    }
}

/// Waits until the daemon has started as far as anybody should wait for it.
async fn start_is_over(start: Option<&Start>) {
    match start {
        Some(start) if start.loads.is_empty() => {}
        Some(start) => sleep_until(start.until).await,
        None => std::future::pending().await,
    }
}
