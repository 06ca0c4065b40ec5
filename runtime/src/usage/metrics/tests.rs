//! Tests of a check's own metrics: what is taken, and what is refused.

use super::{
    families::LINE,
    rules::{MAX_BOUNDS, MAX_HELP, MAX_LABELS, MAX_NAME},
    *,
};
use crate::value::Limit;

fn label(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn is_invalid(result: &Result<(), Refusal>) -> bool {
    matches!(result, Err(Refusal::Invalid(_)))
}

fn number(series: &CustomMetrics, name: &str) -> Option<f64> {
    match series.family(name)?.series.values().next()? {
        Value::Number(number) => Some(*number),
        Value::Distribution { .. } => None,
    }
}

#[test]
fn a_gauge_keeps_the_last_value_and_a_counter_the_sum() {
    let series = CustomMetrics::default();
    for value in [1.5, 2.5] {
        assert_eq!(series.gauge("depth", "Depth.", &[], value), Ok(()));
        assert_eq!(series.counter("seen", "Seen.", &[], value), Ok(()));
    }
    assert_eq!((number(&series, "depth"), number(&series, "seen")), (Some(2.5), Some(4.0)));
}

#[test]
fn a_histogram_counts_a_value_on_a_bound_as_within_it() {
    let series = CustomMetrics::default();
    for value in [1.0, 1.5, 9.0] {
        assert_eq!(series.histogram("wait", "Wait.", &[], value, &[1.0, 2.0]), Ok(()));
    }
    let wait = series.family("wait").expect("a metric");
    let Some(Value::Distribution { buckets, sum }) = wait.series.values().next() else {
        panic!("a histogram has a distribution");
    };
    assert_eq!((buckets.as_slice(), *sum), (&[(1.0, 1), (2.0, 1), (f64::INFINITY, 1)][..], 11.5));
}

#[test]
fn the_first_call_fixes_the_bounds_and_no_bounds_stand_for_those_of_durations() {
    let series = CustomMetrics::default();
    assert_eq!(series.histogram("wait", "", &[], 1.0, &[]), Ok(()));
    assert_eq!(series.histogram("wait", "", &[], 1.0, &[7.0]), Ok(()));
    assert_eq!(series.family("wait").expect("a metric").bounds, DURATION_BOUNDS);
}

#[test]
fn the_order_of_labels_does_not_matter() {
    let series = CustomMetrics::default();
    let (a, b) = (label("a", "1"), label("b", "2"));
    assert_eq!(series.counter("seen", "", &[a.clone(), b.clone()], 1.0), Ok(()));
    assert_eq!(series.counter("seen", "", &[b, a], 1.0), Ok(()));
    assert_eq!(number(&series, "seen"), Some(2.0));
}

#[test]
fn one_name_is_one_kind() {
    let series = CustomMetrics::default();
    assert_eq!(series.gauge("x", "", &[], 1.0), Ok(()));
    assert_eq!(series.counter("x", "", &[], 1.0), Err(Refusal::Conflict));
    assert_eq!(series.counter("x_total", "", &[], 1.0), Err(Refusal::Conflict));
    assert_eq!(series.histogram("x", "", &[], 1.0, &[]), Err(Refusal::Conflict));
}

#[test]
fn a_total_at_the_end_of_a_counters_name_changes_nothing() {
    let series = CustomMetrics::default();
    assert_eq!(series.counter("seen_total", "", &[], 1.0), Ok(()));
    assert_eq!(series.counter("seen", "", &[], 1.0), Ok(()));
    assert_eq!(number(&series, "seen"), Some(2.0));
}

#[test]
fn the_series_of_all_metrics_together_are_capped_and_known_ones_go_on() {
    let series = CustomMetrics::default();
    for index in 0..50 {
        let labels = [label("index", &index.to_string())];
        let name = if index % 2 == 0 { "even" } else { "odd" };
        assert_eq!(series.gauge(name, "", &labels, 1.0), Ok(()));
    }
    assert_eq!(series.gauge("more", "", &[], 1.0), Err(Refusal::TooManySeries(50)));
    assert_eq!(series.gauge("even", "", &[label("index", "x")], 1.0), Err(Refusal::TooManySeries(50)));
    assert_eq!(series.gauge("even", "", &[label("index", "0")], 2.0), Ok(()));
    assert!(series.family("more").is_none());
}

/// A quota for as many bytes as five short lines take.
fn bounded() -> Arc<Quota> {
    Arc::new(Quota::new(5 * (LINE + 2)))
}

#[test]
fn the_metrics_of_all_checks_of_a_namespace_are_capped_together_and_known_series_go_on() {
    let shared = bounded();
    let (first, second) =
        (CustomMetrics::new(Some(Arc::clone(&shared))), CustomMetrics::new(Some(Arc::clone(&shared))));
    let set = |series: &CustomMetrics, value: &str| series.gauge("x", "", &[label("a", value)], 1.0);
    for value in ["1", "2", "3", "4"] {
        assert_eq!(set(&first, value), Ok(()));
    }
    assert_eq!(set(&second, "1"), Err(Refusal::TooLargeTogether(shared.most())));
    assert!(second.heads().is_empty());
    assert_eq!(set(&first, "1"), Ok(()));
    drop(first);
    assert_eq!(set(&second, "1"), Ok(()));
}

#[test]
fn a_histogram_takes_as_much_of_what_is_shared_as_the_lines_it_fills() {
    let shared = bounded();
    let series = CustomMetrics::new(Some(Arc::clone(&shared)));
    let refused = Err(Refusal::TooLargeTogether(shared.most()));
    assert_eq!(series.histogram("x", "", &[], 1.0, &[1.0, 2.0, 3.0]), refused);
    assert_eq!(series.histogram("x", "", &[], 1.0, &[1.0, 2.0]), Ok(()));
    assert_eq!(series.gauge("y", "", &[], 1.0), refused);
}

#[test]
fn names_that_break_a_rule_are_refused() {
    let series = CustomMetrics::default();
    let long = "a".repeat(MAX_NAME + 1);
    for name in ["", "9a", "A", "a-b", "a b", "ä", "wait_sum", "x_info", &long] {
        assert!(is_invalid(&series.gauge(name, "", &[], 1.0)), "{name:?}");
    }
    assert!(series.heads().is_empty());
}

#[test]
fn help_texts_cannot_forge_lines() {
    let series = CustomMetrics::default();
    let long = "a".repeat(MAX_HELP + 1);
    for help in ["a\nb 1", "a\rb", "a\u{202e}b", "\"", "\\n", &long] {
        assert!(is_invalid(&series.gauge("x", help, &[], 1.0)), "{help:?}");
    }
}

#[test]
fn labels_that_break_a_rule_are_refused() {
    let series = CustomMetrics::default();
    let wrong = [
        vec![label("namespace", "x")],
        vec![label("check", "x")],
        vec![label("le", "x")],
        vec![label("__name", "x")],
        vec![label("A", "x")],
        vec![label("a", "x"), label("a", "y")],
        (0..=MAX_LABELS).map(|index| label(&format!("l{index}"), "x")).collect(),
    ];
    for labels in wrong {
        assert!(is_invalid(&series.gauge("x", "", &labels, 1.0)), "{labels:?}");
    }
}

#[test]
fn labels_cannot_move_the_cursor_of_whoever_reads_them() {
    let series = CustomMetrics::default();
    assert_eq!(series.gauge("x", "", &[label("a", "\0\u{1b}[2J")], 1.0), Ok(()));
    let family = series.family("x").expect("a metric");
    let shown: Vec<_> = family.series.keys().collect();
    assert_eq!(**shown[0], [label("a", "\\u{0}\\u{1b}[2J")]);
    let too_long_to_show = label("a", &"\0".repeat(128));
    assert_eq!(series.gauge("x", "", &[too_long_to_show], 1.0), Err(Refusal::LongLabel("a".to_owned(), 128)));
}

#[test]
fn a_check_may_have_as_many_series_and_as_long_labels_as_its_limits_say() {
    let series = CustomMetrics::default();
    let long = "x".repeat(129);
    let refused = Refusal::LongLabel("a".to_owned(), 128);
    assert_eq!(series.gauge("x", "", &[label("a", &long)], 1.0), Err(refused));
    let mut limits = Limits::default();
    limits.set(Limit::LabelBytes, 129).expect("in range");
    limits.set(Limit::Series, 1).expect("in range");
    series.allow(&limits);
    assert_eq!(series.gauge("x", "", &[label("a", &long)], 1.0), Ok(()));
    assert_eq!(series.gauge("x", "", &[], 1.0), Err(Refusal::TooManySeries(1)));
}

#[test]
fn values_and_bounds_that_are_no_ordinary_numbers_are_refused() {
    let series = CustomMetrics::default();
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
    assert!(series.heads().is_empty());
}

#[test]
fn a_sum_that_overflows_is_refused_and_the_old_one_stays() {
    let series = CustomMetrics::default();
    assert_eq!(series.counter("c", "", &[], f64::MAX), Ok(()));
    assert!(is_invalid(&series.counter("c", "", &[], f64::MAX)));
    assert_eq!(number(&series, "c"), Some(f64::MAX));
}
