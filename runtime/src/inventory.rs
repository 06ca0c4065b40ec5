//! The checks that should be running, each with its last good guest.

use crate::{
    board::{Board, Entry, Module},
    outcome::{Fault, Outcome, Reason, Verdict},
    sandbox::{Guest, Instance, Lost, Sandbox},
    schedule::backoff,
    scheduler::{Clock, Ready, Scheduler},
    source::{Candidate, Change},
    spec::{self, Check, Key},
};
use futures_util::StreamExt;
use jiff::Timestamp;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    sync::mpsc,
    task::{Id, JoinError, JoinSet},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, time::DelayQueue};

/// Turns changes at the sources into running checks.
///
/// Each check loads by itself, so that a slow one delays no other; of several changes to one
/// check only the newest matters. What cannot be loaded leaves the former one running.
pub struct Inventory {
    sandbox: Arc<Sandbox>,
    board: Arc<Board>,
    scheduler: Scheduler,
    slots: HashMap<Key, Slot>,
    loads: JoinSet<Result<Ready, Rejected>>,
    loading: HashMap<Id, Key>,
    retries: DelayQueue<Key>,
    unsynced: usize,
}

/// One check that should be running.
#[derive(Default)]
struct Slot {
    /// A load is under way.
    loading: bool,
    /// What to do once it has ended.
    next: Option<Change>,
    /// A guest runs, or is suspended.
    live: bool,
    /// Loads in a row that failed for a reason that may pass.
    failures: u32,
    /// What to try again when its time comes.
    again: Option<Candidate>,
}

/// A candidate that did not make it.
struct Rejected {
    fault: Fault,
    /// Set if the reason may pass.
    again: Option<Candidate>,
}

impl Inventory {
    /// An empty inventory over `sources` sources.
    pub fn new(sandbox: Arc<Sandbox>, board: Arc<Board>, clock: Clock, sources: usize) -> Self {
        let scheduler = Scheduler::new(Arc::clone(&sandbox), Arc::clone(&board), clock);
        Self {
            sandbox,
            board,
            scheduler,
            slots: HashMap::new(),
            loads: JoinSet::new(),
            loading: HashMap::new(),
            retries: DelayQueue::new(),
            unsynced: sources,
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
        // A load may have begun a round, which its task then has to end.
        self.slots.values_mut().for_each(|slot| slot.next = None);
        while let Ok(Some(loaded)) = tokio::time::timeout_at(deadline, self.loads.join_next_with_id()).await {
            self.loaded(loaded);
        }
        self.scheduler.shutdown(deadline.saturating_duration_since(Instant::now())).await
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
        if slot.loading {
            slot.next = Some(change);
        } else {
            self.act(change);
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
        let slot = self.slots.entry(key.clone()).or_default();
        slot.loading = true;
        self.board.enter(&candidate.check);
        let load = load(Arc::clone(&self.sandbox), Arc::clone(&self.board), candidate, slot.live);
        let id = self.loads.spawn(load).id();
        self.loading.insert(id, key);
    }

    fn loaded(&mut self, loaded: Result<(Id, Result<Ready, Rejected>), JoinError>) {
        let (id, result) = match loaded {
            Ok((id, result)) => (id, result),
            Err(panic) => {
                let fault = Fault::new(Reason::Resources, format!("loading broke down: {panic}"));
                (panic.id(), Err(Rejected { fault, again: None }))
            }
        };
        let Some(key) = self.loading.remove(&id) else { return };
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.loading = false;
        let next = slot.next.take();
        match result {
            Ok(ready) => {
                slot.live = true;
                slot.failures = 0;
                self.start(ready);
            }
            Err(Rejected { fault, again }) => {
                if let (Some(candidate), None) = (again, &next) {
                    slot.failures += 1;
                    slot.again = Some(candidate);
                    self.retries.insert(key.clone(), backoff(slot.failures, key.spread()));
                }
                self.reject(&key, fault);
            }
        }
        if let Some(change) = next {
            self.act(change);
        }
    }

    fn retry(&mut self, key: &Key) {
        let candidate = self.slots.get_mut(key).and_then(|slot| slot.again.take());
        if let Some(candidate) = candidate {
            self.load(candidate);
        }
    }

    fn start(&mut self, ready: Ready) {
        let Ready { check, entry, guest, .. } = &ready;
        let module = Module {
            name: check.module.to_string(),
            digest: guest.digest,
            size: guest.size,
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

/// Tries a candidate. Beside a guest that runs, it must also begin its round.
async fn load(
    sandbox: Arc<Sandbox>,
    board: Arc<Board>,
    candidate: Candidate,
    replaces: bool,
) -> Result<Ready, Rejected> {
    let check = Arc::clone(&candidate.check);
    let entry = board.enter(&check);
    let never = |fault| Rejected { fault, again: None };
    let guest = sandbox.load(check.module.file_name(), Arc::clone(&candidate.module)).await.map_err(never)?;
    guest.require_for(&check).map_err(never)?;
    let mut instance = None;
    if replaces && !check.suspend {
        let begun = begin(&sandbox, &guest, &check, &entry).await;
        instance = Some(begun.map_err(|fault| Rejected { fault, again: Some(candidate) })?);
    }
    Ok(Ready { check, entry, guest, instance })
}

/// Begins a round beside the guest that runs, and cleans up again if that does not work.
async fn begin(
    sandbox: &Sandbox,
    guest: &Guest,
    check: &Arc<Check>,
    entry: &Arc<Entry>,
) -> Result<Instance, Fault> {
    let live = || Instance::new(sandbox, guest, Arc::clone(check), Arc::clone(entry), false);
    let mut instance = live().await?;
    let verdict = match instance.init().await {
        Ok(Ok(())) => return Ok(instance),
        Ok(Err(message)) => Ok(Outcome::fail(message)),
        Err(lost) => {
            instance = live().await?;
            Verdict::from(lost)
        }
    };
    if let Err(Lost::Fault(fault)) = instance.cleanup().await {
        tracing::warn!(check = %check.key, "cleanup after a failed init: {}", fault.message);
    }
    let (reason, why) = match verdict {
        Ok(outcome) => (Reason::Module, outcome.message),
        Err(fault) => (fault.reason, fault.message),
    };
    Err(Fault::new(reason, format!("the new version does not start: {why}")))
}
