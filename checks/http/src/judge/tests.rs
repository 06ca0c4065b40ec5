//! Tests of verdicts about answers.

use aviary_guest::Status;
use aviary_guest::http::{BodyEnd, Phase, Protocol, Timings};
use aviary_guest::json::{Value, from_value, json};
use aviary_guest::tls::{Certificate, TlsError, TlsSession, TlsVersion};

use super::*;
use aviary_guest::bindings::aviary::check::http::Error as RawError;

const NOW: Duration = Duration::from_secs(100 * 86_400);

fn response(status: u16, body: &str) -> Answer {
    Answer {
        status,
        headers: vec![("content-type".into(), "application/json".into())],
        url: "http://a/".into(),
        redirects: 0,
        protocol: Protocol::Http11,
        remote_address: "192.0.2.1:80".into(),
        tls: None,
        timings: Timings {
            resolve_ns: 0,
            connect_ns: 0,
            tls_ns: 0,
            wait_ns: 150_000_000,
            transfer_ns: 50_000_000,
        },
        body: BodyText {
            text: body.into(),
            end: BodyEnd::Complete,
            received: body.len() as u64,
            transfer_ns: 50_000_000,
        },
    }
}

fn ended(status: u16, body: &str, end: BodyEnd) -> Answer {
    let mut answer = response(status, body);
    answer.body.end = end;
    answer
}

fn session(days: i64) -> TlsSession {
    let certificate = Certificate {
        subject: "CN=a".into(),
        issuer: "CN=b".into(),
        names: Vec::new(),
        not_before: 0,
        not_after: days * 86_400,
    };
    TlsSession {
        version: TlsVersion::Tls12,
        cipher_suite: String::new(),
        first_to_end: certificate.clone(),
        last_to_begin: certificate.clone(),
        certificate,
    }
}

fn page(url: &str) -> LabelledTarget {
    LabelledTarget { name: url.into(), labels: vec![("team".into(), "shop".into())] }
}

fn verdict(expect: Value, response: Answer) -> (Status, String) {
    let expect = from_value(expect).expect("valid expectations");
    let target = judge(&expect, &page("http://a/"), &Ok(response), NOW);
    (target.status, target.message)
}

fn fails(expect: Value, response: Answer) -> String {
    let (status, message) = verdict(expect, response);
    assert_eq!(status, Status::Fail, "{message}");
    message
}

fn passes(expect: Value, response: Answer) {
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
        "status 200; header content-type does not match /html/; header etag is missing"
    );
    assert_eq!(
        fails(json!({"headers": {"content-type": "absent"}}), response(200, "")),
        "status 200; header content-type is there"
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
    assert_eq!(fails(rule.clone(), response(200, "all down")), "status 200; the body does not match /ready/");
    assert_eq!(fails(rule, response(200, "all ready, 1 ERROR")), "status 200; the body matches /(?i)error/");
}

/// The same end again, as it cannot be cloned while it may hold the rest of a body.
fn end_of(end: &BodyEnd) -> BodyEnd {
    match end {
        BodyEnd::Truncated => BodyEnd::Truncated,
        BodyEnd::Broken(error) => BodyEnd::Broken(error.clone()),
        BodyEnd::Undecodable(reason) => BodyEnd::Undecodable(reason.clone()),
        _ => BodyEnd::Complete,
    }
}

fn raw_closed() -> RawError {
    RawError::Closed
}

fn raw_timeout() -> RawError {
    RawError::Timeout(Phase::Transfer)
}

#[test]
fn where_not_all_of_a_body_was_read_every_rule_for_it_fails_and_says_why() {
    for (end, why) in [
        (BodyEnd::Truncated, "the body goes on beyond what is read of it (4 bytes came)"),
        (
            BodyEnd::Broken(raw_closed()),
            "the body broke off after 4 bytes: the server closed the connection too early",
        ),
        (
            BodyEnd::Undecodable("it is no gzip".into()),
            "the body cannot be read: it is no gzip (4 bytes came)",
        ),
    ] {
        for rule in [
            json!({"body": {"notMatches": ["database is down"]}}),
            json!({"json": {"/a": 1}}),
            json!({"jsonRules": [{"path": "/a", "absent": true}]}),
            json!({"body": {"matches": ["z"]}}),
        ] {
            let message = fails(rule, ended(503, "good", end_of(&end)));
            assert_eq!(message, format!("status 503; {why}, so that no rule for it can be judged"));
        }
        passes(json!({}), ended(200, "good", end_of(&end)));
    }
}

#[test]
fn the_start_of_an_endless_body_is_enough_once_all_is_found_and_nothing_is_forbidden() {
    for end in [BodyEnd::Truncated, BodyEnd::Broken(raw_timeout())] {
        passes(json!({"body": {"matches": ["go", "od"]}}), ended(200, "good", end_of(&end)));
        for rule in [
            json!({"body": {"matches": ["good", "better"]}}),
            json!({"body": {"matches": ["good"], "notMatches": ["bad"]}}),
            json!({"body": {"matches": ["good"]}, "json": {"": "good"}}),
        ] {
            fails(rule, ended(200, "good", end_of(&end)));
        }
    }
    fails(json!({"body": {"matches": ["good"]}}), ended(200, "good", BodyEnd::Broken(raw_closed())));
}

#[test]
fn the_start_of_a_body_is_not_taken_for_its_end() {
    let rule = || json!({"body": {"matches": ["^good$"]}});
    fails(rule(), response(200, "good, but the database is down"));
    fails(rule(), ended(200, "good", BodyEnd::Truncated));
    passes(rule(), ended(200, "good\n", BodyEnd::Truncated));
    passes(rule(), response(200, "good"));
}

#[test]
fn json_values_are_found_by_pointer() {
    let body = r#"{"items": [{"ok": true, "n": 3}], "a/b": null}"#;
    passes(json!({"json": {"/items/0/ok": true, "/items/0/n": 3, "/a~1b": null}}), response(200, body));
    assert_eq!(
        fails(json!({"json": {"/items/0/n": 4}}), response(200, body)),
        "status 200; /items/0/n is 3, not 4"
    );
    assert_eq!(
        fails(json!({"json": {"/items/1/ok": true}}), response(200, body)),
        "status 200; /items/1/ok is missing"
    );
    passes(json!({"json": {"/items/*/ok": true}}), response(200, body));
    let message = fails(json!({"json": {"/a": 1}}), response(200, "<html>"));
    assert_eq!(message, "status 200; the body is no JSON: line 1 column 1: no JSON value begins here");
}

#[test]
fn a_long_json_value_is_shortened_between_characters() {
    let body = json!({"a": "ü".repeat(200)}).to_string();
    let message = fails(json!({"json": {"/a": 1}}), response(200, &body));
    assert_eq!(message, format!("status 200; /a is \"{}…, not 1", "ü".repeat(99)));
}

#[test]
fn a_slow_answer_warns_or_fails() {
    let slow = json!({"latency": {"warnAbove": "100ms", "failAbove": "1s"}});
    let (status, message) = verdict(slow, response(200, ""));
    assert_eq!((status, message.as_str()), (Status::Warn, "status 200; took 200.0ms, more than 100ms"));
    fails(json!({"latency": {"failAbove": "199ms"}}), response(200, ""));
    passes(json!({"latency": {"failAbove": "200ms"}}), response(200, ""));
}

#[test]
fn a_certificate_that_ends_soon_warns() {
    let rule = json!({"certificate": {"warnBefore": "14d", "failBefore": "3d"}});
    assert!(fails(rule.clone(), response(200, "")).contains("no certificate"));
    let (status, message) = verdict(rule, Answer { tls: Some(session(110)), ..response(200, "") });
    assert_eq!(status, Status::Warn);
    assert_eq!(message, "status 200; the certificate of CN=a expires in 10 days");
}

#[test]
fn what_was_spoken_is_judged_when_asked_for() {
    let secure = || Answer { tls: Some(session(1_000)), protocol: Protocol::Http2, ..response(200, "") };
    passes(json!({"tls": "1.2", "httpVersion": "2", "ipFamily": "ipv4"}), secure());
    assert_eq!(
        fails(json!({"tls": "1.3"}), secure()),
        "status 200; TLS 1.2 was spoken, not TLS 1.3 or later"
    );
    assert_eq!(
        fails(json!({"tls": "1.2"}), response(200, "")),
        "status 200; no TLS was spoken, not TLS 1.2 or later"
    );
    assert_eq!(fails(json!({"httpVersion": "1.1"}), secure()), "status 200; HTTP/2 was spoken, not HTTP/1.1");
    assert_eq!(fails(json!({"ipFamily": "ipv6"}), secure()), "status 200; 192.0.2.1:80 is no IPv6 address");
}

#[test]
fn the_labels_of_a_page_are_those_of_its_target() {
    let target = judge(&Expectations::default(), &page("http://a/"), &Err(Error::Refused), NOW);
    assert_eq!(target.labels, [("team".to_owned(), "shop".to_owned())]);
}

#[test]
fn a_secret_in_a_query_stands_in_no_name_and_no_message() {
    let url = "http://a/?token=s3cr3t";
    let elsewhere = Error::TooManyRedirects("http://ops:s3cr3t@b/?sig=s3cr3t".into());
    for answer in [Ok(response(500, "")), Err(elsewhere)] {
        let target = judge(&Expectations::default(), &page(url), &answer, NOW);
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
        let target = judge(&Expectations::default(), &page("http://a/"), &Err(error), NOW);
        assert_eq!((target.status, target.message.as_str()), (Status::Fail, message));
    }
}
