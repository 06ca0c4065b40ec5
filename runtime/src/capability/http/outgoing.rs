//! Requests of guests, once it is known that they can be sent.

use super::{client::Job, cookies::Cookies, proxy};
use crate::{
    capability::{
        bindings::aviary::check::{
            http::{Error, IpFamily, Method as GuestMethod},
            tls::TlsClient,
        },
        tls::Trust,
    },
    grant,
    value::Proxy,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Method, Uri, Version,
    header::{self, HeaderName, HeaderValue},
    http::uri::Authority,
};
use url::{Host, ParseError, Position, Url};

/// The most bytes of a body that are kept.
pub(super) const MOST_KEPT: usize = 1024 * 1024;
/// The most bytes of a `host` header.
const LONGEST_HOST: usize = 512;
/// The most bytes of a URL.
pub(super) const LONGEST_URL: usize = 8 * 1024;
const MOST_REDIRECTS: u8 = 10;
const MOST_HEADERS: usize = 100;
const LONGEST_HEADERS: usize = 64 * 1024;
const LARGEST_BODY_SENT: usize = 256 * 1024;

/// Headers that belong to the connection, and so to the daemon. Guests cannot set them.
const OURS: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
];

/// More headers that guests cannot set, which have no constant.
const OURS_BY_NAME: [&str; 2] = ["http2-settings", "keep-alive"];

/// A request that can be sent if it is granted.
pub struct Outgoing {
    pub(super) method: GuestMethod,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Bytes>,
    pub(super) limit: usize,
    pub(super) redirects: u8,
    pub(super) reuse: bool,
    pub(super) family: IpFamily,
    pub(super) tls: Option<TlsClient>,
    /// The `host` header that the guest wants; none is the URL's.
    pub(super) authority: Option<Authority>,
    /// The cookies to send on; none if the guest wants no cookies.
    pub(super) cookies: Option<Cookies>,
}

impl Outgoing {
    /// Checks everything about a guest's request that can be checked without a connection.
    /// At most `most` bytes of the response's body are kept.
    pub fn parse(job: Job, most: usize) -> Result<Self, Error> {
        let request = job.request;
        if request.redirects > MOST_REDIRECTS {
            return Err(Error::Invalid(format!("at most {MOST_REDIRECTS} redirects are followed")));
        }
        if request.body.as_ref().is_some_and(|body| body.len() > LARGEST_BODY_SENT) {
            return Err(Error::Invalid(format!("the body is larger than {LARGEST_BODY_SENT} bytes")));
        }
        if request.url.len() > LONGEST_URL {
            return Err(Error::Invalid(format!("the URL is longer than {LONGEST_URL} bytes")));
        }
        let url = Url::parse(&request.url).map_err(|error| Error::Invalid(broken(error)))?;
        Ok(Self {
            url: usable(url).map_err(Error::Invalid)?,
            method: request.method,
            headers: headers(&request.headers).map_err(Error::Invalid)?,
            body: request.body.map(Bytes::from),
            limit: request.body_limit.map_or(most, |limit| most.min(limit as usize)).min(MOST_KEPT),
            redirects: request.redirects,
            reuse: request.reuse_connection,
            family: request.ip_family,
            tls: job.tls,
            authority: job.host.as_deref().map(authority).transpose().map_err(Error::Invalid)?,
            cookies: job.cookies.then(Cookies::default),
        })
    }

    /// The method as grants know it.
    pub(super) fn granted_method(&self) -> grant::Method {
        match self.method {
            GuestMethod::Get => grant::Method::Get,
            GuestMethod::Head => grant::Method::Head,
            GuestMethod::Post => grant::Method::Post,
            GuestMethod::Put => grant::Method::Put,
            GuestMethod::Patch => grant::Method::Patch,
            GuestMethod::Delete => grant::Method::Delete,
            GuestMethod::Options => grant::Method::Options,
        }
    }

    /// Whether the request may be sent again when it is not known whether it arrived.
    pub(super) fn is_repeatable(&self) -> bool {
        !matches!(self.method, GuestMethod::Post | GuestMethod::Patch)
    }

    /// Whether the request goes over TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// The URL that grants judge.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The host and port to connect to.
    pub fn host(&self) -> Result<(Host<&str>, u16), Error> {
        let host = self.url.host().zip(self.url.port_or_known_default());
        host.ok_or_else(|| Error::Invalid("the URL has no host".to_owned()))
    }

    /// How the server's certificate is trusted.
    pub(super) fn trust(&self) -> Trust {
        Trust::of(self.tls.as_ref())
    }

    /// The message to send, for HTTP/2 or HTTP/1.1, to the server itself or to a proxy that sends it on.
    pub fn message(&self, http2: bool, proxy: Option<&Proxy>) -> Result<hyper::Request<Full<Bytes>>, Error> {
        let mut message = hyper::Request::new(Full::new(self.body.clone().unwrap_or_default()));
        *message.method_mut() = self.hyper_method();
        *message.headers_mut() = self.headers.clone();
        let broken = |error| Error::Invalid(format!("the URL is broken: {error}"));
        let path = &self.url[Position::BeforePath..];
        let uri = match &self.authority {
            Some(authority) if http2 => Uri::try_from(format!("{}://{authority}{path}", self.url.scheme())),
            _ if http2 || proxy.is_some() => Uri::try_from(self.url.as_str()),
            _ => Uri::try_from(path),
        };
        *message.uri_mut() = uri.map_err(broken)?;
        let headers = message.headers_mut();
        if let Some(cookies) = &self.cookies
            && let Some(header) = cookies.header(&self.url, headers.get(header::COOKIE))
        {
            headers.insert(header::COOKIE, header);
        }
        if let Some(proxy) = proxy {
            proxy::authorize(proxy, headers);
        }
        if http2 {
            *message.version_mut() = Version::HTTP_2;
            return Ok(message);
        }
        let host = match &self.authority {
            Some(authority) => HeaderValue::try_from(authority.as_str()),
            None => HeaderValue::try_from(&self.url[Position::BeforeHost..Position::BeforePath]),
        };
        let host = host.map_err(|error| Error::Invalid(format!("the host is broken: {error}")))?;
        headers.insert(header::HOST, host);
        if !self.reuse {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        Ok(message)
    }

    fn hyper_method(&self) -> Method {
        match self.method {
            GuestMethod::Get => Method::GET,
            GuestMethod::Head => Method::HEAD,
            GuestMethod::Post => Method::POST,
            GuestMethod::Put => Method::PUT,
            GuestMethod::Patch => Method::PATCH,
            GuestMethod::Delete => Method::DELETE,
            GuestMethod::Options => Method::OPTIONS,
        }
    }
}

/// Makes a URL into one that a request can go to; the error is for people.
pub(super) fn usable(mut url: Url) -> Result<Url, String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("{}: is neither http nor https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "the URL holds a user name or password: send an `authorization` header instead".to_owned()
        );
    }
    if url.host_str().is_some_and(|host| host.contains('*')) {
        return Err("a host has no `*`: only grants have".to_owned());
    }
    if url.port() == Some(0) {
        return Err("port 0 cannot be connected to".to_owned());
    }
    if url.as_str().len() > LONGEST_URL {
        return Err(format!("the URL is longer than {LONGEST_URL} bytes"));
    }
    url.set_fragment(None);
    Ok(url)
}

/// The value of a `host` header: a host, and a port or none.
fn authority(host: &str) -> Result<Authority, String> {
    let authority = Authority::try_from(host)
        .ok()
        .filter(|authority| !authority.as_str().contains('@') && authority.as_str().len() <= LONGEST_HOST);
    authority.ok_or_else(|| {
        "the `host` header is no host, such as `shop.example` or `shop.example:8080`".to_owned()
    })
}

fn broken(error: ParseError) -> String {
    let how = match error {
        ParseError::RelativeUrlWithoutBase => "; it begins with http:// or https://",
        _ => "",
    };
    format!("the URL is broken: {error}{how}")
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, String> {
    let length: usize = given.iter().map(|(name, value)| name.len() + value.len()).sum();
    if given.len() > MOST_HEADERS || length > LONGEST_HEADERS {
        return Err(format!("there are more than {MOST_HEADERS} headers or {LONGEST_HEADERS} bytes of them"));
    }
    let mut headers = HeaderMap::with_capacity(given.len() + 3);
    for (name, value) in given {
        let shown = || name.escape_default().take(64).collect::<String>();
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("`{}` is no name of a header", shown()))?;
        let is_ours = OURS.contains(&name) || name.as_str().starts_with("proxy-");
        if is_ours || OURS_BY_NAME.contains(&name.as_str()) {
            return Err(format!("the header `{name}` is the daemon's to set"));
        }
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            format!("the value of the header `{name}` has characters that no header can have")
        })?;
        headers.append(name, value);
    }
    const AGENT: HeaderValue = HeaderValue::from_static(concat!("aviary/", env!("CARGO_PKG_VERSION")));
    headers.entry(header::USER_AGENT).or_insert(AGENT);
    Ok(headers)
}
