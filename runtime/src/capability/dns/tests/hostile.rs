//! Tests with servers that lie or speak nonsense.

use super::*;

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
        let result = look_up(query("a.test", RecordType::A, Some(server)), within(50)).await;
        assert!(matches!(result, Err(Error::Protocol(_))), "{index}: {result:?}");
        let server = liar(move |packet| vec![lie(packet), reply(packet, |_| {})]).await;
        let result = look_up(query("a.test", RecordType::A, Some(server)), soon()).await;
        assert!(result.is_ok(), "{index}: {result:?}");
    }
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
    let text = complaint(server, 3000).await;
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
        let text = complaint(server, 50).await;
        assert!(text.contains(words), "{text}");
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
    let result = look_up(query("a.test", RecordType::A, Some(server)), within(50)).await;
    assert!(matches!(result, Err(Error::Protocol(_))), "{result:?}");
    let many = |packet: &[u8]| {
        let records = (0..1000_u16).map(|number| {
            let [high, low] = number.to_be_bytes();
            Record::from_rdata(parsed("a.test."), 60, RData::A(A::new(10, 0, high, low)))
        });
        vec![reply(packet, |message| message.answers = records.clone().collect())]
    };
    let server = liar(many).await;
    let answer = look_up(query("a.test", RecordType::A, Some(server)), soon()).await.expect("an answer");
    assert_eq!(answer.records.len(), MOST_RECORDS);
}
