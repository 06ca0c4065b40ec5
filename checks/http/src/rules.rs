//! Rules for the values of a JSON document. Pure.

use std::cmp::Ordering::{Equal, Greater, Less};

use aviary_guest::json::{Number, Value};
use aviary_guest::pattern::Pattern;
use serde::{Deserialize, Deserializer};

use crate::document::Path;
use crate::number::{Decimal, same};

/// How many characters of a value are shown.
const LONGEST_SHOWN: usize = 100;

/// A rule for the values at a path of a JSON document. All that it says has to hold, for every value of the path.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct JsonRule {
    /// A JSON Pointer, in which the part `*` stands for every element.
    #[serde(deserialize_with = "path")]
    pub path: Path,
    /// Whether it is enough that the rule holds for one of the values.
    #[serde(default)]
    pub any: bool,
    /// Whether nothing may be at the path.
    #[serde(default)]
    pub absent: bool,
    /// The value that has to be there.
    #[serde(default, deserialize_with = "some")]
    pub equals: Option<Value>,
    /// The value that may not be there.
    #[serde(default, deserialize_with = "some")]
    pub not_equals: Option<Value>,
    /// The values of which one has to be there; without any, all are allowed.
    #[serde(default)]
    pub one_of: Vec<Value>,
    /// The expression that a text has to match; other values are matched as JSON.
    #[serde(default)]
    pub matches: Option<Pattern>,
    /// The expression that a text may not match; other values are matched as JSON.
    #[serde(default)]
    pub not_matches: Option<Pattern>,
    /// What the number has to be greater than.
    #[serde(default)]
    pub above: Option<Number>,
    /// What the number has to be less than.
    #[serde(default)]
    pub below: Option<Number>,
    /// The least that the number may be.
    #[serde(default)]
    pub at_least: Option<Number>,
    /// The most that the number may be.
    #[serde(default)]
    pub at_most: Option<Number>,
    /// The bounds of the length of a text in characters, or of an array or object in elements.
    #[serde(default)]
    pub length: Option<Length>,
}

/// The bounds of a length, each optional.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Length {
    /// The least length.
    #[serde(default)]
    pub at_least: Option<usize>,
    /// The greatest length.
    #[serde(default)]
    pub at_most: Option<usize>,
}

fn path<'de, D: Deserializer<'de>>(source: D) -> Result<Path, D::Error> {
    Path::new(&String::deserialize(source)?).map_err(serde::de::Error::custom)
}

/// Reads a value that may be `null`, and is there all the same.
fn some<'de, D: Deserializer<'de>>(source: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(source).map(Some)
}

impl JsonRule {
    /// The problems of a document with this rule, each in words. Empty if the rule holds.
    #[must_use]
    pub fn judge(&self, document: &Value) -> Vec<String> {
        let found = self.path.find(document);
        let path = self.path.text();
        if self.absent {
            return found.iter().map(|(at, value)| format!("{at} is there: {}", shorten(value))).collect();
        }
        if found.is_empty() {
            return vec![format!("{path} is missing")];
        }
        let problems: Vec<_> = found.iter().map(|(at, value)| self.problem(at, value)).collect();
        if self.any && problems.iter().any(Option::is_none) {
            return Vec::new();
        }
        let problems: Vec<_> = problems.into_iter().flatten().collect();
        match (self.any, problems.first()) {
            (true, Some(first)) => vec![format!("no value of {path} fits: {first}")],
            _ => problems,
        }
    }

    fn problem(&self, at: &str, value: &Value) -> Option<String> {
        let shown = || format!("{at} is {}", shorten(value));
        if let Some(wanted) = self.equals.as_ref().filter(|wanted| !same(wanted, value)) {
            return Some(format!("{}, not {}", shown(), shorten(wanted)));
        }
        if self.not_equals.as_ref().is_some_and(|forbidden| same(forbidden, value)) {
            return Some(shown());
        }
        if !self.one_of.is_empty() && !self.one_of.iter().any(|wanted| same(wanted, value)) {
            let wanted: Vec<_> = self.one_of.iter().map(shorten).collect();
            return Some(format!("{}, not one of {}", shown(), wanted.join(", ")));
        }
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let Some(pattern) = self.matches.as_ref().filter(|pattern| !pattern.matches(&text)) {
            return Some(format!("{}, which does not match {pattern}", shown()));
        }
        if let Some(pattern) = self.not_matches.as_ref().filter(|pattern| pattern.matches(&text)) {
            return Some(format!("{}, which matches {pattern}", shown()));
        }
        self.out_of_bounds(at, value).or_else(|| self.wrong_length(at, value))
    }

    fn out_of_bounds(&self, at: &str, value: &Value) -> Option<String> {
        let bounds = [
            (&self.above, [Greater].as_slice(), "greater than"),
            (&self.below, &[Less], "less than"),
            (&self.at_least, &[Greater, Equal], "at least"),
            (&self.at_most, &[Less, Equal], "at most"),
        ];
        bounds.into_iter().find_map(|(bound, allowed, words)| {
            let bound = bound.as_ref()?;
            let number = match value {
                Value::Number(number) => Decimal::of(number),
                _ => None,
            };
            let fits = number
                .zip(Decimal::of(bound))
                .is_some_and(|(number, bound)| allowed.contains(&number.cmp(&bound)));
            (!fits).then(|| format!("{at} is {}, not {words} {bound}", shorten(value)))
        })
    }

    fn wrong_length(&self, at: &str, value: &Value) -> Option<String> {
        let bounds = self.length.as_ref()?;
        let length = match value {
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            other => return Some(format!("{at} is {}, which has no length", shorten(other))),
        };
        match (bounds.at_least, bounds.at_most) {
            (Some(least), _) if length < least => {
                Some(format!("the length of {at} is {length}, not at least {least}"))
            }
            (_, Some(most)) if length > most => {
                Some(format!("the length of {at} is {length}, not at most {most}"))
            }
            _ => None,
        }
    }
}

/// The value as JSON, cut where it is long.
pub(crate) fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(LONGEST_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{from_value, json};

    use super::*;

    fn judge(rule: Value) -> Vec<String> {
        let document = json!({
            "items": [{"ready": true, "n": 1}, {"ready": false, "n": 2}], "name": "alpha", "load": 4.5,
            "none": null, "status": "UP",
        });
        from_value::<JsonRule>(rule).expect("a rule").judge(&document)
    }

    #[test]
    fn rules_that_hold_say_nothing() {
        for rule in [
            json!({"path": "/name", "equals": "alpha", "matches": "^al", "notMatches": "z", "length": {"atMost": 5}}),
            json!({"path": "/load", "above": 4, "below": 5, "atLeast": 4.50, "atMost": 45e-1}),
            json!({"path": "/items", "length": {"atLeast": 2, "atMost": 2}}),
            json!({"path": "/items/*/n", "atLeast": 1}),
            json!({"path": "/items/*/ready", "any": true, "equals": true}),
            json!({"path": "/none", "equals": null}),
            json!({"path": "/old", "absent": true}),
            json!({"path": "/status", "oneOf": ["UP", "OK"], "notEquals": "DOWN"}),
            json!({"path": "/load", "matches": "^4"}),
            json!({"path": "/name"}),
        ] {
            assert_eq!(judge(rule.clone()), [""; 0], "{rule}");
        }
    }

    #[test]
    fn a_rule_that_is_broken_says_what_is_there_and_what_should_be() {
        for (rule, problem) in [
            (json!({"path": "/name", "equals": "beta"}), "/name is \"alpha\", not \"beta\""),
            (json!({"path": "/name", "notEquals": "alpha"}), "/name is \"alpha\""),
            (json!({"path": "/status", "oneOf": ["OK", 1]}), "/status is \"UP\", not one of \"OK\", 1"),
            (json!({"path": "/name", "matches": "^b"}), "/name is \"alpha\", which does not match /^b/"),
            (json!({"path": "/name", "notMatches": "^a"}), "/name is \"alpha\", which matches /^a/"),
            (json!({"path": "/load", "above": 4.5}), "/load is 4.5, not greater than 4.5"),
            (json!({"path": "/load", "below": 4.5}), "/load is 4.5, not less than 4.5"),
            (json!({"path": "/name", "atLeast": 1}), "/name is \"alpha\", not at least 1"),
            (
                json!({"path": "/items", "length": {"atLeast": 3}}),
                "the length of /items is 2, not at least 3",
            ),
            (json!({"path": "/load", "length": {"atMost": 3}}), "/load is 4.5, which has no length"),
            (json!({"path": "/items/*/ready", "equals": true}), "/items/1/ready is false, not true"),
            (
                json!({"path": "/items/*/n", "any": true, "above": 2}),
                "no value of /items/*/n fits: /items/0/n is 1, not greater than 2",
            ),
            (json!({"path": "/items/*/x", "equals": 1}), "/items/*/x is missing"),
            (json!({"path": "/none", "absent": true}), "/none is there: null"),
        ] {
            assert_eq!(judge(rule.clone()), [problem], "{rule}");
        }
    }

    #[test]
    fn a_rule_that_makes_no_sense_is_refused() {
        for rule in [
            json!({}),
            json!({"path": "name"}),
            json!({"path": "/a", "above": "4"}),
            json!({"path": "/a", "is": 1}),
        ] {
            assert!(from_value::<JsonRule>(rule.clone()).is_err(), "{rule}");
        }
    }
}
