//! The lines of one check in the daemon's log, capped in rate and size.

mod budget;

pub use budget::{NamespaceLog, NamespaceLogs};

use super::LimitHits;
use crate::{
    text::{cut_to, printable},
    value::{Key, Limit, Limits},
};
use budget::Budget;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;
use tracing::Level;

/// The length of a budget's period. The next one starts with a run.
const PERIOD: Duration = Duration::from_secs(10);
/// The most bytes of one line; a longer one is cut.
pub(crate) const LINE_LENGTH: usize = 4 * 1024;
/// How many bytes are kept of what a guest printed last to its standard error.
const LAST_WORDS: usize = 256;

/// The log of one check. Clones share its budget.
#[derive(Clone, Debug)]
pub struct GuestLog {
    key: Key,
    hits: Arc<LimitHits>,
    spent: Arc<Mutex<Spent>>,
}

#[derive(Debug)]
struct Spent {
    own: Budget,
    /// The budget that all checks of the namespace share; none if it is trusted.
    namespace: Option<Arc<NamespaceLog>>,
    last_words: String,
}

impl GuestLog {
    /// A log for this check, with the default limits.
    pub fn new(key: Key, hits: Arc<LimitHits>) -> Self {
        let own = Budget::of(&Limits::default());
        let spent = Spent { own, namespace: None, last_words: String::new() };
        Self { key, hits, spent: Arc::new(Mutex::new(spent)) }
    }

    /// Sets the limits of lines and bytes.
    pub fn allow(&self, limits: &Limits) {
        self.spent().own.allow(limits);
    }

    /// Makes the lines about the check count in the budget of its namespace as well.
    pub fn share(&self, namespace: Option<Arc<NamespaceLog>>) {
        self.spent().namespace = namespace;
    }

    /// Prepares for a run: forgets the last words, starts a new period if it is time, and tells what was
    /// dropped.
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

    /// Spends one line of `bytes` bytes about this check; false if its budget, or that of its namespace,
    /// leaves no room.
    pub fn admits(&self, bytes: usize) -> bool {
        let taken = self.spent().own.take(bytes);
        self.count(taken) && self.has_room(bytes)
    }

    /// Spends one line of `bytes` bytes from the namespace's budget alone; false if that leaves no room.
    /// It is for what the check must not be able to suppress by writing much. Only all of its namespace
    /// together can.
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

    /// Keeps what the guest printed to its standard error for [`Self::last_words`].
    pub(crate) fn remember(&self, line: &str) {
        let mut spent = self.spent();
        let words = printable(cut_to(line, LAST_WORDS)).into_owned();
        // A panic says where on one line and why on the next. They are joined once only, or a guest could
        // print one endless sentence.
        let continues = spent.last_words.ends_with(':') && spent.last_words.len() <= LAST_WORDS;
        spent.last_words = if continues { format!("{} {words}", spent.last_words) } else { words };
    }

    /// Writes a warning about the check for operators, if the namespace's budget leaves room for it.
    pub(crate) fn warn(&self, line: &str) {
        let line = printable(line);
        if self.has_room(line.len()) {
            tracing::warn!(check = %self.key, "{line}");
        }
    }

    /// Writes one line of the guest, if the budgets leave room for it.
    pub(crate) fn write(&self, level: Level, line: &str) {
        let line = printable(cut(line));
        if !self.admits(line.len()) {
            return;
        }
        let check = &self.key;
        match level {
            Level::TRACE => tracing::trace!(target: "guest", %check, "{line}"),
            Level::DEBUG => tracing::debug!(target: "guest", %check, "{line}"),
            Level::INFO => tracing::info!(target: "guest", %check, "{line}"),
            Level::WARN => tracing::warn!(target: "guest", %check, "{line}"),
            Level::ERROR => tracing::error!(target: "guest", %check, "{line}"),
        }
    }

    /// How many lines were written in this period.
    #[cfg(test)]
    pub(crate) fn lines(&self) -> usize {
        self.spent().own.lines
    }

    fn spent(&self) -> MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
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
            log.write(Level::INFO, "x");
        }
        log.start_run(Instant::now());
        assert_eq!(log.spent().own.dropped, 7);
        tokio::time::advance(PERIOD).await;
        log.start_run(Instant::now());
        for _ in 0..20 {
            log.write(Level::INFO, &"y".repeat(LINE_LENGTH * 2));
        }
        let spent = (log.spent().own.bytes, log.hits.get(Limit::LogLines), log.hits.get(Limit::LogBytes));
        assert_eq!(spent, (64 * 1024, 7, 4));
    }
}
