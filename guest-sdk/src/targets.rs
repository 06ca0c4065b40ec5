//! Targets of settings with labels of their own, and the metrics of each target.
//!
//! `urls: ["https://a.example", { url: "https://b.example", labels: { team: shop } }]` is a `Vec<LabelledTarget>`.

use serde::de::{Deserialize, Deserializer, Error};
use serde_json::Value;

use crate::log;
use crate::metrics::{self, Metric};

/// The most labels of a target. A series has five: these, the target itself, and one for the kind of value.
const MOST_LABELS: usize = 3;
/// The most bytes of a label's value in a series.
const LONGEST_VALUE: usize = 128;
/// Labels that checks or the daemon set themselves.
const OURS: [&str; 9] =
    ["target", "phase", "status", "address", "server", "namespace", "check", "le", "quantile"];

/// A target as settings have it: a text, or `{name: <text>, labels: {<key>: <value>}}`. Instead of `name`, `url` and
/// `target` are read as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledTarget {
    /// What is looked at, such as a URL.
    pub name: String,
    /// The labels of the target and of its series.
    pub labels: Vec<(String, String)>,
}

impl LabelledTarget {
    /// An error if the labels cannot be those of a target and of its series.
    pub fn validate(&self) -> Result<(), String> {
        if self.labels.len() > MOST_LABELS {
            let count = self.labels.len();
            return Err(format!("labels: there are {count}, and a target has at most {MOST_LABELS}"));
        }
        for (key, _) in &self.labels {
            if OURS.contains(&key.as_str()) {
                return Err(format!("labels: {key:?} is set by the check or the daemon: choose another"));
            }
            if !is_word(key) {
                return Err(format!("labels: {key:?} is no name of a label: write it as [a-z_][a-z0-9_]*"));
            }
        }
        Ok(())
    }
}

fn is_word(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    text.bytes().all(allowed)
        && !text.starts_with("__")
        && text.as_bytes().first().is_some_and(|first| !first.is_ascii_digit())
}

impl<'de> Deserialize<'de> for LabelledTarget {
    // By way of a value, as each visitor of any type makes a component 2 KB larger.
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Self::read(Value::deserialize(source)?).map_err(D::Error::custom)
    }
}

impl LabelledTarget {
    fn read(written: Value) -> Result<Self, String> {
        let fields = match written {
            Value::String(name) => return Ok(Self { name, labels: Vec::new() }),
            Value::Object(fields) => fields,
            _ => return Err("a target is a text, or a map with `labels`".into()),
        };
        let (mut name, mut labels) = (None, Vec::new());
        for (key, value) in fields {
            match (key.as_str(), value) {
                ("name" | "url" | "target", Value::String(text)) => name = Some(text),
                ("labels", Value::Object(map)) => {
                    for (key, value) in map {
                        let Value::String(value) = value else {
                            return Err(format!("the label `{key}` has to be a text"));
                        };
                        labels.push((key, value));
                    }
                }
                (key, _) => {
                    return Err(format!(
                        "`{key}` is unknown or of the wrong type: a target has a text and `labels`"
                    ));
                }
            }
        }
        let name = name.ok_or("a target with `labels` needs the text of the target as well")?;
        Ok(Self { name, labels })
    }
}

/// The metrics of the targets of one check. Where the check may have no more series, the others go on without.
#[derive(Debug, Default)]
pub struct TargetSeries {
    /// The value of each series as it was set last, by its number; none if it was not set.
    values: Vec<Option<f64>>,
    /// Whether the log of this round says already that series are missing.
    is_told: bool,
}

impl TargetSeries {
    /// Sets the gauge `name` of a target to a value, unless it has that value already. `number` is one for each series of
    /// the check, from 0. `shown` is the target's name as it may be shown; `kind` is one more label, if there is one.
    pub fn gauge(
        &mut self,
        number: usize,
        (name, help): (&str, &str),
        shown: &str,
        labels: &[(String, String)],
        kind: Option<(&str, &str)>,
        value: f64,
    ) {
        if self.values.len() <= number {
            self.values.resize(number + 1, None);
        }
        if self.values[number].replace(value) == Some(value) {
            return;
        }
        let mut metric = Metric::new(name, help).label("target", shorten(shown));
        for (key, value) in labels {
            metric = metric.label(key, shorten(value));
        }
        if let Some((key, value)) = kind {
            metric = metric.label(key, value);
        }
        let Err(error) = metric.gauge(value) else { return };
        self.values[number] = None;
        if !std::mem::replace(&mut self.is_told, true) {
            let advice = match error {
                metrics::Error::TooManySeries => {
                    "; raise `limits.series` in the manifest, or list fewer targets"
                }
                _ => "",
            };
            log::warn!("{shown} has no series {name}: {error}{advice}");
        }
    }
}

fn shorten(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_VALUE)]
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_target_is_a_text_or_has_labels() {
        let text: LabelledTarget = from_value(json!("a:80")).expect("a target");
        assert_eq!((text.name.as_str(), text.labels.len()), ("a:80", 0));
        for key in ["name", "url", "target"] {
            let map: LabelledTarget = from_value(json!({key: "a", "labels": {"team": "shop"}})).expect(key);
            assert_eq!(map.labels, [("team".to_owned(), "shop".to_owned())]);
        }
        assert!(from_value::<LabelledTarget>(json!({"name": "a", "label": {}})).is_err());
        assert!(from_value::<LabelledTarget>(json!(3)).is_err());
    }

    #[test]
    fn labels_that_a_series_cannot_have_are_refused() {
        let check = |keys: &[&str]| {
            let labels = keys.iter().map(|key| ((*key).to_owned(), "a".to_owned())).collect();
            LabelledTarget { name: "a".into(), labels }.validate()
        };
        assert_eq!(check(&["team", "_env2"]), Ok(()));
        for (keys, reason) in [
            (&["a", "b", "c", "d"][..], "labels: there are 4, and a target has at most 3"),
            (&["target"], "labels: \"target\" is set by the check or the daemon"),
            (&["phase"], "labels: \"phase\" is set"),
            (&["Team"], "labels: \"Team\" is no name of a label"),
            (&["2nd"], "labels: \"2nd\" is no name"),
            (&["__a"], "labels: \"__a\" is no name"),
            (&[""], "labels: \"\" is no name"),
        ] {
            let error = check(keys).expect_err(reason);
            assert!(error.starts_with(reason), "{error}");
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        assert_eq!(shorten(&"ü".repeat(100)), "ü".repeat(64));
    }
}
