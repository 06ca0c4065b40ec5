//! Judges the response of a server. Pure.

use std::time::Duration;

use aviary_guest::http::{Answer, BodyText, Error, Protocol};
use aviary_guest::targets::LabelledTarget;
use aviary_guest::url::masked;
use aviary_guest::{Finding, Target, tls};

use crate::document::{self, Path};
use crate::rules::JsonRule;
use crate::settings::{Expectations, Family, HeaderRule, HttpVersion};
use crate::status::StatusClass;

/// The target for the answer to one request, at the time `now` after the Unix epoch. Its name is the URL without its
/// secrets.
#[must_use]
pub fn judge(
    expect: &Expectations,
    page: &LabelledTarget,
    answer: &Result<Answer, Error>,
    now: Duration,
) -> Target {
    let name = masked(&page.name);
    let mut target = match answer {
        Ok(answer) => judge_answer(expect, name, answer, now),
        Err(error) => Target::fail(name, error.to_string()),
    };
    target.labels.extend(page.labels.iter().cloned());
    target
}

fn judge_answer(expect: &Expectations, name: String, answer: &Answer, now: Duration) -> Target {
    let time = answer.timings.total();
    let status = format!("status {}", answer.status);
    let mut findings = Vec::new();
    let classes = if expect.status.is_empty() { &[StatusClass::SUCCESS][..] } else { &expect.status };
    if !classes.iter().any(|class| class.contains(answer.status)) {
        findings.push(Finding::fail(&status));
    }
    findings.extend(expect.headers.iter().filter_map(|(name, rule)| judge_header(name, rule, answer)));
    findings.extend(judge_body(expect, &answer.body));
    judge_connection(expect, answer, &mut findings);
    findings.extend(expect.latency.judge(time));
    findings.extend(expect.certificate.judge(answer.tls.as_ref(), now));
    if let Some(first) = findings.first_mut().filter(|first| first.message != status) {
        first.message = format!("{status}; {}", first.message);
    }
    Target::from_findings(name, format!("{status} in {time:.1?}"), &findings)
        .label("status", answer.status.to_string())
        .label("address", &answer.remote_address)
}

fn judge_header(name: &str, rule: &HeaderRule, answer: &Answer) -> Option<Finding> {
    let values = answer.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    let mut values = values.map(|(_, value)| value.as_str()).peekable();
    let is_present = values.peek().is_some();
    let problem = match rule {
        HeaderRule::Absent if is_present => format!("header {name} is there"),
        HeaderRule::Present | HeaderRule::Matches(_) if !is_present => format!("header {name} is missing"),
        HeaderRule::Matches(pattern) if !values.any(|value| pattern.matches(value)) => {
            format!("header {name} does not match {pattern}")
        }
        _ => return None,
    };
    Some(Finding::fail(problem))
}

fn judge_body(expect: &Expectations, body: &BodyText) -> Vec<Finding> {
    let is_enough = body.goes_on() && expect.is_settled(&body.text);
    if !expect.is_about_body() || is_enough {
        return Vec::new();
    }
    if let Some(why) = body.why_incomplete() {
        return vec![Finding::fail(format!("{why}, so that no rule for it can be judged"))];
    }
    let rule = &expect.body;
    let mut findings = Vec::new();
    for pattern in &rule.matches {
        if !pattern.matches(&body.text) {
            findings.push(Finding::fail(format!("the body does not match {pattern}")));
        }
    }
    for pattern in &rule.not_matches {
        if pattern.matches(&body.text) {
            findings.push(Finding::fail(format!("the body matches {pattern}")));
        }
    }
    judge_json(expect, &body.text, &mut findings);
    findings
}

fn judge_json(expect: &Expectations, body: &str, findings: &mut Vec<Finding>) {
    if !expect.is_about_json() {
        return;
    }
    let document = match document::parse(body) {
        Ok(document) => document,
        Err(reason) => return findings.push(Finding::fail(format!("the body is no JSON: {reason}"))),
    };
    for (pointer, expected) in &expect.json {
        let problems = match Path::new(pointer) {
            Ok(path) => {
                JsonRule { path, equals: Some(expected.clone()), ..JsonRule::default() }.judge(&document)
            }
            Err(reason) => vec![reason],
        };
        findings.extend(problems.into_iter().map(Finding::fail));
    }
    for rule in &expect.json_rules {
        findings.extend(rule.judge(&document).into_iter().map(Finding::fail));
    }
}

/// Finds what was spoken, and over which address, where that is not as expected.
fn judge_connection(expect: &Expectations, answer: &Answer, findings: &mut Vec<Finding>) {
    let version = answer.tls.as_ref().map(|session| tls::Version::from(session.version));
    if let Some(least) = expect.tls.filter(|least| version.is_none_or(|version| version < *least)) {
        let spoken = version.map_or_else(|| "no TLS".to_owned(), |version| version.to_string());
        findings.push(Finding::fail(format!("{spoken} was spoken, not {least} or later")));
    }
    let spoken = match answer.protocol {
        Protocol::Http10 => HttpVersion::Http10,
        Protocol::Http11 => HttpVersion::Http11,
        Protocol::Http2 => HttpVersion::Http2,
    };
    if let Some(wanted) = expect.http_version.filter(|wanted| *wanted != spoken) {
        findings.push(Finding::fail(format!("{spoken} was spoken, not {wanted}")));
    }
    // An IPv6 address stands in brackets.
    let family = if answer.remote_address.starts_with('[') { Family::Ipv6 } else { Family::Ipv4 };
    if let Some(wanted) = expect.ip_family.filter(|wanted| *wanted != family) {
        findings.push(Finding::fail(format!("{} is no {wanted} address", answer.remote_address)));
    }
}

#[cfg(test)]
mod tests;
