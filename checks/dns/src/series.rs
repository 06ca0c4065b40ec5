//! The time series of each target: how long its latest answer took.

use std::time::Duration;

use aviary_guest::metrics::{Error, Metric};

use crate::settings::Name;

/// The name of the metric, which is served with `aviary_custom_` before it.
const METRIC: &str = "dns_lookup_duration_seconds";
const HELP: &str = "How long the latest answer about the name took.";

/// The most labels of a name. A series has five, and one of them is the name itself.
const MOST_LABELS: usize = 4;
/// Labels that the check or the daemon sets.
const OURS: [&str; 6] = ["target", "server", "namespace", "check", "le", "quantile"];

/// An error if these labels cannot be those of a target and of its series.
pub fn check_labels(labels: &[(String, String)]) -> Result<(), String> {
    if labels.len() > MOST_LABELS {
        return Err(format!("there are {}, and a name has at most {MOST_LABELS}", labels.len()));
    }
    let wrong = labels.iter().find(|(key, _)| !is_word(key) || OURS.contains(&key.as_str()));
    match wrong {
        Some((key, _)) if is_word(key) => {
            Err(format!("{key:?} is set by the check or the daemon: choose another"))
        }
        Some((key, _)) => Err(format!("{key:?} is no name of a label: write it as [a-z_][a-z0-9_]*")),
        None => Ok(()),
    }
}

fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    text.bytes().all(allowed)
        && !text.is_empty()
        && !text.starts_with("__")
        && !text.as_bytes()[0].is_ascii_digit()
}

/// Sets the series of a name. The error says for people why there is none, and what to do about it.
pub fn record(name: &Name, took: Duration) -> Result<(), String> {
    let metric = Metric::new(METRIC, HELP).label("target", &name.name);
    let metric = name.labels.iter().fold(metric, |metric, (key, value)| metric.label(key, value));
    metric.gauge(took.as_secs_f64()).map_err(|error| explain(&name.name, &error))
}

fn explain(name: &str, error: &Error) -> String {
    let advice = match error {
        Error::TooManySeries => "; raise `limits.series` in the manifest, or list fewer names",
        _ => "",
    };
    format!("{name} has no series {METRIC}: {error}{advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[&str]) -> Result<(), String> {
        let labels: Vec<_> = keys.iter().map(|key| ((*key).to_owned(), "a".to_owned())).collect();
        check_labels(&labels)
    }

    #[test]
    fn labels_that_a_series_cannot_have_are_refused() {
        assert_eq!(check(&["team", "_env2"]), Ok(()));
        for (keys, reason) in [
            (&["a", "b", "c", "d", "e"][..], "there are 5, and a name has at most 4"),
            (&["target"], "\"target\" is set by the check or the daemon"),
            (&["server"], "\"server\" is set"),
            (&["le"], "\"le\" is set"),
            (&["Team"], "\"Team\" is no name of a label"),
            (&["2nd"], "\"2nd\" is no name"),
            (&["__a"], "\"__a\" is no name"),
            (&[""], "\"\" is no name"),
        ] {
            let error = check(keys).expect_err(reason);
            assert!(error.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn who_gets_no_series_is_told_what_to_do() {
        assert_eq!(
            explain("a.example", &Error::TooManySeries),
            "a.example has no series dns_lookup_duration_seconds: the check has as many metric series as it may \
             have; raise `limits.series` in the manifest, or list fewer names"
        );
    }
}
