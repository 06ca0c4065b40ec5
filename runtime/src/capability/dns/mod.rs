//! The `dns` capability: one question to one server, without cache and without a retry.

mod exchange;
mod presentation;
mod records;
mod server;
#[cfg(test)]
mod tests;

pub use exchange::{Question, Unread};

use super::{
    bindings::aviary::check::dns::{
        AddressFamily, Answer, AnyRecord, Error, Host, Query, Question as GuestQuestion, Reply,
        ResourceRecord, Transport,
    },
    call_end::end_calls,
    dial::Network,
    milliseconds, nanoseconds, shorten,
};
use crate::{
    capability::HostState,
    grant::{Authorization, Capability},
};
use exchange::Flags;
use hickory_resolver::proto::{
    op::Message,
    rr::{Name, Record, RecordType},
};
use server::Server;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// The most records of a section of a response.
const MOST_RECORDS: usize = 256;

impl Host for HostState {
    async fn lookup(&mut self, query: Query) -> Result<Answer, Error> {
        let deadline = self.begin_dns(&query.name, query.server.as_deref(), query.timeout_ms)?;
        let result = lookup(&self.network, &self.program.authorization, &query, deadline).await;
        self.finish(&result);
        let answer = result?;
        self.receive_dns(answer.records.iter().map(records::length).sum())?;
        Ok(answer)
    }

    async fn ask(&mut self, question: GuestQuestion) -> Result<Reply, Error> {
        let deadline = self.begin_dns(&question.name, question.server.as_deref(), question.timeout_ms)?;
        let result = ask(&self.network, &self.program.authorization, &question, deadline).await;
        self.finish(&result);
        let reply = result?;
        let sections = [&reply.answers, &reply.authorities, &reply.additionals];
        self.receive_dns(sections.into_iter().flatten().map(records::length_of_any).sum())?;
        Ok(reply)
    }
}

end_calls!(Error, Error::Timeout);

impl HostState {
    /// Books a call, and returns the moment at which it has to end.
    fn begin_dns(
        &mut self,
        name: &str,
        server: Option<&str>,
        timeout_ms: Option<u32>,
    ) -> Result<Instant, Error> {
        let booked = self.calls.send(Capability::Dns, name.len() + server.map_or(0, str::len));
        let timeout = milliseconds(timeout_ms);
        let deadline = booked.and_then(|()| self.calls.begin(Capability::Dns, shorten(name), timeout));
        deadline.map_err(|spent| Error::Denied(spent.to_string()))
    }

    fn receive_dns(&mut self, bytes: usize) -> Result<(), Error> {
        self.calls.receive(bytes).map_err(|spent| Error::Denied(spent.to_string()))
    }
}

/// Asks one server once, and waits for its answer until the deadline.
pub async fn lookup(
    network: &Network,
    authorization: &Authorization,
    query: &Query,
    deadline: Instant,
) -> Result<Answer, Error> {
    let question = question(query)?;
    let server = Server::at(query.server.as_deref())?;
    let server = server.find(&question, AddressFamily::Any, network, authorization, deadline).await?;
    let (reply, took) = send(&question, query.transport, server, network, authorization, deadline).await?;
    Ok(Answer {
        duration_ns: nanoseconds(took),
        code: records::code(reply.metadata.response_code),
        authoritative: reply.metadata.authoritative,
        server: server.to_string(),
        records: records(&question, &reply)?,
    })
}

/// Asks one server once, and waits until the deadline for all that it says.
pub async fn ask(
    network: &Network,
    authorization: &Authorization,
    question: &GuestQuestion,
    deadline: Instant,
) -> Result<Reply, Error> {
    let server = Server::parse(question.server.as_deref())?;
    let transport = question.transport;
    let family = question.family;
    let question = any_question(question)?;
    let server = server.find(&question, family, network, authorization, deadline).await?;
    let (reply, took) = send(&question, transport, server, network, authorization, deadline).await?;
    let flags = &reply.metadata;
    Ok(Reply {
        code: records::code(flags.response_code),
        authoritative: flags.authoritative,
        authenticated: flags.authentic_data,
        recursion_available: flags.recursion_available,
        answers: any_records(&question, &reply)?,
        authorities: section(&reply.authorities),
        additionals: section(&reply.additionals),
        server: server.to_string(),
        duration_ns: nanoseconds(took),
    })
}

/// Sends a question to a server that may be asked, and returns its answer and how long that took.
async fn send(
    question: &Question,
    transport: Transport,
    server: SocketAddr,
    network: &Network,
    authorization: &Authorization,
    deadline: Instant,
) -> Result<(Message, Duration), Error> {
    let socket = network.sockets.take(authorization.namespace());
    let _socket = timeout_at(deadline, socket).await.map_err(|_| Error::Timeout)?;
    let since = Instant::now();
    let reply = match transport {
        Transport::Udp => exchange::over_udp(question, server, deadline).await?,
        Transport::Tcp => {
            let ask = exchange::over_tcp(question, server);
            timeout_at(deadline, ask).await.map_err(|_| Error::Timeout)??
        }
    };
    Ok((reply, since.elapsed()))
}

/// The question on the wire for a guest's query.
pub fn question(query: &Query) -> Result<Question, Error> {
    let kind = records::kind(query.kind);
    Ok(Question::new(name(&query.name, kind)?, kind, Flags { recursion: true, authenticated: false }))
}

/// The question on the wire for a guest's question for records of any type.
pub fn any_question(question: &GuestQuestion) -> Result<Question, Error> {
    let kind = RecordType::from(question.kind);
    if !records::can_be_asked_for(question.kind) {
        let kind = question.kind;
        return Err(Error::Invalid(format!("type {kind} stands for no records that can be asked for")));
    }
    let flags = Flags { recursion: question.recursion, authenticated: question.authenticated };
    Ok(Question::new(name(&question.name, kind)?, kind, flags))
}

/// The records of an answer as the guest gets to see them: those of the name that was asked for, and of its
/// aliases. An error if the answer has records, and all of them are of other names.
pub fn records(question: &Question, reply: &Message) -> Result<Vec<ResourceRecord>, Error> {
    Ok(own_records(question, reply)?.filter_map(records::read).take(MOST_RECORDS).collect())
}

/// The same as [`records`], with records of all types.
pub fn any_records(question: &Question, reply: &Message) -> Result<Vec<AnyRecord>, Error> {
    Ok(own_records(question, reply)?.map(records::read_any).take(MOST_RECORDS).collect())
}

fn own_records<'a>(
    question: &'a Question,
    reply: &'a Message,
) -> Result<impl Iterator<Item = &'a Record>, Error> {
    let asked = question.asked();
    let mut own = records::of_name(asked, &reply.answers).peekable();
    match (own.peek(), reply.answers.first()) {
        (None, Some(foreign)) => {
            Err(Error::Protocol(format!("the answer has records of {}, and none of {asked}", foreign.name)))
        }
        _ => Ok(own),
    }
}

/// The records of another section, of whatever name.
fn section(records: &[Record]) -> Vec<AnyRecord> {
    records.iter().map(records::read_any).take(MOST_RECORDS).collect()
}

fn name(text: &str, kind: RecordType) -> Result<Name, Error> {
    if kind == RecordType::PTR
        && let Ok(address) = text.parse::<IpAddr>()
    {
        return Ok(Name::from(address));
    }
    domain(text).ok_or_else(|| Error::Invalid("the name is no domain name".to_owned()))
}

/// The complete domain name in a text; none if it is none.
fn domain(text: &str) -> Option<Name> {
    // An escaped dot would look like the border of a zone to the grant. A grant for the name `*` would be one
    // for all names.
    let text = Some(text).filter(|text| !text.is_empty() && !text.contains(['\\', '*']))?;
    let name = Name::from_str_relaxed(text).ok()?;
    // Other scripts have dots and stars of their own, which become `.` and `*`.
    let mut name = Some(name).filter(|name| !name.iter().flatten().any(|byte| b".*".contains(byte)))?;
    name.set_fqdn(true);
    Some(name)
}
