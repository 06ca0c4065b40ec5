//! The way from a request to its response, over redirects and connections.

use super::{
    body::Body, client::Client, connection::HttpConnection, outgoing::Outgoing, pool::Use, proxy, redirect,
};
use crate::{
    capability::{
        bindings::aviary::check::{
            http::{Error, Phase, Protocol, Timings},
            tls::TlsSession,
        },
        dial::{DialError, connect},
        nanoseconds,
        tls::{Alpn, Stream, handshake, server_name},
    },
    fair_semaphore::FairPermit,
    grant::{Authorization, address::Reach},
    value::Proxy,
};
use hyper::{HeaderMap, Version, body::Incoming};
use std::{future::Future, net::SocketAddr};
use tokio::{net::TcpStream, time::Instant};
use url::Host;

/// A request under way, with all that it needs.
pub(super) struct Exchange<'a> {
    pub(super) client: Client<'a>,
    pub(super) deadline: Instant,
    pub(super) progress: &'a mut Progress,
}

/// What a request waits for now, and how long it has waited in each phase.
pub(super) struct Progress {
    /// The phase that the request is in.
    pub(super) phase: Phase,
    timings: Timings,
}

/// The head of a response, and how it was reached.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// Where the last redirect led.
    pub(super) url: String,
    /// How many redirects were followed.
    pub(super) redirects: u8,
    pub(super) protocol: Protocol,
    /// The address that was dialled.
    pub(super) address: SocketAddr,
    /// What was agreed on over TLS; none without.
    pub(super) session: Option<TlsSession>,
    pub(super) timings: Timings,
}

type ResponseHead = hyper::Response<Incoming>;

impl Exchange<'_> {
    /// Sends the request, and follows redirects as far as it wants. Returns the head and the body of the response,
    /// and what the connection can be used for afterwards; none if it is not to be kept.
    pub(super) async fn run(mut self, mut outgoing: Outgoing) -> Result<(Head, Body, Option<Use>), Error> {
        let mut followed = 0;
        loop {
            let reach = self.client.authorization.http(outgoing.granted_method(), &outgoing.url);
            let reach = reach.map_err(|denied| Error::Denied(denied.to_string()))?;
            let (connection, head) = self.ask(&outgoing, reach).await?;
            match redirect::next(&outgoing, head.status(), head.headers(), followed)? {
                None => return self.finish(&outgoing, reach, followed, connection, head),
                Some(url) => redirect::follow(&mut outgoing, url, head.status(), head.headers()),
            }
            followed += 1;
        }
    }

    async fn ask(
        &mut self,
        outgoing: &Outgoing,
        reach: Reach,
    ) -> Result<(HttpConnection, ResponseHead), Error> {
        if outgoing.reuse
            && let Some(connection) = self.client.connections.take(&Use::of(outgoing, reach))
        {
            match self.send(connection, outgoing).await {
                // The server may have closed the reused connection just now.
                Err(Error::Closed) if outgoing.is_repeatable() => {}
                result => return result,
            }
        }
        let connection = self.open(outgoing, reach).await?;
        self.send(connection, outgoing).await
    }

    async fn send(
        &mut self,
        mut connection: HttpConnection,
        outgoing: &Outgoing,
    ) -> Result<(HttpConnection, ResponseHead), Error> {
        let message = outgoing.message(connection.is_http2(), connection.proxy())?;
        let head = self.progress.measure(Phase::Wait, connection.send(message)).await?;
        Ok((connection, head))
    }

    async fn open(&mut self, outgoing: &Outgoing, reach: Reach) -> Result<HttpConnection, Error> {
        let (host, port) = outgoing.host()?;
        let namespace = self.client.authorization.namespace();
        let resolve = self.client.network.resolve(namespace, &host, outgoing.family, reach);
        let addresses = match host {
            Host::Domain(_) => self.progress.measure(Phase::Resolve, resolve).await,
            // An address needs no lookup, and so no time.
            Host::Ipv4(_) | Host::Ipv6(_) => resolve.await,
        };
        if let Some(proxy) = self.client.network.proxy_for(&addresses) {
            return self.open_through(proxy, outgoing).await;
        }
        let explain = |error| explain(error, self.client.authorization, outgoing);
        let addresses = addresses.map_err(explain)?;
        let dial = async {
            let socket = self.client.network.sockets.take(namespace).await;
            connect(&addresses, port, self.deadline).await.map(|(stream, address)| (stream, address, socket))
        };
        let (stream, address, socket) = self.progress.measure(Phase::Connect, dial).await.map_err(explain)?;
        self.talk(outgoing, stream, address, socket).await
    }

    /// Opens a connection through the operator's proxy: by a tunnel for https. For http, the proxy is asked itself.
    async fn open_through(&mut self, proxy: &Proxy, outgoing: &Outgoing) -> Result<HttpConnection, Error> {
        let (host, port) = outgoing.host()?;
        let dial = async {
            let socket = self.client.network.sockets.take(self.client.authorization.namespace()).await;
            let stream = proxy::connect(proxy).await?;
            let stream = match outgoing.is_tls() {
                true => proxy::tunnel(proxy, stream, &format!("{host}:{port}")).await?,
                false => stream,
            };
            Ok::<_, Error>((stream, socket))
        };
        let (stream, socket) = self.progress.measure(Phase::Connect, dial).await?;
        let address = stream.peer_addr().map_err(|error| Error::Io(error.to_string()))?;
        let connection = self.talk(outgoing, stream, address, socket).await?;
        Ok(if outgoing.is_tls() { connection } else { connection.of_proxy(proxy) })
    }

    /// Starts TLS where the request wants it, and HTTP.
    async fn talk(
        &mut self,
        outgoing: &Outgoing,
        stream: TcpStream,
        address: SocketAddr,
        socket: FairPermit,
    ) -> Result<HttpConnection, Error> {
        if !outgoing.is_tls() {
            return HttpConnection::open(Stream::Plain(stream), socket, address, None).await;
        }
        let tls = outgoing.tls.as_ref();
        let config = self.client.network.tls.get(tls, Alpn::Http).map_err(Error::Invalid)?;
        let name = server_name(tls, &outgoing.host()?.0).map_err(Error::Invalid)?;
        let agree = handshake(&config, name, stream);
        let (stream, session) = self.progress.measure(Phase::Tls, agree).await.map_err(Error::Tls)?;
        HttpConnection::open(stream, socket, address, Some(session)).await
    }

    fn finish(
        self,
        outgoing: &Outgoing,
        reach: Reach,
        redirects: u8,
        connection: HttpConnection,
        response: ResponseHead,
    ) -> Result<(Head, Body, Option<Use>), Error> {
        let (parts, body) = response.into_parts();
        let length = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        self.client.in_flight.hold(length)?;
        let head = Head {
            status: parts.status.as_u16(),
            headers: parts.headers,
            url: outgoing.url.as_str().to_owned(),
            redirects,
            protocol: protocol(parts.version),
            address: connection.address,
            session: connection.session.clone(),
            timings: self.progress.timings,
        };
        let keep = outgoing.reuse.then(|| Use::of(outgoing, reach));
        Ok((head, Body::new(connection, body, outgoing.limit), keep))
    }
}

impl Progress {
    /// The progress of a request that has not begun.
    pub(super) fn new() -> Self {
        let timings = Timings { resolve_ns: 0, connect_ns: 0, tls_ns: 0, wait_ns: 0, transfer_ns: 0 };
        Self { phase: Phase::Resolve, timings }
    }

    /// Waits for `work`, and adds the time that it took to this phase.
    async fn measure<T>(&mut self, phase: Phase, work: impl Future<Output = T>) -> T {
        self.phase = phase;
        let since = Instant::now();
        let result = work.await;
        let spent = match phase {
            Phase::Resolve => &mut self.timings.resolve_ns,
            Phase::Connect => &mut self.timings.connect_ns,
            Phase::Tls => &mut self.timings.tls_ns,
            Phase::Wait => &mut self.timings.wait_ns,
            Phase::Transfer => &mut self.timings.transfer_ns,
        };
        *spent += nanoseconds(since.elapsed());
        result
    }
}

fn explain(error: DialError, authorization: &Authorization, outgoing: &Outgoing) -> Error {
    match error {
        DialError::Resolve(text) => Error::Resolve(text),
        DialError::Forbidden(address) => {
            let denied = authorization.http_address(outgoing.granted_method(), &outgoing.url, address);
            Error::Denied(denied.to_string())
        }
        DialError::Timeout => Error::Timeout(Phase::Connect),
        DialError::Refused => Error::Refused,
        DialError::Unreachable => Error::Unreachable,
        DialError::Io(text) => Error::Io(text),
    }
}

fn protocol(version: Version) -> Protocol {
    match version {
        Version::HTTP_2 => Protocol::Http2,
        Version::HTTP_10 => Protocol::Http10,
        _ => Protocol::Http11,
    }
}
