//! Tests of what is read in an answer.

use super::*;

#[tokio::test]
async fn every_kind_of_record_is_read() {
    let server = name_server(vec![
        ("a.test.", RData::A(A::new(10, 0, 0, 1))),
        ("a.test.", RData::AAAA(AAAA::new(0xfd00, 0, 0, 0, 0, 0, 0, 1))),
        ("a.test.", RData::MX(MX::new(5, parsed("mail.test.")))),
        ("a.test.", RData::TXT(TXT::new(vec!["one ".to_owned(), "two".to_owned()]))),
        ("_s._tcp.test.", RData::SRV(SRV::new(1, 2, 3, parsed("a.test.")))),
        ("1.0.0.10.in-addr.arpa.test.", RData::PTR(rdata::PTR(parsed("a.test.")))),
        ("alias.test.", RData::CNAME(rdata::CNAME(parsed("a.test.")))),
        ("test.", RData::NS(rdata::NS(parsed("ns.test.")))),
        ("test.", RData::CAA(rdata::CAA::new_issue(true, Some(parsed("ca.test")), Vec::new()))),
    ])
    .await;
    let first = |name: &'static str, kind| async move {
        let answer = look_up(query(name, kind, Some(server)), soon()).await.expect("an answer");
        assert!(
            matches!(answer.code, ResponseCode::NoError) && answer.authoritative && answer.duration_ns > 0
        );
        assert_eq!(answer.server, server.to_string());
        answer.records.into_iter().next().expect("a record")
    };
    let record = first("A.test", RecordType::A).await;
    assert_eq!((record.name.as_str(), record.ttl), ("a.test", 60));
    assert!(matches!(record.data, RecordData::A(address) if address == "10.0.0.1"));
    let data = first("a.test.", RecordType::Aaaa).await.data;
    assert!(matches!(data, RecordData::Aaaa(address) if address == "fd00::1"));
    let data = first("a.test", RecordType::Mx).await.data;
    assert!(matches!(data, RecordData::Mx(Mx { preference: 5, exchange }) if exchange == "mail.test"));
    let data = first("a.test", RecordType::Txt).await.data;
    assert!(matches!(data, RecordData::Txt(text) if text == "one two"));
    let data = first("_s._tcp.test", RecordType::Srv).await.data;
    assert!(matches!(data, RecordData::Srv(srv) if (srv.port, srv.target.as_str()) == (3, "a.test")));
    let data = first("1.0.0.10.in-addr.arpa.test", RecordType::Ptr).await.data;
    assert!(matches!(data, RecordData::Ptr(name) if name == "a.test"));
    let data = first("alias.test", RecordType::Cname).await.data;
    assert!(matches!(data, RecordData::Cname(name) if name == "a.test"));
    assert!(matches!(first("test", RecordType::Ns).await.data, RecordData::Ns(name) if name == "ns.test"));
    assert!(matches!(first("test", RecordType::Soa).await.data, RecordData::Soa(soa) if soa.serial == 7));
    let data = first("test", RecordType::Caa).await.data;
    assert!(
        matches!(data, RecordData::Caa(caa) if caa.critical && caa.tag == "issue" && caa.value == "ca.test")
    );
}

#[tokio::test]
async fn the_servers_verdict_is_an_answer_not_an_error() {
    let server = name_server(Vec::new()).await;
    let answer = look_up(query("no.test", RecordType::A, Some(server)), soon()).await.expect("an answer");
    assert!(matches!(answer.code, ResponseCode::NameError) && answer.records.is_empty());
    let answer =
        look_up(query("elsewhere.example", RecordType::A, Some(server)), soon()).await.expect("an answer");
    assert!(matches!(answer.code, ResponseCode::Refused));
}

#[tokio::test]
async fn nothing_is_answered_from_a_cache() {
    let (udp, _tcp) = both_sockets().await;
    let server = udp.local_addr().expect("an address");
    let counter = tokio::spawn(async move {
        let (mut packet, mut seen) = ([0; 512], Vec::new());
        for _ in 0..2 {
            let (length, asker) = udp.recv_from(&mut packet).await.expect("a question");
            udp.send_to(&reply(&packet[..length], |_| {}), asker).await.expect("sent");
            seen.push((asker, packet[..2].to_vec()));
        }
        seen
    });
    for _ in 0..2 {
        look_up(query("a.test", RecordType::A, Some(server)), soon()).await.expect("an answer");
    }
    let seen = counter.await.expect("two questions");
    assert_ne!(seen[0], seen[1], "port and id are fresh each time");
}

#[tokio::test]
async fn only_records_of_the_name_and_of_its_aliases_are_handed_out() {
    let alias = |from: &str, to: &str| record(from, RData::CNAME(rdata::CNAME(parsed(to))));
    let address = |name: &str, last| record(name, RData::A(A::new(10, 0, 0, last)));
    let answers = vec![
        address("c.test.", 3),
        address("other.test.", 9),
        alias("B.test.", "c.test."),
        alias("a.test.", "b.TEST."),
        alias("c.test.", "a.test."),
    ];
    let server =
        liar(move |packet| vec![reply(packet, |message| message.answers.clone_from(&answers))]).await;
    let answer = look_up(query("A.test", RecordType::A, Some(server)), soon()).await.expect("an answer");
    let names: Vec<_> = answer.records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["c.test", "B.test", "a.test", "c.test"]);

    let foreign = vec![address("other.test.", 9)];
    let server =
        liar(move |packet| vec![reply(packet, |message| message.answers.clone_from(&foreign))]).await;
    let text = complaint(server, 3000).await;
    assert_eq!(text, "the answer has records of other.test., and none of a.test.");
}
