//! Judges the response of a server. Pure.

use std::time::Duration;

use aviary_guest::http::{Error, Response};
use aviary_guest::json::{Value, from_str};
use aviary_guest::url::masked;
use aviary_guest::{Finding, Target};

use crate::settings::{BodyRule, Expectations, HeaderRule, StatusClass};

/// The target for the answer to one request, at the time `now` after the Unix epoch. Its name is the URL without its
/// secrets.
#[must_use]
pub fn judge(expect: &Expectations, url: &str, answer: &Result<Response, Error>, now: Duration) -> Target {
    let name = masked(url);
    let response = match answer {
        Ok(response) => response,
        Err(error) => return Target::fail(name, error.to_string()),
    };
    let time = response.timings.total();
    let mut findings: Vec<_> = judge_status(&expect.status, response.status).into_iter().collect();
    findings.extend(expect.headers.iter().filter_map(|(name, rule)| judge_header(name, rule, response)));
    findings.extend(judge_body(&expect.body, response));
    findings.extend(judge_json(expect, response));
    findings.extend(expect.latency.judge(time));
    findings.extend(expect.certificate.judge(response.certificate.as_ref(), now));
    Target::from_findings(name, format!("status {} in {time:.1?}", response.status), &findings)
        .label("status", response.status.to_string())
        .label("address", &response.remote_address)
}

fn judge_status(expected: &[StatusClass], status: u16) -> Option<Finding> {
    let expected = if expected.is_empty() { &[StatusClass::Hundred(2)] } else { expected };
    let is_good = expected.iter().any(|class| class.contains(status));
    (!is_good).then(|| Finding::fail(format!("status {status}")))
}

fn judge_header(name: &str, rule: &HeaderRule, response: &Response) -> Option<Finding> {
    let values = response.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
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

fn judge_body(rule: &BodyRule, response: &Response) -> Vec<Finding> {
    let body = response.text();
    let missing = rule.matches.iter().filter(|pattern| !pattern.matches(&body));
    let forbidden = rule.not_matches.iter().filter(|pattern| pattern.matches(&body));
    let cut = if response.truncated { " as far as it was read" } else { "" };
    let missing = missing.map(|pattern| Finding::fail(format!("the body does not match {pattern}{cut}")));
    missing.chain(forbidden.map(|pattern| Finding::fail(format!("the body matches {pattern}")))).collect()
}

fn judge_json(expect: &Expectations, response: &Response) -> Vec<Finding> {
    if expect.json.is_empty() {
        return Vec::new();
    }
    let Ok(body) = from_str::<Value>(&response.text()) else {
        let reason = if response.truncated { "it is too long" } else { "it does not parse" };
        return vec![Finding::fail(format!("the body cannot be read as JSON: {reason}"))];
    };
    let wrong = expect.json.iter().filter_map(|(pointer, expected)| match body.pointer(pointer) {
        Some(actual) if actual == expected => None,
        Some(actual) => Some(format!("{pointer} is {}, not {expected}", shorten(actual))),
        None => Some(format!("{pointer} is missing")),
    });
    wrong.map(Finding::fail).collect()
}

fn shorten(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(100) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use aviary_guest::Status;
    use aviary_guest::http::{Phase, Protocol, Timings};
    use aviary_guest::json::{from_value, json};
    use aviary_guest::tls::{Certificate, TlsError};

    use super::*;

    const NOW: Duration = Duration::from_secs(100 * 86_400);

    fn response(status: u16, body: &str) -> Response {
        Response {
            status,
            headers: vec![("content-type".into(), "application/json".into())],
            body: body.into(),
            truncated: false,
            url: "http://a/".into(),
            redirects: 0,
            protocol: Protocol::Http11,
            remote_address: "192.0.2.1:80".into(),
            certificate: None,
            timings: Timings {
                resolve_ns: 0,
                connect_ns: 0,
                tls_ns: 0,
                wait_ns: 150_000_000,
                transfer_ns: 50_000_000,
            },
        }
    }

    fn verdict(expect: Value, response: Response) -> (Status, String) {
        let expect = from_value(expect).expect("valid expectations");
        let target = judge(&expect, "http://a/", &Ok(response), NOW);
        (target.status, target.message)
    }

    fn fails(expect: Value, response: Response) -> String {
        let (status, message) = verdict(expect, response);
        assert_eq!(status, Status::Fail, "{message}");
        message
    }

    fn passes(expect: Value, response: Response) {
        let (status, message) = verdict(expect, response);
        assert_eq!(status, Status::Pass, "{message}");
    }

    #[test]
    fn a_2xx_passes_unless_told_otherwise() {
        assert_eq!(verdict(json!({}), response(204, "")), (Status::Pass, "status 204 in 200.0ms".into()));
        assert_eq!(fails(json!({}), response(301, "")), "status 301");
        passes(json!({"status": ["3xx", 404]}), response(301, ""));
        passes(json!({"status": ["3xx", 404]}), response(404, ""));
        assert_eq!(fails(json!({"status": ["3xx", 404]}), response(200, "")), "status 200");
    }

    #[test]
    fn headers_are_compared_whatever_their_case() {
        passes(json!({"headers": {"Content-Type": {"matches": "^application/json"}}}), response(200, ""));
        passes(json!({"headers": {"Content-Type": "present", "server": "absent"}}), response(200, ""));
        let broken = json!({"headers": {"content-type": {"matches": "html"}, "etag": "present"}});
        assert_eq!(
            fails(broken, response(200, "")),
            "header content-type does not match /html/; header etag is missing"
        );
        assert_eq!(
            fails(json!({"headers": {"content-type": "absent"}}), response(200, "")),
            "header content-type is there"
        );
    }

    #[test]
    fn one_of_several_equal_headers_is_enough() {
        let mut answer = response(200, "");
        answer.headers.push(("content-type".into(), "text/html".into()));
        passes(json!({"headers": {"content-type": {"matches": "html"}}}), answer);
    }

    #[test]
    fn the_body_has_to_match_and_not_to_match() {
        let rule = json!({"body": {"matches": ["ready", "^all"], "notMatches": ["(?i)error"]}});
        passes(rule.clone(), response(200, "all ready"));
        assert_eq!(fails(rule.clone(), response(200, "all down")), "the body does not match /ready/");
        assert_eq!(fails(rule, response(200, "all ready, 1 ERROR")), "the body matches /(?i)error/");
    }

    #[test]
    fn a_body_that_was_cut_is_reported_as_such() {
        let mut answer = response(200, "{\"a\": ");
        answer.truncated = true;
        let message = fails(json!({"body": {"matches": ["z"]}, "json": {"/a": 1}}), answer);
        assert_eq!(
            message,
            "the body does not match /z/ as far as it was read; the body cannot be read as JSON: it is too long"
        );
    }

    #[test]
    fn json_values_are_found_by_pointer() {
        let body = r#"{"items": [{"ok": true, "n": 3}], "a/b": null}"#;
        passes(json!({"json": {"/items/0/ok": true, "/items/0/n": 3, "/a~1b": null}}), response(200, body));
        assert_eq!(fails(json!({"json": {"/items/0/n": 4}}), response(200, body)), "/items/0/n is 3, not 4");
        assert_eq!(
            fails(json!({"json": {"/items/1/ok": true}}), response(200, body)),
            "/items/1/ok is missing"
        );
        let message = fails(json!({"json": {"/a": 1}}), response(200, "<html>"));
        assert_eq!(message, "the body cannot be read as JSON: it does not parse");
    }

    #[test]
    fn a_long_json_value_is_shortened_between_characters() {
        let body = json!({"a": "ü".repeat(200)}).to_string();
        let message = fails(json!({"json": {"/a": 1}}), response(200, &body));
        assert_eq!(message, format!("/a is \"{}…, not 1", "ü".repeat(99)));
    }

    #[test]
    fn a_slow_answer_warns_or_fails() {
        let slow = json!({"latency": {"warnAbove": "100ms", "failAbove": "1s"}});
        let (status, message) = verdict(slow, response(200, ""));
        assert_eq!((status, message.as_str()), (Status::Warn, "took 200.0ms, more than 100ms"));
        fails(json!({"latency": {"failAbove": "199ms"}}), response(200, ""));
        passes(json!({"latency": {"failAbove": "200ms"}}), response(200, ""));
    }

    #[test]
    fn a_certificate_that_ends_soon_warns() {
        let mut answer = response(200, "");
        let rule = json!({"certificate": {"warnBefore": "14d", "failBefore": "3d"}});
        assert!(fails(rule.clone(), answer.clone()).contains("no certificate"));
        answer.certificate = Some(Certificate {
            subject: "CN=a".into(),
            issuer: "CN=b".into(),
            names: Vec::new(),
            not_before: 0,
            not_after: 110 * 86_400,
        });
        let (status, message) = verdict(rule, answer);
        assert_eq!((status, message.as_str()), (Status::Warn, "the certificate of CN=a expires in 10 days"));
    }

    #[test]
    fn a_secret_in_a_query_stands_in_no_name_and_no_message() {
        let url = "http://a/?token=s3cr3t";
        let elsewhere = Error::TooManyRedirects("http://ops:s3cr3t@b/?sig=s3cr3t".into());
        for answer in [Ok(response(500, "")), Err(elsewhere)] {
            let target = judge(&Expectations::default(), url, &answer, NOW);
            assert_eq!(target.name, "http://a/?token=***");
            assert!(!target.message.contains("s3cr3t"), "{}", target.message);
        }
    }

    #[test]
    fn no_answer_is_a_fail_in_plain_words() {
        for (error, message) in [
            (Error::Refused, "connection refused"),
            (Error::Timeout(Phase::Connect), "timed out while connecting"),
            (Error::Tls(TlsError::Expired), "the certificate has expired"),
        ] {
            let target = judge(&Expectations::default(), "http://a/", &Err(error), NOW);
            assert_eq!((target.status, target.message.as_str()), (Status::Fail, message));
        }
    }
}
