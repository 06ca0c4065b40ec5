//! Regular expressions for settings.

use std::fmt::{self, Display, Formatter};
use std::ops::Range;

use regex_lite::Regex;
use serde::{Deserialize, Deserializer, de::Error};

/// A regular expression in the syntax of the `regex-lite` crate; `(?i)`, `(?m)` and `(?s)` set flags.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads an expression. The error says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        Regex::new(text).map(Self).map_err(|error| format!("{text:?} is no regular expression: {error}"))
    }

    /// Whether it matches somewhere in the text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Where in the text it matches first.
    #[must_use]
    pub fn find(&self, text: &str) -> Option<Range<usize>> {
        self.0.find(text).map(|found| found.range())
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Self::new(&String::deserialize(source)?).map_err(Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_expression_is_refused_with_a_reason() {
        let error = Pattern::new("a(").expect_err("unclosed group");
        assert!(error.starts_with("\"a(\" is no regular expression: "), "{error}");
    }

    #[test]
    fn a_match_may_lie_anywhere() {
        let pattern = Pattern::new("b+").expect("valid");
        assert!(pattern.matches("abbc"));
        assert_eq!(pattern.find("abbc"), Some(1..3));
    }
}
