//! `log`: levelled lines, and what guests print, capped in rate and size.

use super::{
    Capability,
    bindings::aviary::check::log::{Host, Level},
    calls::CallResult,
};
use crate::{sandbox::State, spec::Key};
use bytes::Bytes;
use std::{
    borrow::Cow,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
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

/// What a guest prints, as lines of its log.
#[derive(Debug)]
pub struct Printed {
    log: GuestLog,
    level: Level,
}

impl Printed {
    /// Standard output becomes lines of level info.
    pub fn stdout(log: GuestLog) -> Self {
        Self { log, level: Level::Info }
    }

    /// Standard error becomes lines of level warn.
    pub fn stderr(log: GuestLog) -> Self {
        Self { log, level: Level::Warn }
    }
}

impl IsTerminal for Printed {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printed {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Lines { log: self.log.clone(), level: self.level, begun: Vec::new() })
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Lines { log: self.log.clone(), level: self.level, begun: Vec::new() })
    }
}

struct Lines {
    log: GuestLog,
    level: Level,
    begun: Vec<u8>,
}

impl Lines {
    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let room = LINE_LENGTH.saturating_sub(self.begun.len());
            self.begun.extend_from_slice(&part[..part.len().min(room)]);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let begun = std::mem::take(&mut self.begun);
        let line = String::from_utf8_lossy(&begun);
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        if matches!(self.level, Level::Warn) {
            let mut spent = self.log.spent();
            // A panic says where on one line and why on the next; the hint about backtraces is neither.
            if !line.starts_with("note:") {
                let continues = spent.last_words.ends_with(':');
                let before =
                    if continues { std::mem::take(&mut spent.last_words) + " " } else { String::new() };
                spent.last_words = before + &printable(cut_to(line, 256));
            }
        }
        self.log.write(self.level, line);
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.end_line();
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Lines {
    async fn ready(&mut self) {}
}

impl OutputStream for Lines {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.take(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_LENGTH)
    }
}

impl AsyncWrite for Lines {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.take(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
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

    #[test]
    fn printed_bytes_become_lines_however_they_are_cut() {
        let log = log();
        let mut lines = Lines { log: log.clone(), level: Level::Info, begun: Vec::new() };
        lines.take(b"one\ntw");
        lines.take(b"o\n\nthree");
        assert_eq!(log.spent().lines, 2);
        drop(lines);
        assert_eq!(log.spent().lines, 3);
    }

    #[test]
    fn an_endless_line_takes_no_more_memory_than_a_long_one() {
        let mut lines = Lines { log: log(), level: Level::Info, begun: Vec::new() };
        for _ in 0..1000 {
            lines.take(&[b'x'; 1000]);
        }
        assert_eq!(lines.begun.len(), LINE_LENGTH);
    }

    #[test]
    fn the_last_words_of_a_panic_are_kept_in_one_line() {
        let log = log();
        let mut lines = Lines { log: log.clone(), level: Level::Warn, begun: Vec::new() };
        lines.take(
            b"thread 'main' panicked at src/lib.rs:3:5:\nno such thing\nnote: run with RUST_BACKTRACE=1\n",
        );
        assert_eq!(log.last_words(), "thread 'main' panicked at src/lib.rs:3:5: no such thing");
    }
}
