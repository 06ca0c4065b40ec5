//! Tests of the judgement.

use aviary_guest::Status;
use aviary_guest::dns::{AnyData, RecordData};
use aviary_guest::json::{Value, from_value, json};

use super::*;

fn record(kind: Kind, data: RecordData) -> AnyRecord {
    AnyRecord { name: "a.example".into(), kind: kind.0, ttl: 30, data: AnyData::Known(data) }
}

fn address(text: &str) -> AnyRecord {
    record(Kind::A, RecordData::A(text.into()))
}

fn answer(addresses: &[&str]) -> Reply {
    Reply {
        code: ResponseCode::NoError,
        answers: addresses.iter().map(|text| address(text)).collect(),
        authorities: Vec::new(),
        additionals: Vec::new(),
        authoritative: false,
        authenticated: false,
        recursion_available: true,
        server: "192.0.2.53:53".into(),
        duration_ns: 20_000_000,
    }
}

fn name() -> LabelledTarget {
    LabelledTarget { name: "a.example".into(), labels: vec![("team".into(), "web".into())] }
}

fn judged(expect: Value, kind: Kind, reply: Reply) -> (Status, String) {
    let expect = from_value(expect).expect("valid expectations");
    let target = judge(&expect, kind, &name(), &Ok(reply), None);
    (target.status, target.message)
}

fn fails(expect: Value, reply: Reply) -> String {
    let (status, message) = judged(expect, Kind::A, reply);
    assert_eq!(status, Status::Fail, "{message}");
    message
}

fn passes(expect: Value, reply: Reply) -> String {
    let (status, message) = judged(expect, Kind::A, reply);
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
fn the_code_has_to_be_an_expected_one() {
    let absent = Reply { code: ResponseCode::NameError, ..answer(&[]) };
    assert_eq!(fails(json!({}), absent.clone()), "192.0.2.53:53 says NXDOMAIN, not NOERROR");
    passes(json!({"code": "NXDOMAIN"}), absent.clone());
    let one = answer(&["192.0.2.1"]);
    assert_eq!(fails(json!({"code": "NXDOMAIN"}), one.clone()), "192.0.2.53:53 says NOERROR, not NXDOMAIN");
    for reply in [absent, one] {
        passes(json!({"code": ["NOERROR", "NXDOMAIN"]}), reply);
    }
    let refused = Reply { code: ResponseCode::Refused, ..answer(&[]) };
    assert_eq!(
        fails(json!({"code": ["NOERROR", "NXDOMAIN"]}), refused),
        "192.0.2.53:53 says REFUSED, not NOERROR or NXDOMAIN"
    );
    assert_eq!(fails(json!({"code": ["NOERROR", "NXDOMAIN"]}), answer(&[])), "no records");
}

#[test]
fn records_on_the_way_to_the_answer_do_not_count() {
    let mut chain = answer(&["192.0.2.1"]);
    chain.answers.insert(0, record(Kind::CNAME, RecordData::Cname("b.example".into())));
    passes(json!({"records": {"equal": ["192.0.2.1"]}}), chain.clone());
    let any = judged(json!({"count": 2}), Kind::ANY, chain.clone());
    assert_eq!(any, (Status::Pass, "b.example and 1 more in 20.0ms".into()));
    chain.answers.pop();
    assert_eq!(fails(json!({}), chain), "no records");
}

#[test]
fn records_are_compared_by_what_their_type_means() {
    let text = Reply { answers: vec![record(Kind::TXT, RecordData::Txt("p=AbC".into()))], ..answer(&[]) };
    let rule = |wanted: &str| json!({"records": {"equal": [wanted]}});
    assert_eq!(judged(rule("p=AbC"), Kind::TXT, text.clone()).1, "p=AbC in 20.0ms");
    assert_eq!(judged(rule("p=abc"), Kind::TXT, text).1, "p=abc is missing; p=AbC was not expected");
    let record = record(Kind::AAAA, RecordData::Aaaa("2001:db8::1".into()));
    let address = Reply { answers: vec![record], ..answer(&[]) };
    assert_eq!(judged(rule("2001:0db8:0:0::1"), Kind::AAAA, address).1, "2001:db8::1 in 20.0ms");
}

#[test]
fn a_type_without_a_form_of_its_own_is_judged_by_its_text() {
    let other = AnyRecord { data: AnyData::Other("1 . alpn=h2".into()), ..address("") };
    let reply = Reply { answers: vec![AnyRecord { kind: 65, ..other }], ..answer(&[]) };
    let rule = json!({"records": {"equal": ["1 . alpn=\"h2\""], "matches": ["alpn=h2$"]}});
    assert_eq!(judged(rule, Kind::HTTPS, reply).1, "1 . alpn=h2 in 20.0ms");
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
    let reply = Reply { additionals: many.answers, ..answer(&["192.0.2.1"]) };
    let message = fails(json!({"additional": {"notMatches": ["^10"]}}), reply.clone());
    assert!(message.starts_with("the additional section has 256 records or more"), "{message}");
    passes(json!({"records": {"notMatches": ["^10"]}}), reply);
}

#[test]
fn other_sections_have_rules_of_their_own_for_records_of_all_types() {
    let server = record(Kind::NS, RecordData::Ns("ns1.example".into()));
    let reply = Reply {
        authorities: vec![server],
        additionals: vec![address("192.0.2.53")],
        ..answer(&["192.0.2.1"])
    };
    let rules = json!({"authority": {"equal": ["NS1.example."]}, "additional": {"notMatches": ["^10\\."]}});
    passes(rules, reply.clone());
    let rules = json!({"authority": {"notMatches": ["ns1"]}, "additional": {"contain": ["192.0.2.54"]}});
    assert_eq!(
        fails(rules, reply),
        "authority section: ns1.example matches /ns1/; additional section: 192.0.2.54 is missing"
    );
}

#[test]
fn a_low_ttl_warns() {
    let (status, message) = judged(json!({"minimumTtl": "1m"}), Kind::A, answer(&["192.0.2.1"]));
    assert_eq!((status, message.as_str()), (Status::Warn, "a ttl of 30s is less than 60s"));
    passes(json!({"minimumTtl": "30s"}), answer(&["192.0.2.1"]));
}

#[test]
fn the_ttl_of_an_alias_counts_as_well() {
    let mut chain = answer(&["192.0.2.1"]);
    let alias = record(Kind::CNAME, RecordData::Cname("b.example".into()));
    chain.answers.insert(0, AnyRecord { ttl: 5, ..alias });
    let (status, message) = judged(json!({"minimumTtl": "30s"}), Kind::A, chain);
    assert_eq!((status, message.as_str()), (Status::Warn, "a ttl of 5s is less than 30s"));
}

#[test]
fn flags_and_latency_are_judged_when_asked_for() {
    let reply = answer(&["192.0.2.1"]);
    assert_eq!(
        fails(json!({"authoritative": true}), reply.clone()),
        "192.0.2.53:53 does not speak for the zone"
    );
    assert_eq!(
        fails(json!({"authenticated": true}), reply.clone()),
        "192.0.2.53:53 does not say that it verified the answer by DNSSEC"
    );
    let good = Reply { authoritative: true, authenticated: true, ..reply.clone() };
    passes(json!({"authoritative": true, "authenticated": true}), good);
    fails(json!({"latency": {"failAbove": "19ms"}}), reply.clone());
    passes(json!({"latency": {"failAbove": "20ms"}}), reply);
}

#[test]
fn serials_are_told_with_the_answer() {
    let target =
        |serials| judge(&Expectations::default(), Kind::A, &name(), &Ok(answer(&["192.0.2.1"])), serials);
    let same = target(Some(Ok("serial 7 on 2 name servers".into())));
    assert_eq!(same.message, "192.0.2.1 in 20.0ms; serial 7 on 2 name servers");
    let differ = target(Some(Err(Finding::fail("the serials differ"))));
    assert_eq!((differ.status, differ.message.as_str()), (Status::Fail, "the serials differ"));
}

#[test]
fn no_answer_is_a_fail_in_plain_words() {
    let differ = Some(Err(Finding::fail("the serials differ")));
    for (serials, message) in [
        (None, "timed out: the server did not answer"),
        (differ, "timed out: the server did not answer; the serials differ"),
    ] {
        let target = judge(&Expectations::default(), Kind::A, &name(), &Err(Error::Timeout), serials);
        assert_eq!((target.status, target.name.as_str()), (Status::Fail, "a.example"));
        assert_eq!(target.message, message);
    }
}

#[test]
fn a_target_has_the_labels_of_its_name_and_that_of_the_server() {
    let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let target = |reply| judge(&Expectations::default(), Kind::A, &name(), &reply, None).labels;
    assert_eq!(target(Ok(answer(&[]))), [label("server", "192.0.2.53:53"), label("team", "web")]);
    assert_eq!(target(Err(Error::Timeout)), [label("team", "web")]);
}
