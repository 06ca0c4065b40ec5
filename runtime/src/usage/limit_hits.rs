//! Which limits a check runs into.

use crate::value::Limit;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How often each limit was hit since the check came.
#[derive(Debug, Default)]
pub struct LimitHits([AtomicU64; Limit::ALL.len()]);

impl LimitHits {
    /// Counts one.
    pub fn count(&self, limit: Limit) {
        self.0[limit as usize].fetch_add(1, Relaxed);
    }

    /// How often this one was hit.
    pub fn get(&self, limit: Limit) -> u64 {
        self.0[limit as usize].load(Relaxed)
    }

    /// The limits that were hit, with how often.
    pub fn all(&self) -> impl Iterator<Item = (Limit, u64)> {
        Limit::ALL.into_iter().map(|limit| (limit, self.get(limit))).filter(|(_, hits)| *hits > 0)
    }
}
