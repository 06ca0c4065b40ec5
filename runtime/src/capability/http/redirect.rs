//! Redirects: where a response leads, and how the request changes on the way. Pure.

use super::outgoing::{Outgoing, usable};
use crate::capability::bindings::aviary::check::http::{Error, Method};
use hyper::{
    HeaderMap, StatusCode,
    header::{self, HeaderName},
};
use url::Url;

/// Headers about the body, which are dropped together with it.
const OF_THE_BODY: [HeaderName; 4] =
    [header::CONTENT_TYPE, header::CONTENT_ENCODING, header::CONTENT_LANGUAGE, header::CONTENT_LOCATION];
/// Headers that a server of another origin may see.
const HARMLESS: [HeaderName; 10] = [
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CACHE_CONTROL,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_TYPE,
    header::RANGE,
    header::USER_AGENT,
];

/// The URL that the response redirects to, if the guest wants to follow.
pub fn next(
    outgoing: &Outgoing,
    status: StatusCode,
    headers: &HeaderMap,
    followed: u8,
) -> Result<Option<Url>, Error> {
    if outgoing.redirects == 0 || !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location =
        headers.get(header::LOCATION).and_then(|location| std::str::from_utf8(location.as_bytes()).ok());
    let Some(url) = location.and_then(|location| outgoing.url.join(location).ok()) else { return Ok(None) };
    let url =
        usable(url).map_err(|error| Error::Invalid(format!("the server redirects elsewhere: {error}")))?;
    if followed >= outgoing.redirects { Err(Error::TooManyRedirects(url.into())) } else { Ok(Some(url)) }
}

/// Changes the request into the one for the next URL, as browsers do. Another origin gets only harmless headers, no
/// server name and no client certificate, but the body of a request that status 307 or 308 sends on.
pub(super) fn follow(outgoing: &mut Outgoing, url: Url, status: StatusCode, headers: &HeaderMap) {
    if let Some(cookies) = &mut outgoing.cookies {
        cookies.keep(&outgoing.url, headers);
    }
    let becomes_get = match status.as_u16() {
        303 => !matches!(outgoing.method, Method::Get | Method::Head),
        301 | 302 => outgoing.method == Method::Post,
        _ => false,
    };
    if becomes_get {
        outgoing.method = Method::Get;
        outgoing.body = None;
        for name in OF_THE_BODY {
            outgoing.headers.remove(name);
        }
    }
    if url.origin() != outgoing.url.origin() {
        outgoing.headers = harmless(&outgoing.headers);
        outgoing.authority = None;
        if let Some(tls) = &mut outgoing.tls {
            (tls.server_name, tls.client_certificate) = (None, None);
        }
    }
    outgoing.url = url;
}

/// The headers that tell nothing about the sender. Any other may be a key under a name of its own.
fn harmless(headers: &HeaderMap) -> HeaderMap {
    HARMLESS
        .iter()
        .flat_map(|name| headers.get_all(name).iter().map(|value| (name.clone(), value.clone())))
        .collect()
}
