//! Where a response leads, and what becomes of the request on the way. Pure.

use super::outgoing::{Outgoing, usable};
use crate::capability::bindings::aviary::check::http::{Error, Method};
use hyper::{HeaderMap, StatusCode, header};
use url::Url;

/// Where the response leads, if the guest wants to go there.
pub(super) fn next(
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

/// Turns the request into the next one, as browsers do.
pub(super) fn follow(outgoing: &mut Outgoing, url: Url, status: StatusCode) {
    let becomes_get = match status.as_u16() {
        303 => !matches!(outgoing.method, Method::Get | Method::Head),
        301 | 302 => outgoing.method == Method::Post,
        _ => false,
    };
    if becomes_get {
        outgoing.method = Method::Get;
        outgoing.body = None;
        for about_the_body in [
            header::CONTENT_TYPE,
            header::CONTENT_ENCODING,
            header::CONTENT_LANGUAGE,
            header::CONTENT_LOCATION,
        ] {
            outgoing.headers.remove(about_the_body);
        }
    }
    if url.origin() != outgoing.url.origin() {
        outgoing.headers.remove(header::AUTHORIZATION);
        outgoing.headers.remove(header::COOKIE);
    }
    outgoing.url = url;
}
