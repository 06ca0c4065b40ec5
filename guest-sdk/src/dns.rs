//! DNS lookups, never from a cache. Needs the grant `dns`.
//!
//! ```no_run
//! use aviary_guest::dns::{self, RecordType};
//!
//! # fn main() -> Result<(), dns::Error> {
//! let answer = dns::query("kubernetes.default.svc.cluster.local", RecordType::A).lookup()?;
//! let ttl = answer.records.first().map(|record| record.ttl);
//! # Ok(())
//! # }
//! ```
//!
//! [`question`] asks for records of any type, of a server by name if need be, and returns all sections.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

pub use crate::address_family::AddressFamily;
pub use crate::bindings::aviary::check::dns::{
    Answer, AnyData, AnyRecord, Caa, Mx, Query, Question, RecordData, RecordType, Reply, ResourceRecord,
    ResponseCode, Soa, Srv, Transport,
};

use crate::bindings::aviary::check::dns as raw;
use crate::duration::milliseconds;

mod text;

/// A query for the records of a name, to the cluster's server over UDP.
pub fn query(name: impl Into<String>, kind: RecordType) -> Query {
    Query { name: name.into(), kind, server: None, transport: Transport::Udp, timeout_ms: None }
}

/// A question for the records of a name, of any type by its number, to the cluster's server over UDP. The server is
/// asked to find the answer elsewhere if need be, and not to verify it.
pub fn question(name: impl Into<String>, kind: u16) -> Question {
    Question {
        name: name.into(),
        kind,
        server: None,
        family: AddressFamily::Any,
        transport: Transport::Udp,
        timeout_ms: None,
        recursion: true,
        authenticated: false,
    }
}

impl Query {
    /// Sets the server to ask: `address` or `address:port`.
    #[must_use]
    pub fn server(mut self, server: impl Into<String>) -> Self {
        self.server = Some(server.into());
        self
    }

    /// Sets whether to ask over UDP or TCP.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Sets how long to wait for the answer. The run's own deadline holds in any case.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(milliseconds(timeout));
        self
    }

    /// Sends the query once, without a retry, and waits for the answer. A server that does not know EDNS is asked
    /// again without it.
    pub fn lookup(&self) -> Result<Answer, Error> {
        Ok(raw::lookup(self)?)
    }
}

impl Question {
    /// Sets the server to ask: `address`, `address:port`, `name` or `name:port`. A name is complete; both its lookup
    /// at the cluster's server and the address that is found have to be granted.
    #[must_use]
    pub fn server(mut self, server: impl Into<String>) -> Self {
        self.server = Some(server.into());
        self
    }

    /// Sets which address of a named server is asked.
    #[must_use]
    pub fn family(mut self, family: AddressFamily) -> Self {
        self.family = family;
        self
    }

    /// Sets whether to ask over UDP or TCP.
    #[must_use]
    pub fn transport(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// Sets how long to wait for the answer. The run's own deadline holds in any case.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(milliseconds(timeout));
        self
    }

    /// Sets whether the server is asked to find the answer elsewhere (RD).
    #[must_use]
    pub fn recursion(mut self, recursion: bool) -> Self {
        self.recursion = recursion;
        self
    }

    /// Sets whether the server is asked to verify the answer by DNSSEC, and to say so (AD).
    #[must_use]
    pub fn authenticated(mut self, authenticated: bool) -> Self {
        self.authenticated = authenticated;
        self
    }

    /// Asks once, without a retry, and waits for the answer. A server that does not know EDNS is asked again
    /// without it.
    pub fn ask(&self) -> Result<Reply, Error> {
        Ok(raw::ask(self)?)
    }
}

impl Reply {
    /// The time from sending the question to having the answer.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.duration_ns)
    }
}

impl Answer {
    /// The time from sending the question to having the answer.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.duration_ns)
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The name, the server or the number of calls is not granted; the text says what would allow it.
    Denied(String),
    /// The name, the type or the server cannot be used.
    Invalid(String),
    /// No answer came in time.
    Timeout,
    /// The server's machine refused the connection, as nobody listens there.
    Refused,
    /// The network knows no way to the server.
    Unreachable,
    /// What came is no whole answer to the question, or the server's name has no address; the text says what came.
    Protocol(String),
}

impl From<raw::Error> for Error {
    fn from(error: raw::Error) -> Self {
        match error {
            raw::Error::Denied(reason) => Self::Denied(reason),
            raw::Error::Invalid(reason) => Self::Invalid(reason),
            raw::Error::Timeout => Self::Timeout,
            raw::Error::Refused => Self::Refused,
            raw::Error::Unreachable => Self::Unreachable,
            raw::Error::Protocol(reason) => Self::Protocol(reason),
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "denied: {reason}"),
            Self::Invalid(reason) => write!(f, "the query is invalid: {reason}"),
            Self::Timeout => f.write_str("timed out: the server did not answer"),
            Self::Refused => f.write_str("connection refused: no server listens there"),
            Self::Unreachable => f.write_str("the server is unreachable"),
            Self::Protocol(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}
