//! Judges the answer of a DNS server. Pure.

use std::time::Duration;

use aviary_guest::dns::{Answer, Error, Query, RecordData, RecordType, ResourceRecord, ResponseCode};
use aviary_guest::{Finding, Target};

use crate::expect::{Expectations, MOST_RECORDS, RecordRule};
use crate::same::canonical;

/// The target for the answer to one query.
#[must_use]
pub fn judge(expect: &Expectations, query: &Query, answer: &Result<Answer, Error>) -> Target {
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => return Target::fail(&query.name, error.to_string()),
    };
    let records: Vec<_> = answer.records.iter().filter(|record| kind(&record.data) == query.kind).collect();
    let texts: Vec<_> = records.iter().map(|record| record.data.to_string()).collect();
    let code = ResponseCode::from(expect.code);
    let mut findings = Vec::new();
    if answer.code != code {
        findings.push(Finding::fail(format!("{} says {}, not {code}", answer.server, answer.code)));
    } else {
        findings.extend(judge_count(expect.count, code == ResponseCode::NoError, &texts));
        findings.extend(judge_records(&expect.records, query.kind, &texts));
    }
    findings.extend(judge_whole(expect, answer));
    findings.extend(expect.minimum_ttl.and_then(|minimum| judge_ttl(minimum, query.kind, answer)));
    if expect.authoritative && !answer.authoritative {
        findings.push(Finding::fail(format!("{} does not speak for the zone", answer.server)));
    }
    findings.extend(expect.latency.judge(answer.duration()));
    Target::from_findings(&query.name, summary(answer, &texts), &findings).label("server", &answer.server)
}

/// A fail where a rule is about all records, and there may be more than the daemon hands out.
fn judge_whole(expect: &Expectations, answer: &Answer) -> Option<Finding> {
    let rule = &expect.records;
    let asks = rule.equal.is_some() || !rule.not_matches.is_empty() || expect.minimum_ttl.is_some();
    (asks && answer.records.len() >= MOST_RECORDS).then(|| {
        Finding::fail(format!(
            "the answer has {MOST_RECORDS} records or more: no more are read, so that \
             equal, notMatches and minimumTtl cannot be judged"
        ))
    })
}

fn summary(answer: &Answer, texts: &[String]) -> String {
    match texts {
        [] => format!("{} in {:.1?}", answer.code, answer.duration()),
        [first] => format!("{first} in {:.1?}", answer.duration()),
        [first, rest @ ..] => format!("{first} and {} more in {:.1?}", rest.len(), answer.duration()),
    }
}

fn judge_count(minimum: Option<usize>, exists: bool, texts: &[String]) -> Option<Finding> {
    let minimum = minimum.unwrap_or(usize::from(exists));
    match texts.len() {
        count if count >= minimum => None,
        0 => Some(Finding::fail("no records")),
        count => Some(Finding::fail(format!("{count} records, fewer than {minimum}"))),
    }
}

fn judge_records(rule: &RecordRule, kind: RecordType, texts: &[String]) -> Vec<Finding> {
    // A text of the server's that is no record of its type is only the same as itself.
    let same = |text: &str| canonical(kind, text).unwrap_or_else(|_| text.to_owned());
    let there: Vec<_> = texts.iter().map(|text| same(text)).collect();
    let wanted = rule.equal.iter().flatten().chain(&rule.contain);
    let missing = wanted.filter(|wanted| !there.contains(&same(wanted)));
    let missing = missing.map(|wanted| format!("{wanted} is missing"));
    let equal: Option<Vec<_>> =
        rule.equal.as_ref().map(|equal| equal.iter().map(|wanted| same(wanted)).collect());
    let surplus = texts
        .iter()
        .zip(&there)
        .filter(|(_, text)| equal.as_ref().is_some_and(|equal| !equal.contains(text)));
    let surplus = surplus.map(|(text, _)| format!("{text} was not expected"));
    let unmatched = rule.matches.iter().filter(|pattern| !texts.iter().any(|text| pattern.matches(text)));
    let unmatched = unmatched.map(|pattern| format!("no record matches {pattern}"));
    let forbidden = rule.not_matches.iter().filter_map(|pattern| {
        let text = texts.iter().find(|text| pattern.matches(text))?;
        Some(format!("{text} matches {pattern}"))
    });
    missing.chain(surplus).chain(unmatched).chain(forbidden).map(Finding::fail).collect()
}

/// Judges the aliases on the way as well: the answer may be cached for as long as its shortest record.
fn judge_ttl(minimum: Duration, asked: RecordType, answer: &Answer) -> Option<Finding> {
    let counts = |record: &&ResourceRecord| [asked, RecordType::Cname].contains(&kind(&record.data));
    let lowest = answer.records.iter().filter(counts).map(|record| record.ttl).min()?;
    let is_low = Duration::from_secs(lowest.into()) < minimum;
    is_low.then(|| Finding::warn(format!("a ttl of {lowest}s is less than {minimum:?}")))
}

fn kind(data: &RecordData) -> RecordType {
    match data {
        RecordData::A(_) => RecordType::A,
        RecordData::Aaaa(_) => RecordType::Aaaa,
        RecordData::Caa(_) => RecordType::Caa,
        RecordData::Cname(_) => RecordType::Cname,
        RecordData::Mx(_) => RecordType::Mx,
        RecordData::Ns(_) => RecordType::Ns,
        RecordData::Ptr(_) => RecordType::Ptr,
        RecordData::Soa(_) => RecordType::Soa,
        RecordData::Srv(_) => RecordType::Srv,
        RecordData::Txt(_) => RecordType::Txt,
    }
}

#[cfg(test)]
mod tests {
    use aviary_guest::Status;
    use aviary_guest::dns::query;
    use aviary_guest::json::{Value, from_value, json};

    use super::*;

    fn record(data: RecordData) -> ResourceRecord {
        ResourceRecord { name: "a.example.".into(), ttl: 30, data }
    }

    fn answer(addresses: &[&str]) -> Answer {
        Answer {
            code: ResponseCode::NoError,
            records: addresses.iter().map(|address| record(RecordData::A((*address).into()))).collect(),
            authoritative: false,
            server: "192.0.2.53:53".into(),
            duration_ns: 20_000_000,
        }
    }

    fn verdict(expect: Value, answer: Answer) -> (Status, String) {
        let expect = from_value(expect).expect("valid expectations");
        let target = judge(&expect, &query("a.example", RecordType::A), &Ok(answer));
        (target.status, target.message)
    }

    fn fails(expect: Value, answer: Answer) -> String {
        let (status, message) = verdict(expect, answer);
        assert_eq!(status, Status::Fail, "{message}");
        message
    }

    fn passes(expect: Value, answer: Answer) -> String {
        let (status, message) = verdict(expect, answer);
        assert_eq!(status, Status::Pass, "{message}");
        message
    }

    #[test]
    fn an_answer_needs_a_record_unless_told_otherwise() {
        assert_eq!(passes(json!({}), answer(&["192.0.2.1"])), "192.0.2.1 in 20.0ms");
        assert_eq!(passes(json!({}), answer(&["192.0.2.1", "192.0.2.2"])), "192.0.2.1 and 1 more in 20.0ms");
        assert_eq!(fails(json!({}), answer(&[])), "no records");
        assert_eq!(passes(json!({"count": 0}), answer(&[])), "NOERROR in 20.0ms");
        assert_eq!(fails(json!({"count": 3}), answer(&["192.0.2.1"])), "1 records, fewer than 3");
    }

    #[test]
    fn the_code_has_to_be_the_expected_one() {
        let mut absent = answer(&[]);
        absent.code = ResponseCode::NameError;
        assert_eq!(fails(json!({}), absent.clone()), "192.0.2.53:53 says NXDOMAIN, not NOERROR");
        passes(json!({"code": "NXDOMAIN"}), absent);
        assert_eq!(
            fails(json!({"code": "NXDOMAIN"}), answer(&["192.0.2.1"])),
            "192.0.2.53:53 says NOERROR, not NXDOMAIN"
        );
    }

    #[test]
    fn every_code_has_the_name_that_messages_use() {
        for name in ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"] {
            let expect: Expectations = from_value(json!({"code": name})).expect(name);
            assert_eq!(ResponseCode::from(expect.code).to_string(), name);
        }
    }

    #[test]
    fn records_on_the_way_to_the_answer_do_not_count() {
        let mut chain = answer(&["192.0.2.1"]);
        chain.records.insert(0, record(RecordData::Cname("b.example.".into())));
        passes(json!({"records": {"equal": ["192.0.2.1"]}}), chain.clone());
        chain.records.pop();
        assert_eq!(fails(json!({}), chain), "no records");
    }

    #[test]
    fn equal_means_no_fewer_and_no_more() {
        let rule = json!({"records": {"equal": ["192.0.2.1", "192.0.2.2"]}});
        passes(rule.clone(), answer(&["192.0.2.2", "192.0.2.1"]));
        assert_eq!(fails(rule.clone(), answer(&["192.0.2.2"])), "192.0.2.1 is missing");
        let surplus = answer(&["192.0.2.1", "192.0.2.2", "192.0.2.3"]);
        assert_eq!(fails(rule, surplus), "192.0.2.3 was not expected");
    }

    #[test]
    fn contain_allows_others() {
        let rule = json!({"records": {"contain": ["192.0.2.1"]}});
        passes(rule.clone(), answer(&["192.0.2.9", "192.0.2.1"]));
        assert_eq!(fails(rule, answer(&["192.0.2.9"])), "192.0.2.1 is missing");
    }

    #[test]
    fn records_are_compared_by_what_their_type_means() {
        let mut text = answer(&[]);
        text.records.push(record(RecordData::Txt("p=AbC".into())));
        let judged = |wanted: &str| {
            let expect = from_value(json!({"records": {"equal": [wanted]}})).expect("valid expectations");
            judge(&expect, &query("a.example", RecordType::Txt), &Ok(text.clone())).message
        };
        assert_eq!(judged("p=AbC"), "p=AbC in 20.0ms");
        assert_eq!(judged("p=abc"), "p=abc is missing; p=AbC was not expected");
        let mut address = answer(&[]);
        address.records.push(record(RecordData::Aaaa("2001:db8::1".into())));
        let expect = from_value(json!({"records": {"equal": ["2001:0db8:0:0::1"]}})).expect("valid");
        let target = judge(&expect, &query("a.example", RecordType::Aaaa), &Ok(address));
        assert_eq!(target.message, "2001:db8::1 in 20.0ms");
    }

    #[test]
    fn no_rule_for_all_records_passes_where_more_may_have_come_than_are_read() {
        let many = answer(&["192.0.2.1"; MOST_RECORDS]);
        passes(json!({"count": 256, "records": {"contain": ["192.0.2.1"]}}), many.clone());
        for rule in [
            json!({"records": {"equal": ["192.0.2.1"]}}),
            json!({"records": {"notMatches": ["^10"]}}),
            json!({"minimumTtl": "1s"}),
        ] {
            let message = fails(rule, many.clone());
            assert!(message.contains("the answer has 256 records or more"), "{message}");
        }
        passes(json!({"records": {"notMatches": ["^10"]}}), answer(&["192.0.2.1"; MOST_RECORDS - 1]));
    }

    #[test]
    fn patterns_have_to_match_some_record_or_none() {
        let rule = json!({"records": {"matches": ["^192\\.0\\.2\\."], "notMatches": ["^10\\."]}});
        passes(rule.clone(), answer(&["198.51.100.1", "192.0.2.1"]));
        let message = fails(rule, answer(&["10.0.0.1"]));
        assert!(
            message.contains("no record matches /^192") && message.contains("10.0.0.1 matches /^10"),
            "{message}"
        );
    }

    #[test]
    fn a_low_ttl_warns() {
        let (status, message) = verdict(json!({"minimumTtl": "1m"}), answer(&["192.0.2.1"]));
        assert_eq!((status, message.as_str()), (Status::Warn, "a ttl of 30s is less than 60s"));
        passes(json!({"minimumTtl": "30s"}), answer(&["192.0.2.1"]));
    }

    #[test]
    fn the_ttl_of_an_alias_counts_as_well() {
        let mut chain = answer(&["192.0.2.1"]);
        let alias = RecordData::Cname("b.example".into());
        chain.records.insert(0, ResourceRecord { ttl: 5, ..record(alias) });
        let (status, message) = verdict(json!({"minimumTtl": "30s"}), chain);
        assert_eq!((status, message.as_str()), (Status::Warn, "a ttl of 5s is less than 30s"));
    }

    #[test]
    fn authority_and_latency_are_judged_when_asked_for() {
        assert_eq!(
            fails(json!({"authoritative": true}), answer(&["192.0.2.1"])),
            "192.0.2.53:53 does not speak for the zone"
        );
        fails(json!({"latency": {"failAbove": "19ms"}}), answer(&["192.0.2.1"]));
        passes(json!({"latency": {"failAbove": "20ms"}}), answer(&["192.0.2.1"]));
    }

    #[test]
    fn no_answer_is_a_fail_in_plain_words() {
        let target =
            judge(&Expectations::default(), &query("a.example", RecordType::A), &Err(Error::Timeout));
        assert_eq!((target.status, target.name.as_str()), (Status::Fail, "a.example"));
        assert_eq!(target.message, "timed out: the server did not answer");
    }
}
