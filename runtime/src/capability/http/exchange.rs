//! The way from a request to its response, over redirects and connections.

use super::{Client, connection::HttpConnection, outgoing::Outgoing, pool::Use, redirect};
use crate::{
    capability::{
        bindings::aviary::check::http::{Error, Phase, Protocol, Response, Timings},
        dial::{DialError, connect},
        tls::{Alpn, Stream, handshake, server_name},
    },
    grant::{Authorization, address::Reach},
};
use hyper::{Version, body::Incoming};
use std::future::Future;
use tokio::time::Instant;

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

type ResponseHead = hyper::Response<Incoming>;

impl Exchange<'_> {
    /// Sends the request, follows redirects as far as it wants, and reads the response.
    pub(super) async fn run(mut self, mut outgoing: Outgoing) -> Result<Response, Error> {
        let mut followed = 0;
        loop {
            let reach = self.client.authorization.http(outgoing.granted_method(), &outgoing.url);
            let reach = reach.map_err(|denied| Error::Denied(denied.to_string()))?;
            let (connection, head) = self.ask(&outgoing, reach).await?;
            match redirect::next(&outgoing, head.status(), head.headers(), followed)? {
                None => return self.finish(outgoing, reach, followed, connection, head).await,
                Some(url) => redirect::follow(&mut outgoing, url, head.status()),
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
        let message = outgoing.message(connection.is_http2())?;
        let head = self.progress.measure(Phase::Wait, connection.send(message)).await?;
        Ok((connection, head))
    }

    async fn open(&mut self, outgoing: &Outgoing, reach: Reach) -> Result<HttpConnection, Error> {
        let (host, port) = outgoing.host()?;
        let explain = |error| explain(error, self.client.authorization, outgoing);
        let namespace = self.client.authorization.namespace();
        let resolve = self.client.network.resolve(namespace, &host, outgoing.family, reach);
        let addresses = self.progress.measure(Phase::Resolve, resolve).await.map_err(explain)?;
        let dial = async {
            let socket = self.client.network.sockets.take(namespace).await;
            connect(&addresses, port, self.deadline).await.map(|(stream, address)| (stream, address, socket))
        };
        let (stream, address, socket) = self.progress.measure(Phase::Connect, dial).await.map_err(explain)?;
        if !outgoing.is_tls() {
            return HttpConnection::open(Stream::Plain(stream), socket, address, None).await;
        }
        let config =
            self.client.network.tls.get(outgoing.tls.as_ref(), Alpn::Http).map_err(Error::Invalid)?;
        let name = server_name(&host).map_err(Error::Invalid)?;
        let agree = handshake(config, name, stream);
        let (stream, certificate) = self.progress.measure(Phase::Tls, agree).await.map_err(Error::Tls)?;
        HttpConnection::open(stream, socket, address, certificate).await
    }

    async fn finish(
        self,
        outgoing: Outgoing,
        reach: Reach,
        redirects: u8,
        mut connection: HttpConnection,
        head: ResponseHead,
    ) -> Result<Response, Error> {
        let (head, mut body) = head.into_parts();
        let in_flight = self.client.in_flight;
        let length = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        in_flight.hold(length)?;
        let read = connection.read(&mut body, outgoing.limit, in_flight);
        let (body, truncated) = self.progress.measure(Phase::Transfer, read).await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes())));
        let response = Response {
            status: head.status.as_u16(),
            headers: headers.collect(),
            body,
            truncated,
            redirects,
            protocol: protocol(head.version),
            remote_address: connection.address.to_string(),
            certificate: connection.certificate.clone(),
            timings: self.progress.timings,
            url: outgoing.url.as_str().to_owned(),
        };
        if outgoing.reuse && !truncated {
            self.client.connections.put(Use::of(&outgoing, reach), connection);
        }
        Ok(response)
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
        *spent += u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
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
