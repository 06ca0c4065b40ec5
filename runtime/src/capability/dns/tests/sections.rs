//! Tests of questions for records of any type, and of all that a server says.

use super::*;
use hickory_resolver::proto::rr::rdata::{
    HTTPS, NULL, SVCB,
    svcb::{Alpn, IpHint, SvcParamKey, SvcParamValue},
};

/// A server that gives this answer to every question.
async fn server(change: impl Fn(&mut Message) + Send + 'static) -> Option<String> {
    Some(liar(move |packet| vec![reply(packet, &change)]).await.to_string())
}

#[tokio::test]
async fn records_of_any_type_come_as_zone_files_write_them() {
    let parameters = vec![
        (SvcParamKey::Alpn, SvcParamValue::Alpn(Alpn(vec!["h2".to_owned(), "h3".to_owned()]))),
        (SvcParamKey::NoDefaultAlpn, SvcParamValue::NoDefaultAlpn),
        (SvcParamKey::Port, SvcParamValue::Port(8443)),
        (
            SvcParamKey::Ipv4Hint,
            SvcParamValue::Ipv4Hint(IpHint(vec![A::new(10, 0, 0, 1), A::new(10, 0, 0, 2)])),
        ),
    ];
    let https = HTTPS(SVCB::new(1, parsed("."), parameters));
    let unknown =
        |code: u16, bytes: &[u8]| RData::Unknown { code: code.into(), rdata: NULL::with(bytes.to_vec()) };
    for (kind, data, text) in [
        (65, RData::HTTPS(https), "1 . alpn=h2,h3 no-default-alpn port=8443 ipv4hint=10.0.0.1,10.0.0.2"),
        (43, unknown(43, &[0x12, 0x34, 13, 2, 0xde, 0xad]), "4660 13 2 dead"),
        (65_280, unknown(65_280, &[0, 1]), "\\# 2 0001"),
    ] {
        let server = server(move |message| message.answers = vec![record("a.test.", data.clone())]).await;
        let heard = hear(any_query("a.test", kind, server), soon()).await.expect("an answer");
        let [record] = &*heard.answers else { panic!("{heard:?}") };
        assert_eq!((record.name.as_str(), record.kind, record.ttl), ("a.test", kind, 60));
        assert!(matches!(&record.data, AnyData::Other(found) if found == text), "{record:?}");
    }
    let address =
        server(|message| message.answers = vec![record("a.test.", RData::A(A::new(10, 0, 0, 1)))]).await;
    let heard = hear(any_query("a.test", 1, address), soon()).await.expect("an answer");
    let data = &heard.answers[0].data;
    assert!(matches!(data, AnyData::Known(RecordData::A(address)) if address == "10.0.0.1"), "{data:?}");
}

#[tokio::test]
async fn a_server_is_told_what_to_do_and_tells_what_it_did() {
    let echo = |message: &mut Message| {
        let asked = message.metadata;
        message.metadata.authoritative = asked.recursion_desired;
        message.metadata.recursion_available = !asked.recursion_desired;
    };
    let server = server(echo).await;
    for (recursion, authenticated) in [(true, false), (false, true)] {
        let question = GuestQuestion { recursion, authenticated, ..any_query("a.test", 1, server.clone()) };
        let heard = hear(question, soon()).await.expect("an answer");
        // The server repeats AD, and says in the other two flags which RD came.
        assert_eq!(heard.authenticated, authenticated);
        assert_eq!((heard.authoritative, heard.recursion_available), (recursion, !recursion));
    }
}

#[tokio::test]
async fn all_sections_are_handed_out_and_no_more_than_256_records_of_each() {
    let address = |name: &str, number: u16| {
        let [high, low] = number.to_be_bytes();
        record(name, RData::A(A::new(10, 0, high, low)))
    };
    let server = server(move |message| {
        let soa = rdata::SOA::new(parsed("ns.test."), parsed("mail.test."), 7, 1, 2, 3, 4);
        message.authorities = vec![record("test.", RData::SOA(soa))];
        message.additionals = vec![address("ns.test.", 53)];
    })
    .await;
    let heard = hear(any_query("a.test", 1, server), soon()).await.expect("an answer");
    assert!(heard.answers.is_empty());
    let data = &heard.authorities[0].data;
    assert!(matches!(data, AnyData::Known(RecordData::Soa(soa)) if soa.serial == 7), "{data:?}");
    // EDNS, which the server repeats, is no record.
    let names: Vec<_> = heard.additionals.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["ns.test"]);

    let server = self::server(move |message| {
        let many = |name: &'static str| (0..300).map(move |number| address(name, number)).collect();
        (message.answers, message.authorities) = (many("a.test."), many("b.test."));
        message.additionals = many("c.test.");
    })
    .await;
    let heard = hear(any_query("a.test", 1, server), soon()).await.expect("an answer");
    for section in [heard.answers, heard.authorities, heard.additionals] {
        assert_eq!(section.len(), MOST_RECORDS);
    }
}

#[tokio::test]
async fn answers_of_other_names_are_not_handed_out() {
    let alias = |from: &str, to: &str| record(from, RData::CNAME(rdata::CNAME(parsed(to))));
    let address = |name: &str| record(name, RData::A(A::new(10, 0, 0, 1)));
    let answers = vec![alias("a.test.", "b.test."), address("other.test."), address("b.test.")];
    let server = server(move |message| message.answers.clone_from(&answers)).await;
    let heard = hear(any_query("a.test", 1, server), soon()).await.expect("an answer");
    let names: Vec<_> = heard.answers.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["a.test", "b.test"]);
}

#[tokio::test]
async fn what_is_part_of_the_protocol_cannot_be_asked_for() {
    for kind in [0, 41, 249, 250, 251, 252] {
        let result = hear(any_query("a.test", kind, Some("127.0.0.1:1".to_owned())), soon()).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{kind}: {result:?}");
    }
}

#[tokio::test]
async fn an_answer_that_was_cut_is_asked_for_again_over_tcp_with_the_same_flags() {
    let records = (0..40).map(|number| ("big.test.", RData::A(A::new(10, 0, 0, number)))).collect();
    let server = Some(name_server(records).await.to_string());
    let heard = hear(any_query("big.test", 1, server), soon()).await.expect("an answer");
    assert_eq!((heard.answers.len(), heard.authoritative), (40, true));
}
