//! `log`: levelled lines, and what guests print, capped in rate and size.

mod printed;

pub use printed::Printed;

use super::{
    Capability,
    bindings::aviary::check::log::{Host, Level},
    calls::CallResult,
};
use crate::{sandbox::State, spec::Key};
use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Lines that one run may write.
const LINES_PER_RUN: usize = 100;
/// Bytes that one run may write.
const BYTES_PER_RUN: usize = 64 * 1024;
/// A longer line is cut.
const LINE_LENGTH: usize = 4 * 1024;

/// The log of one guest. Clones share the caps.
#[derive(Clone, Debug)]
pub struct GuestLog {
    key: Key,
    spent: Arc<Mutex<Spent>>,
}

#[derive(Debug, Default)]
struct Spent {
    lines: usize,
    bytes: usize,
    dropped: usize,
    last_words: String,
}

impl GuestLog {
    /// A log for this check.
    pub fn new(key: Key) -> Self {
        Self { key, spent: Arc::default() }
    }

    /// Starts the caps anew and tells what the last run lost to them.
    pub fn start_run(&self) {
        let dropped = std::mem::take(&mut *self.spent()).dropped;
        if dropped > 0 {
            tracing::warn!(target: "guest", check = %self.key, dropped,
                "the check wrote more than {LINES_PER_RUN} lines or {BYTES_PER_RUN} bytes in one run");
        }
    }

    /// What the guest printed last to its standard error, where panics are reported.
    pub fn last_words(&self) -> String {
        self.spent().last_words.clone()
    }

    fn write(&self, level: Level, line: &str) {
        let line = printable(cut(line));
        {
            let mut spent = self.spent();
            if spent.lines >= LINES_PER_RUN || spent.bytes + line.len() > BYTES_PER_RUN {
                spent.dropped += 1;
                return;
            }
            spent.lines += 1;
            spent.bytes += line.len();
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

/// The first `limit` bytes, or a little less so that no character is torn.
pub(crate) fn cut_to(text: &str, limit: usize) -> &str {
    &text[..text.floor_char_boundary(limit)]
}

/// The text without anything that could move a cursor or forge a line.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return Cow::Borrowed(text);
    }
    let escape = |letter: char| {
        if letter.is_control() { letter.escape_default().to_string() } else { letter.to_string() }
    };
    Cow::Owned(text.chars().map(escape).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> GuestLog {
        GuestLog::new("default/test".parse().expect("a key"))
    }

    #[test]
    fn control_characters_cannot_forge_lines_or_colours() {
        assert_eq!(printable("a\nERROR b\u{1b}[31m\r"), "a\\nERROR b\\u{1b}[31m\\r");
        assert!(matches!(printable("plain ünïcode"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_run_cannot_write_more_than_its_lines_and_bytes() {
        let log = log();
        for _ in 0..LINES_PER_RUN + 7 {
            log.write(Level::Info, "x");
        }
        assert_eq!(log.spent().dropped, 7);
        log.start_run();
        for _ in 0..20 {
            log.write(Level::Info, &"y".repeat(LINE_LENGTH * 2));
        }
        let spent = log.spent();
        assert_eq!((spent.bytes, spent.dropped), (BYTES_PER_RUN, 4));
    }
}
