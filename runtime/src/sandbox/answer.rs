//! Turns what a guest says into an outcome that is safe to keep and to show.

use crate::{
    capability::bindings::aviary::check::types,
    outcome::{Outcome, Status, Target},
    text::{cut_to, is_odd, printable},
};

/// Bytes of the message of an outcome.
const MESSAGE_LENGTH: usize = 4 * 1024;
/// Targets of one outcome.
const TARGETS: usize = 200;
/// Bytes of all targets of one outcome together.
const TARGETS_LENGTH: usize = 32 * 1024;
/// Bytes of the message of a target.
const TARGET_MESSAGE_LENGTH: usize = 512;
/// Bytes of a target's name, and of a label's key and value.
const NAME_LENGTH: usize = 128;
/// Labels of one target.
const LABELS: usize = 8;

/// Takes in a guest's outcome; what is too long is cut, and what could not be shown safely is escaped.
pub(super) fn outcome(answer: types::Outcome) -> Outcome {
    let all = answer.targets.len();
    let mut room = TARGETS_LENGTH;
    let fits = |target: &Target| {
        let fits = length(target) <= room;
        room = room.saturating_sub(length(target));
        fits
    };
    let targets: Vec<_> = answer.targets.into_iter().take(TARGETS).map(target).take_while(fits).collect();
    let mut message = text(answer.message, MESSAGE_LENGTH);
    if targets.len() < all {
        message.push_str(&format!(" ({} more targets are not shown)", all - targets.len()));
    }
    Outcome { status: status(answer.status), message, targets }
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

fn length(target: &Target) -> usize {
    let labels: usize = target.labels.iter().map(|(key, value)| key.len() + value.len()).sum();
    target.name.len() + target.message.len() + labels
}

fn status(answer: types::Status) -> Status {
    match answer {
        types::Status::Pass => Status::Pass,
        types::Status::Warn => Status::Warn,
        types::Status::Fail => Status::Fail,
    }
}

/// What can be shown of a text; it is cut once more after escaping, which makes it longer.
fn text(text: String, limit: usize) -> String {
    if text.len() <= limit && !text.contains(is_odd) {
        return text;
    }
    let escaped = printable(cut_to(&text, limit));
    let shown = cut_to(&escaped, limit);
    if text.len() > limit || shown.len() < escaped.len() { format!("{shown}…") } else { shown.to_owned() }
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
    fn escaping_does_not_make_a_text_longer_than_its_limit() {
        assert_eq!(message("\u{1}".repeat(MESSAGE_LENGTH)).len(), MESSAGE_LENGTH + "…".len());
    }

    #[test]
    fn all_targets_together_have_a_limit() {
        let long = types::Target {
            name: "n".repeat(NAME_LENGTH),
            status: types::Status::Fail,
            message: "m".repeat(TARGET_MESSAGE_LENGTH),
            labels: Vec::new(),
        };
        let answer =
            types::Outcome { status: types::Status::Fail, message: "x".into(), targets: vec![long; TARGETS] };
        let outcome = outcome(answer);
        assert_eq!(outcome.targets.len(), TARGETS_LENGTH / (NAME_LENGTH + TARGET_MESSAGE_LENGTH));
        assert!(outcome.message.ends_with(" more targets are not shown)"));
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
