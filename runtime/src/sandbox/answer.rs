//! Turns the answer of a guest into an outcome that is safe to keep and to show.

use crate::{
    capability::bindings::aviary::check::types,
    outcome::{Outcome, Status, Target},
    text::{cut_to, is_plain, printable},
    usage::LimitHits,
    value::{Limit, Limits},
};

/// The message of a target may have this part of the bytes that the message of an outcome may have.
const TARGET_SHARE: usize = 8;
/// The most labels of one target.
const LABELS: usize = 8;

/// The limits by which answers of a guest are cut.
pub(super) struct Answers<'a> {
    pub(super) limits: &'a Limits,
    pub(super) hits: &'a LimitHits,
}

impl Answers<'_> {
    /// The outcome of an answer. What is too long is cut, and what could not be shown safely is escaped.
    pub(super) fn outcome(&self, answer: types::Outcome) -> Outcome {
        let all = answer.targets.len();
        let most = self.limits.count(Limit::Targets);
        if all > most {
            self.hits.count(Limit::Targets);
        }
        let mut room = self.limits.count(Limit::TargetBytes);
        let fits = |target: &Target| {
            let fits = length(target) <= room;
            room = room.saturating_sub(length(target));
            fits
        };
        let targets = answer.targets.into_iter().take(most).map(|target| self.target(target));
        let targets: Vec<_> = targets.take_while(fits).collect();
        if targets.len() < all.min(most) {
            self.hits.count(Limit::TargetBytes);
        }
        let mut message = self.message(answer.message);
        if targets.len() < all {
            message.push_str(&format!(" ({} more targets are not shown)", all - targets.len()));
        }
        Outcome { status: status(answer.status), message, targets }
    }

    /// The text of an error, cut and escaped as the message of an outcome.
    pub(super) fn message(&self, text: String) -> String {
        self.cut(text, Limit::MessageBytes, self.limits.count(Limit::MessageBytes))
    }

    fn target(&self, answer: types::Target) -> Target {
        let word = |text| self.cut(text, Limit::LabelBytes, self.limits.count(Limit::LabelBytes));
        let most = self.limits.count(Limit::MessageBytes) / TARGET_SHARE;
        Target {
            name: word(answer.name),
            status: status(answer.status),
            message: self.cut(answer.message, Limit::MessageBytes, most),
            labels: answer
                .labels
                .into_iter()
                .take(LABELS)
                .map(|(key, value)| (word(key), word(value)))
                .collect(),
        }
    }

    /// The part of a text that can be shown. It is cut once more after escaping, which makes it longer.
    fn cut(&self, text: String, limit: Limit, most: usize) -> String {
        if text.len() <= most && is_plain(&text) {
            return text;
        }
        let escaped = printable(cut_to(&text, most));
        let shown = cut_to(&escaped, most);
        if text.len() <= most && shown.len() == escaped.len() {
            return shown.to_owned();
        }
        self.hits.count(limit);
        format!("{shown}…")
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

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE_LENGTH: usize = 4 * 1024;
    const TARGETS: usize = 200;
    const NAME_LENGTH: usize = 128;

    /// The outcome of an answer under the default limits, and the limits that it hits.
    fn hitting(answer: types::Outcome) -> (Outcome, Vec<Limit>) {
        let hits = LimitHits::default();
        let outcome = Answers { limits: &Limits::default(), hits: &hits }.outcome(answer);
        (outcome, hits.all().map(|(limit, _)| limit).collect())
    }

    fn message(text: String) -> String {
        Answers { limits: &Limits::default(), hits: &LimitHits::default() }.message(text)
    }

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
        assert_eq!(hitting(answer), (expected, vec![]));
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
    fn a_check_that_may_say_less_is_cut_sooner() {
        let (mut limits, hits) = (Limits::default(), LimitHits::default());
        limits.set(Limit::MessageBytes, 64).expect("in range");
        limits.set(Limit::LabelBytes, 16).expect("in range");
        let long = "x".repeat(1000);
        let target = types::Target {
            name: long.clone(),
            status: types::Status::Fail,
            message: long.clone(),
            labels: Vec::new(),
        };
        let answer = types::Outcome { status: types::Status::Fail, message: long, targets: vec![target] };
        let outcome = Answers { limits: &limits, hits: &hits }.outcome(answer);
        let lengths = [&outcome.message, &outcome.targets[0].message, &outcome.targets[0].name];
        assert_eq!(lengths.map(|text| text.trim_end_matches('…').len()), [64, 8, 16]);
        assert_eq!((hits.get(Limit::MessageBytes), hits.get(Limit::LabelBytes)), (2, 1));
    }

    #[test]
    fn all_targets_together_have_a_limit() {
        let long = types::Target {
            name: "n".repeat(NAME_LENGTH),
            status: types::Status::Fail,
            message: "m".repeat(MESSAGE_LENGTH / TARGET_SHARE),
            labels: Vec::new(),
        };
        let answer =
            types::Outcome { status: types::Status::Fail, message: "x".into(), targets: vec![long; TARGETS] };
        let (outcome, hits) = hitting(answer);
        assert_eq!(hits, [Limit::TargetBytes]);
        assert_eq!(outcome.targets.len(), 32 * 1024 / (NAME_LENGTH + MESSAGE_LENGTH / TARGET_SHARE));
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
        let (outcome, hits) = hitting(answer);
        assert_eq!(hits, [Limit::Targets]);
        assert_eq!(outcome.message, "ok (3 more targets are not shown)");
        assert_eq!((outcome.targets.len(), outcome.targets[0].labels.len()), (TARGETS, LABELS));
    }
}
