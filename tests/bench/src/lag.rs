//! The daemon's histogram of how late runs start.

use anyhow::{Context, Result};
use std::time::Duration;

const BUCKET: &str = "aviary_scheduler_lag_seconds_bucket{le=\"";

/// The number of runs up to each upper bound of lateness in seconds; the last bound is infinite.
#[derive(Debug)]
pub(crate) struct Lag(Vec<(f64, u64)>);

impl Lag {
    /// Reads the histogram from the text of `/metrics`.
    pub(crate) fn read(metrics: &str) -> Result<Self> {
        let lines = metrics.lines().filter_map(|line| line.strip_prefix(BUCKET));
        let buckets: Option<Vec<_>> = lines
            .map(|line| {
                let (bound, count) = line.split_once("\"} ")?;
                Some((bound.parse().ok()?, count.parse().ok()?))
            })
            .collect();
        let buckets = buckets.filter(|buckets| !buckets.is_empty());
        Ok(Self(buckets.context("/metrics has no aviary_scheduler_lag_seconds that can be read")?))
    }

    /// The histogram of the runs since an earlier reading.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let both = self.0.iter().zip(&before.0);
        Self(both.map(|((bound, now), (_, then))| (*bound, now - then)).collect())
    }

    /// The number of all runs.
    pub(crate) fn count(&self) -> u64 {
        self.0.last().map_or(0, |(_, count)| *count)
    }

    /// The lateness that this share of the runs does not exceed, interpolated between two bounds. It is the
    /// last finite bound at most.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let rank = share * self.count() as f64;
        let (mut lower, mut below) = (0.0, 0);
        for (bound, count) in &self.0 {
            if *count as f64 >= rank && bound.is_finite() {
                let inside = (count - below).max(1) as f64;
                let part = (rank - below as f64) / inside;
                return Duration::from_secs_f64(lower + (bound - lower) * part);
            }
            if bound.is_finite() {
                (lower, below) = (*bound, *count);
            }
        }
        Duration::from_secs_f64(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(counts: [u64; 3]) -> Lag {
        let text: String = ["0.001", "0.002", "+Inf"]
            .iter()
            .zip(counts)
            .map(|(bound, count)| format!("{BUCKET}{bound}\"}} {count}\n"))
            .collect();
        Lag::read(&text).expect("a histogram")
    }

    #[test]
    fn a_quantile_lies_between_two_bounds() {
        let lag = lag([100, 300, 300]).since(&lag([0, 100, 100]));
        assert_eq!(lag.count(), 200);
        assert_eq!(lag.quantile(0.75), Duration::from_micros(1_500));
        assert_eq!(lag.quantile(0.25), Duration::from_micros(500));
    }

    #[test]
    fn beyond_the_last_bound_nothing_is_made_up() {
        assert_eq!(lag([0, 0, 10]).quantile(0.99), Duration::from_millis(2));
    }

    #[test]
    fn metrics_without_the_histogram_are_an_error() {
        assert!(Lag::read("up 1\n").is_err());
    }
}
