//! Metrics that a check itself makes, served as `aviary_custom_<name>`.

mod families;
mod rules;

use super::DURATION_BOUNDS;
use crate::{quota::Quota, value::Limits};
use families::Families;
use rules::{check_bounds, check_help, check_name, finite, invalid, parse_labels};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only grows.
    Counter,
    /// Observations, counted in buckets.
    Histogram,
}

/// Labels as key and value, ordered by key.
pub type Labels = Arc<[(String, String)]>;

/// The value of one series.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The number of a gauge or counter.
    Number(f64),
    /// The observations of a histogram.
    Distribution {
        /// The number of observations in each bucket by its upper bound, the last one infinite; not
        /// cumulative.
        buckets: Vec<(f64, u64)>,
        /// The sum of the observed values.
        sum: f64,
    },
}

/// The part of a metric that all its series share.
#[derive(Clone, Debug)]
pub struct Head {
    /// What the metric counts or measures: one line that needs no escaping.
    pub help: Arc<str>,
    /// The kind of the metric.
    pub kind: Kind,
    /// When the metric first got a value.
    pub created: Instant,
}

/// One metric with all its series.
#[derive(Clone, Debug)]
pub struct Family {
    /// The part that all series share.
    pub head: Head,
    /// The value of each series, by its labels.
    pub series: BTreeMap<Labels, Value>,
    bounds: Vec<f64>,
}

/// Why a value of a metric was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name, the help, a label or the value breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// The value of this label has more bytes than this number.
    #[error("the value of the label `{0}` has more than {1} bytes")]
    LongLabel(String, usize),
    /// The name stands for a metric of another kind already.
    #[error("the name already stands for another kind of metric")]
    Conflict,
    /// The check has this many series, and may have no more.
    #[error("the check has its {0} series already")]
    TooManySeries(usize),
    /// The metrics of all checks of the namespace would take more bytes together than this number.
    #[error("the metrics of all checks of the namespace take {0} bytes already")]
    TooLargeTogether(usize),
}

/// The metrics that one check made. They live as long as the check.
#[derive(Debug)]
pub struct CustomMetrics(Mutex<Families>);

impl CustomMetrics {
    /// A check without metrics yet. What its metrics will take in an exposition counts in `shared` as well.
    pub(crate) fn new(shared: Option<Arc<Quota>>) -> Self {
        Self(Mutex::new(Families::new(shared)))
    }

    /// Makes the metrics count in `shared` from now on, unless there are some already.
    pub(crate) fn share(&self, shared: Option<Arc<Quota>>) {
        self.lock().share(shared);
    }

    /// Sets the most series, and the most bytes of a label. What is there already stays.
    pub fn allow(&self, limits: &Limits) {
        self.lock().allow(limits);
    }

    /// Sets a series of a gauge to a finite value.
    pub fn gauge(
        &self,
        name: &str,
        help: &str,
        labels: &[(String, String)],
        value: f64,
    ) -> Result<(), Refusal> {
        finite(value)?;
        self.update(Kind::Gauge, name, help, labels, &[], |number| match number {
            Value::Number(number) => set(number, value),
            Value::Distribution { .. } => Err(Refusal::Conflict),
        })
    }

    /// Adds a finite value of at least zero to a series of a counter. A `_total` at the end of the name may
    /// be left out.
    pub fn counter(
        &self,
        name: &str,
        help: &str,
        labels: &[(String, String)],
        by: f64,
    ) -> Result<(), Refusal> {
        finite(by)?;
        if by < 0.0 {
            return invalid("a counter only grows, so its step cannot be negative");
        }
        let name = name.strip_suffix("_total").unwrap_or(name);
        self.update(Kind::Counter, name, help, labels, &[], |number| match number {
            Value::Number(number) => set(number, *number + by),
            Value::Distribution { .. } => Err(Refusal::Conflict),
        })
    }

    /// Adds the observation of a finite value to a series of a histogram.
    /// The first call for a name fixes the upper `bounds` of its buckets; none stands for
    /// [`DURATION_BOUNDS`].
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        labels: &[(String, String)],
        value: f64,
        bounds: &[f64],
    ) -> Result<(), Refusal> {
        finite(value)?;
        check_bounds(bounds)?;
        let bounds = if bounds.is_empty() { &DURATION_BOUNDS } else { bounds };
        self.update(Kind::Histogram, name, help, labels, bounds, |distribution| match distribution {
            Value::Distribution { buckets, sum } => {
                set(sum, *sum + value)?;
                let bucket = buckets.partition_point(|(bound, _)| *bound < value);
                buckets[bucket].1 += 1;
                Ok(())
            }
            Value::Number(_) => Err(Refusal::Conflict),
        })
    }

    /// The names of all metrics, with what their series share.
    pub fn heads(&self) -> Vec<(Arc<str>, Head)> {
        self.lock().by_name.iter().map(|(name, family)| (Arc::clone(name), family.head.clone())).collect()
    }

    /// A copy of the metric of this name, as it is now.
    pub fn family(&self, name: &str) -> Option<Family> {
        self.lock().by_name.get(name).cloned()
    }

    fn update(
        &self,
        kind: Kind,
        name: &str,
        help: &str,
        labels: &[(String, String)],
        bounds: &[f64],
        change: impl FnOnce(&mut Value) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        check_name(name)?;
        check_help(help)?;
        let mut families = self.lock();
        let labels = parse_labels(labels, families.longest_label)?;
        families.update(kind, name, help, labels, bounds, change)
    }

    fn lock(&self) -> MutexGuard<'_, Families> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for CustomMetrics {
    fn default() -> Self {
        Self::new(None)
    }
}

/// Sets a number, unless it is infinite: sums of finite numbers can overflow.
fn set(place: &mut f64, value: f64) -> Result<(), Refusal> {
    finite(value)?;
    *place = value;
    Ok(())
}

#[cfg(test)]
mod tests;
