//! Tests of the size of answers: EDNS, and TCP for those that were cut.

use super::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn an_answer_that_was_cut_is_asked_for_again_over_tcp() {
    let records = (0..40).map(|number| ("big.test.", RData::A(A::new(10, 0, 0, number)))).collect();
    let server = name_server(records).await;
    let answer = look_up(query("big.test", RecordType::A, Some(server)), soon()).await.expect("an answer");
    assert_eq!(answer.records.len(), 40);
    let tcp = Query { transport: Transport::Tcp, ..query("big.test", RecordType::A, Some(server)) };
    assert_eq!(look_up(tcp, soon()).await.expect("an answer").records.len(), 40);
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
        let text = complaint(server, 3000).await;
        assert!(text.contains("was cut to fit into UDP, and over TCP nobody listens"), "{text}");
    }
    let (udp, _tcp) = both_sockets().await;
    let server = udp.local_addr().expect("an address");
    let cut = tokio::spawn(async move {
        let mut packet = [0; 512];
        // A lookup and a question.
        for _ in 0..2 {
            let (length, asker) = udp.recv_from(&mut packet).await.expect("a question");
            let answer = reply(&packet[..length], |message| message.metadata.truncation = true);
            udp.send_to(&answer, asker).await.expect("sent");
        }
    });
    let text = complaint(server, 100).await;
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
    let query = query("b.test", RecordType::A, Some(server.await));
    assert_eq!(look_up(query, soon()).await.expect("an answer over UDP").records.len(), 40);
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
        let answer = look_up(query("a.test", RecordType::A, Some(server.await)), soon()).await;
        let answer = answer.expect("an answer");
        assert!(matches!(answer.code, ResponseCode::NoError) && answer.records.len() == 1, "{answer:?}");
    }
}

#[tokio::test]
async fn nonsense_over_tcp_after_a_cut_answer_is_told_as_what_it_is() {
    for (answer, words) in [
        (&b"\0\x07garbage"[..], "over TCP it cannot be used: a packet of 7 bytes came that is no DNS answer"),
        (b"\0\x07gar", "over TCP it cannot be used: the server closed the connection before its answer"),
        (b"", "over TCP it cannot be used: the server closed the connection before its answer"),
    ] {
        let (udp, tcp) = both_sockets().await;
        let server = udp.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut packet = [0; 512];
            // A lookup and a question.
            for _ in 0..2 {
                let (length, asker) = udp.recv_from(&mut packet).await.expect("a question");
                let cut = reply(&packet[..length], |message| message.metadata.truncation = true);
                udp.send_to(&cut, asker).await.expect("sent");
                let (mut stream, _) = tcp.accept().await.expect("a connection");
                stream.read_exact(&mut [0; 2]).await.expect("a question");
                stream.write_all(answer).await.expect("sent");
            }
        });
        let text = complaint(server, 3000).await;
        assert!(text.contains(words), "{text}");
    }
}
