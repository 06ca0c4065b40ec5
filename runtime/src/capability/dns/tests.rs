//! Tests of lookups, with real servers on this machine.

use super::*;
use crate::capability::{
    bindings::aviary::check::dns::{Mx, RecordData, ResponseCode},
    testing::{authorization, both_sockets, closed_port, name_server, network, network_with, soon, within},
};
use hickory_resolver::proto::{
    op::{self, Message},
    rr::{
        RData, Record,
        rdata::{self, A, AAAA, MX, SRV, TXT},
    },
};
use std::time::Duration;
use tokio::net::UdpSocket;

fn question(name: &str, kind: RecordType, server: Option<SocketAddr>) -> Query {
    let server = server.map(|server| server.to_string());
    Query { name: name.to_owned(), kind, server, transport: Transport::Udp, timeout_ms: None }
}

/// Asks a server that is granted for any name.
async fn ask(query: Query, deadline: Instant) -> Result<Answer, Error> {
    let server = query.server.clone().unwrap_or_default();
    let authorization = authorization(&format!("dns: {{ names: [\"*\"], servers: [\"{server}\"] }}"));
    lookup(&network(), &authorization, &query, deadline).await
}

fn parsed(name: &str) -> Name {
    Name::from_ascii(name).expect("a name")
}

/// Starts a server that answers each packet with the packets that `answer` makes of it.
async fn liar(answer: impl Fn(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut packet).await {
            for reply in answer(&packet[..length]) {
                let _ = socket.send_to(&reply, asker).await;
            }
        }
    });
    address
}

/// An honest, empty answer to this packet, which `change` then changes.
fn reply(packet: &[u8], change: impl Fn(&mut Message)) -> Vec<u8> {
    let mut message = Message::from_vec(packet).expect("a question").into_response();
    change(&mut message);
    message.to_vec().expect("an answer")
}

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
        let answer = ask(question(name, kind, Some(server)), soon()).await.expect("an answer");
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
    let answer = ask(question("no.test", RecordType::A, Some(server)), soon()).await.expect("an answer");
    assert!(matches!(answer.code, ResponseCode::NameError) && answer.records.is_empty());
    let answer =
        ask(question("elsewhere.example", RecordType::A, Some(server)), soon()).await.expect("an answer");
    assert!(matches!(answer.code, ResponseCode::Refused));
}

#[tokio::test]
async fn an_answer_that_was_cut_is_asked_for_again_over_tcp() {
    let records = (0..40).map(|number| ("big.test.", RData::A(A::new(10, 0, 0, number)))).collect();
    let server = name_server(records).await;
    let answer = ask(question("big.test", RecordType::A, Some(server)), soon()).await.expect("an answer");
    assert_eq!(answer.records.len(), 40);
    let tcp = Query { transport: Transport::Tcp, ..question("big.test", RecordType::A, Some(server)) };
    assert_eq!(ask(tcp, soon()).await.expect("an answer").records.len(), 40);
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
        ask(question("a.test", RecordType::A, Some(server)), soon()).await.expect("an answer");
    }
    let seen = counter.await.expect("two questions");
    assert_ne!(seen[0], seen[1], "port and id are fresh each time");
}

#[tokio::test]
async fn the_clusters_own_server_is_asked_when_none_is_named() {
    let server = name_server(vec![("a.test.", RData::A(A::new(10, 0, 0, 1)))]).await;
    let authorization = authorization("dns: { names: [\"*.test\"] }");
    let network = network_with(server);
    let answer = lookup(&network, &authorization, &question("a.test", RecordType::A, None), soon()).await;
    assert_eq!(answer.expect("an answer").server, server.to_string());
    let refusal =
        lookup(&network, &authorization, &question("a.test", RecordType::A, Some(server)), soon()).await;
    assert!(matches!(refusal, Err(Error::Denied(text)) if text.contains(&server.to_string())));
    let refusal = lookup(&network, &authorization, &question("b.example", RecordType::A, None), soon()).await;
    assert!(matches!(refusal, Err(Error::Denied(text)) if text.contains("names: [\"b.example\"]")));
}

#[tokio::test]
async fn an_address_is_asked_for_by_its_reverse_name() {
    let server = liar(|packet| vec![reply(packet, |_| {})]).await;
    let authorization = authorization(&format!("dns: {{ names: [10.1.2.3], servers: [\"{server}\"] }}"));
    for (name, granted) in [("10.1.2.3", true), ("3.2.1.10.in-addr.arpa", true), ("10.1.2.4", false)] {
        let result =
            lookup(&network(), &authorization, &question(name, RecordType::Ptr, Some(server)), soon()).await;
        assert_eq!(result.is_ok(), granted, "{name}: {result:?}");
    }
}

#[tokio::test]
async fn a_silent_server_times_out_and_a_closed_port_is_refused() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let server = silent.local_addr().expect("an address");
    let since = Instant::now();
    let result = ask(question("a.test", RecordType::A, Some(server)), within(50)).await;
    assert!(matches!(result, Err(Error::Timeout)), "{result:?}");
    assert!(since.elapsed() < Duration::from_millis(500));
    let closed = closed_port();
    for transport in [Transport::Udp, Transport::Tcp] {
        let query = Query { transport, ..question("a.test", RecordType::A, Some(closed)) };
        let result = ask(query, soon()).await;
        assert!(matches!(result, Err(Error::Refused)), "{result:?}");
    }
}

#[tokio::test]
async fn a_lie_is_not_believed_and_does_not_hide_the_truth() {
    type Lie = fn(&[u8]) -> Vec<u8>;
    let lies: [Lie; 5] = [
        |packet| reply(packet, |message| message.metadata.id ^= 1),
        |packet| reply(packet, |message| message.queries[0].name = parsed("other.test.")),
        |packet| packet.to_vec(),
        |_| b"garbage".to_vec(),
        |packet| packet[..packet.len() - 3].to_vec(),
    ];
    for (index, lie) in lies.into_iter().enumerate() {
        let server = liar(move |packet| vec![lie(packet)]).await;
        let result = ask(question("a.test", RecordType::A, Some(server)), within(50)).await;
        assert!(matches!(result, Err(Error::Protocol(_))), "{index}: {result:?}");
        let server = liar(move |packet| vec![lie(packet), reply(packet, |_| {})]).await;
        let result = ask(question("a.test", RecordType::A, Some(server)), soon()).await;
        assert!(result.is_ok(), "{index}: {result:?}");
    }
}

/// What an error about an answer says.
async fn complaint(server: SocketAddr, deadline: Instant) -> String {
    match ask(question("a.test", RecordType::A, Some(server)), deadline).await {
        Err(Error::Protocol(text)) => text,
        result => panic!("{result:?}"),
    }
}

fn record(name: &str, data: RData) -> Record {
    Record::from_rdata(parsed(name), 60, data)
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_told_at_once_and_described() {
    let server = liar(|packet| {
        let mut bytes = reply(packet, |message| {
            message.answers = vec![record("a.test.", RData::A(A::new(10, 0, 0, 1)))];
        });
        bytes.truncate(bytes.len() - 20);
        vec![bytes]
    })
    .await;
    let since = Instant::now();
    let text = complaint(server, soon()).await;
    assert!(text.contains("bytes came (No Error, 1 records) that cannot be read"), "{text}");
    assert!(since.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn what_came_instead_of_an_answer_is_named() {
    type Lie = fn(&[u8]) -> Vec<u8>;
    let lies: [(Lie, &str); 5] = [
        (|packet| reply(packet, |message| message.metadata.id ^= 1), "belongs to another question"),
        (|packet| reply(packet, |message| message.queries[0].name = parsed("b.test.")), "b.test."),
        (
            |packet| {
                reply(packet, |message| {
                    message.queries.clear();
                    message.answers = vec![record("a.test.", RData::A(A::new(10, 0, 0, 1)))];
                })
            },
            "does not repeat the question",
        ),
        (|packet| packet.to_vec(), "a question came instead of an answer"),
        (|_| b"garbage".to_vec(), "a packet of 7 bytes came that is no DNS answer"),
    ];
    for (lie, words) in lies {
        let server = liar(move |packet| vec![lie(packet)]).await;
        let text = complaint(server, within(50)).await;
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test]
async fn a_cut_answer_that_tcp_does_not_complete_says_so() {
    for break_off in [false, true] {
        let server = liar(move |packet| {
            let mut bytes = reply(packet, |message| {
                message.metadata.truncation = true;
                message.answers = vec![record("a.test.", RData::A(A::new(10, 0, 0, 1)))];
            });
            if break_off {
                bytes.truncate(bytes.len() - 20);
            }
            vec![bytes]
        })
        .await;
        let text = complaint(server, soon()).await;
        assert!(text.contains("was cut to fit into UDP, and over TCP nobody listens"), "{text}");
    }
    let (udp, _tcp) = both_sockets().await;
    let server = udp.local_addr().expect("an address");
    let cut = tokio::spawn(async move {
        let mut packet = [0; 512];
        let (length, asker) = udp.recv_from(&mut packet).await.expect("a question");
        let answer = reply(&packet[..length], |message| message.metadata.truncation = true);
        udp.send_to(&answer, asker).await.expect("sent");
    });
    let text = complaint(server, within(100)).await;
    assert!(text.contains("over TCP none came in time"), "{text}");
    cut.await.expect("asked");
}

#[tokio::test]
async fn a_question_offers_1232_bytes_so_that_40_addresses_come_over_udp() {
    let server = liar(|packet| {
        let offered = Message::from_vec(packet).expect("a question").edns.map(|edns| edns.max_payload());
        assert_eq!(offered, Some(1232));
        let address = |last| record("b.test.", RData::A(A::new(10, 0, 0, last)));
        vec![reply(packet, |message| message.answers = (0..40).map(address).collect())]
    });
    let query = question("b.test", RecordType::A, Some(server.await));
    assert_eq!(ask(query, soon()).await.expect("an answer over UDP").records.len(), 40);
}

#[tokio::test]
async fn a_server_without_edns_is_asked_again_without() {
    for code in [op::ResponseCode::FormErr, op::ResponseCode::NotImp] {
        let server = liar(move |packet| {
            let knows = Message::from_vec(packet).expect("a question").edns.is_none();
            vec![reply(packet, |message| {
                message.edns = None;
                if knows {
                    message.answers = vec![record("a.test.", RData::A(A::new(10, 0, 0, 1)))];
                } else {
                    message.queries.clear();
                    message.metadata.response_code = code;
                }
            })]
        });
        let answer = ask(question("a.test", RecordType::A, Some(server.await)), soon()).await;
        let answer = answer.expect("an answer");
        assert!(matches!(answer.code, ResponseCode::NoError) && answer.records.len() == 1, "{answer:?}");
    }
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
    let answer = ask(question("A.test", RecordType::A, Some(server)), soon()).await.expect("an answer");
    let names: Vec<_> = answer.records.iter().map(|record| record.name.as_str()).collect();
    assert_eq!(names, ["c.test", "B.test", "a.test", "c.test"]);

    let foreign = vec![address("other.test.", 9)];
    let server =
        liar(move |packet| vec![reply(packet, |message| message.answers.clone_from(&foreign))]).await;
    let text = complaint(server, soon()).await;
    assert_eq!(text, "the answer has records of other.test., and none of a.test.");
}

#[tokio::test]
async fn what_is_no_name_or_server_is_invalid() {
    for name in [
        "",
        "a..b",
        "a\\.b.test",
        "evil。example.test",
        "*",
        "*.test",
        "＊.test",
        &"a".repeat(64),
        &"a.".repeat(200),
    ] {
        let result = ask(question(name, RecordType::A, Some(([127, 0, 0, 1], 1).into())), soon()).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{name}: {result:?}");
    }
    let everything = authorization("dns: { names: [\"*\"], servers: [cluster] }");
    for server in
        ["", "dns.example", "10.0.0.1:0", "10.0.0.1:99999", "[::1", "[fe80::1%2]:53", "127.1", "0x7f.0.0.1"]
    {
        let query = Query { server: Some(server.to_owned()), ..question("a.test", RecordType::A, None) };
        let result = lookup(&network(), &everything, &query, soon()).await;
        assert!(matches!(result, Err(Error::Invalid(_))), "{server}: {result:?}");
    }
}

#[tokio::test]
async fn an_answer_cannot_be_made_to_grow() {
    let pointing_at_itself = |packet: &[u8]| {
        let mut bytes = reply(packet, |_| {});
        // The packet gets one answer, whose name is a pointer to that name.
        bytes[7] = 1;
        let here = u16::try_from(bytes.len()).expect("short");
        bytes.extend((0xc000 | here).to_be_bytes());
        bytes.extend([0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1]);
        vec![bytes]
    };
    let server = liar(pointing_at_itself).await;
    let result = ask(question("a.test", RecordType::A, Some(server)), within(50)).await;
    assert!(matches!(result, Err(Error::Protocol(_))), "{result:?}");
    let many = |packet: &[u8]| {
        let records = (0..1000_u16).map(|number| {
            let [high, low] = number.to_be_bytes();
            Record::from_rdata(parsed("a.test."), 60, RData::A(A::new(10, 0, high, low)))
        });
        vec![reply(packet, |message| message.answers = records.clone().collect())]
    };
    let server = liar(many).await;
    let answer = ask(question("a.test", RecordType::A, Some(server)), soon()).await.expect("an answer");
    assert_eq!(answer.records.len(), MOST_RECORDS);
}
