//! The `dns` check, in the sandbox and with a server on this machine.

use crate::{self as guests, support::Subject};
use aviary::{grant::Capability, outcome::Status, usage::CallResult};
use hickory_resolver::proto::{
    op::Message,
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, NS},
    },
};
use std::net::SocketAddr;
use tokio::net::UdpSocket;

/// Starts a server that knows one address for every name, and names its zone's server.
async fn server() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((length, asker)) = socket.recv_from(&mut packet).await {
            let reply = answer(Message::from_vec(&packet[..length]).expect("a question"));
            socket.send_to(&reply.to_vec().expect("an answer"), asker).await.expect("sent");
        }
    });
    address
}

fn answer(question: Message) -> Message {
    let mut reply = question.into_response();
    let asked = reply.queries[0].clone();
    if asked.query_type() == RecordType::A {
        reply.add_answer(Record::from_rdata(asked.name().clone(), 60, RData::A(A::new(192, 0, 2, 1))));
    }
    let name = |text| Name::from_ascii(text).expect("a name");
    reply.add_authority(Record::from_rdata(name("test."), 60, RData::NS(NS(name("ns.test.")))));
    reply
}

/// The lines under `spec` of a check that asks this server with these settings.
fn spec(server: SocketAddr, limits: &str, settings: &str) -> String {
    format!(
        "  limits: {{ {limits} }}\n  grants: {{ dns: {{ names: ['*.test'], servers: ['{server}'] }} }}\n  settings: \
         {{ server: '{server}', {settings} }}"
    )
}

#[tokio::test]
async fn each_name_is_judged_by_all_sections_and_has_a_series_with_its_labels() {
    let settings = "names: [a.test, { name: b.test, labels: { team: web } }], \
                    expect: { records: { equal: [192.0.2.1] }, authority: { equal: [ns.test] } }";
    let spec = spec(server().await, "", settings);
    let subject = Subject::load(guests::CHECK_DNS, &spec).await.expect("loaded");
    let outcome = subject.run().await.expect("an outcome");
    assert_eq!(outcome.status, Status::Pass, "{}", outcome.message);
    let family = subject.entry.usage.metrics.family("dns_lookup_duration_seconds").expect("a metric");
    let labels = family.series.keys().map(|labels| {
        let pairs: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(" ")
    });
    assert_eq!(labels.collect::<Vec<_>>(), ["target=a.test", "target=b.test team=web"]);
}

#[tokio::test]
async fn names_beyond_the_cap_of_series_are_judged_all_the_same_and_logged_once_in_a_round() {
    let names: Vec<_> = (0..4).map(|number| format!("n{number}.test")).collect();
    let spec = spec(server().await, "series: 2", &format!("names: [{}]", names.join(", ")));
    let subject = Subject::load(guests::CHECK_DNS, &spec).await.expect("loaded");
    let mut instance = subject.live().await;
    instance.init().await.done().expect("a round");
    for _ in 0..2 {
        let outcome = subject.poll(&mut instance).await.expect("an outcome");
        assert_eq!((outcome.status, outcome.targets.len()), (Status::Pass, 4), "{}", outcome.message);
    }
    let usage = &subject.entry.usage;
    let family = usage.metrics.family("dns_lookup_duration_seconds").expect("a metric");
    assert_eq!((family.series.len(), usage.calls.get(Capability::Log, CallResult::Ok)), (2, 1));
}

#[tokio::test]
async fn names_beyond_the_host_calls_say_which_limit_to_raise() {
    let spec = spec(server().await, "hostCalls: 1", "names: [a.test, b.test]");
    let outcome =
        Subject::load(guests::CHECK_DNS, &spec).await.expect("loaded").run().await.expect("an outcome");
    let [first, second] = &*outcome.targets else { panic!("{outcome:?}") };
    assert_eq!((first.status, second.status), (Status::Pass, Status::Fail));
    assert!(second.message.contains("limits: { hostCalls: … }"), "{}", second.message);
}
