//! TCP connections, plain or with TLS. Needs the grant `tcp`.
//!
//! ```no_run
//! use std::time::Duration;
//! use aviary_guest::tcp::{self, Connection};
//!
//! # fn main() -> Result<(), tcp::Error> {
//! let timeout = Some(Duration::from_secs(1));
//! let connection = Connection::open("redis.prod.svc:6379", timeout)?;
//! connection.send(b"PING\r\n", timeout)?;
//! let answer = connection.receive(64, timeout)?;
//! # Ok(())
//! # }
//! ```

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use crate::bindings::aviary::check::tcp as raw;
use crate::duration::milliseconds;
use crate::tls::{Certificate, TlsClient, TlsError, TlsOptions, TlsSession};

pub use crate::address_family::AddressFamily;

/// An open connection, which is closed when it is dropped. Without a timeout, a call may take until the run's
/// own deadline.
#[derive(Debug)]
pub struct Connection {
    raw: raw::Connection,
}

impl Connection {
    /// Connects to `host:port`. An IPv6 address as host stands in brackets.
    pub fn open(address: &str, timeout: Option<Duration>) -> Result<Self, Error> {
        let raw = raw::Connection::connect(address, timeout.map(milliseconds))?;
        Ok(Self { raw })
    }

    /// Connects to `host:port` at an address of this family.
    pub fn open_by(address: &str, family: AddressFamily, timeout: Option<Duration>) -> Result<Self, Error> {
        let raw = raw::Connection::connect_by(address, family, timeout.map(milliseconds))?;
        Ok(Self { raw })
    }

    /// The address that was dialled.
    #[must_use]
    pub fn remote_address(&self) -> String {
        self.raw.remote_address()
    }

    /// How long it took to resolve the host and to connect.
    #[must_use]
    pub fn connect_time(&self) -> Duration {
        Duration::from_nanos(self.raw.connect_ns())
    }

    /// Sends all of `data`.
    pub fn send(&self, data: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        Ok(self.raw.send(data, timeout.map(milliseconds))?)
    }

    /// Waits for bytes, and returns at most `limit` of them. None mean the end of the stream.
    pub fn receive(&self, limit: u32, timeout: Option<Duration>) -> Result<Vec<u8>, Error> {
        Ok(self.raw.receive(limit, timeout.map(milliseconds))?)
    }

    /// Starts TLS on the connection, and returns the peer's certificate.
    pub fn start_tls(
        &self,
        server_name: &str,
        options: &TlsOptions,
        timeout: Option<Duration>,
    ) -> Result<Certificate, Error> {
        Ok(self.raw.start_tls(server_name, options, timeout.map(milliseconds))?)
    }

    /// Starts TLS on the connection, and returns what was agreed on. The peer has to prove the host that was dialled,
    /// or the name in the options.
    pub fn secure(&self, client: &TlsClient, timeout: Option<Duration>) -> Result<TlsSession, Error> {
        Ok(self.raw.secure(client, timeout.map(milliseconds))?)
    }

    /// Tells the peer that nothing more will be sent. What it still says can be received.
    pub fn finish_sending(&self, timeout: Option<Duration>) -> Result<(), Error> {
        Ok(self.raw.finish_sending(timeout.map(milliseconds))?)
    }
}

/// Why a connection was not made, or why it broke.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The address or the number of calls is not granted; the text says what would allow it.
    Denied(String),
    /// The address or an option cannot be used; the text says why.
    Invalid(String),
    /// The name has no address; the text is the resolver's.
    Resolve(String),
    /// The peer did not answer in time.
    Timeout,
    /// The machine refused the connection, as nobody listens there.
    Refused,
    /// The network knows no way to the address.
    Unreachable,
    /// The peer ended the connection.
    Closed,
    /// The TLS handshake failed, or the certificate is not trusted.
    Tls(TlsError),
    /// The system reported another error.
    Io(String),
}

impl From<raw::Error> for Error {
    fn from(error: raw::Error) -> Self {
        match error {
            raw::Error::Denied(reason) => Self::Denied(reason),
            raw::Error::Invalid(reason) => Self::Invalid(reason),
            raw::Error::Resolve(reason) => Self::Resolve(reason),
            raw::Error::Timeout => Self::Timeout,
            raw::Error::Refused => Self::Refused,
            raw::Error::Unreachable => Self::Unreachable,
            raw::Error::Closed => Self::Closed,
            raw::Error::Tls(error) => Self::Tls(error),
            raw::Error::Io(reason) => Self::Io(reason),
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "denied: {reason}"),
            Self::Resolve(reason) => write!(f, "the name was not resolved: {reason}"),
            Self::Timeout => f.write_str("timed out"),
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("the address is unreachable"),
            Self::Closed => f.write_str("the peer closed the connection"),
            Self::Tls(error) => error.fmt(f),
            Self::Invalid(reason) | Self::Io(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}
