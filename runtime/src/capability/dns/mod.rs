//! The `dns` capability: one question to one server, without cache and without a retry.

mod exchange;
mod records;
#[cfg(test)]
mod tests;

pub use exchange::{Question, Unread};

use super::{
    bindings::aviary::check::dns::{
        Answer, Error, Host, Query, Question as GuestQuestion, RecordType, Reply, ResourceRecord, Transport,
    },
    call_end::end_calls,
    dial::Network,
    milliseconds, shorten,
};
use crate::{
    capability::HostState,
    grant::{Authorization, Capability},
};
use hickory_resolver::proto::{op::Message, rr::Name};
use std::net::{IpAddr, SocketAddr};
use tokio::time::{Instant, timeout_at};

/// The most records in the answer section of a response.
const MOST_RECORDS: usize = 256;

impl Host for HostState {
    async fn lookup(&mut self, query: Query) -> Result<Answer, Error> {
        let booked = self.calls.send(Capability::Dns, query.name.len());
        let timeout = milliseconds(query.timeout_ms);
        let deadline = booked.and_then(|()| self.calls.begin(Capability::Dns, shorten(&query.name), timeout));
        let deadline = deadline.map_err(|spent| Error::Denied(spent.to_string()))?;
        let result = lookup(&self.network, &self.program.authorization, &query, deadline).await;
        self.finish(&result);
        let answer = result?;
        let received = self.calls.receive(answer.records.iter().map(records::length).sum());
        received.map_err(|spent| Error::Denied(spent.to_string()))?;
        Ok(answer)
    }

    async fn ask(&mut self, _: GuestQuestion) -> Result<Reply, Error> {
        Err(Error::Invalid("ask is not offered yet".to_owned()))
    }
}

end_calls!(Error, Error::Timeout);

/// Asks one server once, and waits for its answer until the deadline.
pub async fn lookup(
    network: &Network,
    authorization: &Authorization,
    query: &Query,
    deadline: Instant,
) -> Result<Answer, Error> {
    let question = question(query)?;
    let asked = query.server.as_deref().map(server).transpose()?;
    authorization.dns(&question.name(), asked).map_err(|denied| Error::Denied(denied.to_string()))?;
    let server = asked.unwrap_or(network.cluster);
    let socket = network.sockets.take(authorization.namespace());
    let _socket = timeout_at(deadline, socket).await.map_err(|_| Error::Timeout)?;
    let since = Instant::now();
    let reply = match query.transport {
        Transport::Udp => exchange::over_udp(&question, server, deadline).await?,
        Transport::Tcp => {
            let ask = exchange::over_tcp(&question, server);
            timeout_at(deadline, ask).await.map_err(|_| Error::Timeout)??
        }
    };
    Ok(Answer {
        duration_ns: u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX),
        code: records::code(reply.metadata.response_code),
        authoritative: reply.metadata.authoritative,
        server: server.to_string(),
        records: records(&question, &reply)?,
    })
}

/// The question on the wire for a guest's query.
pub fn question(query: &Query) -> Result<Question, Error> {
    Ok(Question::new(name(query)?, records::kind(query.kind)))
}

/// The records of an answer as the guest gets to see them: those of the name that was asked for, and of its
/// aliases. An error if the answer has records, and all of them are of other names.
pub fn records(question: &Question, reply: &Message) -> Result<Vec<ResourceRecord>, Error> {
    let Some(asked) = question.asked() else { return Ok(Vec::new()) };
    let mut own = records::of_name(asked, &reply.answers).peekable();
    if let (None, Some(foreign)) = (own.peek(), reply.answers.first()) {
        let reason = format!("the answer has records of {}, and none of {asked}", foreign.name);
        return Err(Error::Protocol(reason));
    }
    Ok(own.filter_map(records::read).take(MOST_RECORDS).collect())
}

fn name(query: &Query) -> Result<Name, Error> {
    if query.kind == RecordType::Ptr
        && let Ok(address) = query.name.parse::<IpAddr>()
    {
        return Ok(Name::from(address));
    }
    // An escaped dot would look like the border of a zone to the grant. A grant for the name `*` would be one
    // for all names.
    let name = Some(query.name.as_str()).filter(|name| !name.is_empty() && !name.contains(['\\', '*']));
    let name = name.and_then(|name| Name::from_str_relaxed(name).ok());
    // Other scripts have dots and stars of their own, which become `.` and `*`.
    let name = name.filter(|name| !name.iter().flatten().any(|byte| b".*".contains(byte)));
    let mut name = name.ok_or_else(|| Error::Invalid("the name is no domain name".to_owned()))?;
    name.set_fqdn(true);
    Ok(name)
}

fn server(text: &str) -> Result<SocketAddr, Error> {
    let server = text.parse().or_else(|_| text.parse().map(|address| SocketAddr::new(address, 53)));
    let server = server.map_err(|_: std::net::AddrParseError| {
        Error::Invalid("the server is no address: write `10.0.0.10` or `10.0.0.10:5353`".to_owned())
    });
    server.and_then(|server: SocketAddr| match server {
        SocketAddr::V6(server) if server.scope_id() != 0 => {
            Err(Error::Invalid("the server's address cannot have a zone".to_owned()))
        }
        _ if server.port() == 0 => Err(Error::Invalid("the server cannot have port 0".to_owned())),
        _ => Ok(server),
    })
}
