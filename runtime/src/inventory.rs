//! The checks that should be running, each with its last good guest.

mod load;
mod slot;
#[cfg(test)]
mod tests;

use crate::{
    board::{self, Board, Module},
    manifest::Check,
    outcome::{Fault, Reason},
    sandbox::Sandbox,
    schedule::backoff,
    scheduler::{Clock, Ready, Scheduler},
    signature::{KeyId, Keyring},
    source::{Candidate, Change},
    value::{self, Key, Origin},
};
use futures_util::StreamExt;
use jiff::Timestamp;
use load::{Attempt, Live, Loaded, Loader, Rejected};
use slot::{Load, Refusal, Slot};
use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
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
    /// The checks that are being loaded, and where their manifests lie.
    loading: HashMap<Id, (Arc<Check>, Arc<Origin>)>,
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

impl Inventory {
    /// An empty inventory over `sources` sources, which admits what one of the keys has signed.
    pub fn new(
        sandbox: Arc<Sandbox>,
        keyring: Keyring,
        board: Arc<Board>,
        clock: Clock,
        sources: usize,
    ) -> Self {
        let scheduler = Scheduler::new(Arc::clone(&board), clock);
        let stop = CancellationToken::new();
        Self {
            loader: Loader::new(sandbox, keyring),
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
        match change {
            Change::Set(candidate) => self.set(candidate),
            Change::Reject { key, origin, check, fault } => {
                self.refuse(&key, Refusal { origin, check, fault });
            }
            Change::Remove(key) => self.remove(&key),
            Change::Synced => self.synced(),
        }
    }

    fn set(&mut self, mut candidate: Candidate) {
        let slot = self.slots.entry(candidate.check.key.clone()).or_default();
        slot.renew();
        slot.trouble = None;
        if slot.load.is_none() {
            return self.load(candidate);
        }
        // Until the load has ended, others of its source have their turn.
        candidate.module.lay_aside();
        let (check, origin) = (Arc::clone(&candidate.check), Arc::clone(&candidate.origin));
        slot.next = Some(candidate);
        self.enter(&check, &origin);
    }

    fn refuse(&mut self, key: &Key, refusal: Refusal) {
        let slot = self.slots.entry(key.clone()).or_default();
        slot.renew();
        if !slot.is_expecting() {
            return self.reject(key, refusal);
        }
        let (check, origin) = (refusal.check.clone(), Arc::clone(&refusal.origin));
        slot.trouble = Some(refusal);
        if let Some(check) = check {
            self.enter(&check, &origin);
        }
    }

    fn remove(&mut self, key: &Key) {
        self.scheduler.stop(key);
        self.board.remove(key);
        if let Entry::Occupied(mut slot) = self.slots.entry(key.clone()) {
            slot.get_mut().dismiss();
            if slot.get().load.is_none() {
                slot.remove();
            }
        }
        if self.board.has_room_in_log(key, 0) {
            tracing::info!(check = %key, "removed");
        }
    }

    fn synced(&mut self) {
        self.unsynced = self.unsynced.saturating_sub(1);
        if self.unsynced == 0 {
            let loads = self.loading.keys().copied().collect();
            self.start = Some(Start { loads, until: Instant::now() + LONGEST_START });
        }
    }

    /// Puts a check on the board. A suspended one that is to go on stays suspended until its module has been tried.
    fn enter(&mut self, check: &Arc<Check>, origin: &Arc<Origin>) -> Arc<board::Entry> {
        let entry = self.board.enter(check, origin);
        if check.suspend || !entry.view().check.suspend {
            self.adopt(&entry, check);
        }
        entry
    }

    /// Lets be in force what a manifest says that needs no module.
    fn adopt(&mut self, entry: &board::Entry, check: &Arc<Check>) {
        entry.adopt(check);
        let slot = self.slots.entry(check.key.clone()).or_default();
        if check.suspend && slot.is_running() {
            slot.live = None;
            self.scheduler.stop(&check.key);
        }
    }

    fn load(&mut self, candidate: Candidate) {
        let entry = self.enter(&candidate.check, &candidate.origin);
        self.attempt(Attempt::Candidate(candidate), entry);
    }

    fn retry(&mut self, key: &Key) {
        let attempt = self.slots.get_mut(key).and_then(|slot| slot.again.take());
        if let (Some(attempt), Some(entry)) = (attempt, self.board.get(key)) {
            self.attempt(attempt, entry);
        }
    }

    fn attempt(&mut self, attempt: Attempt, entry: Arc<board::Entry>) {
        let (check, stop) = (Arc::clone(attempt.check()), self.stop.child_token());
        let slot = self.slots.entry(check.key.clone()).or_default();
        slot.load = Some(Load { stop: stop.clone(), is_dismissed: false });
        let origin = entry.origin();
        let load = self.loader.clone().load(attempt, entry, slot.live.clone(), stop);
        self.loading.insert(self.loads.spawn(load).id(), (check, origin));
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
        let Some((check, origin)) = self.loading.remove(&id) else { return };
        let Some(slot) = self.slots.get_mut(&check.key) else { return };
        let is_dismissed = slot.load.take().is_some_and(|load| load.is_dismissed);
        let (next, trouble) = (slot.next.take(), slot.trouble.take());
        match result {
            result if is_dismissed => self.end(&check.key, result.ok()),
            Err(_) if self.stop.is_cancelled() => {}
            Ok(loaded) => self.accept(loaded),
            Err(Rejected { fault, again }) => {
                if let (Some(attempt), None) = (again, &next) {
                    slot.failures += 1;
                    slot.again = Some(attempt);
                    self.retries.insert(check.key.clone(), backoff(slot.failures, check.key.spread()));
                }
                self.reject(&check.key, Refusal { origin, check: Some(Arc::clone(&check)), fault });
            }
        }
        match (next, trouble) {
            (Some(candidate), trouble) => {
                self.load(candidate);
                self.slots.entry(check.key.clone()).or_default().trouble = trouble;
            }
            (None, Some(trouble)) => self.reject(&check.key, trouble),
            (None, None) => {}
        }
    }

    /// A load of a check has ended that was removed meanwhile.
    fn end(&mut self, key: &Key, loaded: Option<Loaded>) {
        self.slots.remove(key);
        if let Some(Loaded::Ready(ready)) = loaded {
            // It may have begun a round, which its task has to end.
            self.scheduler.start(ready);
            self.scheduler.stop(key);
        }
    }

    fn accept(&mut self, loaded: Loaded) {
        let ready = match loaded {
            Loaded::Ready(ready) => ready,
            Loaded::Same(entry, signer) => return confirm(&entry, signer),
        };
        let Ready { entry, round, signer } = &ready;
        let (check, guest) = (round.check(), &round.version().guest);
        let module = Module {
            name: check.module.to_string(),
            digest: guest.digest,
            size: guest.size,
            signer: *signer,
            imports: guest.imports.clone(),
            loaded: Timestamp::now(),
        };
        if entry.usage.log.has_room(0) {
            tracing::info!(check = %check.key, module = %module.name, digest = %module.digest.short(), "live");
        }
        let slot = self.slots.entry(check.key.clone()).or_default();
        slot.failures = 0;
        slot.live = Some(Live { check: Arc::clone(check), digest: module.digest });
        entry.accept(Arc::clone(check), module);
        if check.suspend {
            self.scheduler.stop(&entry.key);
        } else {
            self.scheduler.start(ready);
        }
    }

    fn reject(&mut self, key: &Key, Refusal { origin, check, fault }: Refusal) {
        let bare = || Arc::new(Check::bare(key.clone(), value::Module::named_after(key)));
        let entry = match &check {
            Some(check) => self.board.enter(check, &origin),
            None => self.board.get(key).unwrap_or_else(|| self.board.enter(&bare(), &origin)),
        };
        entry.set_origin(&origin);
        if let Some(check) = &check {
            self.adopt(&entry, check);
        }
        let is_running = self.slots.get(key).is_some_and(Slot::is_running);
        let goes_on = if is_running { "; the former one stays" } else { "" };
        if entry.usage.log.has_room(fault.message.len()) {
            tracing::warn!(check = %key, "not loaded{goes_on}: {}", fault.message);
        }
        entry.reject(fault);
    }
}

/// What runs is what is wanted.
fn confirm(entry: &board::Entry, signer: Option<KeyId>) {
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
