//! The task of one check.

use super::{Clock, Ready};
use crate::{
    board::{Board, Entry, Next, Quarantine},
    lifecycle::{Lifecycle, Step},
    outcome::{Fault, Outcome, Status, Verdict},
    sandbox::{Housed, Instance, Lost, Sandbox},
    schedule::Due,
    spec::Check,
    turns::{Turn, Turns},
};
use jiff::Timestamp;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// The longest sleep: a check that follows the wall clock looks at it again after that.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

pub(super) struct Task {
    sandbox: Arc<Sandbox>,
    board: Arc<Board>,
    clock: Clock,
    check: Arc<Check>,
    entry: Arc<Entry>,
    guest: Housed,
    instance: Option<Instance>,
    lifecycle: Lifecycle,
    spread: u64,
    due: Due,
    on_demand: Turns,
    /// The place of a run on demand.
    turn: Option<Turn>,
}

impl Task {
    pub(super) fn new(
        sandbox: Arc<Sandbox>,
        board: Arc<Board>,
        clock: Clock,
        ready: Ready,
        on_demand: Turns,
    ) -> Self {
        let Ready { check, entry, guest, instance, .. } = ready;
        let spread = check.key.spread();
        let mut lifecycle = Lifecycle::new(check.ttl, check.startup_grace, spread);
        let now = clock.uptime();
        if instance.is_some() {
            lifecycle.initialised(now, true);
        }
        Self {
            sandbox,
            board,
            clock,
            check,
            entry,
            guest,
            instance,
            lifecycle,
            spread,
            due: Due::Uptime(now),
            on_demand,
            turn: None,
        }
    }

    /// Runs the check until it is told to stop, then ends its round; false if its cleanup did not work.
    /// A run that is still under way when there is `hurry` is given up.
    pub(super) async fn run(mut self, stop: CancellationToken, hurry: CancellationToken) -> bool {
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
        if !self.lifecycle.owes_cleanup() {
            return true;
        }
        let well = Box::pin(self.cleanup()).await;
        if well && self.entry.log.has_room(0) {
            tracing::info!(check = %self.check.key, "cleaned up");
        }
        well
    }

    async fn act(&mut self, step: Step) {
        match step {
            Step::Init => {
                if self.lifecycle.quarantine().is_some() {
                    // What was due meanwhile was not skipped by a run that took too long.
                    self.due = Due::Uptime(self.clock.uptime());
                }
                self.init().await;
            }
            Step::Poll => self.poll().await,
            Step::Cleanup => {
                if self.cleanup().await {
                    tracing::debug!(check = %self.check.key, "cleaned up, to begin another round");
                }
            }
            Step::Wait(_) => {}
        }
    }

    /// The step under way was dropped, and its instance cannot be entered again.
    fn give_up(&mut self) {
        tracing::warn!(check = %self.check.key, "its run was given up");
        self.instance = None;
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
    }

    /// Runs on demand wait for each other, but none for longer than it would wait for its schedule.
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
            Ok(Ok(())) => {
                self.lifecycle.initialised(self.clock.uptime(), true);
                return tracing::debug!(check = %self.check.key, "round begun");
            }
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

    async fn poll(&mut self) {
        let started = (Timestamp::now(), Instant::now());
        self.board.lag.observe(self.due.lateness(self.clock.now()));
        let (verdict, lost) = self.judge(started.1 + self.check.timeout).await;
        let now = self.clock.now();
        let failed = matches!(&verdict, Ok(outcome) if outcome.status == Status::Fail);
        let excused = failed && self.lifecycle.in_grace(now.uptime);
        self.lifecycle.judged(now.uptime, &verdict);
        self.lifecycle.polled(now.uptime, lost);
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

    /// One run with its immediate retries, all before the deadline; and whether it lost the instance.
    async fn judge(&mut self, deadline: Instant) -> (Verdict, bool) {
        let retries = self.check.retries;
        let instance = match self.live().await {
            Ok(instance) => instance,
            Err(fault) => return (Err(fault), true),
        };
        let mut judged = instance.poll(deadline).await;
        for _ in 0..retries {
            if !matches!(&judged, Ok(outcome) if outcome.status == Status::Fail) || Instant::now() >= deadline
            {
                break;
            }
            judged = instance.retry(deadline).await;
        }
        let memory = instance.memory();
        self.entry.set_memory(memory);
        match judged {
            Ok(outcome) => (Ok(outcome), false),
            Err(lost) => {
                self.instance = None;
                (lost.into(), true)
            }
        }
    }

    /// Ends the round; false if that did not work.
    async fn cleanup(&mut self) -> bool {
        let started = (Timestamp::now(), Instant::now());
        let ended = match self.live().await {
            Ok(instance) => instance.cleanup().await,
            Err(fault) => Err(Lost::Fault(fault)),
        };
        self.instance = None;
        let well = matches!(ended, Ok(Ok(())));
        self.lifecycle.cleaned(self.clock.uptime(), well);
        // A pause after failures moves the next run.
        self.entry.expect_run(self.next());
        let verdict = match ended {
            Ok(Ok(())) => return true,
            Ok(Err(message)) => Ok(Outcome::fail(format!("cleanup: {message}"))),
            Err(lost) => lost.into(),
        };
        let message = match &verdict {
            Ok(outcome) => outcome.message.clone(),
            Err(fault) => fault.message.clone(),
        };
        self.entry.tell_failed_cleanup(message);
        self.record(started, verdict);
        false
    }

    /// The live guest, made if there is none.
    async fn live(&mut self) -> Result<&mut Instance, Fault> {
        let instance = match self.instance.take() {
            Some(instance) => instance,
            None => {
                let (check, entry) = (Arc::clone(&self.check), Arc::clone(&self.entry));
                Instance::new(&self.sandbox, &self.guest, check, entry, false).await?
            }
        };
        Ok(self.instance.insert(instance))
    }

    fn record(&self, (started, begun): (Timestamp, Instant), verdict: Verdict) {
        self.entry.record(started, begun.elapsed(), verdict, self.next());
    }

    /// When the check may run next, and until when it counts as fresh.
    fn next(&self) -> Next {
        let now = self.clock.now();
        let pause = self.lifecycle.not_before().saturating_sub(now.uptime);
        let wait = pause.max(self.due.wait(now));
        let run = now.wall.checked_add(wait).unwrap_or(Timestamp::MAX);
        let fresh_for = pause + self.check.schedule.fresh_for(now) + self.check.timeout;
        let quarantine = self.lifecycle.quarantine().map(|quarantine| Quarantine {
            breakdowns: quarantine.breakdowns,
            until: run,
            demand_from: self.clock.at(quarantine.demand_from),
        });
        Next { run, fresh_until: self.clock.at(now.uptime + fresh_for), quarantine }
    }
}
