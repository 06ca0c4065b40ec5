//! The promise about questions to name servers, and their answers.

use aviary::capability::{
    bindings::aviary::check::dns::{AnyData, Query, RecordData, RecordType, Transport},
    dns::{Question, any_records, question, records},
};

const KINDS: [RecordType; 10] = [
    RecordType::A,
    RecordType::Aaaa,
    RecordType::Caa,
    RecordType::Cname,
    RecordType::Mx,
    RecordType::Ns,
    RecordType::Ptr,
    RecordType::Soa,
    RecordType::Srv,
    RecordType::Txt,
];
/// The bytes of a packet before its question.
const HEAD: usize = 12;
/// The most records of an answer, as the daemon has it.
const MOST_RECORDS: usize = 256;

/// The name that is judged is the one that is asked for, and no answer can become large.
///
/// The first byte is the type of record, the first line the name, and the rest an answer without its id.
pub fn dns(bytes: &[u8]) {
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let (name, answer) = bytes.split_at(end);
    let Ok(name) = std::str::from_utf8(name) else { return };
    let query = Query {
        name: name.to_owned(),
        kind: KINDS[usize::from(*kind) % KINDS.len()],
        server: None,
        transport: Transport::Udp,
        timeout_ms: None,
    };
    let Ok(question) = question(&query) else { return };
    let Ok(sent) = question.bytes() else { return };
    judge_name(&question.name(), &sent);
    let rest = answer.get(1..).unwrap_or_default();
    // The answer as it is, and then with the question, which a server would repeat.
    judge_answer(&question, &[&sent[..2], rest].concat());
    if let Some((head, rest)) = rest.split_at_checked(HEAD - 2) {
        judge_answer(&question, &[&sent[..2], head, &sent[HEAD..], rest].concat());
    }
}

/// The labels of the judged name are those that are sent.
fn judge_name(judged: &str, sent: &[u8]) {
    let mut labels = Vec::new();
    let mut rest = &sent[HEAD..];
    while let Some((length, tail)) = rest.split_first()
        && *length > 0
    {
        let (label, tail) = tail.split_at(usize::from(*length));
        labels.push(label);
        rest = tail;
    }
    let judged: Vec<Vec<u8>> =
        judged.trim_end_matches('.').split('.').filter(|text| !text.is_empty()).map(plain).collect();
    assert_eq!(judged, labels);
    assert!(labels.iter().all(|label| label.is_ascii() && !label.contains(&b'.')));
}

/// The label without the library's escapes.
fn plain(label: &str) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = label.as_bytes();
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        if *byte != b'\\' {
            plain.push(*byte);
        } else if let Some((digits, tail)) = rest.split_at_checked(3)
            && let Ok(number) = str::from_utf8(digits).unwrap_or_default().parse()
        {
            plain.push(number);
            rest = tail;
        } else if let Some((byte, tail)) = rest.split_first() {
            plain.push(*byte);
            rest = tail;
        }
    }
    plain
}

fn judge_answer(question: &Question, packet: &[u8]) {
    let Ok(reply) = question.read(packet) else { return };
    let Ok(records) = records(question, &reply) else { return };
    assert!(records.len() <= MOST_RECORDS);
    let any = any_records(question, &reply).expect("what is read as known records is read as any");
    assert!((records.len()..=MOST_RECORDS).contains(&any.len()));
    for record in any {
        // A byte takes four characters when it is escaped. Parameters of services take the names of their keys.
        assert!(!matches!(record.data, AnyData::Other(text) if text.len() > 64 + 16 * packet.len()));
    }
    for record in records {
        // A byte takes four characters when it is escaped, and three bytes when it is not UTF-8.
        let longest = match record.data {
            RecordData::Txt(text) => text.len() / 3,
            RecordData::Caa(caa) => (caa.tag.len() + caa.value.len()) / 3,
            _ => 0,
        };
        assert!(record.name.len() <= 4 * 255 && longest <= packet.len());
    }
}
