//! Problems with values, told by the path through the document, and their place in a text.

use crate::manifest::{Error, places::Places, read};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// One step of the path from the root of a document to a value in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The step from an object to the value of this key.
    Key(&'static str),
    /// The step from a list to its item of this number, from 0.
    Item(usize),
}

/// What is wrong with a value, whether its document came as text or otherwise. Displays as `spec.interval:
/// …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path to the value; empty if the problem is about the whole document.
    path: Vec<Step>,
    message: String,
}

impl Problem {
    /// A problem with the value at the end of a path.
    pub(crate) fn at(path: impl Into<Vec<Step>>, message: impl fmt::Display) -> Self {
        Self { path: path.into(), message: message.to_string() }
    }

    /// A problem with the value of a key of `spec`.
    pub(super) fn in_spec(key: &'static str, message: impl fmt::Display) -> Self {
        Self::at([Step::Key("spec"), Step::Key(key)], message)
    }

    /// The problem as an error with line and column. `text` is the file, and `document` the number of the
    /// document in it.
    pub(crate) fn locate(self, text: &str, document: usize) -> Error {
        let places: Vec<Spanned<Places>> = read(text).unwrap_or_default();
        match places.get(document).filter(|_| !self.path.is_empty()) {
            Some(root) => Error::at(find(root, &self.path), self.message),
            None => Error::whole(self.message),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.path.iter().enumerate() {
            match step {
                Step::Key(key) if number == 0 => out.write_str(key)?,
                Step::Key(key) => write!(out, ".{key}")?,
                Step::Item(item) => write!(out, "[{item}]")?,
            }
        }
        let colon = if self.path.is_empty() { "" } else { ": " };
        write!(out, "{colon}{}", self.message)
    }
}

/// The place of the value at the end of a path, or of the last value on the path that is there.
fn find(from: &Spanned<Places>, path: &[Step]) -> Location {
    let Some((step, rest)) = path.split_first() else { return from.referenced };
    let next = match (&from.value, step) {
        (places, Step::Key(key)) => places.get(key),
        (Places::List(items), Step::Item(item)) => items.get(*item),
        _ => None,
    };
    next.map_or(from.referenced, |next| find(next, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_by_its_way_or_by_line_and_column() {
        let path = [Step::Key("spec"), Step::Key("secrets"), Step::Item(1)];
        let problem = Problem::at(path, "no");
        assert_eq!(problem.to_string(), "spec.secrets[1]: no");
        let text = "{}\n---\nspec:\n  secrets:\n  - a: [1, null, x]\n  - { b: 1.5, c: true }\n";
        assert_eq!(problem.locate(text, 1).to_string(), "line 6, column 5: no");
    }

    #[test]
    fn what_is_not_there_is_missed_where_it_would_be() {
        let error = Problem::in_spec("ttl", "no").locate("metadata: {}\nspec: { a: b }\n", 0);
        assert_eq!(error.to_string(), "line 2, column 7: no");
        assert_eq!(Problem::at([], "no").locate("a: b", 0).to_string(), "no");
        assert_eq!(Problem::in_spec("ttl", "no").locate("a: [", 0).to_string(), "no");
    }
}
