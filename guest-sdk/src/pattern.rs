//! Regular expressions for settings, in the [syntax of `regex-lite`](https://docs.rs/regex-lite).
//!
//! `^` and `$` stand for the start and end of any line, which may end with `\r\n` as on the wire. Matching takes time in
//! proportion to text times expression, whatever the expression.

use std::fmt::{self, Display, Formatter};

use regex_lite::{Regex, RegexBuilder};
use serde::{Deserialize, Deserializer};

use crate::settings::Text;

/// The most bytes of memory that one expression may take when it is parsed.
const MOST_MEMORY: usize = 1024 * 1024;

/// A regular expression in the syntax of `regex-lite`.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Parses an expression. The error says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        if let Some(class) = bare_class(text) {
            return Err(format!(
                "{text:?} is no regular expression: write `[{class}]` in place of `{class}`"
            ));
        }
        let read = RegexBuilder::new(text).multi_line(true).crlf(true).size_limit(MOST_MEMORY).build();
        read.map(Self).map_err(|reason| format!("{text:?} is no regular expression: {reason}"))
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether the expression matches somewhere in the text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text)
    }

    /// Whether the expression matches a text of which this is the start, whatever comes after it.
    #[must_use]
    pub fn matches_start(&self, start: &str) -> bool {
        // `$`, `\b` and the like look at what comes next. Where nothing has come yet, they may be wrong.
        let looks_ahead =
            || ["$", "\\b", "\\B", "\\z", "\\>"].iter().any(|sign| self.as_str().contains(sign));
        self.find_end(start, 0).is_some_and(|end| end < start.len() || !looks_ahead())
    }

    /// The end in bytes of the first match that starts at byte `from` or later.
    #[must_use]
    pub fn find_end(&self, text: &str, from: usize) -> Option<usize> {
        self.0.find_at(text, from).map(|found| found.end())
    }
}

/// A POSIX class outside of brackets, such as `[:alpha:]`. It would be read as the set of its letters.
fn bare_class(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(start) = rest.find(['[', '\\']) {
        let (sign, after) = rest[start..].split_at(1);
        if sign == "\\" {
            let mut after = after.chars();
            after.next();
            rest = after.as_str();
            continue;
        }
        let name = after.strip_prefix(':').and_then(|after| after.split_once(":]"));
        if let Some((name, _)) = name
            && !name.is_empty()
            && name.trim_start_matches('^').chars().all(|letter| letter.is_ascii_lowercase())
        {
            return Some(&rest[start..start + name.len() + "[::]".len()]);
        }
        rest = after_set(after);
    }
    None
}

/// What follows a set of which the opening bracket has been read.
fn after_set(text: &str) -> &str {
    let text = text.strip_prefix('^').unwrap_or(text);
    // As the first letter, a bracket is one of the set.
    let mut rest = text.strip_prefix(']').unwrap_or(text);
    while let Some(start) = rest.find(['[', '\\', ']']) {
        let (sign, after) = rest[start..].split_at(1);
        rest = match sign {
            "]" => return after,
            "[" => {
                after.split_once(":]").filter(|_| after.starts_with(':')).map_or(after, |(_, after)| after)
            }
            _ => {
                let mut after = after.chars();
                after.next();
                after.as_str()
            }
        };
    }
    ""
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(Text("a regular expression", Self::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_is_found_and_lines_count() {
        let pattern = Pattern::new("a+|^b").expect("valid");
        assert_eq!(pattern.find_end("xaab", 0), Some(3));
        assert_eq!(pattern.find_end("xaab", 3), None);
        assert_eq!(pattern.find_end("xaa\nb", 3), Some(5));
    }

    #[test]
    fn a_line_may_end_as_on_the_wire() {
        assert!(Pattern::new("^ok$").expect("valid").matches("220\r\nok\r\n"));
    }

    #[test]
    fn the_start_of_a_text_is_enough_only_where_nothing_after_it_can_change_the_match() {
        for (text, start, is_enough) in [
            ("ok", "ok", true),
            ("o.*", "ok", true),
            ("^ok$", "ok", false),
            ("^ok$", "ok\r\n", true),
            ("ok\\b", "ok", false),
            ("ok\\b", "ok,", true),
            ("ok\\B", "ok", false),
            ("ok\\z", "ok", false),
            ("ok\\b{end}", "ok", false),
            ("ok\\>", "ok", false),
            ("ok($|[^a-z])", "ok", false),
            ("ok", "", false),
        ] {
            let pattern = Pattern::new(text).expect(text);
            assert_eq!(pattern.matches_start(start), is_enough, "{text} {start:?}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["a(", "[z-a]", "*a", "a{3,2}", "a\\", "((a{1000}){1000}){1000}"] {
            let error = Pattern::new(text).expect_err(text);
            assert!(error.starts_with(&format!("{text:?} is no regular expression: ")), "{error}");
        }
        assert!(Pattern::new(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn a_posix_class_works_within_brackets_and_is_refused_without() {
        let pattern = Pattern::new("^[[:alpha:]_]+[^[:^digit:]]$").expect("valid");
        assert!(pattern.matches("ab_1") && !pattern.matches("1b_1") && !pattern.matches("ab_c"));
        for text in ["^[:alpha:]+$", "a[]x]\\[[:digit:]", "[[:alpha:]][:^space:]"] {
            let error = Pattern::new(text).expect_err(text);
            assert!(error.contains("write `[[:"), "{error}");
        }
        assert!(Pattern::new("[[:letters:]]").is_err());
        for text in
            ["[:a]", "[a:]", "[: :]", "\\[:alpha:]", "[x[:alpha:]]", "[]:alpha:]", "[\\]:alpha:]", "[::]"]
        {
            assert!(Pattern::new(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn an_expression_that_ruins_other_engines_takes_no_time() {
        let pattern = Pattern::new("(a*)*(a|aa)+$b").expect("valid");
        assert!(!pattern.matches(&"a".repeat(20_000)));
    }
}
