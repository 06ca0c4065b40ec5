//! Counters of the limits that one check runs into.

use crate::value::Limit;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How often one check hit each limit since it came.
#[derive(Debug, Default)]
pub struct LimitHits([AtomicU64; Limit::ALL.len()]);

impl LimitHits {
    /// Counts one hit of this limit.
    pub fn count(&self, limit: Limit) {
        self.0[limit as usize].fetch_add(1, Relaxed);
    }

    /// How often this limit was hit.
    pub fn get(&self, limit: Limit) -> u64 {
        self.0[limit as usize].load(Relaxed)
    }

    /// The limits that were hit at least once, with how often.
    pub fn all(&self) -> impl Iterator<Item = (Limit, u64)> {
        Limit::ALL.into_iter().map(|limit| (limit, self.get(limit))).filter(|(_, hits)| *hits > 0)
    }
}
