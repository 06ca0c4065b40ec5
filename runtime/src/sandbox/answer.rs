//! Turns what a guest says into an outcome that is safe to keep and to show.

use crate::{
    capability::{
        bindings::aviary::check::types,
        log::{cut_to, printable},
    },
    outcome::{Outcome, Status, Target},
};
use std::borrow::Cow;

/// Bytes of the message of an outcome.
const MESSAGE_LENGTH: usize = 4 * 1024;
/// Targets of one outcome.
const TARGETS: usize = 200;
/// Bytes of the message of a target.
const TARGET_MESSAGE_LENGTH: usize = 512;
/// Bytes of a target's name, and of a label's key and value.
const NAME_LENGTH: usize = 128;
/// Labels of one target.
const LABELS: usize = 8;

/// Takes in a guest's outcome; what is too long is cut, and control characters are escaped.
pub(super) fn outcome(answer: types::Outcome) -> Outcome {
    let left_out = answer.targets.len().saturating_sub(TARGETS);
    let mut message = text(answer.message, MESSAGE_LENGTH);
    if left_out > 0 {
        message.push_str(&format!(" ({left_out} more targets are not shown)"));
    }
    Outcome {
        status: status(answer.status),
        message,
        targets: answer.targets.into_iter().take(TARGETS).map(target).collect(),
    }
}

/// Takes in a guest's error text.
pub(super) fn message(text: String) -> String {
    self::text(text, MESSAGE_LENGTH)
}

fn target(answer: types::Target) -> Target {
    let label = |(key, value)| (text(key, NAME_LENGTH), text(value, NAME_LENGTH));
    Target {
        name: text(answer.name, NAME_LENGTH),
        status: status(answer.status),
        message: text(answer.message, TARGET_MESSAGE_LENGTH),
        labels: answer.labels.into_iter().take(LABELS).map(label).collect(),
    }
}

fn status(answer: types::Status) -> Status {
    match answer {
        types::Status::Pass => Status::Pass,
        types::Status::Warn => Status::Warn,
        types::Status::Fail => Status::Fail,
    }
}

fn text(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        text = format!("{}…", cut_to(&text, limit));
    }
    match printable(&text) {
        Cow::Borrowed(_) => text,
        Cow::Owned(escaped) => escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_outcome_passes_through_unchanged() {
        let answer = types::Outcome {
            status: types::Status::Warn,
            message: "slow".into(),
            targets: vec![types::Target {
                name: "a".into(),
                status: types::Status::Pass,
                message: "fine".into(),
                labels: vec![("zone".into(), "1".into())],
            }],
        };
        let target = Target {
            name: "a".into(),
            status: Status::Pass,
            message: "fine".into(),
            labels: vec![("zone".into(), "1".into())],
        };
        let expected = Outcome { status: Status::Warn, message: "slow".into(), targets: vec![target] };
        assert_eq!(outcome(answer), expected);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let cut = message("ü".repeat(MESSAGE_LENGTH));
        assert_eq!(cut.len(), MESSAGE_LENGTH + "…".len());
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(message("a\u{1b}[2Jb".into()), "a\\u{1b}[2Jb");
    }

    #[test]
    fn targets_beyond_the_cap_are_counted_in_the_message() {
        let one = types::Target {
            name: "n".into(),
            status: types::Status::Pass,
            message: String::new(),
            labels: vec![("k".into(), "v".into()); LABELS + 1],
        };
        let answer = types::Outcome {
            status: types::Status::Pass,
            message: "ok".into(),
            targets: vec![one; TARGETS + 3],
        };
        let outcome = outcome(answer);
        assert_eq!(outcome.message, "ok (3 more targets are not shown)");
        assert_eq!((outcome.targets.len(), outcome.targets[0].labels.len()), (TARGETS, LABELS));
    }
}
