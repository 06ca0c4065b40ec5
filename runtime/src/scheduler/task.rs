//! The task of one check.

use super::{Clock, version::Version};
use crate::{
    board::{Board, Next, Quarantine},
    fair_semaphore::{FairPermit, FairSemaphore},
    lifecycle::{Lifecycle, Step},
    outcome::{Fault, Outcome, Reason, Status, Verdict},
    sandbox::{Instance, Lost},
    schedule::Due,
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The longest sleep: a check that follows the wall clock looks at it again after that.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// What runs a version of a check.
pub(super) struct Task {
    version: Version,
    board: Arc<Board>,
    clock: Clock,
    instance: Option<Instance>,
    lifecycle: Lifecycle,
    spread: u64,
    due: Due,
    on_demand: FairSemaphore,
    /// The place of a run on demand.
    turn: Option<FairPermit>,
}

impl Task {
    /// Runs at once, and goes on with the round of the `instance` if there is one.
    pub(super) fn new(
        version: Version,
        board: Arc<Board>,
        clock: Clock,
        on_demand: FairSemaphore,
        instance: Option<Instance>,
    ) -> Self {
        let (check, now) = (&version.check, clock.uptime());
        let spread = check.key.spread();
        let mut lifecycle = Lifecycle::new(check.ttl, check.startup_grace, spread);
        if instance.is_some() {
            lifecycle.initialised(now, true);
        }
        Self {
            version,
            board,
            clock,
            instance,
            lifecycle,
            spread,
            due: Due::Uptime(now),
            on_demand,
            turn: None,
        }
    }

    /// In the place of one that has panicked, which is told as a fault of the host: runs after a pause, and first of all
    /// cleans up what the other one may have begun.
    pub(super) fn recovered(mut self, why: &str, pause: Duration) -> Self {
        tracing::error!(check = %self.version.check.key, "its task broke down and begins again in {pause:?}: {why}");
        let now = self.clock.uptime();
        self.due = Due::Uptime(now + pause);
        self.lifecycle.initialised(now, false);
        let why = format!("the daemon's task for this check broke down, and begins again: {why}");
        self.record((Timestamp::now(), Instant::now()), Err(Fault::new(Reason::Resources, why)));
        self
    }

    /// Keeps equal checks from acting in step.
    pub(super) fn spread(&self) -> u64 {
        self.spread
    }

    /// Runs the check until it is told to stop, then ends its round; false if its cleanup did not work.
    /// A run that is still under way when there is `hurry` is given up.
    pub(super) async fn run(mut self, stop: CancellationToken, hurry: CancellationToken) -> bool {
        // The former version may have taken long to leave.
        self.due = Due::Uptime(self.clock.uptime());
        self.version.entry.expect_run(self.next());
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
        let entry = Arc::clone(&self.version.entry);
        let well = self.leave().await;
        entry.set_memory(0);
        well
    }

    /// Ends the round that it may have begun; false if its cleanup did not work. Whether it ever ran or not, its plans
    /// are nobody's any more.
    pub(super) async fn leave(self) -> bool {
        if !self.lifecycle.owes_cleanup() {
            return true;
        }
        let well = Box::pin(self.version.clean_up(self.instance)).await;
        if well && self.version.entry.usage.log.has_room(0) {
            tracing::info!(check = %self.version.check.key, "cleaned up");
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

    /// The step under way was dropped, and its instance cannot be entered again.
    fn give_up(&mut self) {
        tracing::warn!(check = %self.version.check.key, "its run was given up");
        self.instance = None;
        self.lifecycle.initialised(self.clock.uptime(), false);
    }

    async fn wait(&mut self, until: Duration, stop: &CancellationToken) {
        self.turn = None;
        let until = until.min(self.clock.uptime() + LONGEST_SLEEP);
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.version.entry.demanded() => self.bring_forward(until, stop).await,
            () = sleep_until(self.clock.at(until)) => {}
        }
        if let Some(due) = self.version.check.schedule.planned_anew(self.due, self.clock.now()) {
            self.due = due;
            self.version.entry.expect_run(self.next());
        }
    }

    /// Runs on demand wait for each other, but none for longer than it would wait for its schedule.
    async fn bring_forward(&mut self, until: Duration, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep_until(self.clock.at(until)) => self.version.entry.demand_again(),
            turn = self.on_demand.take(self.version.check.key.namespace()) => {
                self.turn = Some(turn);
                self.lifecycle.hurry();
                self.due = Due::Uptime(self.clock.uptime());
            }
        }
    }

    async fn init(&mut self) {
        let started = (Timestamp::now(), Instant::now());
        let ended = match self.live().await {
            Ok(instance) => instance.init().await,
            Err(fault) => {
                let verdict = Err(fault);
                self.lifecycle.judged(self.clock.uptime(), &verdict);
                self.lifecycle.unavailable(self.clock.uptime());
                return self.record(started, verdict);
            }
        };
        let verdict = match ended {
            Ok(Ok(())) => return self.begun(),
            Ok(Err(message)) => Ok(Outcome::fail(format!("init: {message}"))),
            Err(lost) => {
                self.instance = None;
                lost.into()
            }
        };
        self.lifecycle.judged(self.clock.uptime(), &verdict);
        self.lifecycle.initialised(self.clock.uptime(), false);
        self.record(started, verdict);
    }

    fn begun(&mut self) {
        let now = self.clock.now();
        self.lifecycle.initialised(now.uptime, true);
        if self.due.wait(now).is_zero() {
            // What was due while there was no round was not skipped by a run that took too long.
            self.due = Due::Uptime(now.uptime);
        }
        tracing::debug!(check = %self.version.check.key, "round begun");
    }

    async fn poll(&mut self) {
        let started = (Timestamp::now(), Instant::now());
        self.board.lag.observe(self.due.lateness(self.clock.now()));
        let (verdict, lost) = self.judge(started.1 + self.version.check.timeout).await;
        let now = self.clock.now();
        let failed = matches!(&verdict, Ok(outcome) if outcome.status == Status::Fail);
        self.lifecycle.judged(now.uptime, &verdict);
        let excused = failed && self.lifecycle.excuses(now.uptime);
        self.lifecycle.polled(lost);
        let (next, skipped) = self.version.check.schedule.after(self.due, now, self.spread);
        if skipped > 0 {
            self.version.entry.skip(skipped);
        }
        self.due = next;
        if excused {
            self.version.entry.excuse(started.0, started.1.elapsed(), verdict, self.next());
        } else {
            self.record(started, verdict);
        }
    }

    /// One run with its immediate retries, all before the deadline; and whether it lost the instance.
    async fn judge(&mut self, deadline: Instant) -> (Verdict, bool) {
        let mut retries = self.version.check.retries;
        let instance = match self.live().await {
            Ok(instance) => instance,
            Err(fault) => return (Err(fault), true),
        };
        let mut begun = Instant::now();
        let mut judged = instance.poll(deadline).await;
        while retries > 0 && is_fail(&judged) && leaves_time(begun, deadline) {
            (begun, retries) = (Instant::now(), retries - 1);
            judged = instance.retry(deadline).await;
        }
        let memory = instance.memory();
        self.version.entry.set_memory(memory);
        match judged {
            Ok(outcome) => (Ok(outcome), false),
            Err(lost) => {
                self.instance = None;
                (lost.into(), true)
            }
        }
    }

    /// Ends the round.
    async fn cleanup(&mut self) {
        if self.version.clean_up(self.instance.take()).await {
            tracing::debug!(check = %self.version.check.key, "cleaned up, to begin another round");
        }
        self.version.entry.set_memory(0);
        self.lifecycle.cleaned(self.clock.uptime());
        // A pause after failures moves the next run.
        self.version.entry.expect_run(self.next());
    }

    /// The live guest, made if there is none.
    async fn live(&mut self) -> Result<&mut Instance, Fault> {
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => self.version.live().await?,
        };
        Ok(self.instance.insert(instance))
    }

    fn record(&self, (started, begun): (Timestamp, Instant), verdict: Verdict) {
        self.version.entry.record(started, begun.elapsed(), verdict, self.next());
    }

    /// When the check may run next, and until when it counts as fresh.
    fn next(&self) -> Next {
        let now = self.clock.now();
        let pause = self.lifecycle.not_before().saturating_sub(now.uptime);
        let wait = pause.max(self.due.wait(now));
        let run = now.wall.checked_add(wait).unwrap_or(Timestamp::MAX);
        let fresh_for = pause + self.version.check.schedule.fresh_for(now) + self.version.check.timeout;
        let quarantine = self.lifecycle.quarantine().map(|quarantine| Quarantine {
            breakdowns: quarantine.breakdowns,
            until: run,
            demand_from: self.clock.at(quarantine.demand_from),
        });
        Next { run, fresh_until: self.clock.at(now.uptime + fresh_for), quarantine }
    }
}

fn is_fail(judged: &Result<Outcome, Lost>) -> bool {
    matches!(judged, Ok(outcome) if outcome.status == Status::Fail)
}

/// Whether there is time for another try, as long as the one that began then and has failed just now: a shorter one would
/// be cut off, and say nothing about what the check looks at.
fn leaves_time(begun: Instant, deadline: Instant) -> bool {
    let now = Instant::now();
    deadline.saturating_duration_since(now) >= now - begun
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_try_that_failed_is_repeated_where_another_one_as_long_has_its_time() {
        let begun = Instant::now();
        tokio::time::advance(Duration::from_secs(2)).await;
        let deadline = |seconds| begun + Duration::from_secs(seconds);
        assert!(leaves_time(begun, deadline(4)));
        assert!(!leaves_time(begun, deadline(4) - Duration::from_millis(1)));
        assert!(!leaves_time(begun, deadline(1)));
    }
}
