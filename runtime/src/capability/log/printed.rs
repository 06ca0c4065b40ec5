//! What guests print, written as lines of their log.

use crate::usage::log::{GuestLog, LINE_LENGTH};
use bytes::Bytes;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::AsyncWrite;
use tracing::Level;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

/// The start of the advice with which Rust ends a panic's message. A guest has no environment in which to
/// follow it.
const ADVICE: &str = "note: run with `RUST_BACKTRACE=";

/// A stream to which a guest prints, written as lines of its log.
#[derive(Debug)]
pub struct Printed {
    log: GuestLog,
    level: Level,
}

impl Printed {
    /// Standard output, whose lines get the level info.
    pub fn stdout(log: GuestLog) -> Self {
        Self { log, level: Level::INFO }
    }

    /// Standard error, whose lines get the level warn.
    pub fn stderr(log: GuestLog) -> Self {
        Self { log, level: Level::WARN }
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
        if line.is_empty() || line.starts_with(ADVICE) {
            return;
        }
        if self.level == Level::WARN {
            self.log.remember(line);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> GuestLog {
        GuestLog::new("default/test".parse().expect("a key"), std::sync::Arc::default())
    }

    #[test]
    fn last_words_that_never_end_are_kept_short() {
        let log = log();
        let mut lines = Lines { log: log.clone(), level: Level::WARN, begun: Vec::new() };
        lines.take(format!("{}:\n", "x".repeat(200)).repeat(10_000).as_bytes());
        assert!(log.last_words().len() < 3 * 256, "{}", log.last_words().len());
    }

    #[test]
    fn printed_bytes_become_lines_however_they_are_cut() {
        let log = log();
        let mut lines = Lines { log: log.clone(), level: Level::INFO, begun: Vec::new() };
        lines.take(b"one\ntw");
        lines.take(b"o\n\nthree");
        assert_eq!(log.lines(), 2);
        drop(lines);
        assert_eq!(log.lines(), 3);
    }

    #[test]
    fn an_endless_line_takes_no_more_memory_than_a_long_one() {
        let mut lines = Lines { log: log(), level: Level::INFO, begun: Vec::new() };
        for _ in 0..1000 {
            lines.take(&[b'x'; 1000]);
        }
        assert_eq!(lines.begun.len(), LINE_LENGTH);
    }

    #[test]
    fn the_last_words_of_a_panic_are_kept_in_one_line() {
        let log = log();
        let mut lines = Lines { log: log.clone(), level: Level::WARN, begun: Vec::new() };
        lines.take(b"thread 'main' panicked at src/lib.rs:3:5:\nno such thing\n");
        lines.take(b"note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n");
        assert_eq!(log.last_words(), "thread 'main' panicked at src/lib.rs:3:5: no such thing");
        assert_eq!(log.lines(), 2, "advice that nobody can follow is no line of the log");
    }
}
