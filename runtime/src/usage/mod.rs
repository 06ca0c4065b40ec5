//! What one check has used since it came: its guests write, and the board reads.

mod call_counts;
mod denials;
mod leftovers;
mod limit_hits;
pub mod log;
pub mod metrics;

pub use call_counts::{CallCounts, CallResult};
pub use denials::Denials;
pub use leftovers::Leftovers;
pub use limit_hits::LimitHits;

use crate::value::{Key, Limits};
use log::GuestLog;
use metrics::CustomMetrics;
use std::sync::Arc;

/// Upper bounds of the buckets of durations, in seconds; of a check's own histograms where it names none.
pub const DURATION_BOUNDS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 10.0];

/// What one check has used since it came.
#[derive(Debug)]
pub struct Usage {
    /// The check.
    pub key: Key,
    /// Its host calls, by capability and result.
    pub calls: CallCounts,
    /// The limits that it ran into.
    pub hits: Arc<LimitHits>,
    /// Its own metrics.
    pub metrics: CustomMetrics,
    /// Its lines in the daemon's log.
    pub log: GuestLog,
    /// What its guest was refused for want of a grant.
    pub denials: Denials,
}

impl Usage {
    /// Nothing used yet by a check that may use as much as this.
    pub fn new(key: Key, limits: &Limits) -> Self {
        let hits = Arc::<LimitHits>::default();
        let log = GuestLog::new(key.clone(), Arc::clone(&hits));
        let usage = Self {
            key,
            calls: CallCounts::default(),
            hits,
            metrics: CustomMetrics::default(),
            log,
            denials: Denials::default(),
        };
        usage.allow(limits);
        usage
    }

    /// Sets what the check may use from now on.
    pub fn allow(&self, limits: &Limits) {
        self.log.allow(limits);
        self.metrics.allow(limits);
    }

    /// The guest was refused something for want of a grant. Each refusal is logged once per module, and told by the board.
    pub(crate) fn deny(&self, why: &str) {
        if self.denials.add(why) {
            self.log.warn(why);
        }
    }
}
