//! The check's own metrics, served as `aviary_custom_<name>`.

mod rules;

pub(crate) use rules::MAX_VALUE;

use super::{Capability, bindings::aviary::check::metrics as wit, calls::CallResult};
use crate::{board::DURATION_BOUNDS, sandbox::State};
use rules::{check_bounds, check_help, check_name, finite, invalid, parse_labels};
use std::{
    collections::{BTreeMap, btree_map},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// The most series of one check, over all its metrics.
pub const MAX_SERIES: usize = 50;

/// What kind of metric a name stands for.
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
    /// Of a gauge or counter.
    Number(f64),
    /// Of a histogram.
    Distribution {
        /// Observations by upper bound, the last one infinite; not cumulative.
        buckets: Vec<(f64, u64)>,
        /// The sum of the observed values.
        sum: f64,
    },
}

/// One metric with all its series.
#[derive(Clone, Debug)]
pub struct Family {
    /// What it counts or measures; one line that needs no escaping.
    pub help: Arc<str>,
    /// What kind of metric it is.
    pub kind: Kind,
    /// When it first got a value.
    pub created: Instant,
    /// The series.
    pub series: BTreeMap<Labels, Value>,
    bounds: Vec<f64>,
}

/// Why a value was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name, the help, a label or the value breaks a rule.
    #[error("{0}")]
    Invalid(String),
    /// The name stands for another kind of metric.
    #[error("the name already stands for another kind of metric")]
    Conflict,
    /// The check has as many series as it may have.
    #[error("the check has its {MAX_SERIES} series already")]
    TooManySeries,
}

/// The metrics of one check; they live as long as the check.
#[derive(Debug, Default)]
pub struct Series(Mutex<Families>);

#[derive(Debug, Default)]
struct Families {
    by_name: BTreeMap<Arc<str>, Family>,
    series: usize,
}

impl Series {
    /// Sets a gauge to a finite value.
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

    /// Adds a finite value of at least zero to a counter; a `_total` at the end of the name may be left out.
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

    /// Observes a finite value. The first call for a name fixes its `bounds`; none stands for [`DURATION_BOUNDS`].
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

    /// All metrics by name, as they are now.
    pub fn families(&self) -> BTreeMap<Arc<str>, Family> {
        self.lock().by_name.clone()
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
        let labels = parse_labels(labels)?;
        let mut families = self.lock();
        let Families { by_name, series } = &mut *families;
        let Some(family) = by_name.get_mut(name) else {
            let mut family = Family::new(kind, help, bounds);
            family.update(labels, series, change)?;
            by_name.insert(name.into(), family);
            return Ok(());
        };
        if family.kind != kind {
            return Err(Refusal::Conflict);
        }
        family.update(labels, series, change)
    }

    fn lock(&self) -> MutexGuard<'_, Families> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Family {
    fn new(kind: Kind, help: &str, bounds: &[f64]) -> Self {
        let bounds = bounds.to_vec();
        Self { help: help.into(), kind, created: Instant::now(), series: BTreeMap::new(), bounds }
    }

    fn update(
        &mut self,
        labels: Labels,
        count: &mut usize,
        change: impl FnOnce(&mut Value) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        match self.series.entry(labels) {
            btree_map::Entry::Occupied(value) => change(value.into_mut()),
            btree_map::Entry::Vacant(_) if *count >= MAX_SERIES => Err(Refusal::TooManySeries),
            btree_map::Entry::Vacant(place) => {
                let mut value = Value::zero(self.kind, &self.bounds);
                change(&mut value)?;
                place.insert(value);
                *count += 1;
                Ok(())
            }
        }
    }
}

impl Value {
    fn zero(kind: Kind, bounds: &[f64]) -> Self {
        match kind {
            Kind::Gauge | Kind::Counter => Self::Number(0.0),
            Kind::Histogram => {
                let bounds = bounds.iter().copied().chain([f64::INFINITY]);
                Self::Distribution { buckets: bounds.map(|bound| (bound, 0)).collect(), sum: 0.0 }
            }
        }
    }
}

/// Sums of finite numbers can still overflow.
fn set(place: &mut f64, value: f64) -> Result<(), Refusal> {
    finite(value)?;
    *place = value;
    Ok(())
}

impl wit::Host for State {
    fn gauge(&mut self, metric: wit::Metric, value: f64) -> Result<(), wit::Error> {
        let result = self.entry.series.gauge(&metric.name, &metric.help, &metric.labels, value);
        self.answer(result)
    }

    fn counter(&mut self, metric: wit::Metric, by: f64) -> Result<(), wit::Error> {
        let result = self.entry.series.counter(&metric.name, &metric.help, &metric.labels, by);
        self.answer(result)
    }

    fn histogram(&mut self, metric: wit::Metric, value: f64, bounds: Vec<f64>) -> Result<(), wit::Error> {
        let result = self.entry.series.histogram(&metric.name, &metric.help, &metric.labels, value, &bounds);
        self.answer(result)
    }
}

impl State {
    fn answer(&self, result: Result<(), Refusal>) -> Result<(), wit::Error> {
        let counted = if result.is_ok() { CallResult::Ok } else { CallResult::Error };
        self.entry.tally.count(Capability::Metrics, counted);
        result.map_err(|refusal| match refusal {
            Refusal::Invalid(rule) => wit::Error::Invalid(rule),
            Refusal::Conflict => wit::Error::Conflict,
            Refusal::TooManySeries => wit::Error::TooManySeries,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        rules::{MAX_BOUNDS, MAX_HELP, MAX_LABELS, MAX_NAME},
        *,
    };

    fn label(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    fn is_invalid(result: &Result<(), Refusal>) -> bool {
        matches!(result, Err(Refusal::Invalid(_)))
    }

    fn number(series: &Series, name: &str) -> Option<f64> {
        match series.families().get(name)?.series.values().next()? {
            Value::Number(number) => Some(*number),
            Value::Distribution { .. } => None,
        }
    }

    #[test]
    fn a_gauge_keeps_the_last_value_and_a_counter_the_sum() {
        let series = Series::default();
        for value in [1.5, 2.5] {
            assert_eq!(series.gauge("depth", "Depth.", &[], value), Ok(()));
            assert_eq!(series.counter("seen", "Seen.", &[], value), Ok(()));
        }
        assert_eq!((number(&series, "depth"), number(&series, "seen")), (Some(2.5), Some(4.0)));
    }

    #[test]
    fn a_histogram_counts_a_value_on_a_bound_as_within_it() {
        let series = Series::default();
        for value in [1.0, 1.5, 9.0] {
            assert_eq!(series.histogram("wait", "Wait.", &[], value, &[1.0, 2.0]), Ok(()));
        }
        let families = series.families();
        let Some(Value::Distribution { buckets, sum }) = families["wait"].series.values().next() else {
            panic!("a histogram has a distribution");
        };
        assert_eq!((buckets.as_slice(), *sum), (&[(1.0, 1), (2.0, 1), (f64::INFINITY, 1)][..], 11.5));
    }

    #[test]
    fn the_first_call_fixes_the_bounds_and_no_bounds_stand_for_those_of_durations() {
        let series = Series::default();
        assert_eq!(series.histogram("wait", "", &[], 1.0, &[]), Ok(()));
        assert_eq!(series.histogram("wait", "", &[], 1.0, &[7.0]), Ok(()));
        assert_eq!(series.families()["wait"].bounds, DURATION_BOUNDS);
    }

    #[test]
    fn the_order_of_labels_does_not_matter() {
        let series = Series::default();
        let (a, b) = (label("a", "1"), label("b", "2"));
        assert_eq!(series.counter("seen", "", &[a.clone(), b.clone()], 1.0), Ok(()));
        assert_eq!(series.counter("seen", "", &[b, a], 1.0), Ok(()));
        assert_eq!(number(&series, "seen"), Some(2.0));
    }

    #[test]
    fn one_name_is_one_kind() {
        let series = Series::default();
        assert_eq!(series.gauge("x", "", &[], 1.0), Ok(()));
        assert_eq!(series.counter("x", "", &[], 1.0), Err(Refusal::Conflict));
        assert_eq!(series.counter("x_total", "", &[], 1.0), Err(Refusal::Conflict));
        assert_eq!(series.histogram("x", "", &[], 1.0, &[]), Err(Refusal::Conflict));
    }

    #[test]
    fn a_total_at_the_end_of_a_counters_name_changes_nothing() {
        let series = Series::default();
        assert_eq!(series.counter("seen_total", "", &[], 1.0), Ok(()));
        assert_eq!(series.counter("seen", "", &[], 1.0), Ok(()));
        assert_eq!(number(&series, "seen"), Some(2.0));
    }

    #[test]
    fn the_series_of_all_metrics_together_are_capped_and_known_ones_go_on() {
        let series = Series::default();
        for index in 0..MAX_SERIES {
            let labels = [label("index", &index.to_string())];
            let name = if index % 2 == 0 { "even" } else { "odd" };
            assert_eq!(series.gauge(name, "", &labels, 1.0), Ok(()));
        }
        assert_eq!(series.gauge("more", "", &[], 1.0), Err(Refusal::TooManySeries));
        assert_eq!(series.gauge("even", "", &[label("index", "x")], 1.0), Err(Refusal::TooManySeries));
        assert_eq!(series.gauge("even", "", &[label("index", "0")], 2.0), Ok(()));
        assert!(!series.families().contains_key("more"));
    }

    #[test]
    fn names_that_break_a_rule_are_refused() {
        let series = Series::default();
        let long = "a".repeat(MAX_NAME + 1);
        for name in ["", "9a", "A", "a-b", "a b", "ä", "wait_sum", "x_info", &long] {
            assert!(is_invalid(&series.gauge(name, "", &[], 1.0)), "{name:?}");
        }
        assert!(series.families().is_empty());
    }

    #[test]
    fn help_texts_cannot_forge_lines() {
        let series = Series::default();
        let long = "a".repeat(MAX_HELP + 1);
        for help in ["a\nb 1", "a\rb", "\"", "\\n", &long] {
            assert!(is_invalid(&series.gauge("x", help, &[], 1.0)), "{help:?}");
        }
    }

    #[test]
    fn labels_that_break_a_rule_are_refused() {
        let series = Series::default();
        let long = "a".repeat(MAX_VALUE + 1);
        let wrong = [
            vec![label("namespace", "x")],
            vec![label("check", "x")],
            vec![label("le", "x")],
            vec![label("__name", "x")],
            vec![label("A", "x")],
            vec![label("a", "x"), label("a", "y")],
            vec![label("a", &long)],
            (0..=MAX_LABELS).map(|index| label(&format!("l{index}"), "x")).collect(),
        ];
        for labels in wrong {
            assert!(is_invalid(&series.gauge("x", "", &labels, 1.0)), "{labels:?}");
        }
    }

    #[test]
    fn values_and_bounds_that_are_no_ordinary_numbers_are_refused() {
        let series = Series::default();
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert!(is_invalid(&series.gauge("g", "", &[], value)));
            assert!(is_invalid(&series.counter("c", "", &[], value)));
            assert!(is_invalid(&series.histogram("h", "", &[], value, &[])));
        }
        assert!(is_invalid(&series.counter("c", "", &[], -1.0)));
        let many: Vec<f64> = (0..=MAX_BOUNDS).map(|bound| bound as f64).collect();
        for bounds in [&[2.0, 1.0][..], &[1.0, 1.0], &[f64::NAN], &[f64::INFINITY], &many] {
            assert!(is_invalid(&series.histogram("h", "", &[], 1.0, bounds)), "{bounds:?}");
        }
        assert!(series.families().is_empty());
    }

    #[test]
    fn a_sum_that_overflows_is_refused_and_the_old_one_stays() {
        let series = Series::default();
        assert_eq!(series.counter("c", "", &[], f64::MAX), Ok(()));
        assert!(is_invalid(&series.counter("c", "", &[], f64::MAX)));
        assert_eq!(number(&series, "c"), Some(f64::MAX));
    }
}
