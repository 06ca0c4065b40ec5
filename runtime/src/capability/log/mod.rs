//! `log`: levelled lines, and what guests print, capped in rate and size.

mod printed;

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
    most_lines: usize,
    most_bytes: usize,
    since: Option<Instant>,
    lines: usize,
    bytes: usize,
    dropped: usize,
    last_words: String,
}

impl GuestLog {
    /// A log for this check.
    pub fn new(key: Key, hits: Arc<Hits>) -> Self {
        Self { key, hits, spent: Arc::new(Mutex::new(Spent::nothing(&Limits::default()))) }
    }

    /// Sets the caps.
    pub fn allow(&self, limits: &Limits) {
        let mut spent = self.spent();
        (spent.most_lines, spent.most_bytes) = (limits.count(Limit::LogLines), limits.count(Limit::LogBytes));
    }

    /// Starts the caps anew if it is time, and tells what was lost to them.
    pub fn start_run(&self, now: Instant) {
        let (dropped, lines, bytes) = {
            let mut spent = self.spent();
            spent.last_words.clear();
            if spent.since.is_some_and(|since| now.duration_since(since) < PERIOD) {
                return;
            }
            let dropped = std::mem::take(&mut spent.dropped);
            (spent.since, spent.lines, spent.bytes) = (Some(now), 0, 0);
            (dropped, spent.most_lines, spent.most_bytes)
        };
        if dropped > 0 {
            tracing::warn!(target: "guest", check = %self.key, dropped,
                "the check wrote more than {lines} lines or {bytes} bytes in {PERIOD:?}");
        }
    }

    /// What the guest printed last to its standard error, where panics are reported.
    pub fn last_words(&self) -> String {
        self.spent().last_words.clone()
    }

    /// Whether the caps leave room for a line about this check of so many bytes, which then is spent.
    pub fn admits(&self, bytes: usize) -> bool {
        let mut spent = self.spent();
        let limit = if spent.lines >= spent.most_lines {
            Limit::LogLines
        } else if spent.bytes + bytes > spent.most_bytes {
            Limit::LogBytes
        } else {
            spent.lines += 1;
            spent.bytes += bytes;
            return true;
        };
        spent.dropped += 1;
        drop(spent);
        self.hits.count(limit);
        false
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

impl Spent {
    fn nothing(limits: &Limits) -> Self {
        Self {
            most_lines: limits.count(Limit::LogLines),
            most_bytes: limits.count(Limit::LogBytes),
            since: None,
            lines: 0,
            bytes: 0,
            dropped: 0,
            last_words: String::new(),
        }
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
        assert_eq!(log.spent().dropped, 7);
        tokio::time::advance(PERIOD).await;
        log.start_run(Instant::now());
        for _ in 0..20 {
            log.write(Level::Info, &"y".repeat(LINE_LENGTH * 2));
        }
        let spent = log.spent();
        assert_eq!((spent.bytes, spent.dropped), (64 * 1024, 4));
        assert_eq!((log.hits.get(Limit::LogLines), log.hits.get(Limit::LogBytes)), (7, 4));
    }
}
