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

/// The default upper bounds of histogram buckets, in seconds. They serve durations, and a check's own
/// histograms that name none.
pub const DURATION_BOUNDS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0, 10.0];

/// What one check has used since it came. Its guests write, and the board reads.
#[derive(Debug)]
pub struct Usage {
    /// The identity of the check.
    pub key: Key,
    /// Counters of the check's host calls, by capability and result.
    pub calls: CallCounts,
    /// Counters of the limits that the check ran into.
    pub hits: Arc<LimitHits>,
    /// The metrics that the check itself made.
    pub metrics: CustomMetrics,
    /// The lines of the check in the daemon's log.
    pub log: GuestLog,
    /// What the check's guest was refused for want of a grant.
    pub denials: Denials,
}

impl Usage {
    /// The usage of a check that has used nothing yet, within these limits.
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

    /// Sets the limits of what the check may use from now on.
    pub fn allow(&self, limits: &Limits) {
        self.log.allow(limits);
        self.metrics.allow(limits);
    }

    /// Takes note that the guest was refused something for want of a grant. Each refusal is logged once per
    /// module, and told by the board.
    pub(crate) fn deny(&self, why: &str) {
        if self.denials.add(why) {
            self.log.warn(why);
        }
    }
}
