//! The tasks that run checks by their schedule and lifecycle, one for each check.

mod cleanup;
mod clock;
mod supervise;
mod task;

pub use clock::Clock;

pub(crate) use cleanup::clean_up;

use crate::{
    board::{Board, Entry},
    fair_semaphore::FairSemaphore,
    manifest::Check,
    sandbox::Round,
    signature::KeyId,
    value::Key,
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use supervise::supervise;
use task::Task;
use tokio::{
    sync::Mutex,
    task::JoinHandle,
    time::{Instant, timeout_at},
};
use tokio_util::sync::CancellationToken;

/// The most runs on demand at a time. Without it, a request to run all checks would load all targets and the
/// network in the same moment.
const RUNS_ON_DEMAND: usize = 64;
/// The most runs on demand at a time of one namespace. All its checks may hang until their timeout.
const OF_ONE_NAMESPACE: usize = 32;

/// A check that is ready to run.
pub struct Ready {
    /// The entry of the check on the board.
    pub entry: Arc<Entry>,
    /// The manifest of the check.
    pub check: Arc<Check>,
    /// The round that runs the check. It may have begun already.
    pub round: Round,
    /// The key that signed the module; none if no signature is required.
    pub signer: Option<KeyId>,
}

/// Owns the task of every check.
pub struct Scheduler {
    board: Arc<Board>,
    clock: Clock,
    tasks: HashMap<Key, Running>,
    on_demand: FairSemaphore,
    /// Cancelled at the end of the daemon, to end runs that hang.
    hurry: CancellationToken,
}

/// The versions of a check that have not ended yet.
#[derive(Default)]
struct Running {
    /// Cancelled to stop the newest version of the check.
    stop: CancellationToken,
    /// The lock that the version of the check holds while it runs.
    seat: Arc<Mutex<()>>,
    versions: Vec<JoinHandle<bool>>,
}

impl Scheduler {
    /// A scheduler without tasks.
    pub fn new(board: Arc<Board>, clock: Clock) -> Self {
        let (tasks, hurry) = (HashMap::new(), CancellationToken::new());
        Self { board, clock, tasks, on_demand: turns_on_demand(), hurry }
    }

    /// Runs a check from now on. A former version finishes its run and cleans up first. Versions that only
    /// waited to run leave at once, so that two versions of a check are live at most.
    pub fn start(&mut self, ready: Ready) {
        let running = self.tasks.entry(ready.entry.key.clone()).or_default();
        running.stop.cancel();
        running.stop = CancellationToken::new();
        let Ready { entry, check, round, .. } = ready;
        let (board, clock, on_demand) = (Arc::clone(&self.board), self.clock, self.on_demand.clone());
        let begin = move |round| {
            let (entry, check) = (Arc::clone(&entry), Arc::clone(&check));
            Task::new(entry, check, round, Arc::clone(&board), clock, on_demand.clone())
        };
        let (seat, stop, hurry) = (Arc::clone(&running.seat), running.stop.clone(), self.hurry.clone());
        running.versions.retain(|version| !version.is_finished());
        running.versions.push(tokio::spawn(run_seated(seat, begin, round, stop, hurry)));
    }

    /// Lets a check finish its run and clean up. Does not wait for that; a later version of the check does.
    pub fn stop(&mut self, key: &Key) {
        self.tasks.retain(|_, running| !running.versions.iter().all(JoinHandle::is_finished));
        if let Some(running) = self.tasks.get(key) {
            running.stop.cancel();
        }
    }

    /// Lets every check finish its run and clean up. Runs that take longer than half of `patience` are ended,
    /// and their cleanups have the other half. Tasks that take longer than `patience` are killed. Returns
    /// whether every check was cleaned up.
    pub async fn shutdown(mut self, patience: Duration) -> bool {
        for running in self.tasks.values() {
            running.stop.cancel();
        }
        let deadline = Instant::now() + patience;
        let hurry = self.hurry.clone();
        let hurrying = tokio::spawn(async move {
            tokio::time::sleep(patience / 2).await;
            hurry.cancel();
        });
        let mut clean = true;
        for (key, running) in self.tasks.drain() {
            for version in running.versions {
                clean &= ended(&key, version, deadline).await;
            }
        }
        hurrying.abort();
        clean
    }
}

fn turns_on_demand() -> FairSemaphore {
    FairSemaphore::sparing(RUNS_ON_DEMAND, OF_ONE_NAMESPACE)
}

/// Runs a version of a check once its former version has ended. A version that is replaced before that only
/// ends the round that it may have begun. A version that panics begins again.
async fn run_seated(
    seat: Arc<Mutex<()>>,
    begin: impl Fn(Round) -> Task,
    round: Round,
    stop: CancellationToken,
    hurry: CancellationToken,
) -> bool {
    let version = round.version().clone();
    let task = begin(round);
    let Some(_seat) = stop.run_until_cancelled(seat.lock()).await else { return task.leave().await };
    let (spread, recover) =
        (task.spread(), |why: &str, pause| begin(Round::new(version.clone())).recovered(why, pause));
    let run = |task: Task| task.run(stop.clone(), hurry.clone());
    supervise(task, &stop, spread, run, recover).await.unwrap_or(false)
}

/// Waits for a task, and kills it at the deadline. Returns whether the task cleaned up.
async fn ended(key: &Key, version: JoinHandle<bool>, deadline: Instant) -> bool {
    let abort = version.abort_handle();
    match timeout_at(deadline, version).await {
        Ok(Ok(cleaned)) => cleaned,
        Ok(Err(panic)) => {
            tracing::error!(check = %key, "its task had broken down: {panic}");
            false
        }
        Err(_) => {
            tracing::error!(check = %key, "killed, as it did not end in time; --kill-after gives more");
            abort.abort();
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    #[tokio::test]
    async fn runs_on_demand_that_hang_leave_turns_for_other_namespaces() {
        let turns = turns_on_demand();
        let take = |namespace| turns.take(namespace).now_or_never();
        let held: Vec<_> = (0..RUNS_ON_DEMAND).map_while(|_| take("loud")).collect();
        assert_eq!(held.len(), OF_ONE_NAMESPACE);
        assert!(take("quiet").is_some());
    }
}
