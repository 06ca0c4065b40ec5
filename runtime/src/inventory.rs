//! The checks that should be running, each with its last good guest.

mod load;
mod slot;
#[cfg(test)]
mod tests;

use crate::{
    board::{Board, Module},
    manifest::Check,
    sandbox::Sandbox,
    scheduler::{Clock, Ready, Scheduler},
    signature::{KeyId, Keyring},
    source::{Candidate, Change},
    value::{self, Key},
};
use futures_util::StreamExt;
use jiff::Timestamp;
use load::Loader;
use slot::{Action, Actions, LiveVersion, Loaded, Refusal, Slot};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
    time::{Instant, sleep_until, timeout_at},
};
use tokio_util::{sync::CancellationToken, time::DelayQueue};

/// How long the daemon waits for the checks that it found at its start before it is ready without them.
const LONGEST_START: Duration = Duration::from_secs(60);

/// Turns changes at the sources into running checks.
///
/// Each check is loaded in a task of its own, so that a slow load delays no other check. Of several changes to one
/// check only the newest counts. A version that cannot be loaded leaves the running version as it is.
pub struct Inventory {
    loader: Loader,
    board: Arc<Board>,
    scheduler: Scheduler,
    slots: HashMap<Key, Slot>,
    /// The loads under way, one at most for each check.
    loads: JoinSet<(Key, Loaded<Ready>)>,
    /// The token that cancels each load under way, by check.
    loading: HashMap<Key, CancellationToken>,
    /// The checks whose load failed, until each is tried again.
    retries: DelayQueue<Key>,
    /// How many sources have not told all of their checks yet.
    unsynced: usize,
    /// The loads that the daemon waits for before it is ready; none until every source has told all of its checks.
    start: Option<Start>,
    /// Cancels all loads when the daemon stops.
    stop: CancellationToken,
}

/// What the daemon waits for before it is ready. Checks that are added later are not waited for, as tenants could
/// add them on and on.
struct Start {
    /// The checks that were being loaded when every source had told all of its checks, and still are.
    loads: HashSet<Key>,
    /// When the daemon is ready even if some of them are still being loaded.
    until: Instant,
}

impl Inventory {
    /// An inventory without checks, for the changes of so many `sources`. Modules have to be signed by a key of the
    /// `keyring`, if it has any.
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

    /// Takes the changes of the sources until `stop` is cancelled. Then ends all loads and checks within `patience`.
    /// Returns whether every load had ended and every check was cleaned up by then.
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
                Some(ended) = self.loads.join_next() => self.loaded(ended),
                Some(due) = self.retries.next() => self.on(due.get_ref(), Slot::retry),
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
        // A load that has begun a round cleans up what that has made.
        self.stop.cancel();
        let enough = Instant::now() + patience / 2;
        while let Ok(Some(ended)) = timeout_at(enough, self.loads.join_next()).await {
            if let Ok((_, Loaded::New(_, ready))) = ended {
                self.end(ready);
            }
        }
        let cut_off = !self.loads.is_empty();
        let patience = deadline.saturating_duration_since(Instant::now());
        self.scheduler.shutdown(patience).await && !cut_off
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::Set(candidate) => {
                let key = candidate.check.key.clone();
                self.on(&key, |slot| slot.want(candidate));
            }
            Change::Reject { key, origin, check, fault } => {
                self.on(&key, |slot| slot.refuse(Refusal { origin, check, fault }));
            }
            Change::Remove(key) => self.on(&key, Slot::remove),
            Change::Synced => self.synced(),
        }
    }

    /// Hands an event to the state machine of a check, and takes the actions that it returns.
    fn on(&mut self, key: &Key, event: impl FnOnce(&mut Slot) -> Actions<Ready>) {
        let slot = self.slots.entry(key.clone()).or_default();
        let actions = event(slot);
        if slot.is_blank() {
            self.slots.remove(key);
        }
        actions.into_iter().for_each(|action| self.act(key, action));
    }

    fn act(&mut self, key: &Key, action: Action<Ready>) {
        match action {
            Action::Enter(check, origin) => drop(self.board.enter(&check, &origin)),
            Action::Adopt(check, origin) => self.board.enter(&check, &origin).adopt(&check),
            Action::Load { candidate, live } => self.load(key, candidate, live),
            Action::GiveUp => {
                if let Some(stop) = self.loading.get(key) {
                    stop.cancel();
                }
            }
            Action::Retry(pause) => drop(self.retries.insert(key.clone(), pause)),
            Action::Run(ready) => self.run_from_now_on(ready),
            Action::Confirm(signer) => self.confirm(key, signer),
            Action::End(ready) => self.end(ready),
            Action::Stop => self.scheduler.stop(key),
            Action::Refuse { refusal, is_running } => self.show(key, refusal, is_running),
            Action::Remove => self.remove(key),
        }
    }

    fn synced(&mut self) {
        self.unsynced = self.unsynced.saturating_sub(1);
        if self.unsynced == 0 {
            let loads = self.loading.keys().cloned().collect();
            self.start = Some(Start { loads, until: Instant::now() + LONGEST_START });
        }
    }

    fn load(&mut self, key: &Key, candidate: Candidate, live: Option<LiveVersion>) {
        let (key, stop) = (key.clone(), self.stop.child_token());
        let entry = self.board.enter(&candidate.check, &candidate.origin);
        self.loading.insert(key.clone(), stop.clone());
        let load = self.loader.clone().load(candidate, entry, live, stop);
        self.loads.spawn(async move { (key, load.await) });
    }

    fn loaded(&mut self, ended: Result<(Key, Loaded<Ready>), JoinError>) {
        // A load is never aborted, and returns its panics as failures.
        let Ok((key, loaded)) = ended else { return };
        self.loading.remove(&key);
        if let Some(start) = &mut self.start {
            start.loads.remove(&key);
        }
        self.on(&key, |slot| slot.loaded(loaded));
    }

    fn run_from_now_on(&mut self, ready: Ready) {
        let Ready { entry, check, round, signer } = &ready;
        let guest = &round.version().guest;
        let module = Module {
            name: check.program.module.to_string(),
            digest: guest.digest,
            size: guest.size,
            signer: *signer,
            imports: guest.imports.clone(),
            loaded: Timestamp::now(),
        };
        if entry.usage.log.has_room(0) {
            tracing::info!(check = %check.key, module = %module.name, digest = %module.digest.short(), "live");
        }
        entry.accept(Arc::clone(check), module);
        if check.suspend {
            self.scheduler.stop(&entry.key);
        } else {
            self.scheduler.start(ready);
        }
    }

    fn confirm(&self, key: &Key, signer: Option<KeyId>) {
        let Some(entry) = self.board.get(key) else { return };
        let view = entry.view();
        if let Some(module) = view.module {
            entry.accept(view.check, Module { signer, ..module.as_ref().clone() });
        }
    }

    /// Ends a version that was loaded and shall not run: its round, which the load may have begun, is cleaned up.
    fn end(&mut self, ready: Ready) {
        let key = ready.entry.key.clone();
        self.scheduler.start(ready);
        self.scheduler.stop(&key);
    }

    fn remove(&self, key: &Key) {
        self.board.remove(key);
        if self.board.has_room_in_log(key, 0) {
            tracing::info!(check = %key, "removed");
        }
    }

    fn show(&self, key: &Key, Refusal { origin, check, fault }: Refusal, is_running: bool) {
        let bare = || Arc::new(Check::bare(key.clone(), value::Module::named_after(key)));
        let entry = match &check {
            Some(check) => self.board.enter(check, &origin),
            None => self.board.get(key).unwrap_or_else(|| self.board.enter(&bare(), &origin)),
        };
        entry.set_origin(&origin);
        let goes_on = if is_running { "; the former one stays" } else { "" };
        if entry.usage.log.has_room(fault.message.len()) {
            tracing::warn!(check = %key, "not loaded{goes_on}: {}", fault.message);
        }
        entry.reject(fault);
    }
}

/// Waits until no load of the start is under way, or until their time is over. Never ends before `start` is known.
async fn start_is_over(start: Option<&Start>) {
    match start {
        Some(start) if start.loads.is_empty() => {}
        Some(start) => sleep_until(start.until).await,
        None => std::future::pending().await,
    }
}
