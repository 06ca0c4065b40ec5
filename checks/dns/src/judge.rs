//! Judges the answer of a DNS server. Pure.

use std::time::Duration;

use aviary_guest::dns::{AnyRecord, Error, Reply, ResponseCode};
use aviary_guest::targets::LabelledTarget;
use aviary_guest::{Finding, Target};

use crate::expect::Expectations;
use crate::kind::Kind;
use crate::rule::{Line, MOST_RECORDS, RecordRule};

/// The target for the answer to the question for records of this type of a name. `serials` is what the name servers
/// of the zone said of their serials; none if that is not asked.
#[must_use]
pub fn judge(
    expect: &Expectations,
    kind: Kind,
    name: &LabelledTarget,
    reply: &Result<Reply, Error>,
    serials: Option<Result<String, Finding>>,
) -> Target {
    let (same, differ) = serials.map_or((None, None), |result| (result.as_ref().ok().cloned(), result.err()));
    let target = match reply {
        Ok(reply) => {
            let lines = of_kind(kind, reply);
            let mut findings = judge_reply(expect, kind, reply, &lines);
            findings.extend(differ);
            let serial = same.map(|same| format!("; {same}")).unwrap_or_default();
            let summary = format!("{}{serial}", summary(reply, &lines));
            Target::from_findings(&name.name, summary, &findings).label("server", &reply.server)
        }
        Err(error) => {
            let findings: Vec<_> = [Finding::fail(error.to_string())].into_iter().chain(differ).collect();
            Target::from_findings(&name.name, "", &findings)
        }
    };
    name.labels.iter().fold(target, |target, (key, value)| target.label(key, value))
}

/// The records of the type that was asked for.
fn of_kind(kind: Kind, reply: &Reply) -> Vec<Line> {
    let counts = |record: &&AnyRecord| kind == Kind::ANY || record.kind == kind.0;
    reply.answers.iter().filter(counts).map(Line::from).collect()
}

fn judge_reply(expect: &Expectations, kind: Kind, reply: &Reply, lines: &[Line]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if expect.code.0.contains(&reply.code) {
        let exists = reply.code == ResponseCode::NoError;
        findings.extend(judge_count(expect.count, exists, lines));
        findings.extend(expect.records.judge(lines).into_iter().map(Finding::fail));
        findings.extend(judge_section("authority", &expect.authority, &reply.authorities));
        findings.extend(judge_section("additional", &expect.additional, &reply.additionals));
    } else {
        let codes: Vec<_> = expect.code.0.iter().map(ToString::to_string).collect();
        let codes = codes.join(" or ");
        findings.push(Finding::fail(format!("{} says {}, not {codes}", reply.server, reply.code)));
    }
    let is_about_all = expect.records.is_about_all() || expect.minimum_ttl.is_some();
    findings.extend(judge_whole("the answer", is_about_all, &reply.answers));
    findings.extend(expect.minimum_ttl.and_then(|minimum| judge_ttl(minimum, kind, reply)));
    if expect.authoritative && !reply.authoritative {
        findings.push(Finding::fail(format!("{} does not speak for the zone", reply.server)));
    }
    if expect.authenticated && !reply.authenticated {
        let server = &reply.server;
        findings.push(Finding::fail(format!("{server} does not say that it verified the answer by DNSSEC")));
    }
    findings.extend(expect.latency.judge(reply.duration()));
    findings
}

/// Judges all records of another section than the answer.
fn judge_section(section: &str, rule: &RecordRule, records: &[AnyRecord]) -> Vec<Finding> {
    let lines: Vec<_> = records.iter().map(Line::from).collect();
    let wrong = rule.judge(&lines).into_iter();
    let wrong = wrong.map(|message| Finding::fail(format!("{section} section: {message}")));
    wrong.chain(judge_whole(&format!("the {section} section"), rule.is_about_all(), records)).collect()
}

/// A fail where a rule is about all records, and there may be more than the daemon hands out.
fn judge_whole(section: &str, is_about_all: bool, records: &[AnyRecord]) -> Option<Finding> {
    (is_about_all && records.len() >= MOST_RECORDS).then(|| {
        Finding::fail(format!(
            "{section} has {MOST_RECORDS} records or more: no more are read, so that equal, notMatches, \
             allMatch, notAllMatch and minimumTtl cannot be judged"
        ))
    })
}

fn summary(reply: &Reply, lines: &[Line]) -> String {
    match lines {
        [] => format!("{} in {:.1?}", reply.code, reply.duration()),
        [first] => format!("{} in {:.1?}", first.text, reply.duration()),
        [first, rest @ ..] => {
            format!("{} and {} more in {:.1?}", first.text, rest.len(), reply.duration())
        }
    }
}

fn judge_count(minimum: Option<usize>, exists: bool, lines: &[Line]) -> Option<Finding> {
    let minimum = minimum.unwrap_or(usize::from(exists));
    match lines.len() {
        count if count >= minimum => None,
        0 => Some(Finding::fail("no records")),
        count => Some(Finding::fail(format!("{count} records, fewer than {minimum}"))),
    }
}

/// Judges the aliases on the way as well: the answer may be cached for as long as its shortest record.
fn judge_ttl(minimum: Duration, asked: Kind, reply: &Reply) -> Option<Finding> {
    let counts =
        |record: &&AnyRecord| asked == Kind::ANY || [asked, Kind::CNAME].contains(&Kind(record.kind));
    let lowest = reply.answers.iter().filter(counts).map(|record| record.ttl).min()?;
    let is_low = Duration::from_secs(lowest.into()) < minimum;
    is_low.then(|| Finding::warn(format!("a ttl of {lowest}s is less than {minimum:?}")))
}

#[cfg(test)]
mod tests;
