//! What came back of a request, as guests get it.

use super::{
    body::BodyEnd,
    client::{Content, Received},
    rest::{Read, Rest},
};
use crate::capability::{
    bindings::aviary::check::http::{self, Answer, BodyText, Response},
    call_end::CallEnd,
};
use hyper::HeaderMap;

impl From<Received> for Response {
    /// The response with the bytes that were wanted.
    fn from(received: Received) -> Self {
        let head = received.head;
        let (body, truncated) = match received.content {
            Content::Bytes(bytes, truncated, _) => (bytes, truncated),
            Content::Unread | Content::Text(..) => (Vec::new(), false),
        };
        Self {
            status: head.status,
            headers: listed(&head.headers, |bytes| String::from_utf8_lossy(bytes).into_owned()),
            body,
            truncated,
            url: head.url,
            redirects: head.redirects,
            protocol: head.protocol,
            remote_address: head.address.to_string(),
            certificate: head.session.map(|session| session.certificate),
            timings: head.timings,
        }
    }
}

impl Received {
    /// The answer without its body, what was read of the body, and the body if it has not ended.
    pub(super) fn into_answer(self) -> (Answer, Read, Option<Box<Rest>>) {
        let (read, rest) = match self.content {
            Content::Text(read, rest) => (read, rest),
            Content::Unread | Content::Bytes(..) => (Read::nothing(BodyEnd::Unread), None),
        };
        let body = BodyText { text: String::new(), end: http::BodyEnd::Unread, received: 0, transfer_ns: 0 };
        let head = self.head;
        let answer = Answer {
            status: head.status,
            headers: listed(&head.headers, text),
            url: head.url,
            redirects: head.redirects,
            protocol: head.protocol,
            remote_address: head.address.to_string(),
            tls: head.session,
            timings: head.timings,
            body,
        };
        (answer, read, rest)
    }

    /// How many bytes were received, or handed over if those are more.
    pub(super) fn length(&self) -> usize {
        let head: usize =
            self.head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        head + match &self.content {
            Content::Unread => 0,
            Content::Bytes(bytes, ..) => bytes.len(),
            Content::Text(read, _) => read.received.max(read.text.len()),
        }
    }
}

impl<'a> From<&'a Received> for CallEnd<'a> {
    fn from(received: &'a Received) -> Self {
        match &received.content {
            Content::Text(read, _) => (&read.end).into(),
            Content::Unread | Content::Bytes(..) => Self::Ok,
        }
    }
}

impl<'a> From<&'a BodyEnd> for CallEnd<'a> {
    fn from(end: &'a BodyEnd) -> Self {
        match end {
            BodyEnd::Broken(error) => error.into(),
            BodyEnd::Undecodable(_) => Self::Error,
            BodyEnd::Unread | BodyEnd::Complete | BodyEnd::Truncated | BodyEnd::Paused => Self::Ok,
        }
    }
}

fn listed(headers: &HeaderMap, text: impl Fn(&[u8]) -> String) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

/// The text of a header's value: UTF-8, or else ISO-8859-1 (RFC 9110, section 5.5), of which each byte is a character.
fn text(bytes: &[u8]) -> String {
    let latin = || bytes.iter().copied().map(char::from).collect();
    std::str::from_utf8(bytes).map_or_else(|_| latin(), str::to_owned)
}
