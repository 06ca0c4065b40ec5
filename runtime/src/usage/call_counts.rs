//! Counters of one check's host calls, by how they ended.

use crate::grant::Capability;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How a host call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallResult {
    /// The guest got what it asked for.
    Ok,
    /// The other end did not deliver what was asked for.
    Error,
    /// The other end did not deliver in time.
    Timeout,
    /// No grant covers the call.
    Denied,
    /// The run has made as many calls, or moved as many bytes, as it may.
    Limited,
}

impl CallResult {
    /// Every result, in the order of the discriminants.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Error, Self::Timeout, Self::Denied, Self::Limited];

    /// The value of the metric label `result`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
            Self::Denied => "denied",
            Self::Limited => "limited",
        }
    }
}

/// Host calls of one check since it came, by capability and result.
#[derive(Debug, Default)]
pub struct CallCounts([[AtomicU64; CallResult::ALL.len()]; Capability::ALL.len()]);

impl CallCounts {
    /// Counts one call of this capability with this result.
    pub fn count(&self, capability: Capability, result: CallResult) {
        self.0[capability as usize][result as usize].fetch_add(1, Relaxed);
    }

    /// How many calls of this capability ended with this result.
    pub fn get(&self, capability: Capability, result: CallResult) -> u64 {
        self.0[capability as usize][result as usize].load(Relaxed)
    }
}
