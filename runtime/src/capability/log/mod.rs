//! `log`: levelled lines, and what guests print, capped in rate and size.

mod budget;
mod printed;

pub use budget::{NamespaceLog, NamespaceLogs};
pub use printed::Printed;

use super::{
    Capability,
    bindings::aviary::check::log::{Host, Level},
    calls::CallResult,
};
use crate::{
    board::Hits,
    sandbox::State,
    spec::{Key, Limit, Limits},
    text::{cut_to, printable},
};
use budget::Budget;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// How often the caps start anew, at the start of a run.
const PERIOD: Duration = Duration::from_secs(10);
/// A longer line is cut.
const LINE_LENGTH: usize = 4 * 1024;

/// The log of one check. Clones share the caps.
#[derive(Clone, Debug)]
pub struct GuestLog {
    key: Key,
    hits: Arc<Hits>,
    spent: Arc<Mutex<Spent>>,
}

#[derive(Debug)]
struct Spent {
    own: Budget,
    /// That of all checks of the namespace, unless it is trusted.
    namespace: Option<Arc<NamespaceLog>>,
    last_words: String,
}

impl GuestLog {
    /// A log for this check.
    pub fn new(key: Key, hits: Arc<Hits>) -> Self {
        let own = Budget::of(&Limits::default());
        let spent = Spent { own, namespace: None, last_words: String::new() };
        Self { key, hits, spent: Arc::new(Mutex::new(spent)) }
    }

    /// Sets the caps.
    pub fn allow(&self, limits: &Limits) {
        self.spent().own.allow(limits);
    }

    /// What is written about it counts in this as well.
    pub fn share(&self, namespace: Option<Arc<NamespaceLog>>) {
        self.spent().namespace = namespace;
    }

    /// Starts the caps anew if it is time, and tells what was lost to them.
    pub fn start_run(&self, now: Instant) {
        let lost = {
            let mut spent = self.spent();
            spent.last_words.clear();
            spent.own.renew(now)
        };
        if let Some((dropped, than)) = lost
            && self.has_room(than.len())
        {
            tracing::warn!(target: "guest", check = %self.key, dropped, "the check wrote {than}");
        }
    }

    /// What the guest printed last to its standard error, where panics are reported.
    pub fn last_words(&self) -> String {
        self.spent().last_words.clone()
    }

    /// Whether the caps leave room for a line about this check of so many bytes, which then is spent.
    pub fn admits(&self, bytes: usize) -> bool {
        let taken = self.spent().own.take(bytes);
        self.count(taken) && self.has_room(bytes)
    }

    /// Like [`Self::admits`], for what the check itself cannot make less likely to be seen by writing much: only all of
    /// its namespace together can.
    pub fn has_room(&self, bytes: usize) -> bool {
        let namespace = self.spent().namespace.clone();
        namespace.is_none_or(|namespace| self.count(namespace.take(bytes)))
    }

    fn count(&self, taken: Result<(), Limit>) -> bool {
        if let Err(limit) = taken {
            self.hits.count(limit);
        }
        taken.is_ok()
    }

    fn write(&self, level: Level, line: &str) {
        let line = printable(cut(line));
        if !self.admits(line.len()) {
            return;
        }
        let check = &self.key;
        match level {
            Level::Trace => tracing::trace!(target: "guest", %check, "{line}"),
            Level::Debug => tracing::debug!(target: "guest", %check, "{line}"),
            Level::Info => tracing::info!(target: "guest", %check, "{line}"),
            Level::Warn => tracing::warn!(target: "guest", %check, "{line}"),
            Level::Error => tracing::error!(target: "guest", %check, "{line}"),
        }
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Host for State {
    fn write(&mut self, level: Level, message: String) {
        self.entry.tally.count(Capability::Log, CallResult::Ok);
        self.log.write(level, &message);
    }
}

fn cut(line: &str) -> &str {
    cut_to(line, LINE_LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> GuestLog {
        GuestLog::new("default/test".parse().expect("a key"), Arc::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_cannot_write_more_than_its_lines_and_bytes_however_often_it_runs() {
        let log = log();
        log.start_run(Instant::now());
        for _ in 0..100 + 7 {
            log.write(Level::Info, "x");
        }
        log.start_run(Instant::now());
        assert_eq!(log.spent().own.dropped, 7);
        tokio::time::advance(PERIOD).await;
        log.start_run(Instant::now());
        for _ in 0..20 {
            log.write(Level::Info, &"y".repeat(LINE_LENGTH * 2));
        }
        let spent = (log.spent().own.bytes, log.hits.get(Limit::LogLines), log.hits.get(Limit::LogBytes));
        assert_eq!(spent, (64 * 1024, 7, 4));
    }
}
