//! Regular expressions for settings.
//!
//! Known regex crates would make up a third of a component, so this is a small one of its own, for the
//! question whether and where a text matches. It takes time in proportion to text times expression.
//!
//! There are literals, `.`, `[a-z]`, `[^a-z]`, `\d \w \s \D \W \S`, `\n \r \t \xHH`, groups, `|`, `* + ?`
//! and `{m,n}`. `^` and `$` stand for the start and end of any line, `\b` for the edge of a word; `(?i)` in
//! front ignores the case of ASCII letters, and `(?s)` lets `.` match line ends.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Deserializer};

use crate::settings::Text;
use program::Program;

mod parse;
mod program;

/// A regular expression.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    program: Program,
}

impl Pattern {
    /// Reads an expression. The error says what is wrong with it.
    pub fn new(text: &str) -> Result<Self, String> {
        let program = parse::parse(text).and_then(|node| Program::new(&node));
        let program = program.map_err(|reason| format!("{text:?} is no regular expression: {reason}"))?;
        Ok(Self { text: text.into(), program })
    }

    /// Whether it matches somewhere in the text.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.find_end(text, 0).is_some()
    }

    /// Where the match ends that starts at byte `from` or later and ends first.
    #[must_use]
    pub fn find_end(&self, text: &str, from: usize) -> Option<usize> {
        self.program.find_end(text, from)
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.text)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        source.deserialize_str(Text("a regular expression", Self::new))
    }
}

#[cfg(test)]
mod tests {
    use regex_lite::Regex;

    use super::*;

    const EXPRESSIONS: [&str; 44] = [
        "",
        "a",
        "abc",
        "b+",
        "a*",
        "a?b",
        "ab|cd",
        "a(b|c)d",
        "(ab)+",
        "(?:ab){2}",
        "a{2}",
        "a{2,}",
        "a{1,3}b",
        "^a",
        "a$",
        "^$",
        "^ab\\n",
        "c$",
        ".",
        "a.c",
        "(?s)a.c",
        "[a-c]",
        "[^a-c]",
        "[]a]",
        "[a-]",
        "[.]",
        "\\d+",
        "\\w+\\s",
        "\\D",
        "\\W",
        "\\S\\S",
        "[\\d_]",
        "[\\w]$",
        "\\.",
        "\\x61",
        "\\n",
        "\\bab\\b",
        "(?i)ABC",
        "(?i)[a-c]D",
        "(?i)[^A]b",
        "(a|)b",
        "(a*)*b",
        "(a|b)*c",
        "\\[\\]",
    ];

    const TEXTS: [&str; 24] = [
        "",
        "a",
        "b",
        "abc",
        "ab",
        "aab",
        "aaab",
        "abab",
        "acd",
        "cd",
        "ABC",
        "aBcD",
        "a\nc",
        "xyz\nab\n",
        "ab\n\nc",
        "12 ab",
        "a_1",
        ".",
        "[]",
        "-",
        "]",
        "ü",
        "aüc",
        "  ",
    ];

    #[test]
    fn it_agrees_with_a_known_engine() {
        for expression in EXPRESSIONS {
            let pattern = Pattern::new(expression).expect(expression);
            let known = Regex::new(&format!("(?m){expression}")).expect(expression);
            for text in TEXTS {
                assert_eq!(pattern.matches(text), known.is_match(text), "{expression:?} in {text:?}");
            }
        }
    }

    #[test]
    fn the_match_that_ends_first_is_found() {
        let pattern = Pattern::new("a+|^b").expect("valid");
        assert_eq!(pattern.find_end("xaab", 0), Some(2));
        assert_eq!(pattern.find_end("xaab", 2), Some(3));
        assert_eq!(pattern.find_end("xaab", 3), None);
        assert_eq!(pattern.find_end("xaa\nb", 3), Some(5));
    }

    #[test]
    fn a_line_may_end_as_on_the_wire() {
        assert!(Pattern::new("^ok$").expect("valid").matches("220\r\nok\r\n"));
    }

    #[test]
    fn what_is_no_expression_is_refused_with_a_reason() {
        for (text, reason) in [
            ("a(", "a group is not closed"),
            ("a)", "a group is closed that was not opened"),
            ("[a", "a class is not closed"),
            ("[z-a]", "the range z-a is the wrong way round"),
            ("[a-\\d]", "a range needs two characters"),
            ("[\\D]", "\\D cannot stand in a class"),
            ("*a", "there is nothing to repeat"),
            ("a{3,2}", "no repetition"),
            ("a{2000}", "no repetition"),
            ("a{", "no repetition"),
            ("a\\", "an escape at the end"),
            ("\\q", "the escape \\q is unknown"),
            ("\\x6", "\\x needs two hexadecimal digits"),
            ("(?<name>a)", "(?< is unknown"),
            ("((a{1000}){1000}){1000}", "it is too large"),
        ] {
            let error = Pattern::new(text).expect_err(text);
            assert!(error.contains(reason), "{text:?}: {error}");
        }
        assert!(Pattern::new(&"(".repeat(100_000)).is_err());
    }

    #[test]
    fn an_expression_that_ruins_other_engines_takes_no_time() {
        let pattern = Pattern::new("(a*)*(a|aa)+$b").expect("valid");
        assert!(!pattern.matches(&"a".repeat(20_000)));
    }
}
