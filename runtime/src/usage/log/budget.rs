//! How much may be written into the daemon's log in a period: about a check, and about all checks of a namespace.

use super::PERIOD;
use crate::value::{Limit, Limits};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::time::Instant;

/// The most lines that are written in a period about the checks of a namespace that is not trusted.
/// It holds whatever each of them may write.
const MOST_LINES: usize = 200;
/// The most bytes that are written in a period about the checks of a namespace that is not trusted.
const MOST_BYTES: usize = 128 * 1024;

/// How many lines and bytes may be written in a period, and how many were.
#[derive(Debug)]
pub(super) struct Budget {
    most_lines: usize,
    most_bytes: usize,
    since: Option<Instant>,
    pub(super) lines: usize,
    pub(super) bytes: usize,
    pub(super) dropped: usize,
}

/// The log budget that all checks of one namespace share.
#[derive(Debug)]
pub struct NamespaceLog {
    namespace: String,
    spent: Mutex<Budget>,
}

/// The log budgets of the namespaces that are not trusted. Each is kept while there is a check of it, and for
/// a period after that.
#[derive(Debug, Default)]
pub struct NamespaceLogs(Mutex<HashMap<String, Arc<NamespaceLog>>>);

impl Budget {
    pub(super) fn new(most_lines: usize, most_bytes: usize) -> Self {
        Self { most_lines, most_bytes, since: None, lines: 0, bytes: 0, dropped: 0 }
    }

    /// The budget of one check with these limits.
    pub(super) fn of(limits: &Limits) -> Self {
        Self::new(limits.count(Limit::LogLines), limits.count(Limit::LogBytes))
    }

    pub(super) fn allow(&mut self, limits: &Limits) {
        (self.most_lines, self.most_bytes) = (limits.count(Limit::LogLines), limits.count(Limit::LogBytes));
    }

    /// Starts a new period if the last one is over. Returns how many lines were dropped in it, and the budget
    /// in words, if any were.
    pub(super) fn renew(&mut self, now: Instant) -> Option<(usize, String)> {
        if !self.is_over(now) {
            return None;
        }
        let dropped = std::mem::take(&mut self.dropped);
        (self.since, self.lines, self.bytes) = (Some(now), 0, 0);
        (dropped > 0).then(|| {
            let words =
                format!("more than {} lines or {} bytes in {PERIOD:?}", self.most_lines, self.most_bytes);
            (dropped, words)
        })
    }

    /// Spends one line of `bytes` bytes, or counts it as dropped. The error is the limit that leaves no room.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Limit> {
        let limit = if self.lines >= self.most_lines {
            Limit::LogLines
        } else if self.bytes + bytes > self.most_bytes {
            Limit::LogBytes
        } else {
            self.lines += 1;
            self.bytes += bytes;
            return Ok(());
        };
        self.dropped += 1;
        Err(limit)
    }

    fn is_over(&self, now: Instant) -> bool {
        self.since.is_none_or(|since| now.duration_since(since) >= PERIOD)
    }
}

impl NamespaceLog {
    /// Spends one line of `bytes` bytes, or counts it as dropped. The error is the limit that leaves no room.
    /// What was dropped in the period before is told in one line of the log.
    pub(super) fn take(&self, bytes: usize) -> Result<(), Limit> {
        let (lost, taken) = {
            let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            (spent.renew(Instant::now()), spent.take(bytes))
        };
        if let Some((dropped, than)) = lost {
            tracing::warn!(
                namespace = self.namespace,
                dropped,
                "all checks of the namespace together wrote {than}"
            );
        }
        taken
    }

    fn is_idle(&self) -> bool {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).is_over(Instant::now())
    }
}

impl NamespaceLogs {
    /// The log budget of a namespace that is not trusted.
    pub fn bound(&self, namespace: &str) -> Arc<NamespaceLog> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(log) = known.get(namespace) {
            return Arc::clone(log);
        }
        // A budget is kept until its period is over. So a namespace that comes and goes gets no new one.
        known.retain(|_, log| Arc::strong_count(log) > 1 || !log.is_idle());
        let spent = Mutex::new(Budget::new(MOST_LINES, MOST_BYTES));
        let log = Arc::new(NamespaceLog { namespace: namespace.to_owned(), spent });
        known.insert(namespace.to_owned(), Arc::clone(&log));
        log
    }

    /// The log budget of a namespace; none if it is trusted or not known.
    pub fn get(&self, namespace: &str) -> Option<Arc<NamespaceLog>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned()
    }

    /// Spends one line of `bytes` bytes about a namespace; false if its budget leaves no room.
    pub fn has_room(&self, namespace: &str, bytes: usize) -> bool {
        self.get(namespace).is_none_or(|log| log.take(bytes).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_comes_and_goes_has_no_more_room_than_who_stays() {
        let logs = NamespaceLogs::default();
        let admitted = (0..MOST_LINES + 9).filter(|_| logs.bound("a").take(1).is_ok()).count();
        assert_eq!(admitted, MOST_LINES);
        logs.bound("b");
        assert!(logs.bound("a").take(1).is_err(), "it was used a moment ago");
        tokio::time::advance(PERIOD).await;
        logs.bound("c");
        assert!(logs.get("a").is_none() && logs.bound("a").take(1).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_trusted_has_any_room() {
        let logs = NamespaceLogs::default();
        assert!((0..10 * MOST_LINES).all(|_| logs.has_room("own", 1)));
        drop(logs.bound("a"));
        assert_eq!((0..10 * MOST_LINES).filter(|_| logs.has_room("a", 1)).count(), MOST_LINES);
        assert!(!logs.has_room("a", 1));
    }
}
