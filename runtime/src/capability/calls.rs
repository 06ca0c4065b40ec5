//! The host calls of one run: what they may spend, how long each may take, and which of them the run waits
//! for.

use crate::{
    grant::Capability,
    usage::{CallResult, Usage},
    value::{Limit, Limits},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// A host call that has begun and not ended.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The capability that is called.
    pub capability: Capability,
    /// What the capability is used on, for people.
    pub target: String,
    since: Instant,
}

/// A finished host call, for `aviary check`.
#[derive(Clone, Debug)]
pub struct Call {
    /// The capability that was called.
    pub capability: Capability,
    /// What the capability was used on, for people.
    pub target: String,
    /// How the call ended.
    pub result: CallResult,
    /// How long the call took.
    pub duration: Duration,
}

/// The refusal of a call, because the run has spent all that it may of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this run has {}; `limits: {{ {}: … }}` in the manifest raises that", used(*.limit, *.amount), .limit.key())]
pub struct Spent {
    /// The limit that the run would exceed.
    pub limit: Limit,
    /// The most that the run may spend, in the limit's unit.
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

/// The host calls of the run that is under way.
#[derive(Debug)]
pub struct Calls {
    limits: Arc<Limits>,
    made: u64,
    received: u64,
    sent: u64,
    began: Instant,
    deadline: Instant,
    waiting: Vec<Waiting>,
    /// How long the run has waited for calls in all.
    waited: Duration,
    /// The call that the run has waited for the longest, and how long.
    longest: Option<(Duration, Waiting)>,
    usage: Arc<Usage>,
    record: Option<Vec<Call>>,
}

impl Calls {
    /// The state before the first call. With `record`, each finished call is kept for [`Self::take_record`].
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

    /// Resets the counters for a run that begins at `now` and ends at `deadline`.
    pub fn start_run(&mut self, now: Instant, deadline: Instant) {
        (self.made, self.received, self.sent) = (0, 0, 0);
        (self.began, self.deadline) = (now, deadline);
        (self.waited, self.longest) = (Duration::ZERO, None);
        self.waiting.clear();
    }

    /// Begins a call, and returns the moment at which it has to end.
    /// That is when the guest's own `timeout` ends, and always so long before the run's deadline that the
    /// guest can still say what it waited for.
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

    /// Counts the bytes that a call is about to send. A call that is refused here has neither to be begun nor
    /// finished.
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

    /// Counts the bytes that a call has received. If they are too many, the guest does not get them.
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

    /// Ends and counts the latest call that is still open.
    pub fn finish(&mut self, result: CallResult) {
        let Some(call) = self.waiting.pop() else { return };
        let duration = call.since.elapsed();
        self.usage.calls.count(call.capability, result);
        if self.waiting.is_empty() {
            // Among calls that are made together, the one begun first is counted last.
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

    /// Ends a run that has reached its deadline. Calls that are still open count as timed out.
    /// Returns the longest call if the run spent most of its time waiting; else it slept or computed.
    pub fn abandon(&mut self) -> Option<Waiting> {
        while !self.waiting.is_empty() {
            self.finish(CallResult::Timeout);
        }
        let (_, call) = self.longest.take()?;
        (self.waited * 2 >= self.began.elapsed()).then_some(call)
    }

    /// The calls that finished since the last call of this method; none unless they are recorded.
    pub fn take_record(&mut self) -> Vec<Call> {
        self.record.as_mut().map(std::mem::take).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
