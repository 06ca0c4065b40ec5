//! The task of one check.

use super::{Clock, cleanup::clean_up};
use crate::{
    board::{Board, Entry, Next, Quarantine},
    fair_semaphore::{FairPermit, FairSemaphore},
    lifecycle::{Lifecycle, Step},
    manifest::Check,
    outcome::{Fault, Reason, Status, Verdict},
    sandbox::Round,
    schedule::Due,
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The longest sleep of a task. Then a check with a cron schedule looks at the wall clock again.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// The task that runs one check, with all that it needs.
pub(super) struct Task {
    entry: Arc<Entry>,
    check: Arc<Check>,
    round: Round,
    board: Arc<Board>,
    clock: Clock,
    lifecycle: Lifecycle,
    spread: u64,
    due: Due,
    on_demand: FairSemaphore,
    /// The permit of the run on demand that is under way; none without one.
    turn: Option<FairPermit>,
}

impl Task {
    /// A task whose first run is due at once. A round that has begun already is continued.
    pub(super) fn new(
        entry: Arc<Entry>,
        check: Arc<Check>,
        round: Round,
        board: Arc<Board>,
        clock: Clock,
        on_demand: FairSemaphore,
    ) -> Self {
        let now = clock.uptime();
        let spread = check.key.spread();
        let mut lifecycle = Lifecycle::new(check.ttl, check.startup_grace, spread);
        if round.is_live() {
            lifecycle.initialised(now, true);
        }
        let due = Due::Uptime(now);
        Self { entry, check, round, board, clock, lifecycle, spread, due, on_demand, turn: None }
    }

    /// A task that replaces one that has panicked, which counts as a fault of the host. The new task waits
    /// for a pause, and first cleans up what the former task may have begun.
    pub(super) fn recovered(mut self, why: &str, pause: Duration) -> Self {
        tracing::error!(check = %self.check.key, "its task broke down and begins again in {pause:?}: {why}");
        let now = self.clock.uptime();
        self.due = Due::Uptime(now + pause);
        self.lifecycle.initialised(now, false);
        let why = format!("the daemon's task for this check broke down, and begins again: {why}");
        self.record((Timestamp::now(), Instant::now()), Err(Fault::new(Reason::Resources, why)));
        self
    }

    /// A fixed number for each check, so that checks with equal schedules do not all run at the same moment.
    pub(super) fn spread(&self) -> u64 {
        self.spread
    }

    /// Runs the check until `stop` is cancelled, then ends its round. A run that is under way when `hurry` is
    /// cancelled is given up. Returns whether the cleanup succeeded.
    pub(super) async fn run(mut self, stop: CancellationToken, hurry: CancellationToken) -> bool {
        // The former version may have taken long to leave.
        self.due = Due::Uptime(self.clock.uptime());
        self.entry.expect_run(self.next());
        while !stop.is_cancelled() {
            let now = self.clock.now();
            match self.lifecycle.next(now.uptime, now.uptime + self.due.wait(now)) {
                Step::Wait(until) => self.wait(until, &stop).await,
                step => {
                    // On the heap, as thousands of waiting tasks would else hold room for it.
                    let act = Box::pin(self.act(step));
                    let given_up = hurry.run_until_cancelled(act).await.is_none();
                    if given_up {
                        self.give_up();
                    }
                }
            }
        }
        let entry = Arc::clone(&self.entry);
        let well = self.leave().await;
        entry.set_memory(0);
        well
    }

    /// Ends the round that the task may have begun. Returns false if the cleanup failed, and true if none was needed.
    pub(super) async fn leave(mut self) -> bool {
        if !self.lifecycle.owes_cleanup() {
            return true;
        }
        let well = Box::pin(clean_up(&mut self.round, &self.entry)).await;
        if well && self.entry.usage.log.has_room(0) {
            tracing::info!(check = %self.check.key, "cleaned up");
        }
        well
    }

    async fn act(&mut self, step: Step) {
        match step {
            Step::Init => self.init().await,
            Step::Poll => self.poll().await,
            Step::Cleanup => self.cleanup().await,
            Step::Wait(_) => {}
        }
    }

    /// Notes that a step was dropped while it was under way, so that its instance cannot be entered again.
    fn give_up(&mut self) {
        tracing::warn!(check = %self.check.key, "its run was given up");
        self.round.abandon();
        self.lifecycle.initialised(self.clock.uptime(), false);
    }

    async fn wait(&mut self, until: Duration, stop: &CancellationToken) {
        self.turn = None;
        let until = until.min(self.clock.uptime() + LONGEST_SLEEP);
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.entry.demanded() => self.bring_forward(until, stop).await,
            () = sleep_until(self.clock.at(until)) => {}
        }
        if let Some(due) = self.check.schedule.planned_anew(self.due, self.clock.now()) {
            self.due = due;
            self.entry.expect_run(self.next());
        }
    }

    /// Waits for the permit of a run on demand, but no longer than until the check is due by its schedule.
    async fn bring_forward(&mut self, until: Duration, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep_until(self.clock.at(until)) => self.entry.demand_again(),
            turn = self.on_demand.take(self.check.key.namespace()) => {
                self.turn = Some(turn);
                self.lifecycle.hurry();
                self.due = Due::Uptime(self.clock.uptime());
            }
        }
    }

    async fn init(&mut self) {
        let started = (Timestamp::now(), Instant::now());
        let Err(verdict) = self.round.init().await.done_in("init") else { return self.begun() };
        self.lifecycle.judged(self.clock.uptime(), &verdict);
        if self.round.has_begun() {
            self.lifecycle.initialised(self.clock.uptime(), false);
        } else {
            self.lifecycle.unavailable(self.clock.uptime());
        }
        self.record(started, verdict);
    }

    fn begun(&mut self) {
        let now = self.clock.now();
        self.lifecycle.initialised(now.uptime, true);
        if self.due.wait(now).is_zero() {
            // What was due while there was no round was not skipped by a run that took too long.
            self.due = Due::Uptime(now.uptime);
        }
        tracing::debug!(check = %self.check.key, "round begun");
    }

    async fn poll(&mut self) {
        let started = (Timestamp::now(), Instant::now());
        self.board.lag.observe(self.due.lateness(self.clock.now()));
        let deadline = started.1 + self.check.program.timeout;
        let verdict = Verdict::from(self.round.poll(deadline, self.check.retries).await);
        self.entry.set_memory(self.round.memory());
        let now = self.clock.now();
        let failed = matches!(&verdict, Ok(outcome) if outcome.status == Status::Fail);
        self.lifecycle.judged(now.uptime, &verdict);
        let excused = failed && self.lifecycle.excuses(now.uptime);
        self.lifecycle.polled(!self.round.is_live());
        let (next, skipped) = self.check.schedule.after(self.due, now, self.spread);
        if skipped > 0 {
            self.entry.skip(skipped);
        }
        self.due = next;
        if excused {
            self.entry.excuse(started.0, started.1.elapsed(), verdict, self.next());
        } else {
            self.record(started, verdict);
        }
    }

    /// Ends the round, and tells the lifecycle whether the cleanup succeeded.
    async fn cleanup(&mut self) {
        if clean_up(&mut self.round, &self.entry).await {
            tracing::debug!(check = %self.check.key, "cleaned up, to begin another round");
        }
        self.entry.set_memory(0);
        self.lifecycle.cleaned(self.clock.uptime());
        // A pause after failures moves the next run.
        self.entry.expect_run(self.next());
    }

    fn record(&self, (started, begun): (Timestamp, Instant), verdict: Verdict) {
        self.entry.record(started, begun.elapsed(), verdict, self.next());
    }

    /// When the check runs next, until when its outcome counts as fresh, and whether it is in quarantine.
    fn next(&self) -> Next {
        let now = self.clock.now();
        let pause = self.lifecycle.not_before().saturating_sub(now.uptime);
        let wait = pause.max(self.due.wait(now));
        let run = now.wall.checked_add(wait).unwrap_or(Timestamp::MAX);
        let fresh_for = pause + self.check.schedule.fresh_for(now) + self.check.program.timeout;
        let quarantine = self.lifecycle.quarantine().map(|quarantine| Quarantine {
            breakdowns: quarantine.breakdowns,
            until: run,
            demand_from: self.clock.at(quarantine.demand_from),
        });
        Next { run, fresh_until: self.clock.at(now.uptime + fresh_for), quarantine }
    }
}
