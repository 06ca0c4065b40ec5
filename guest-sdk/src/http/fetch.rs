//! Fetches: requests that are answered with the head, and with as much of the body as is wanted.

use std::time::Duration;

pub use crate::bindings::aviary::check::http::{Answer, BodyEnd, BodyText, Fetch, Rest, TextOptions};

use super::{Error, Request, raw};
use crate::duration::milliseconds;
use crate::tls::TlsClient;

/// Sends several requests, a bounded number at a time. The answers are in the order of the requests. Once the head of
/// a response has come there is an answer, whatever becomes of its body.
#[must_use]
pub fn fetch_all(fetches: &[Fetch]) -> Vec<Result<Answer, Error>> {
    raw::fetch_all(fetches).into_iter().map(|answer| answer.map_err(Error::from)).collect()
}

impl Fetch {
    /// A fetch that ends with the head of the response.
    #[must_use]
    pub fn new(request: Request) -> Self {
        Self { request, tls: None, host: None, cookies: false, text: None }
    }

    /// Reads the body as text, decoded. With a charset, that is taken instead of the declared one. With a pause, a
    /// body that has not ended by then is handed over as [`BodyEnd::Paused`].
    #[must_use]
    pub fn text(mut self, charset: Option<&str>, pause: Option<Duration>) -> Self {
        let charset = charset.map(str::to_owned);
        self.text = Some(TextOptions { charset, pause_ms: pause.map(milliseconds) });
        self
    }

    /// Sets how to speak TLS.
    #[must_use]
    pub fn tls(mut self, client: TlsClient) -> Self {
        self.tls = Some(client);
        self
    }

    /// Sets the `host` header. Grants judge the URL all the same.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Sends cookies that a redirect sets with the requests that follow it.
    #[must_use]
    pub fn cookies(mut self) -> Self {
        self.cookies = true;
        self
    }
}

impl Rest {
    /// Reads on until the body ends or the pause is over, and returns the whole text from its start.
    #[must_use]
    pub fn read_on(self, pause: Option<Duration>) -> BodyText {
        raw::read_on(self, pause.map(milliseconds))
    }
}

impl BodyText {
    /// Why the text is not all of the body; none if it is. In words, with the number of bytes that came.
    #[must_use]
    pub fn why_incomplete(&self) -> Option<String> {
        let received = self.received;
        match &self.end {
            BodyEnd::Complete => None,
            BodyEnd::Unread => Some("the body was not read".into()),
            BodyEnd::Truncated => {
                Some(format!("the body goes on beyond what is read of it ({received} bytes came)"))
            }
            BodyEnd::Paused(_) => Some(format!("the body has not ended ({received} bytes came)")),
            BodyEnd::Broken(raw::Error::Timeout(_)) => {
                Some(format!("the body had not ended in time ({received} bytes came)"))
            }
            BodyEnd::Broken(error) => {
                Some(format!("the body broke off after {received} bytes: {}", Error::from(error.clone())))
            }
            BodyEnd::Undecodable(reason) => {
                Some(format!("the body cannot be read: {reason} ({received} bytes came)"))
            }
        }
    }

    /// Whether the text is the start of a body that goes on, without anything being wrong.
    #[must_use]
    pub fn goes_on(&self) -> bool {
        matches!(self.end, BodyEnd::Truncated | BodyEnd::Paused(_) | BodyEnd::Broken(raw::Error::Timeout(_)))
    }
}
