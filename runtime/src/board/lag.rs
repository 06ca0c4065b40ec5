//! The lag of runs: how late they start.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const BOUNDS: [f64; 8] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0, 10.0];

/// A histogram of how late runs started, over all checks.
#[derive(Debug, Default)]
pub struct Lag {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Lag {
    /// Counts a run that started this long after it was due.
    pub fn observe(&self, late: Duration) {
        let seconds = late.as_secs_f64();
        self.buckets[BOUNDS.partition_point(|bound| *bound < seconds)].fetch_add(1, Relaxed);
        let nanoseconds = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Relaxed);
    }

    /// The number of runs in each bucket by its upper bound in seconds, the last one infinite; not
    /// cumulative.
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        bounds.zip(&self.buckets).map(|(bound, count)| (bound, count.load(Relaxed))).collect()
    }

    /// The lateness of all runs together, in seconds.
    pub fn sum(&self) -> f64 {
        Duration::from_nanos(self.nanoseconds.load(Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_is_counted_in_the_first_bucket_that_holds_it() {
        let lag = Lag::default();
        for millis in [1, 2, 20_000] {
            lag.observe(Duration::from_millis(millis));
        }
        let counts: Vec<u64> = lag.buckets().into_iter().map(|(_, count)| count).collect();
        assert_eq!(counts, [1, 1, 0, 0, 0, 0, 0, 0, 1]);
        assert!((lag.sum() - 20.003).abs() < 1e-9);
    }
}
