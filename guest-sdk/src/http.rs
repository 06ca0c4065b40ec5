//! HTTP requests. Needs the grant `http`.
//!
//! ```no_run
//! use std::time::Duration;
//! use aviary_guest::http;
//!
//! # fn main() -> Result<(), http::Error> {
//! let response = http::get("https://example.com").timeout(Duration::from_secs(2)).redirects(3).send()?;
//! let page = response.text();
//! # Ok(())
//! # }
//! ```

use std::borrow::Cow;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::de::DeserializeOwned;

pub use crate::bindings::aviary::check::http::{
    Header, IpFamily, Method, Phase, Protocol, Request, Response, Timings,
};

use crate::bindings::aviary::check::http as raw;
use crate::duration::milliseconds;
use crate::tls::{TlsError, TlsOptions};
use crate::url::masked;

pub use fetch::{Answer, BodyEnd, BodyText, Fetch, Rest, TextOptions, fetch_all};

mod fetch;

/// A GET request for a URL.
pub fn get(url: impl Into<String>) -> Request {
    Request::new(Method::Get, url)
}

/// A HEAD request for a URL.
pub fn head(url: impl Into<String>) -> Request {
    Request::new(Method::Head, url)
}

/// A POST request for a URL.
pub fn post(url: impl Into<String>) -> Request {
    Request::new(Method::Post, url)
}

/// Sends several requests, a bounded number at a time. The answers are in the order of the requests.
#[must_use]
pub fn send_all(requests: &[Request]) -> Vec<Result<Response, Error>> {
    raw::send_all(requests).into_iter().map(|answer| answer.map_err(Error::from)).collect()
}

impl Request {
    /// A request without headers and body that follows no redirect and uses a fresh connection.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: None,
            timeout_ms: None,
            redirects: 0,
            reuse_connection: false,
            ip_family: IpFamily::Any,
            body_limit: None,
            tls: None,
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sets how long the whole request may take. The run's own deadline holds in any case.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout_ms = Some(milliseconds(timeout));
        self
    }

    /// Sets how many redirects to follow. Another origin sees the body, but none of the headers that could be
    /// a key.
    #[must_use]
    pub fn redirects(mut self, most: u8) -> Self {
        self.redirects = most;
        self
    }

    /// Uses a connection that an earlier request of this check left open, if there is one.
    #[must_use]
    pub fn reuse_connection(mut self) -> Self {
        self.reuse_connection = true;
        self
    }

    /// Sets which addresses may be dialled.
    #[must_use]
    pub fn ip_family(mut self, family: IpFamily) -> Self {
        self.ip_family = family;
        self
    }

    /// Sets how many bytes of the body to keep.
    #[must_use]
    pub fn body_limit(mut self, bytes: u32) -> Self {
        self.body_limit = Some(bytes);
        self
    }

    /// Sets whom to trust over TLS.
    #[must_use]
    pub fn tls(mut self, options: TlsOptions) -> Self {
        self.tls = Some(options);
        self
    }

    /// Sends the request and waits for the response.
    pub fn send(&self) -> Result<Response, Error> {
        Ok(raw::send(self)?)
    }
}

impl Response {
    /// The first header of this name, whatever its case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as text, in which bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// The body parsed as JSON. The error says what is wrong with it.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_str(&self.text())
            .map_err(|error| format!("the body of {} is not the expected JSON: {error}", masked(&self.url)))
    }
}

impl Timings {
    /// The duration of all phases together.
    #[must_use]
    pub fn total(&self) -> Duration {
        let phases = [self.resolve_ns, self.connect_ns, self.tls_ns, self.wait_ns, self.transfer_ns];
        Duration::from_nanos(phases.into_iter().fold(0, u64::saturating_add))
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq)]
pub enum Error {
    /// The URL, method, address or number of calls is not granted; the text says what would allow it.
    Denied(String),
    /// The request cannot be sent as it is.
    Invalid(String),
    /// The name has no address; the text is the resolver's.
    Resolve(String),
    /// The response did not come in time; the phase is what was waited for.
    Timeout(Phase),
    /// The machine refused the connection, as nobody listens there.
    Refused,
    /// The network knows no way to the address.
    Unreachable,
    /// The TLS handshake failed, or the certificate is not trusted.
    Tls(TlsError),
    /// The server ended the connection too early.
    Closed,
    /// The server sent something that is not HTTP.
    Protocol(String),
    /// More redirects than the request follows; the text is the next location.
    TooManyRedirects(String),
    /// The system reported another error.
    Io(String),
}

impl From<raw::Error> for Error {
    fn from(error: raw::Error) -> Self {
        match error {
            raw::Error::Denied(reason) => Self::Denied(reason),
            raw::Error::Invalid(reason) => Self::Invalid(reason),
            raw::Error::Resolve(reason) => Self::Resolve(reason),
            raw::Error::Timeout(phase) => Self::Timeout(phase),
            raw::Error::Refused => Self::Refused,
            raw::Error::Unreachable => Self::Unreachable,
            raw::Error::Tls(error) => Self::Tls(error),
            raw::Error::Closed => Self::Closed,
            raw::Error::Protocol(reason) => Self::Protocol(reason),
            raw::Error::TooManyRedirects(location) => Self::TooManyRedirects(location),
            raw::Error::Io(reason) => Self::Io(reason),
        }
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(reason) => write!(f, "denied: {reason}"),
            Self::Invalid(reason) => write!(f, "the request is invalid: {reason}"),
            Self::Resolve(reason) => write!(f, "the name was not resolved: {reason}"),
            Self::Timeout(phase) => write!(f, "timed out while {phase}"),
            Self::Refused => f.write_str("connection refused"),
            Self::Unreachable => f.write_str("the address is unreachable"),
            Self::Tls(error) => error.fmt(f),
            Self::Closed => f.write_str("the server closed the connection too early"),
            Self::Protocol(reason) => write!(f, "the answer is not HTTP: {reason}"),
            Self::TooManyRedirects(location) => {
                write!(f, "too many redirects; the next would lead to {}", masked(location))
            }
            Self::Io(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for String {
    fn from(error: Error) -> Self {
        error.to_string()
    }
}

impl Display for Phase {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name",
            Self::Connect => "connecting",
            Self::Tls => "agreeing on TLS",
            Self::Wait => "waiting for the response",
            Self::Transfer => "reading the body",
        })
    }
}
