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

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

pub use crate::bindings::aviary::check::dns::{
    Answer, Caa, Mx, Query, RecordData, RecordType, ResourceRecord, ResponseCode, Soa, Srv, Transport,
};

use crate::bindings::aviary::check::dns as raw;
use crate::duration::milliseconds;

/// A query for the records of a name, to the cluster's server over UDP.
pub fn query(name: impl Into<String>, kind: RecordType) -> Query {
    Query { name: name.into(), kind, server: None, transport: Transport::Udp, timeout_ms: None }
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
    /// The name or the server's address cannot be used.
    Invalid(String),
    /// No answer came in time.
    Timeout,
    /// The server's machine refused the connection, as nobody listens there.
    Refused,
    /// The network knows no way to the server.
    Unreachable,
    /// What came is no whole answer to the question; the text says what came.
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

impl Display for RecordData {
    /// Writes the record as zone files do, with names without the trailing dot.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(text) | Self::Aaaa(text) | Self::Cname(text) | Self::Ns(text) | Self::Ptr(text) => {
                f.write_str(text.trim_end_matches('.'))
            }
            Self::Txt(text) => f.write_str(text),
            Self::Mx(mx) => write!(f, "{} {}", mx.preference, mx.exchange.trim_end_matches('.')),
            Self::Srv(srv) => {
                write!(f, "{} {} {} {}", srv.priority, srv.weight, srv.port, srv.target.trim_end_matches('.'))
            }
            Self::Caa(caa) => {
                write!(f, "{} {} \"{}\"", if caa.critical { 128 } else { 0 }, caa.tag, caa.value)
            }
            Self::Soa(soa) => write!(
                f,
                "{} {} {} {} {} {} {}",
                soa.primary.trim_end_matches('.'),
                soa.mailbox.trim_end_matches('.'),
                soa.serial,
                soa.refresh,
                soa.retry,
                soa.expire,
                soa.minimum
            ),
        }
    }
}

impl Display for ResponseCode {
    /// Writes the usual name of the code: `NOERROR`, `NXDOMAIN`, …
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoError => f.write_str("NOERROR"),
            Self::FormatError => f.write_str("FORMERR"),
            Self::ServerFailure => f.write_str("SERVFAIL"),
            Self::NameError => f.write_str("NXDOMAIN"),
            Self::NotImplemented => f.write_str("NOTIMP"),
            Self::Refused => f.write_str("REFUSED"),
            Self::Other(16) => f.write_str("BADVERS"),
            Self::Other(code) => write!(f, "RCODE{code}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_as_in_a_zone_file() {
        let srv = Srv { priority: 0, weight: 100, port: 443, target: "api.example.com.".into() };
        assert_eq!(RecordData::Srv(srv).to_string(), "0 100 443 api.example.com");
        let mx = Mx { preference: 10, exchange: "mail.example.com.".into() };
        assert_eq!(RecordData::Mx(mx).to_string(), "10 mail.example.com");
        assert_eq!(RecordData::Txt("v=spf1 -all.".into()).to_string(), "v=spf1 -all.");
    }
}
