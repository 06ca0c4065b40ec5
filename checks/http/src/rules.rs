//! Rules for the values of a JSON document. Pure.

use std::fmt::{self, Display, Formatter};

use aviary_guest::json::Value;
use aviary_guest::pairs;
use aviary_guest::pattern::Pattern;
use serde::de::{Deserialize, Deserializer, Error};

use crate::document::Path;
use crate::number::{Decimal, same};

/// The most problems of one rule that are told.
const MOST_TOLD: usize = 3;
/// How many characters of a value are shown.
const LONGEST_SHOWN: usize = 100;
/// How many characters of a problem are told, as a path holds keys of the body.
const LONGEST_PROBLEM: usize = 500;

/// A rule for the values at a path of a JSON document. All that it says has to hold, for every value of the path.
#[derive(Debug, Default)]
pub struct JsonRule {
    /// A JSON Pointer, in which the part `*` stands for every element.
    pub path: Path,
    /// Whether it is enough that the rule holds for one of the values.
    pub any: bool,
    /// Whether nothing may be at the path.
    pub absent: bool,
    /// The value that has to be there.
    pub equals: Option<Value>,
    /// The value that may not be there.
    pub not_equals: Option<Value>,
    /// The values of which one has to be there; without any, all are allowed.
    pub one_of: Vec<Value>,
    /// The expression that a text has to match; other values are matched as JSON.
    pub matches: Option<Pattern>,
    /// The expression that a text may not match; other values are matched as JSON.
    pub not_matches: Option<Pattern>,
    /// The bounds of the number.
    pub bounds: Vec<(Bound, Decimal)>,
    /// The bounds of the length of a text in characters, or of an array or object in elements.
    pub length: Vec<(Bound, Decimal)>,
}

/// A side on which a number is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The number has to be greater.
    Above,
    /// The number has to be less.
    Below,
    /// The number has to be greater or the same.
    AtLeast,
    /// The number has to be less or the same.
    AtMost,
}

impl Bound {
    fn named(key: &str) -> Option<Self> {
        Some(match key {
            "above" => Self::Above,
            "below" => Self::Below,
            "atLeast" => Self::AtLeast,
            "atMost" => Self::AtMost,
            _ => return None,
        })
    }

    fn allows(self, number: &Decimal, bound: &Decimal) -> bool {
        match self {
            Self::Above => number > bound,
            Self::Below => number < bound,
            Self::AtLeast => number >= bound,
            Self::AtMost => number <= bound,
        }
    }
}

impl Display for Bound {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Above => "greater than",
            Self::Below => "less than",
            Self::AtLeast => "at least",
            Self::AtMost => "at most",
        })
    }
}

impl<'de> Deserialize<'de> for JsonRule {
    /// Reads a rule key by key. The code of a derived one is four times as large, and guests may not be.
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let (mut rule, mut has_path) = (Self::default(), false);
        for (key, value) in pairs::deserialize(source)? {
            has_path |= key == "path";
            rule.set(&key, value).map_err(D::Error::custom)?;
        }
        if has_path { Ok(rule) } else { Err(D::Error::custom("a rule for JSON needs a `path`")) }
    }
}

impl JsonRule {
    fn set(&mut self, key: &str, value: Value) -> Result<(), String> {
        let broken = |what: &str| format!("`{key}` has to be {what}");
        match (key, value) {
            ("path", Value::String(path)) => self.path = Path::new(&path)?,
            ("any", Value::Bool(any)) => self.any = any,
            ("absent", Value::Bool(absent)) => self.absent = absent,
            ("equals", value) => self.equals = Some(value),
            ("notEquals", value) => self.not_equals = Some(value),
            ("oneOf", Value::Array(values)) if !values.is_empty() => self.one_of = values,
            ("matches", Value::String(text)) => self.matches = Some(Pattern::new(&text)?),
            ("notMatches", Value::String(text)) => self.not_matches = Some(Pattern::new(&text)?),
            ("length", Value::Object(bounds)) => {
                for (key, value) in &bounds {
                    self.length.push(bound(key, value)?);
                }
            }
            ("path" | "matches" | "notMatches", _) => return Err(broken("a text")),
            ("any" | "absent", _) => return Err(broken("true or false")),
            ("oneOf", _) => return Err(broken("a list of at least one value")),
            ("length", _) => return Err(broken("a map with `atLeast`, `atMost`, `above` or `below`")),
            (key, value) => self.bounds.push(bound(key, &value)?),
        }
        Ok(())
    }
}

fn bound(key: &str, value: &Value) -> Result<(Bound, Decimal), String> {
    let bound = Bound::named(key).ok_or_else(|| {
        format!(
            "unknown key `{key}`: a rule for JSON has path, equals, notEquals, oneOf, matches, notMatches, above, \
             below, atLeast, atMost, length, absent and any"
        )
    })?;
    let number =
        value.as_number().and_then(Decimal::of).ok_or_else(|| format!("`{key}` has to be a number"))?;
    Ok((bound, number))
}

impl JsonRule {
    /// The problems of a document with this rule, each in words, and at most three. Empty if the rule holds.
    #[must_use]
    pub fn judge(&self, document: &Value) -> Vec<String> {
        let (mut problems, mut has_looked, mut fits) = (Vec::new(), false, false);
        self.path.visit(document, &mut |at, value| {
            has_looked = true;
            match self.problem(at, value) {
                Some(problem) if problems.len() < MOST_TOLD => problems.push(cut(problem, LONGEST_PROBLEM)),
                Some(_) => {}
                None => fits = true,
            }
            // Nothing that follows can change the verdict.
            if self.any { !fits } else { problems.len() < MOST_TOLD }
        });
        let path = self.path.text();
        if self.any && fits {
            problems.clear();
        } else if !has_looked && !self.absent {
            problems.push(format!("{path} is missing"));
        } else if self.any
            && let Some(first) = problems.first()
        {
            problems = vec![format!("no value of {path} fits: {first}")];
        }
        problems
    }

    fn problem(&self, at: &str, value: Option<&Value>) -> Option<String> {
        let value = match value {
            Some(value) if self.absent => return Some(format!("{at} is there: {}", shorten(value))),
            None if self.absent => return None,
            None => return Some(format!("{at} is missing")),
            Some(value) => value,
        };
        let shown = || format!("{at} is {}", shorten(value));
        if let Some(wanted) = self.equals.as_ref().filter(|wanted| !same(wanted, value)) {
            return Some(format!("{}, not {}", shown(), shorten(wanted)));
        }
        if self.not_equals.as_ref().is_some_and(|forbidden| same(forbidden, value)) {
            return Some(shown());
        }
        if !self.one_of.is_empty() && !self.one_of.iter().any(|wanted| same(wanted, value)) {
            let wanted = Value::Array(self.one_of.clone());
            return Some(format!("{}, not one of {}", shown(), shorten(&wanted)));
        }
        let matches = |pattern: &Pattern| match value {
            Value::String(text) => pattern.matches(text),
            other => pattern.matches(&other.to_string()),
        };
        if let Some(pattern) = self.matches.as_ref().filter(|pattern| !matches(pattern)) {
            return Some(format!("{}, which does not match {pattern}", shown()));
        }
        if let Some(pattern) = self.not_matches.as_ref().filter(|pattern| matches(pattern)) {
            return Some(format!("{}, which matches {pattern}", shown()));
        }
        self.out_of_bounds(at, value).or_else(|| self.wrong_length(at, value))
    }

    fn out_of_bounds(&self, at: &str, value: &Value) -> Option<String> {
        let number = value.as_number().and_then(Decimal::of);
        let fits = |(bound, limit): &&(Bound, Decimal)| {
            number.as_ref().is_some_and(|number| bound.allows(number, limit))
        };
        let (bound, limit) = self.bounds.iter().find(|bound| !fits(bound))?;
        Some(format!("{at} is {}, not {bound} {limit}", shorten(value)))
    }

    fn wrong_length(&self, at: &str, value: &Value) -> Option<String> {
        let length = match value {
            _ if self.length.is_empty() => return None,
            Value::String(text) => text.chars().count(),
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            other => return Some(format!("{at} is {}, which has no length", shorten(other))),
        };
        let exact = Decimal::of(&length.into())?;
        let (bound, limit) = self.length.iter().find(|(bound, limit)| !bound.allows(&exact, limit))?;
        Some(format!("the length of {at} is {length}, not {bound} {limit}"))
    }
}

/// The value as JSON, cut where it is long.
fn shorten(value: &Value) -> String {
    cut(value.to_string(), LONGEST_SHOWN)
}

fn cut(text: String, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests;
