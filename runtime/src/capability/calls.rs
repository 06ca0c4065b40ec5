//! The host calls of one run: what they may spend, until when each may last, and which one is waited for.

use crate::{
    grant::Capability,
    usage::{CallResult, Usage},
    value::{Limit, Limits},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// A call that the host has begun for a guest.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// What is used.
    pub capability: Capability,
    /// What it is used on, for people.
    pub target: String,
    since: Instant,
}

/// A finished call, for `aviary check`.
#[derive(Clone, Debug)]
pub struct Call {
    /// What was used.
    pub capability: Capability,
    /// What it was used on, for people.
    pub target: String,
    /// How it ended.
    pub result: CallResult,
    /// How long it took.
    pub duration: Duration,
}

/// The run has spent what it may of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this run has {}; `limits: {{ {}: … }}` in the manifest raises that", used(*.limit, *.amount), .limit.key())]
pub struct Spent {
    /// Of what.
    pub limit: Limit,
    /// How much it may.
    pub amount: u64,
}

fn used(limit: Limit, amount: u64) -> String {
    let amount = limit.written(amount);
    match limit {
        Limit::BytesIn => format!("received its {amount}"),
        Limit::BytesOut => format!("no more than {amount} to send"),
        _ => format!("made its {amount} host calls"),
    }
}

/// The host calls of the present run.
#[derive(Debug)]
pub struct Calls {
    limits: Arc<Limits>,
    made: u64,
    received: u64,
    sent: u64,
    began: Instant,
    deadline: Instant,
    waiting: Vec<Waiting>,
    /// How long the run has waited for calls, in all.
    waited: Duration,
    /// The call that it has waited for the longest.
    longest: Option<(Duration, Waiting)>,
    usage: Arc<Usage>,
    record: Option<Vec<Call>>,
}

impl Calls {
    /// No calls yet; `record` keeps each finished one for [`Self::take_record`].
    pub fn new(limits: &Arc<Limits>, usage: &Arc<Usage>, record: bool) -> Self {
        Self {
            limits: Arc::clone(limits),
            made: 0,
            received: 0,
            sent: 0,
            began: Instant::now(),
            deadline: Instant::now(),
            waiting: Vec::new(),
            waited: Duration::ZERO,
            longest: None,
            usage: Arc::clone(usage),
            record: record.then(Vec::new),
        }
    }

    /// Starts counting anew for a run that begins `now` and ends at `deadline`.
    pub fn start_run(&mut self, now: Instant, deadline: Instant) {
        (self.made, self.received, self.sent) = (0, 0, 0);
        (self.began, self.deadline) = (now, deadline);
        (self.waited, self.longest) = (Duration::ZERO, None);
        self.waiting.clear();
    }

    /// Books a call and tells until when it may last: the guest's own `timeout`, but always so
    /// much before the run's deadline that the guest can still say what it waited for.
    pub fn begin(
        &mut self,
        capability: Capability,
        target: impl Into<String>,
        timeout: Option<Duration>,
    ) -> Result<Instant, Spent> {
        let fits = self.within(Limit::HostCalls, self.made + 1);
        let fits = fits.and_then(|()| self.within(Limit::BytesIn, self.received + 1));
        fits.inspect_err(|_| self.usage.calls.count(capability, CallResult::Limited))?;
        self.made += 1;
        let now = Instant::now();
        self.waiting.push(Waiting { capability, target: target.into(), since: now });
        let left = self.deadline.saturating_duration_since(now);
        let latest = now + left - (left / 20).min(Duration::from_millis(200));
        Ok(timeout.map_or(latest, |timeout| latest.min(now + timeout)))
    }

    /// Books what a call is about to send; a call that is refused has to be neither begun nor finished.
    pub fn send(&mut self, capability: Capability, bytes: usize) -> Result<(), Spent> {
        let sent = self.sent.saturating_add(bytes as u64);
        let fits = self.within(Limit::BytesOut, sent);
        fits.inspect_err(|_| self.usage.calls.count(capability, CallResult::Limited))?;
        self.sent = sent;
        Ok(())
    }

    /// How many bytes the run may still receive.
    pub fn room(&self) -> usize {
        self.limits.count(Limit::BytesIn).saturating_sub(usize::try_from(self.received).unwrap_or(usize::MAX))
    }

    /// Books what a call has received. If it is too much, the guest does not get it.
    pub fn receive(&mut self, bytes: usize) -> Result<(), Spent> {
        self.received = self.received.saturating_add(bytes as u64);
        self.within(Limit::BytesIn, self.received)
    }

    fn within(&self, limit: Limit, amount: u64) -> Result<(), Spent> {
        let most = self.limits.get(limit);
        if amount <= most {
            return Ok(());
        }
        self.usage.hits.count(limit);
        Err(Spent { limit, amount: most })
    }

    /// Counts the call begun last that has not finished.
    pub fn finish(&mut self, result: CallResult) {
        let Some(call) = self.waiting.pop() else { return };
        let duration = call.since.elapsed();
        self.usage.calls.count(call.capability, result);
        if self.waiting.is_empty() {
            // Of calls that are made together the one begun first is the last to be counted.
            self.waited += duration;
        }
        if let Some(record) = &mut self.record {
            let Waiting { capability, target, .. } = call.clone();
            record.push(Call { capability, target, result, duration });
        }
        if self.longest.as_ref().is_none_or(|(longest, _)| duration >= *longest) {
            self.longest = Some((duration, call));
        }
    }

    /// The run is over at its deadline: calls that have not finished count as timed out. Returns what it waited for, if
    /// it spent most of its time so; else it slept or computed, whatever it did in its last moment.
    pub fn abandon(&mut self) -> Option<Waiting> {
        while !self.waiting.is_empty() {
            self.finish(CallResult::Timeout);
        }
        let (_, call) = self.longest.take()?;
        (self.waited * 2 >= self.began.elapsed()).then_some(call)
    }

    /// The finished calls since the last time, if they are recorded.
    pub fn take_record(&mut self) -> Vec<Call> {
        self.record.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
