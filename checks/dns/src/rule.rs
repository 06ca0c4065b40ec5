//! Rules for the records of one section, and their judgement. Pure.

use aviary_guest::dns::AnyRecord;
use aviary_guest::pattern::Pattern;
use serde::Deserialize;

use crate::kind::Kind;
use crate::same::canonical;

/// The most records of a section that the daemon hands out.
pub const MOST_RECORDS: usize = 256;

/// Rules for records, each as in a zone file. They are compared by what their type means: addresses as addresses, names
/// without case and last dot, texts byte for byte.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordRule {
    /// Exactly these records have to be there, in any order.
    #[serde(default)]
    pub equal: Option<Vec<String>>,
    /// These records have to be there, and others may be.
    #[serde(default)]
    pub contain: Vec<String>,
    /// The patterns of which each has to match some record.
    #[serde(default)]
    pub matches: Vec<Pattern>,
    /// The patterns of which none may match any record.
    #[serde(default)]
    pub not_matches: Vec<Pattern>,
    /// The patterns of which each has to match every record.
    #[serde(default)]
    pub all_match: Vec<Pattern>,
    /// The patterns that may not all match every record.
    #[serde(default)]
    pub not_all_match: Vec<Pattern>,
}

/// A record as rules see it.
#[derive(Debug)]
pub struct Line {
    /// The type of the record.
    pub kind: Kind,
    /// What the record says.
    pub text: String,
}

impl From<&AnyRecord> for Line {
    fn from(record: &AnyRecord) -> Self {
        Self { kind: Kind(record.kind), text: record.data.to_string() }
    }
}

impl Line {
    /// Whether the record is the same as this text. A text that is no record of its type is only the same as itself.
    fn is(&self, text: &str) -> bool {
        let same = |text: &str| canonical(self.kind, text).unwrap_or_else(|_| text.to_owned());
        same(&self.text) == same(text)
    }
}

impl RecordRule {
    /// An error if a record is wanted that is none of this type.
    pub fn suit(&self, kind: Kind) -> Result<(), String> {
        if kind == Kind::ANY {
            return Ok(());
        }
        let equal = self.equal.iter().flatten().map(|text| ("equal", text));
        let mut wanted = equal.chain(self.contain.iter().map(|text| ("contain", text)));
        wanted.try_for_each(|(key, text)| {
            canonical(kind, text).map(|_| ()).map_err(|reason| format!("{key}: {reason}"))
        })
    }

    /// Whether the rule is about all records, and cannot be judged by some of them.
    #[must_use]
    pub fn is_about_all(&self) -> bool {
        let patterns = [&self.not_matches, &self.all_match, &self.not_all_match];
        self.equal.is_some() || patterns.into_iter().any(|patterns| !patterns.is_empty())
    }

    /// What is wrong with these records.
    #[must_use]
    pub fn judge(&self, lines: &[Line]) -> Vec<String> {
        let wanted = self.equal.iter().flatten().chain(&self.contain);
        let missing = wanted.filter(|wanted| !lines.iter().any(|line| line.is(wanted)));
        let mut wrong: Vec<_> = missing.map(|wanted| format!("{wanted} is missing")).collect();
        if let Some(equal) = &self.equal {
            let surplus = lines.iter().filter(|line| !equal.iter().any(|wanted| line.is(wanted)));
            wrong.extend(surplus.map(|line| format!("{} was not expected", line.text)));
        }
        wrong.extend(self.judge_patterns(lines));
        wrong
    }

    fn judge_patterns(&self, lines: &[Line]) -> Vec<String> {
        let matching = |pattern: &Pattern| lines.iter().find(|line| pattern.matches(&line.text));
        let unlike = |pattern: &Pattern| lines.iter().find(|line| !pattern.matches(&line.text));
        let none = |pattern: &Pattern| format!("no record matches {pattern}");
        let mut wrong: Vec<_> =
            self.matches.iter().filter(|pattern| matching(pattern).is_none()).map(none).collect();
        wrong.extend(
            self.not_matches.iter().filter_map(|pattern| {
                matching(pattern).map(|line| format!("{} matches {pattern}", line.text))
            }),
        );
        wrong.extend(self.all_match.iter().filter_map(|pattern| match lines {
            [] => Some(none(pattern)),
            _ => unlike(pattern).map(|line| format!("{} does not match {pattern}", line.text)),
        }));
        let all = !lines.is_empty() && self.not_all_match.iter().all(|pattern| unlike(pattern).is_none());
        if let (true, [first, rest @ ..]) = (all, &*self.not_all_match) {
            let patterns =
                rest.iter().fold(first.to_string(), |text, pattern| format!("{text} and {pattern}"));
            wrong.push(format!("every record matches {patterns}"));
        }
        wrong
    }
}

#[cfg(test)]
mod tests {
    use aviary_guest::json::{Value, from_value, json};

    use super::*;

    fn judged(rule: Value, addresses: &[&str]) -> String {
        let lines: Vec<_> =
            addresses.iter().map(|text| Line { kind: Kind::A, text: (*text).to_owned() }).collect();
        from_value::<RecordRule>(rule).expect("a rule").judge(&lines).join("; ")
    }

    #[test]
    fn equal_means_no_fewer_and_no_more() {
        let rule = json!({"equal": ["192.0.2.1", "192.0.2.2"]});
        assert_eq!(judged(rule.clone(), &["192.0.2.2", "192.0.2.1"]), "");
        assert_eq!(judged(rule.clone(), &["192.0.2.2"]), "192.0.2.1 is missing");
        assert_eq!(judged(rule, &["192.0.2.1", "192.0.2.2", "192.0.2.3"]), "192.0.2.3 was not expected");
        assert_eq!(judged(json!({"equal": []}), &["192.0.2.1"]), "192.0.2.1 was not expected");
    }

    #[test]
    fn contain_allows_others() {
        let rule = json!({"contain": ["192.0.2.1"]});
        assert_eq!(judged(rule.clone(), &["192.0.2.9", "192.0.2.1"]), "");
        assert_eq!(judged(rule, &["192.0.2.9"]), "192.0.2.1 is missing");
    }

    #[test]
    fn patterns_have_to_match_some_record_or_none() {
        let rule = json!({"matches": ["^192\\.0\\.2\\."], "notMatches": ["^10\\."]});
        assert_eq!(judged(rule.clone(), &["198.51.100.1", "192.0.2.1"]), "");
        assert_eq!(
            judged(rule, &["10.0.0.1"]),
            "no record matches /^192\\.0\\.2\\./; 10.0.0.1 matches /^10\\./"
        );
    }

    #[test]
    fn patterns_have_to_match_every_record_or_not_every_one() {
        let rule = json!({"allMatch": ["^192", "1$"]});
        assert_eq!(judged(rule.clone(), &["192.0.2.1", "192.0.2.11"]), "");
        assert_eq!(judged(rule.clone(), &["192.0.2.1", "10.0.0.1"]), "10.0.0.1 does not match /^192/");
        assert_eq!(judged(rule, &[]), "no record matches /^192/; no record matches /1$/");
        let rule = json!({"notAllMatch": ["^127", "1$"]});
        assert_eq!(judged(rule.clone(), &["127.0.0.1", "127.0.0.2"]), "");
        assert_eq!(judged(rule.clone(), &["127.0.0.1"]), "every record matches /^127/ and /1$/");
        assert_eq!(judged(rule, &[]), "");
        assert_eq!(judged(json!({"notAllMatch": []}), &["127.0.0.1"]), "");
    }

    #[test]
    fn each_record_is_compared_by_its_own_type() {
        let line = |kind, text: &str| Line { kind, text: text.to_owned() };
        let lines = [line(Kind::NS, "ns1.example"), line(Kind::AAAA, "2001:db8::1"), line(Kind::TXT, "A b")];
        let rule: RecordRule =
            from_value(json!({"equal": ["NS1.example.", "2001:0db8:0:0::1", "A b"]})).expect("a rule");
        assert_eq!(rule.judge(&lines), Vec::<String>::new());
        let rule: RecordRule = from_value(json!({"contain": ["a b"]})).expect("a rule");
        assert_eq!(rule.judge(&lines), ["a b is missing"]);
    }

    #[test]
    fn rules_that_some_of_the_records_cannot_settle_are_about_all() {
        for (rule, about_all) in [
            (json!({"equal": []}), true),
            (json!({"notMatches": ["a"]}), true),
            (json!({"allMatch": ["a"]}), true),
            (json!({"notAllMatch": ["a"]}), true),
            (json!({"contain": ["a"], "matches": ["a"]}), false),
        ] {
            let read: RecordRule = from_value(rule.clone()).expect("a rule");
            assert_eq!(read.is_about_all(), about_all, "{rule}");
        }
    }
}
