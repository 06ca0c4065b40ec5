//! Errors in manifests: what is wrong, and where.

use crate::text::quote;
use serde_saphyr::{DefaultMessageFormatter, Location, MessageFormatter, budget::BudgetBreach};
use std::fmt;

/// The most bytes of a message. Messages are shown whole, so a hostile manifest could flood the log
/// otherwise.
const LONGEST: usize = 600;

/// How alike two keys have to be, from 0 to 1, before one is offered for the other.
const NEAR: f64 = 0.8;

/// Keys of the manifest that are planned, and that this version does not have.
const NOT_YET: [&str; 3] = ["remedy", "scratch", "perNode"];

const NO_ALIASES: &str = "anchors and aliases are not offered: write the value out";

/// Why a manifest was refused. Displays as `line 7, column 3: unknown key `intervall`; did you mean `interval`?`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Where the error is; none if it is about the file as a whole.
    pub position: Option<Position>,
    /// What is wrong and what to do about it, in one line.
    pub message: String,
}

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The number of the line, from 1.
    pub line: u64,
    /// The number of the character within the line, from 1.
    pub column: u64,
}

impl Error {
    /// An error about the file as a whole.
    pub(crate) fn whole(message: impl Into<String>) -> Self {
        Self::new(None, message.into())
    }

    /// An error about what is written at `location`.
    pub(crate) fn at(location: Location, message: impl fmt::Display) -> Self {
        Self::new(Some(location), message.to_string())
    }

    /// The error for the whole file, when this one is about a part of it that begins below `lines` lines.
    pub(super) fn below(mut self, lines: u64) -> Self {
        if let Some(position) = &mut self.position {
            position.line += lines;
        }
        self
    }

    fn new(location: Option<Location>, mut message: String) -> Self {
        if let Some((cut, _)) = message.char_indices().nth(LONGEST) {
            message.truncate(cut);
            message.push('…');
        }
        let position = location
            .filter(|location| *location != Location::UNKNOWN)
            .map(|location| Position { line: location.line(), column: location.column() });
        Self { position, message }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some(Position { line, column }) => write!(f, "line {line}, column {column}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Error {}

impl From<serde_saphyr::Error> for Error {
    fn from(error: serde_saphyr::Error) -> Self {
        Self::new(error.location(), plain(error.without_snippet()))
    }
}

/// The parser's message in words that assume neither Rust nor the parser.
fn plain(error: &serde_saphyr::Error) -> String {
    use serde_saphyr::Error as E;
    match error {
        E::SerdeUnknownField { field, expected, .. } => unknown_key(field, expected),
        E::SerdeUnknownVariant { variant, expected, .. } => {
            format!("{} is not possible here: write {}", quote(variant), list(expected, " or "))
        }
        E::SerdeMissingField { field, .. } => format!("the key `{field}` is missing"),
        E::DuplicateMappingKey { key: Some(key), .. } => format!("the key {} is written twice", quote(key)),
        E::Unexpected { expected: "mapping start", .. } => "keys with values belong here".to_owned(),
        E::Unexpected { expected: "sequence start", .. } => "a list belongs here".to_owned(),
        E::Unexpected { expected: "string scalar", .. } | E::NullIntoString { .. } => {
            "a text belongs here".to_owned()
        }
        E::ExternallyTaggedEnumExpectedScalarOrMapping { .. } => "a word belongs here".to_owned(),
        E::InvalidScalar { ty: "f64", .. } => "a number belongs here".to_owned(),
        E::InvalidScalar { .. } => "a whole number belongs here, not negative and not too large".to_owned(),
        E::InvalidBooleanStrict { .. } => "`true` or `false` belongs here".to_owned(),
        E::NonFiniteFloat { value, .. } => format!("{} is no number that JSON knows", quote(value)),
        E::MergeKeyNotAllowed { .. } => "merge keys are not offered: write the values out".to_owned(),
        E::UnknownAnchor { .. } => NO_ALIASES.to_owned(),
        E::Budget { breach, .. } => too_much(breach),
        other => DefaultMessageFormatter.format_message(other).into_owned(),
    }
}

fn unknown_key(key: &str, known: &[&str]) -> String {
    let nearest =
        known.iter().max_by(|a, b| strsim::jaro_winkler(a, key).total_cmp(&strsim::jaro_winkler(b, key)));
    match nearest {
        _ if NOT_YET.contains(&key) => format!("`{key}` is not offered by this version: remove it"),
        Some(nearest) if strsim::jaro_winkler(nearest, key) > NEAR => {
            format!("unknown key {}; did you mean `{nearest}`?", quote(key))
        }
        _ => format!("unknown key {}: possible here are {}", quote(key), list(known, ", ")),
    }
}

fn list(words: &[&str], separator: &str) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(separator)
}

fn too_much(breach: &BudgetBreach) -> String {
    match breach {
        BudgetBreach::Anchors { .. } | BudgetBreach::Aliases { .. } => NO_ALIASES.to_owned(),
        BudgetBreach::Depth { .. } => "too deeply nested".to_owned(),
        BudgetBreach::Documents { .. } => "too many documents: split the file".to_owned(),
        other => format!("too large: {other:?}"),
    }
}
