//! One DNS question on the wire, and the answer to it.

use crate::capability::bindings::aviary::check::dns::Error;
use hickory_resolver::proto::{
    op::{Edns, Header, Message, MessageType, Query, ResponseCode},
    rr::{Name, RecordType},
    serialize::binary::{BinDecodable, BinDecoder, DecodeError},
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
/// The most bytes of an answer over UDP that a question asks for (EDNS, RFC 6891). Networks do not split packets of
/// this size.
const MOST_OFFERED: u16 = 1232;

/// A DNS question with its random id.
pub struct Question {
    name: Name,
    message: Message,
}

/// What a server is asked to do for the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flags {
    /// To find it elsewhere (RD).
    pub(super) recursion: bool,
    /// To verify it by DNSSEC, and to say so (AD; RFC 6840, section 5.7).
    pub(super) authenticated: bool,
}

/// Why a packet is no whole answer to a question.
#[derive(Debug, PartialEq, Eq)]
pub enum Unread {
    /// It does not belong to the question, and anybody may have sent it. The text says what came.
    Foreign(String),
    /// It answers the question and cannot be read. The text says what came.
    Broken(String),
    /// It answers the question and says that records were left out.
    Cut,
}

impl Question {
    /// A question for the records of this kind that a name has.
    pub(super) fn new(name: Name, kind: RecordType, flags: Flags) -> Self {
        let mut message = Message::query();
        message.metadata.recursion_desired = flags.recursion;
        message.metadata.authentic_data = flags.authenticated;
        message.add_query(Query::query(name.clone(), kind));
        Self { name, message }
    }

    /// The name that grants judge: complete, in ASCII, with `\` before what would look like something else.
    pub fn name(&self) -> String {
        self.name.to_ascii()
    }

    /// The name that is asked for.
    pub(super) fn asked(&self) -> &Name {
        &self.name
    }

    /// The bytes of the question as a server without EDNS reads it.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        encode(&self.message)
    }

    /// The bytes of the question as it is sent over UDP: it says how large the answer may be.
    fn offer(&self) -> Result<Vec<u8>, Error> {
        let mut message = self.message.clone();
        let mut edns = Edns::new();
        edns.set_max_payload(MOST_OFFERED);
        message.set_edns(edns);
        encode(&message)
    }

    /// Parses an answer to this question, or says what is wrong with it.
    pub fn read(&self, bytes: &[u8]) -> Result<Message, Unread> {
        let came = || format!("a packet of {} bytes came that is no DNS answer", bytes.len());
        let head = Header::read(&mut BinDecoder::new(bytes)).map_err(|_| Unread::Foreign(came()))?;
        if head.metadata.message_type != MessageType::Response {
            return Err(Unread::Foreign("a question came instead of an answer".to_owned()));
        }
        if head.metadata.id != self.message.metadata.id {
            return Err(Unread::Foreign("the answer belongs to another question".to_owned()));
        }
        let reply = Message::from_vec(bytes).map_err(|error| unreadable(&head, bytes, &error))?;
        // A server that refuses the question or does not understand it may leave it out.
        if reply.queries != self.message.queries && !(reply.queries.is_empty() && reply.answers.is_empty()) {
            return Err(Unread::Foreign(match reply.queries.first() {
                Some(other) => format!("the answer repeats another question: {}", other.name()),
                None => "the answer does not repeat the question".to_owned(),
            }));
        }
        if reply.metadata.truncation { Err(Unread::Cut) } else { Ok(reply) }
    }
}

fn encode(message: &Message) -> Result<Vec<u8>, Error> {
    message.to_vec().map_err(|error| Error::Invalid(format!("the question cannot be written: {error}")))
}

/// What to say of an answer whose head can be read, and not the rest. One that was cut may end within a record.
fn unreadable(head: &Header, bytes: &[u8], error: &DecodeError) -> Unread {
    if head.metadata.truncation {
        return Unread::Cut;
    }
    let (length, code) = (bytes.len(), head.metadata.response_code);
    let answers = head.counts.answers;
    Unread::Broken(format!(
        "an answer of {length} bytes came ({code}, {answers} records) that cannot be read: {error}"
    ))
}

/// Asks over UDP: without EDNS if the server does not know that, and over TCP if the answer was cut.
/// A packet that does not belong to the question is not believed, as anybody can forge one. It is named in
/// the error if nothing better comes.
pub(super) async fn over_udp(
    question: &Question,
    server: SocketAddr,
    deadline: Instant,
) -> Result<Message, Error> {
    let mut doubt = None;
    let ask = async {
        let mut reply = receive(question, &question.offer()?, server, &mut doubt).await?;
        // A server without EDNS takes it for a mistake (RFC 6891, section 7).
        let code = reply.as_ref().map(|reply| reply.metadata.response_code);
        if matches!(code, Some(ResponseCode::FormErr | ResponseCode::NotImp)) {
            reply = receive(question, &question.bytes()?, server, &mut doubt).await?;
        }
        if let Some(reply) = reply {
            return Ok(reply);
        }
        doubt = Some(format!("{CUT} none came in time"));
        over_tcp(question, server).await.map_err(after_cut)
    };
    match timeout_at(deadline, ask).await {
        Ok(result) => result,
        Err(_) => Err(doubt.map_or(Error::Timeout, Error::Protocol)),
    }
}

/// Sends the question in one packet and waits for the answer; none if it was cut.
async fn receive(
    question: &Question,
    bytes: &[u8],
    server: SocketAddr,
    doubt: &mut Option<String>,
) -> Result<Option<Message>, Error> {
    let socket = open(server).await.map_err(|error| explain(&error))?;
    socket.send(bytes).await.map_err(|error| explain(&error))?;
    let mut packet = Vec::with_capacity(LARGEST_PACKET);
    loop {
        packet.clear();
        socket.recv_buf(&mut packet).await.map_err(|error| explain(&error))?;
        match question.read(&packet) {
            Ok(reply) => return Ok(Some(reply)),
            Err(Unread::Cut) => return Ok(None),
            Err(Unread::Broken(reason)) => return Err(Error::Protocol(reason)),
            Err(Unread::Foreign(reason)) => *doubt = Some(reason),
        }
    }
}

/// How every error about the second half of a lookup begins, which went over TCP.
const CUT: &str = "the answer was cut to fit into UDP, and over TCP";

fn after_cut(error: Error) -> Error {
    let what = match error {
        Error::Refused => "nobody listens at that port: the server has to serve both".to_owned(),
        Error::Unreachable => "the server is unreachable".to_owned(),
        Error::Timeout => "none came in time".to_owned(),
        Error::Protocol(reason) => format!("it cannot be used: {reason}"),
        error => return error,
    };
    Error::Protocol(format!("{CUT} {what}"))
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
    question.read(&reply).map_err(|unread| {
        Error::Protocol(match unread {
            Unread::Foreign(reason) | Unread::Broken(reason) => reason,
            Unread::Cut => "the answer was cut, although it came over TCP".to_owned(),
        })
    })
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
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => {
            Error::Protocol("the server closed the connection before its answer was complete".to_owned())
        }
        _ => Error::Protocol(format!("the system reported an error: {error}")),
    }
}
