//! Rules for names, help texts, labels and values of guests' metrics. What passes needs no further care in
//! the exposition, except that label values are escaped.

use super::{Labels, Refusal};
use crate::text::{is_odd, printable};

pub(super) const MAX_NAME: usize = 64;
pub(super) const MAX_HELP: usize = 256;
pub(super) const MAX_LABELS: usize = 5;
pub(super) const MAX_BOUNDS: usize = 20;

/// Endings of metric names that the exposition formats give a meaning of their own.
const RESERVED_ENDINGS: [&str; 6] = ["_total", "_count", "_sum", "_bucket", "_info", "_created"];
/// Names of labels that the daemon sets or the formats use.
const RESERVED_LABELS: [&str; 4] = ["namespace", "check", "le", "quantile"];

pub(super) fn invalid<T>(message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Invalid(message.into()))
}

pub(super) fn finite(value: f64) -> Result<(), Refusal> {
    if value.is_finite() {
        Ok(())
    } else {
        invalid(format!("the value has to be a finite number, not {value}"))
    }
}

fn is_word(text: &str) -> bool {
    let (first, rest) = text.as_bytes().split_first().map_or((b' ', &[][..]), |(first, rest)| (*first, rest));
    let allowed = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    text.len() <= MAX_NAME && matches!(first, b'a'..=b'z' | b'_') && rest.iter().all(allowed)
}

pub(super) fn check_name(name: &str) -> Result<(), Refusal> {
    if !is_word(name) {
        return invalid(format!("a metric's name matches [a-z_][a-z0-9_]* and has at most {MAX_NAME} bytes"));
    }
    match RESERVED_ENDINGS.iter().find(|ending| name.ends_with(*ending)) {
        Some(ending) => invalid(format!("`{name}` cannot end in `{ending}`, which has a meaning of its own")),
        None => Ok(()),
    }
}

pub(super) fn check_help(help: &str) -> Result<(), Refusal> {
    if help.len() > MAX_HELP || help.contains(|each| is_odd(each) || matches!(each, '"' | '\\')) {
        return invalid(format!(
            "a help text is one line of at most {MAX_HELP} bytes without quotes or backslashes"
        ));
    }
    Ok(())
}

pub(super) fn check_bounds(bounds: &[f64]) -> Result<(), Refusal> {
    let ascending = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if bounds.len() > MAX_BOUNDS || !ascending || !bounds.iter().all(|bound| bound.is_finite()) {
        return invalid(format!("bucket bounds are at most {MAX_BOUNDS} finite numbers that ascend"));
    }
    Ok(())
}

/// Parses the labels of a metric. `longest` is the most bytes of a label's value, as it is shown.
pub(super) fn parse_labels(labels: &[(String, String)], longest: usize) -> Result<Labels, Refusal> {
    if labels.len() > MAX_LABELS {
        return invalid(format!("a series has at most {MAX_LABELS} labels"));
    }
    let parsed: Result<Vec<_>, _> = labels.iter().map(|label| parse_label(label, longest)).collect();
    let mut labels = parsed?;
    labels.sort_unstable();
    match labels.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => invalid(format!("the label `{}` is given twice", pair[0].0)),
        None => Ok(labels.into()),
    }
}

fn parse_label((key, value): &(String, String), longest: usize) -> Result<(String, String), Refusal> {
    if !is_word(key) || key.starts_with("__") {
        return invalid(format!("a label's name matches [a-z_][a-z0-9_]* and has at most {MAX_NAME} bytes"));
    }
    if RESERVED_LABELS.contains(&key.as_str()) {
        return invalid(format!("the label `{key}` is set by the daemon"));
    }
    let fits = |text: &str| text.len() <= longest;
    let shown = Some(value.as_str()).filter(|value| fits(value)).map(printable).filter(|shown| fits(shown));
    let shown = shown.ok_or_else(|| Refusal::LongLabel(key.clone(), longest))?;
    Ok((key.clone(), shown.into_owned()))
}
