//! Tests of lookups and questions, with real servers on this machine.

mod answers;
mod edns;
mod hostile;
mod sections;
mod servers;

use super::*;
use crate::capability::{
    bindings::aviary::check::dns::{AnyData, Mx, RecordData, RecordType, ResponseCode},
    testing::{authorization, both_sockets, closed_port, name_server, network, network_with, soon, within},
};
use hickory_resolver::proto::{
    op,
    rr::{
        RData,
        rdata::{self, A, AAAA, MX, SRV, TXT},
    },
};
use tokio::net::UdpSocket;

fn query(name: &str, kind: RecordType, server: Option<SocketAddr>) -> Query {
    let server = server.map(|server| server.to_string());
    Query { name: name.to_owned(), kind, server, transport: Transport::Udp, timeout_ms: None }
}

fn any_query(name: &str, kind: u16, server: Option<String>) -> GuestQuestion {
    GuestQuestion {
        name: name.to_owned(),
        kind,
        server,
        family: AddressFamily::Any,
        transport: Transport::Udp,
        timeout_ms: None,
        recursion: true,
        authenticated: false,
    }
}

/// Looks up at a server that is granted for any name.
async fn look_up(query: Query, deadline: Instant) -> Result<Answer, Error> {
    let server = query.server.clone().unwrap_or_default();
    let authorization = authorization(&format!("dns: {{ names: [\"*\"], servers: [\"{server}\"] }}"));
    lookup(&network(), &authorization, &query, deadline).await
}

/// Asks a server that is granted for any name.
async fn hear(question: GuestQuestion, deadline: Instant) -> Result<Reply, Error> {
    let server = question.server.clone().unwrap_or_default();
    let authorization = authorization(&format!("dns: {{ names: [\"*\"], servers: [\"{server}\"] }}"));
    ask(&network(), &authorization, &question, deadline).await
}

fn parsed(name: &str) -> Name {
    Name::from_ascii(name).expect("a name")
}

fn record(name: &str, data: RData) -> Record {
    Record::from_rdata(parsed(name), 60, data)
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

/// What the error about a server's answer says within so many milliseconds, which is the same for a lookup and a
/// question.
async fn complaint(server: SocketAddr, milliseconds: u64) -> String {
    let looked_up = look_up(query("a.test", RecordType::A, Some(server)), within(milliseconds)).await;
    let asked = hear(any_query("a.test", 1, Some(server.to_string())), within(milliseconds)).await;
    match (looked_up, asked) {
        (Err(Error::Protocol(text)), Err(Error::Protocol(same))) if text == same => text,
        results => panic!("{results:?}"),
    }
}
