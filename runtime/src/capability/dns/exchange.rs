//! One DNS question on the wire, and the answer to it.

use crate::capability::bindings::aviary::check::dns::Error;
use hickory_resolver::proto::{
    op::{Message, MessageType, Query},
    rr::{Name, RecordType},
};
use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout_at},
};

/// The most bytes of a packet over UDP.
const LARGEST_PACKET: usize = 64 * 1024;

/// A DNS question with its random id.
pub struct Question(Message);

impl Question {
    /// A question for the records of this kind that a name has.
    pub(super) fn new(name: Name, kind: RecordType) -> Self {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name, kind));
        Self(message)
    }

    /// The name that grants judge: complete, in ASCII, with `\` before what would look like something else.
    pub fn name(&self) -> String {
        self.0.queries.first().map(|query| query.name().to_ascii()).unwrap_or_default()
    }

    /// The bytes of the question as it is sent.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        self.0.to_vec().map_err(|error| Error::Invalid(format!("the question cannot be written: {error}")))
    }

    /// Parses an answer to this question, or says what is wrong with it.
    pub fn read(&self, bytes: &[u8]) -> Result<Message, String> {
        let reply = Message::from_vec(bytes).map_err(|error| format!("the answer is broken: {error}"))?;
        if reply.metadata.id != self.0.metadata.id || reply.metadata.message_type != MessageType::Response {
            return Err("the answer belongs to another question".to_owned());
        }
        // A server that refuses the question or does not understand it may leave it out.
        if reply.queries != self.0.queries && !(reply.queries.is_empty() && reply.answers.is_empty()) {
            return Err("the answer repeats another question".to_owned());
        }
        Ok(reply)
    }
}

/// Asks over UDP, and over TCP if the answer was cut.
/// A packet that does not belong to the question is not believed, as anybody can forge one. It is named in
/// the error if nothing better comes.
pub(super) async fn over_udp(
    question: &Question,
    server: SocketAddr,
    deadline: Instant,
) -> Result<Message, Error> {
    let mut doubt = None;
    let ask = async {
        let socket = open(server).await.map_err(|error| explain(&error))?;
        socket.send(&question.bytes()?).await.map_err(|error| explain(&error))?;
        let mut packet = Vec::with_capacity(LARGEST_PACKET);
        loop {
            packet.clear();
            socket.recv_buf(&mut packet).await.map_err(|error| explain(&error))?;
            match question.read(&packet) {
                Ok(reply) if reply.metadata.truncation => return over_tcp(question, server).await,
                Ok(reply) => return Ok(reply),
                Err(reason) => doubt = Some(reason),
            }
        }
    };
    match timeout_at(deadline, ask).await {
        Ok(result) => result,
        Err(_) => Err(doubt.map_or(Error::Timeout, Error::Protocol)),
    }
}

/// Asks over a TCP connection of its own.
pub(super) async fn over_tcp(question: &Question, server: SocketAddr) -> Result<Message, Error> {
    let bytes = question.bytes()?;
    let length =
        u16::try_from(bytes.len()).map_err(|_| Error::Invalid("the question is too long".to_owned()))?;
    let message = [&length.to_be_bytes(), bytes.as_slice()].concat();
    let exchange = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(&message).await?;
        let mut reply = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut reply).await?;
        Ok(reply)
    };
    let reply = exchange.await.map_err(|error| explain(&error))?;
    question.read(&reply).map_err(Error::Protocol)
}

/// Opens a UDP socket for a single question: its fresh port is hard to guess, and it hears only this server.
async fn open(server: SocketAddr) -> io::Result<UdpSocket> {
    let any = match server {
        SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
        SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
    };
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    Ok(socket)
}

fn explain(error: &io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Error::Refused,
        io::ErrorKind::TimedOut => Error::Timeout,
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => Error::Unreachable,
        _ => Error::Protocol(format!("the server ended the exchange: {error}")),
    }
}
