//! Requests through the operator's proxy.

use super::driver::Driver;
use crate::{capability::bindings::aviary::check::http::Error, value::Proxy};
use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::Empty;
use hyper::{
    Method, Request, Uri,
    client::conn::http1,
    header::{HOST, HeaderMap, HeaderValue, PROXY_AUTHORIZATION},
    upgrade,
};
use hyper_util::rt::TokioIo;
use std::fmt;
use tokio::net::TcpStream;

/// The most bytes of the head of the proxy's answer.
const LONGEST_HEAD: usize = 64 * 1024;

/// Connects to the proxy. The system looks its name up, and no grant is needed.
pub(super) async fn connect(proxy: &Proxy) -> Result<TcpStream, Error> {
    let stream = TcpStream::connect((proxy.host.as_str(), proxy.port)).await;
    stream.map_err(|error| Error::Io(format!("the egress proxy {proxy} cannot be reached: {error}")))
}

/// Asks the proxy for a tunnel to `host:port`, and returns the stream through it (RFC 9110, section 9.3.6).
pub(super) async fn tunnel(proxy: &Proxy, stream: TcpStream, authority: &str) -> Result<TcpStream, Error> {
    let failed = |what: &dyn fmt::Display| {
        Error::Io(format!("the egress proxy {proxy} opened no tunnel to {authority}: {what}"))
    };
    let mut builder = http1::Builder::new();
    builder.max_buf_size(LONGEST_HEAD);
    let (mut sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
    let mut driver = Driver::new(connection.with_upgrades().map(drop));
    let response = driver.alongside(sender.send_request(request(proxy, authority)?)).await;
    let response = response.map_err(|error| failed(&error))?;
    if !response.status().is_success() {
        return Err(failed(&format_args!("it answered {}", response.status())));
    }
    let upgraded = driver.alongside(upgrade::on(response)).await.map_err(|error| failed(&error))?;
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) if parts.read_buf.is_empty() => Ok(parts.io.into_inner()),
        _ => Err(failed(&"it sent bytes of its own")),
    }
}

/// Adds the header that proves to the proxy who asks.
pub(super) fn authorize(proxy: &Proxy, headers: &mut HeaderMap) {
    // A proxy whose credentials are no header answers 407, which says what is wrong.
    if let Some(Ok(mut value)) = proxy.authorization.as_deref().map(HeaderValue::try_from) {
        value.set_sensitive(true);
        headers.insert(PROXY_AUTHORIZATION, value);
    }
}

fn request(proxy: &Proxy, authority: &str) -> Result<Request<Empty<Bytes>>, Error> {
    let broken = || Error::Invalid("the host is broken".to_owned());
    let mut request = Request::new(Empty::new());
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = Uri::try_from(authority).map_err(|_| broken())?;
    request.headers_mut().insert(HOST, HeaderValue::try_from(authority).map_err(|_| broken())?);
    authorize(proxy, request.headers_mut());
    Ok(request)
}
